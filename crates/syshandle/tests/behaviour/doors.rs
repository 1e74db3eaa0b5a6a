//! Doors: each holder has its own door, and no holder can break or use the door of another holder.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Instant;

use syshandle::{Encode, Guid, object::Interface};
use syshandle_os::{Peer, Seqpacket};
use syshandle_types::{Encoder, Limits};
use syshandle_wire::{Body, Fault, FrameKind, Header, Releases};

use crate::support::bench::{BENCH, Bench, Count, Counter, CounterClient};
use crate::support::process::{DESCRIPTORS_MAX, alone, arguments};
use crate::support::raw::Raw;
use crate::support::world::{World, file};
use crate::support::{descriptors, eventually, eventually_no_more};

/// Makes a door to the counter, as if the reference were passed to another process.
fn door(counter: &CounterClient) -> Seqpacket {
    let mut out = Encoder::new(Vec::new(), Limits::default());
    counter.encode(&mut out);
    let (_, handles) = out.finish_lent().unwrap();
    Seqpacket::from(handles.with(|handles| handles[0].try_clone_to_owned().unwrap()))
}

/// Calls `add` of the counter over a raw connection after its handshake.
fn add(raw: &Raw, call: u32, count: u32) -> Vec<u8> {
    raw.call(call, method(<dyn Counter>::DESCRIPTION, "add"), &count.to_le_bytes(), &[]);
    loop {
        let frame = raw.receive().expect("the connection goes on");
        if frame.header.kind == FrameKind::Reply && frame.header.call == call {
            return frame.body;
        }
    }
}

fn method(interface: &syshandle::describe::Interface, name: &str) -> u32 {
    let place = interface.methods.iter().position(|method| method.name == name);
    place.unwrap() as u32
}

const ATTACH: fn() -> Header = || Header { handles: 1, ..Header::new(FrameKind::Attach) };

#[test]
fn a_holder_that_misuses_its_door_breaks_no_reference_of_others() {
    let (world, other) = (World::new(), World::new());
    let counter = world.bench().counters(1).unwrap().remove(0);
    let before = door(&counter);
    let keeper = other.bench();
    keeper.keep_counter(&counter).unwrap();
    for round in 0..3 {
        let hostile = Raw(door(&counter));
        hostile.send(&ATTACH(), &[], &[file().as_fd()]);
        let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        hostile.send(&ATTACH(), &[], &[stream.as_fd()]);
        // Attach frames with the hostile holder's own door, and with the door of another holder.
        hostile.send(&ATTACH(), &[], &[hostile.0.as_fd()]);
        hostile.send(&ATTACH(), &[], &[before.as_fd()]);
        match round {
            0 => {}
            1 => hostile.0.shut_down(),
            _ => while hostile.0.send(&[IoSlice::new(b"flood")], &[]).is_ok() {},
        }
        assert!(counter.add(1).is_ok());
        // Doors that existed before the attack still work, and so do new doors and a door that
        // another process makes.
        let (raw, _) = Raw::attached(&before);
        raw.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
        add(&raw, 1, 0);
        counter.cast::<CounterClient>().unwrap().add(0).unwrap();
        keeper.kept_counter().unwrap().unwrap().add(0).unwrap();
    }
    assert_eq!(counter.add(0).unwrap(), 3);
}

#[test]
fn a_hello_at_a_door_that_names_a_class_is_refused() {
    let world = World::new();
    let counter = world.bench().counters(1).unwrap().remove(0);
    let (raw, _channel) = Raw::attached(&door(&counter));
    raw.hello(BENCH.clsid(), <dyn Counter>::DESCRIPTION.iid);
    let refused = raw.receive().unwrap();
    assert_eq!(refused.header.kind, FrameKind::Refused);
    assert_eq!(Fault::read(&refused.body).unwrap(), Fault::NoSuchClass(BENCH.clsid()));
    raw.ends();
}

#[test]
fn an_arena_frame_without_a_handle_is_permitted_although_no_handle_was_lost() {
    let world = World::new();
    let counter = world.bench().counters(1).unwrap().remove(0);
    let (raw, _channel) = Raw::attached(&door(&counter));
    raw.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
    raw.send(&Header::new(FrameKind::Arena), &[], &[]);
    add(&raw, 1, 0);
}

#[test]
fn a_frame_that_is_no_attach_ends_its_door_and_no_other_one() {
    let world = World::new();
    let counter = world.bench().counters(1).unwrap().remove(0);
    let other = door(&counter);
    let (file, channel) = (file(), Seqpacket::pair().unwrap().0);
    let (file, channel) = (file.as_fd(), channel.as_fd());
    let of = |kind| head(&Header::new(kind));
    let with_body = [head(&Header { body: Body::Inline { len: 1 }, ..ATTACH() }), vec![0]].concat();
    let releases = Releases::take_from(&mut vec![0]);
    let frames: &[(&str, Vec<u8>, &[BorrowedFd<'_>])] = &[
        ("without bytes", vec![], &[]),
        ("of one byte", b"?".to_vec(), &[]),
        ("of no kind", vec![99; Header::LEN], &[]),
        ("too long", vec![FrameKind::Attach as u8; 2 * Header::FRAME_MAX], &[channel]),
        ("a call", of(FrameKind::Call), &[]),
        ("a hello", of(FrameKind::Hello), &[]),
        ("a good-bye", of(FrameKind::Bye), &[]),
        ("an attach without a handle", head(&ATTACH()), &[]),
        ("an attach that declares none", of(FrameKind::Attach), &[channel]),
        ("an attach with two handles", head(&ATTACH()), &[channel, file]),
        ("an attach with a body", with_body, &[channel]),
        ("an attach that gives back", head(&Header { releases, ..ATTACH() }), &[channel]),
    ];
    for (what, bytes, handles) in frames {
        println!("{what}");
        let hostile = Raw(door(&counter));
        hostile.0.send(&[IoSlice::new(bytes)], handles).unwrap();
        hostile.ends();
        assert!(counter.add(1).is_ok());
    }
    let (raw, _) = Raw::attached(&other);
    raw.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
    add(&raw, 1, 0);
}

#[test]
fn a_client_at_a_door_shares_no_end_with_the_server() {
    let world = World::new();
    let bench = world.bench();
    let counter = bench.counters(1).unwrap().remove(0);
    let door = door(&counter);
    let (raw, kept) = Raw::attached(&door);
    raw.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
    add(&raw, 1, 1);
    let before = bench.descriptors().unwrap();
    // `kept` is the end of the return channel that was sent to the server. Neither its options nor
    // its shutdown affect the connection.
    kept.pass_sender_processes().unwrap_or_else(|error| println!("older kernel: {error}"));
    kept.name_senders().unwrap();
    for call in 2..100 {
        add(&raw, call, 1);
    }
    kept.shut_down();
    add(&raw, 100, 1);
    drop(kept);
    add(&raw, 101, 1);
    // Options of the client's own end do not affect the server's end either.
    raw.0.pass_sender_processes().unwrap_or_else(|error| println!("older kernel: {error}"));
    for call in 102..200 {
        add(&raw, call, 1);
    }
    // The earlier count may have included the door of the reference itself.
    eventually("the descriptors are closed", || bench.descriptors().unwrap() <= before);
}

/// Attaches through a door without receiving the answer: peeks at the connection's descriptor in
/// the answer, sends `Hello` and `Bye` over it, and leaves the answer unread. Returns the return
/// channel, and the refusal if the server refused.
fn attach_unread(door: &Seqpacket) -> (Raw, Option<Fault>) {
    let (channel, _) = Raw::return_channel(door);
    let Some(end) = channel.peek_handle() else {
        let refused = channel.receive().unwrap();
        assert_eq!(refused.header.kind, FrameKind::Refused);
        return (channel, Some(Fault::read(&refused.body).unwrap()));
    };
    let raw = Raw(Seqpacket::from(end));
    raw.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
    raw.send(&Header::new(FrameKind::Bye), &[], &[]);
    raw.ends();
    (channel, None)
}

#[test]
fn answers_that_a_client_at_a_door_does_not_receive_count_as_handles_in_flight() {
    // At most half of the 1024 descriptors may be in flight. One process may have five eighths of
    // that half.
    let world = World::with_environment(&[(DESCRIPTORS_MAX, "1024")]);
    let bench = world.bench();
    let counter = bench.counters(1).unwrap().remove(0);
    let through = door(&counter);
    let mut unread = Vec::new();
    let refusal = loop {
        match attach_unread(&through) {
            (channel, None) => unread.push(channel),
            (_, Some(refusal)) => break refusal,
        }
        assert!(unread.len() < 1000, "there is no limit");
    };
    let Fault::Busy { limit } = refusal else { panic!("{refusal}") };
    assert_eq!(limit, "handles in flight to one client");
    assert!((200..=320).contains(&unread.len()), "{}", unread.len());
    let error = bench.events(100).unwrap_err();
    assert!(error.to_string().contains("too many handles are in flight"), "{error}");
    // Calls without handles still work.
    counter.add(0).unwrap();
    drop(unread);
    eventually("a client that is gone has nothing in flight", || bench.events(100).is_ok());
    let _ = Raw::attached(&through);
}

#[test]
fn attaches_that_a_hostile_object_does_not_receive_count_as_handles_in_flight() {
    let world = World::with_environment(&[(DESCRIPTORS_MAX, "1024")]);
    let bench = world.bench();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid);
    let mut body = 0_u16.to_le_bytes().to_vec();
    body.extend(1_u32.to_le_bytes());
    let mut unread = Vec::new();
    let is_limited = |call, unread: &mut Vec<Raw>| {
        // The server calls an object that this process simulates at the other end of a door.
        let (inner, outer) = Seqpacket::pair().unwrap();
        let inner = Raw(inner);
        raw.call(call, method(<dyn Bench>::DESCRIPTION, "add_to"), &body, &[outer.as_fd()]);
        drop(outer);
        let asks = inner.peek_handle();
        if let Some(channel) = &asks {
            // An invalid answer ends the server's wait, too.
            let channel = Seqpacket::from(channel.try_clone().unwrap());
            channel.send(&[IoSlice::new(b"no")], &[]).unwrap();
            unread.push(inner);
        }
        let reply = raw.receive().unwrap();
        assert_ne!(reply.header.code, 0, "the call of the object failed");
        asks.is_none()
    };
    let calls = (1..1000).find(|call| is_limited(*call, &mut unread));
    assert!(calls.is_some_and(|calls| (200..=321).contains(&calls)), "{calls:?}");
    drop(unread);
    let counter = CounterClient::in_process(Count::default()).unwrap();
    eventually("an object that is gone has nothing in flight", || {
        bench.add_to(&counter, 1).is_ok()
    });
}

#[test]
fn a_channel_of_another_process_cannot_be_attached() {
    let (world, other) = (World::new(), World::new());
    let (bench, victim) = (world.bench(), other.bench());
    let counter = bench.counters(1).unwrap().remove(0);
    let through = door(&counter);
    // Lends the victim an object that this process simulates at the other end of a door.
    let (inner, outer) = Seqpacket::pair().unwrap();
    let raw = Raw::open(&other.socket(), BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid);
    let mut body = 0_u16.to_le_bytes().to_vec();
    body.extend(1_u32.to_le_bytes());
    raw.call(1, method(<dyn Bench>::DESCRIPTION, "add_to"), &body, &[outer.as_fd()]);
    let asks = Raw(inner).receive().unwrap();
    assert_eq!(asks.header.kind, FrameKind::Attach);
    let channel = Seqpacket::from(asks.handles.into_iter().next().unwrap());
    assert_eq!(channel.peer().unwrap().pid, victim.pid().unwrap());
    // This attack must fail. If the other server accepted the channel, the victim would become its
    // client.
    through.send(&[IoSlice::new(&head(&ATTACH()))], &[channel.as_fd()]).unwrap();
    // A door handles frames in order, so an answer to this frame shows that the previous one was
    // refused.
    let (own, _) = Raw::attached(&through);
    own.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
    add(&own, 1, 0);
    // A socket that this process made is refused too, because the server did not make it.
    let (ours, theirs) = Raw::attached(&through);
    channel.send(&[IoSlice::new(&head(&ATTACH()))], &[ours.0.as_fd()]).unwrap();
    drop((channel, theirs));
    let reply = loop {
        let frame = raw.receive().unwrap();
        if frame.header.kind == FrameKind::Reply {
            break frame;
        }
    };
    assert_ne!(reply.header.code, 0, "the victim's call of the object failed");
    assert_eq!(counter.add(0).unwrap(), 0, "and reached no other object");
}

/// The environment variable that contains the server's socket for the process that acts as a
/// hostile object.
const HOSTILE: &str = "BEHAVIOUR_HOSTILE_OBJECT";

/// Lends the server an object, answers the server's attach frame with the other end of the object's
/// own door, and exits. Does nothing in an ordinary test run.
#[test]
fn passes_both_ends_of_its_door_where_it_is_started_as_a_hostile_object() {
    let Some(socket) = std::env::var_os(HOSTILE) else { return };
    let (inner, outer) = Seqpacket::pair().unwrap();
    let raw = Raw::open(socket.as_ref(), BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid);
    let mut body = 0_u16.to_le_bytes().to_vec();
    body.extend(1_u32.to_le_bytes());
    raw.call(1, method(<dyn Bench>::DESCRIPTION, "add_to"), &body, &[outer.as_fd()]);
    let inner = Raw(inner);
    let asks = inner.receive().unwrap();
    let channel = Raw(Seqpacket::from(asks.handles.into_iter().next().unwrap()));
    channel.send(&ATTACH(), &[], &[inner.0.as_fd()]);
}

#[test]
fn an_object_that_gives_its_caller_both_ends_of_its_door_does_not_outlive_its_process() {
    let world = World::new();
    let bench = world.bench();
    let before = bench.descriptors().unwrap();
    let began = Instant::now();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(arguments(
            "doors::passes_both_ends_of_its_door_where_it_is_started_as_a_hostile_object",
        ))
        .env(HOSTILE, world.socket())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    eventually("the method's call has ended", || bench.descriptors().unwrap() <= before);
    // The call ended long before its deadline, because the process ended.
    assert!(began.elapsed() < syshandle::Client::TIMEOUT / 2, "{:?}", began.elapsed());
}

fn head(header: &Header) -> Vec<u8> {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    head[..len].to_vec()
}

#[test]
fn a_reference_that_was_used_keeps_no_door_open() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        let counter = CounterClient::in_process(Count::default()).unwrap();
        bench.add_to(&counter, 1).unwrap();
        let before = [descriptors()];
        for _ in 0..50 {
            assert!(bench.add_to(&counter, 1).is_ok());
        }
        eventually_no_more(before, || [descriptors()]);
    });
}

#[test]
fn a_door_whose_holder_has_gone_is_gone() {
    let world = World::new();
    let bench = world.bench();
    let counter = bench.counters(1).unwrap().remove(0);
    counter.add(1).unwrap();
    let before = bench.descriptors().unwrap();
    let doors: Vec<OwnedFd> = (0..10).map(|_| door(&counter).into()).collect();
    assert!(bench.descriptors().unwrap() >= before + 5);
    drop(doors);
    // The earlier count may have included the door of the reference itself.
    eventually("the descriptors are closed", || bench.descriptors().unwrap() <= before);
}
