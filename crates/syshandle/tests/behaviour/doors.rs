//! Doors: each holder has its own, and nobody can break or use those of others.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use syshandle::{Encode, Guid, Interface};
use syshandle_os::{Peer, Seqpacket};
use syshandle_wire::{Encoder, FrameKind, Header, Limits};

use crate::support::bench::{Bench, Count, Counter, CounterClient};
use crate::support::process::alone;
use crate::support::raw::Raw;
use crate::support::world::{World, file};
use crate::support::{descriptors, eventually, eventually_no_more};

/// A door that is made for one receiver.
fn door(counter: &CounterClient) -> Seqpacket {
    let mut out = Encoder::new(Vec::new(), Limits::default());
    counter.encode(&mut out);
    let (_, handles) = out.finish_lent().unwrap();
    Seqpacket::from(handles.with(|handles| handles[0].try_clone_to_owned().unwrap()))
}

/// Calls a method of the counter over a raw connection that is greeted.
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
        hostile.send(&Header::new(FrameKind::Attach), &[], &[]);
        hostile.send(&Header::new(FrameKind::Call), b"body", &[file().as_fd(), file().as_fd()]);
        let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        hostile.send(&ATTACH(), &[], &[stream.as_fd()]);
        hostile.0.send(&[IoSlice::new(b"?")], &[]).unwrap();
        hostile.0.send(&[IoSlice::new(&[])], &[]).unwrap();
        // Attached to itself, and to a door of another holder.
        hostile.send(&ATTACH(), &[], &[hostile.0.as_fd()]);
        hostile.send(&ATTACH(), &[], &[before.as_fd()]);
        match round {
            0 => {}
            1 => hostile.0.shut_down(),
            _ => while hostile.0.send(&[IoSlice::new(b"flood")], &[]).is_ok() {},
        }
        assert!(counter.add(1).is_ok());
        // Doors that were made before, that are made now, and that another process makes.
        let (raw, _) = Raw::attached(&before);
        raw.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
        add(&raw, 1, 0);
        counter.cast::<CounterClient>().unwrap().add(0).unwrap();
        keeper.kept_counter().unwrap().unwrap().add(0).unwrap();
    }
    assert_eq!(counter.add(0).unwrap(), 3);
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
    // None of this reaches the server's end of the connection.
    kept.pass_sender_processes().unwrap_or_else(|error| println!("older kernel: {error}"));
    kept.name_senders().unwrap();
    for call in 2..100 {
        add(&raw, call, 1);
    }
    kept.shut_down();
    add(&raw, 100, 1);
    drop(kept);
    add(&raw, 101, 1);
    // Nor do the options of the client's own end.
    raw.0.pass_sender_processes().unwrap_or_else(|error| println!("older kernel: {error}"));
    for call in 102..200 {
        add(&raw, call, 1);
    }
    // The door of the reference itself may have been open before.
    eventually("the descriptors are closed", || bench.descriptors().unwrap() <= before);
}

#[test]
fn nobody_can_attach_a_channel_that_another_process_made() {
    let (world, other) = (World::new(), World::new());
    let (bench, victim) = (world.bench(), other.bench());
    let counter = bench.counters(1).unwrap().remove(0);
    let through = door(&counter);
    // The victim is lent an object whose door this process plays.
    let (inner, outer) = Seqpacket::pair().unwrap();
    let raw = Raw::open(
        &other.socket(),
        crate::support::bench::BENCH.clsid(),
        <dyn Bench>::DESCRIPTION.iid,
    );
    let mut body = 0_u16.to_le_bytes().to_vec();
    body.extend(1_u32.to_le_bytes());
    raw.call(1, method(<dyn Bench>::DESCRIPTION, "add_to"), &body, &[outer.as_fd()]);
    let asks = Raw(inner).receive().unwrap();
    assert_eq!(asks.header.kind, FrameKind::Attach);
    let channel = Seqpacket::from(asks.handles.into_iter().next().unwrap());
    assert_eq!(channel.peer().unwrap().pid, victim.pid().unwrap());
    // Passed on, it would make the victim a client of the other server.
    through.send(&[IoSlice::new(&head(&ATTACH()))], &[channel.as_fd()]).unwrap();
    // The door takes frames in their order: this one is answered after that one was refused.
    let (own, _) = Raw::attached(&through);
    own.hello(Guid::NIL, <dyn Counter>::DESCRIPTION.iid);
    add(&own, 1, 0);
    // An end that this process makes is not the server's either.
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
    // The door of the reference itself may have been open before.
    eventually("the descriptors are closed", || bench.descriptors().unwrap() <= before);
}
