//! Handles that are passed once and then named by the slots in which the peer keeps them.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use syshandle::handle::{Event, ManualEvent, OwnedHandle, Registered, Section};
use syshandle::object::Interface;
use syshandle::{Error, ErrorKind};
use syshandle_wire::{
    Entry, Fault, Features, FrameKind, Header, Hello, SlotId, SlotNote, SlotNotes, Status,
};

use crate::support::bench::{BENCH, Bench, BenchAsyncClient, BenchClient};
use crate::support::process::{CLIENT, DESCRIPTORS_MAX, OtherClient, ROLE, WORLD, alone};
use crate::support::raw::{Frame, Raw, scripted_server};
use crate::support::world::{World, over_every_transport};
use crate::support::{eventually, pipe};

fn file() -> File {
    tempfile::tempfile().unwrap()
}

fn read_only() -> File {
    File::open("/etc/passwd").unwrap()
}

/// Makes a call after which the client knows the slots of its handles.
fn settle(bench: &BenchClient) {
    bench.nothing().unwrap();
    bench.nothing().unwrap();
}

fn is_refused(error: &Error, kind: ErrorKind) -> bool {
    error.kind() == kind && !error.may_have_run()
}

#[test]
fn a_method_gets_the_same_value_of_a_registered_handle_each_time() {
    over_every_transport(|bench| {
        let image = Registered::new(read_only());
        assert!(!bench.is_same(&image).unwrap());
        settle(bench);
        assert!(bench.is_same(&image).unwrap(), "the value of the first call is kept");
        assert!(bench.is_same(&image).unwrap());
        let clone = image.clone();
        assert!(bench.is_same(&clone).unwrap());
        assert!(bench.is_same(clone.shared()).unwrap());
        // Another handle to the same file is another handle.
        assert!(!bench.is_same(&read_only()).unwrap());
        assert!(!bench.is_same(&image).unwrap());
        assert!(bench.is_same(&image).unwrap());
    });
}

#[test]
fn a_client_gets_the_same_value_of_a_registered_result_each_time() {
    over_every_transport(|bench| {
        let first: Arc<ManualEvent> = bench.bell().unwrap();
        // The next call tells the server the slot.
        let second = bench.bell().unwrap();
        let third = bench.bell().unwrap();
        assert!(Arc::ptr_eq(&first, &third) || Arc::ptr_eq(&second, &third));
        assert!(Arc::ptr_eq(&third, &bench.bell().unwrap()));
        first.set().unwrap();
        assert!(third.poll().unwrap());
        bench.drop_bell().unwrap();
        let other = bench.bell().unwrap();
        assert!(!Arc::ptr_eq(&third, &other));
        assert!(!other.poll().unwrap());
        third.reset().unwrap();
    });
}

#[test]
fn asynchronous_and_pipelined_calls_name_slots_too() {
    over_every_transport(|bench| {
        let image = Registered::new(read_only());
        bench.is_same(&image).unwrap();
        settle(bench);
        let client = BenchAsyncClient::from(bench);
        // More calls than may be in flight, so that some wait in the client.
        let calls: Vec<_> = (0..200).map(|_| client.is_same(&image)).collect();
        assert!(calls.into_iter().all(|call| call.wait().unwrap()));
        let calls = syshandle::pipeline::pipelined(&client, |client| {
            (0..40).map(|_| client.is_same(&image)).collect::<Vec<_>>()
        });
        drop(image);
        assert!(calls.into_iter().all(|call| call.wait().unwrap()));
    });
}

#[test]
fn a_registered_handle_takes_one_descriptor_until_it_is_released() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        bench.nothing().unwrap();
        let before = bench.descriptors().unwrap();
        let image = Registered::new(read_only());
        for _ in 0..10 {
            bench.is_same(&image).unwrap();
            assert!(bench.len_of(&image).unwrap() > 0, "an owned file is a duplicate");
        }
        bench.forget_file().unwrap();
        assert_eq!(bench.descriptors().unwrap(), before + 1);
        drop(image);
        eventually("the slot is released", || bench.descriptors().unwrap() == before);
    });
}

#[test]
fn a_pipe_ends_when_its_registration_is_dropped_although_no_call_follows() {
    over_every_transport(|bench| {
        let (mut reader, writer) = pipe();
        let end = Registered::new(OwnedHandle::from(writer));
        for _ in 0..3 {
            bench.take_any(&[end.shared().clone()]).unwrap();
        }
        drop(end);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn each_parameter_is_checked_against_the_facts() {
    over_every_transport(|bench| {
        let image = Registered::new(read_only());
        bench.is_same(&image).unwrap();
        settle(bench);
        for _ in 0..2 {
            let error = bench.take_writable(&image).unwrap_err();
            assert!(is_refused(&error, ErrorKind::WrongHandle), "{error}");
            assert_eq!(
                error.to_string(),
                "Bench::take_writable: parameter `file`: expected read | write, got a file with read"
            );
        }
        assert!(bench.is_same(&image).unwrap(), "the handle is still kept");
        let writable = Registered::new(file());
        for _ in 0..3 {
            bench.take_writable(&writable).unwrap();
            bench.is_same(&writable).unwrap();
        }
        let event = Registered::new(Event::new().unwrap());
        let handles = [Registered::new(OwnedHandle::from(event.try_clone().unwrap()))];
        bench.take_any(&[handles[0].shared().clone()]).unwrap();
    });
}

#[test]
fn facts_that_change_are_asked_for_again() {
    over_every_transport(|bench| {
        // Append mode.
        let log = Registered::new(file());
        for _ in 0..3 {
            bench.take_writable(&log).unwrap();
        }
        let flags = fcntl_getfl(&*log).unwrap();
        fcntl_setfl(&*log, flags | OFlags::APPEND).unwrap();
        let error = bench.take_writable(&log).unwrap_err();
        assert!(error.to_string().ends_with("got a file with read | append"), "{error}");
        fcntl_setfl(&*log, flags).unwrap();
        bench.take_writable(&log).unwrap();
        // Seals.
        let section = Registered::new(Section::new(64).unwrap());
        for _ in 0..3 {
            let error = bench.take_frozen(&section).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongHandle, "{error}");
        }
        section.freeze().unwrap();
        for _ in 0..3 {
            bench.take_frozen(&section).unwrap();
        }
        // A stream that listens is no stream any more.
        let address = rustix::net::SocketAddrUnix::new_abstract_name(
            format!("syshandle-{}-{:p}", std::process::id(), bench).as_bytes(),
        );
        let socket = rustix::net::socket(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            None,
        );
        let stream = Registered::new(UnixStream::from(socket.unwrap()));
        let unconnected =
            |error: Error| assert_ne!(error.kind(), ErrorKind::WrongHandle, "{error}");
        for _ in 0..3 {
            unconnected(bench.take_stream(&stream).unwrap_err());
        }
        rustix::net::bind(&*stream, &address.unwrap()).unwrap();
        rustix::net::listen(&*stream, 1).unwrap();
        let error = bench.take_stream(&stream).unwrap_err();
        assert!(is_refused(&error, ErrorKind::WrongHandle), "{error}");
        assert!(error.to_string().contains("got a unix listener"), "{error}");
    });
}

#[test]
fn a_client_passes_a_handle_again_after_the_server_has_taken_it_back() {
    over_every_transport(|bench| {
        let image = Registered::new(read_only());
        bench.is_same(&image).unwrap();
        settle(bench);
        assert!(bench.is_same(&image).unwrap());
        bench.drop_registered().unwrap();
        assert!(!bench.is_same(&image).unwrap(), "the client knows that the slot is gone");
        settle(bench);
        assert!(bench.is_same(&image).unwrap(), "the handle is registered again");
    });
}

#[test]
fn a_table_belongs_to_its_connection() {
    let world = World::new();
    let (one, other) = (world.bench(), world.bench());
    let image = Registered::new(read_only());
    for bench in [&one, &other] {
        bench.is_same(&image).unwrap();
        settle(bench);
        assert!(bench.is_same(&image).unwrap());
    }
    drop((one, other));
    eventually("the server ends", || !world.is_running());
    let again = world.bench();
    assert!(!again.is_same(&image).unwrap());
    settle(&again);
    assert!(again.is_same(&image).unwrap());
}

#[test]
fn handles_beyond_the_quota_are_passed_as_usual() {
    let world = World::with_environment(&[(DESCRIPTORS_MAX, "128")]);
    let bench = world.bench();
    let before = bench.descriptors().unwrap();
    let files: Vec<_> = (0..200).map(|_| Registered::new(read_only())).collect();
    for _ in 0..3 {
        for file in &files {
            assert!(bench.len_of(file).unwrap() > 0);
        }
    }
    // The quota is five eighths of the limit, and half of it is left.
    let kept = bench.descriptors().unwrap() - before;
    assert!((20..=40).contains(&kept), "{kept} handles are kept");
    drop(files);
    eventually("the slots are released", || bench.descriptors().unwrap() == before);
    let last = Registered::new(read_only());
    bench.is_same(&last).unwrap();
    settle(&bench);
    assert!(bench.is_same(&last).unwrap());
}

/// A client that sends frames against the rules.
fn open(world: &World) -> Raw {
    Raw::open(&world.socket(), BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid)
}

/// Calls `read_only` with one entry. Returns the fault, and the notes that came before the reply.
fn call(raw: &Raw, entry: Entry, handle: Option<BorrowedFd<'_>>) -> (Option<Fault>, Vec<SlotNote>) {
    let methods = <dyn Bench>::DESCRIPTION.methods;
    let code = methods.iter().position(|method| method.name == "read_only").unwrap() as u32;
    let (entries, handles) = ([entry].into_iter().collect(), u16::from(handle.is_some()));
    let call = Header { call: 7, code, entries, handles, ..Header::new(FrameKind::Call) };
    raw.send(&Header { timeout_ms: 60_000, ..call }, &[0, 0], handle.as_slice());
    let mut notes = Vec::new();
    loop {
        let Frame { header, body, .. } = raw.receive().expect("the connection goes on");
        match header.kind {
            FrameKind::Slots => {
                notes.extend(SlotNotes::read(&body).unwrap().iter().map(Result::unwrap));
            }
            FrameKind::Reply if header.code == Status::Done as u32 => return (None, notes),
            FrameKind::Reply => return (Some(Fault::read(&body).unwrap()), notes),
            other => panic!("{other:?}"),
        }
    }
}

/// Registers a file, and returns its slot.
fn register(raw: &Raw, token: u16) -> SlotId {
    let (fault, notes) = call(raw, Entry::HandleToKeep(token), Some(read_only().as_fd()));
    assert_eq!(fault, None);
    let [SlotNote::Kept { token: answered, slot }] = notes[..] else { panic!("{notes:?}") };
    assert_eq!(answered, token);
    slot
}

fn send_notes(raw: &Raw, notes: &[SlotNote]) {
    let (header, body) = SlotNotes::write(notes);
    raw.send(&header, &body, &[]);
}

#[test]
fn a_slot_means_nothing_on_another_connection_in_another_generation_or_after_its_release() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    let (raw, other) = (open(&world), open(&world));
    let slot = register(&raw, 9);
    assert_eq!(call(&raw, Entry::Slot(slot), None), (None, Vec::new()));
    let next = SlotId { generation: slot.generation + 1, ..slot };
    let gone = |raw: &Raw, slot| {
        let (fault, _) = call(raw, Entry::Slot(slot), None);
        assert_eq!(fault, Some(Fault::SlotGone), "{slot:?}");
        assert!(!Fault::SlotGone.may_have_run());
    };
    gone(&other, slot);
    gone(&raw, next);
    gone(&raw, SlotId { slot: slot.slot + 1, ..slot });
    gone(&raw, SlotId { slot: u16::MAX, generation: 0 });
    send_notes(&raw, &[SlotNote::Released(slot)]);
    gone(&raw, slot);
    let again = register(&raw, 9);
    assert_eq!(again, next, "the slot is used again, in the next generation");
    gone(&raw, slot);
    // A slot may be named twice in a message, and a token may be used again after its answer.
    assert_eq!(call(&raw, Entry::Slot(again), None).0, None);
    let other_kind = std::io::pipe().unwrap().0;
    let (fault, notes) = call(&raw, Entry::HandleToKeep(1), Some(other_kind.as_fd()));
    assert!(matches!(fault, Some(Fault::WrongHandle { .. })), "{fault:?}");
    let [SlotNote::Kept { slot, .. }] = notes[..] else { panic!("{notes:?}") };
    assert!(matches!(
        call(&raw, Entry::Slot(slot), None).0,
        Some(Fault::WrongHandle { slot: 0, .. })
    ));
}

#[test]
fn a_client_that_breaks_the_rules_of_slots_is_disconnected() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    let bad: [&dyn Fn(SlotId) -> Vec<SlotNote>; 6] = [
        &|slot| vec![SlotNote::Released(slot), SlotNote::Released(slot)],
        &|slot| vec![SlotNote::Released(SlotId { generation: slot.generation + 1, ..slot })],
        &|_| vec![SlotNote::Released(SlotId { slot: 400, generation: 1 })],
        &|_| vec![SlotNote::Released(SlotId { slot: u16::MAX, generation: u32::MAX })],
        &|slot| vec![SlotNote::Kept { token: 1, slot }],
        &|_| vec![SlotNote::Declined { token: 0 }],
    ];
    for notes in bad {
        let raw = open(&world);
        let slot = register(&raw, 1);
        send_notes(&raw, &notes(slot));
        raw.ends();
        bench.nothing().unwrap();
    }
    let raw = open(&world);
    let (header, _) = SlotNotes::write(&[]);
    raw.send(&header, &[0; 11], &[]);
    raw.ends();
    let raw = open(&world);
    raw.send(&header, &[9; 12], &[]);
    raw.ends();
    // Without the feature, slots are violations, and a request is ignored.
    let open_without = || {
        let raw = Raw::greeted(&world.socket());
        let iid = <dyn Bench>::DESCRIPTION.iid;
        let hello = Hello { features: Features::OBJECTS, ..Hello::new(BENCH.clsid(), iid) };
        raw.send(&Header::new(FrameKind::Hello), &hello.write(), &[]);
        raw
    };
    let raw = open_without();
    send_notes(&raw, &[]);
    raw.ends();
    let raw = open_without();
    let file = read_only();
    assert_eq!(call(&raw, Entry::HandleToKeep(1), Some(file.as_fd())), (None, Vec::new()));
    // Notes about slots that the client has not kept are ignored, because they may cross.
    let raw = open(&world);
    send_notes(&raw, &[SlotNote::TakenBack(SlotId { slot: 1, generation: 1 })]);
    register(&raw, 1);
}

#[test]
fn a_slot_that_was_taken_back_is_not_used_again_before_the_client_confirms() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    let raw = open(&world);
    let slot = register(&raw, 1);
    let methods = <dyn Bench>::DESCRIPTION.methods;
    let method = methods.iter().position(|method| method.name == "drop_registered").unwrap();
    raw.call(3, method as u32, &[], &[]);
    let frame = raw.receive().unwrap();
    let notes: Vec<_> = SlotNotes::read(&frame.body).unwrap().iter().collect();
    assert_eq!(notes, [Ok(SlotNote::TakenBack(slot))]);
    assert_eq!(raw.receive().unwrap().header.kind, FrameKind::Reply);
    assert_eq!(call(&raw, Entry::Slot(slot), None).0, Some(Fault::SlotGone));
    assert_ne!(register(&raw, 1).slot, slot.slot);
    send_notes(&raw, &[SlotNote::Released(slot)]);
    let again = register(&raw, 1);
    assert_eq!((again.slot, again.generation), (slot.slot, slot.generation + 1));
}

#[test]
fn a_client_refuses_what_a_server_may_not_say_about_slots() {
    let slot = SlotId { slot: 3, generation: 4 };
    for note in [
        SlotNote::Kept { token: 1, slot },
        SlotNote::Declined { token: 1 },
        SlotNote::Released(slot),
    ] {
        let (server, client) = scripted_server::<BenchClient>();
        let calling = std::thread::spawn(move || client.nothing().unwrap_err());
        assert_eq!(server.receive().unwrap().header.kind, FrameKind::Call);
        send_notes(&server, &[note]);
        let error = calling.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Violation, "{note:?}");
    }
    // A reply that names a slot without a handle is malformed.
    let (server, client) = scripted_server::<BenchClient>();
    let calling = std::thread::spawn(move || {
        let error = client.bell().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        client.bell().unwrap();
    });
    let reply = |entry, handle: Option<BorrowedFd<'_>>| {
        let call = server.receive().unwrap().header.call;
        send_notes(&server, &[SlotNote::TakenBack(slot)]);
        let (entries, handles) = ([entry].into_iter().collect(), u16::from(handle.is_some()));
        let reply = Header { call, entries, handles, ..Header::new(FrameKind::Reply) };
        server.send(&reply, &[0, 0], handle.as_slice());
    };
    reply(Entry::Slot(slot), None);
    let event = ManualEvent::new().unwrap();
    reply(Entry::HandleToKeep(500), Some(event.as_fd()));
    calling.join().unwrap();
    let Frame { header, .. } = server.receive().unwrap_or_else(|| panic!("the client answers"));
    assert_eq!(header.kind, FrameKind::Slots);
}

#[test]
fn registers_its_end_where_it_is_started_as_a_client() {
    if std::env::var(ROLE).as_deref() != Ok(CLIENT) {
        return;
    }
    let registry = World::registry_in(std::path::Path::new(&std::env::var(WORLD).unwrap()));
    let registered = registry.find(BENCH.clsid()).unwrap();
    let paths = syshandle_registry::RuntimePaths::of(&registered, &registry).unwrap();
    let raw = Raw::open(&paths.socket, BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid);
    let (fault, notes) = call(&raw, Entry::HandleToKeep(1), Some(raw.0.as_fd()));
    assert!(matches!(fault, Some(Fault::WrongHandle { .. })), "{fault:?}");
    match notes[..] {
        [SlotNote::Kept { .. }] => println!("\nready"),
        // Before Linux 6.5 the server does not keep sockets.
        [SlotNote::Declined { .. }] => println!("\nready"),
        _ => panic!("{notes:?}"),
    }
    std::thread::sleep(crate::support::LONG);
}

#[test]
fn a_client_that_registers_its_own_end_of_the_connection_does_not_hide_its_death() {
    let world = World::new();
    let bench = world.bench();
    let mut other = OtherClient::that_registers_its_end(&world);
    let with = bench.descriptors().unwrap();
    other.kill();
    eventually("the connection ends", || bench.descriptors().unwrap() < with);
    drop(bench);
    eventually("the server ends", || !world.is_running());
}
