//! References to objects of a server that are numbers on a connection.

use std::os::fd::AsFd;

use syshandle::{ErrorKind, Guid, describe, handle::Event, handle::ManualEvent, object::Interface};
use syshandle_types::{Encode, Encoder, Limits};
use syshandle_wire::{
    Entry, Fault, Features, FrameKind, Greeting, Header, Hello, Offer, ReleasedObjects, Status,
};

use crate::support::bench::{
    BENCH, Bench, BenchAsyncClient, Counter, CounterAsyncClient, CounterClient,
};
use crate::support::process::alone;
use crate::support::raw::{Frame, Raw};
use crate::support::world::{World, over_every_transport};
use crate::support::{descriptors, drain, eventually, eventually_equal, pipe};

/// Number of objects that one connection can have with the default limits.
const MANY: u32 = 100_000;

/// Number of objects in one message.
const AT_ONCE: u32 = 4_000;

fn method(interface: &describe::Interface, name: &str) -> u32 {
    interface.methods.iter().position(|method| method.name == name).unwrap() as u32
}

/// Returns the next reply.
fn reply(raw: &Raw) -> Frame {
    let frame = raw.receive().expect("the connection goes on");
    assert_eq!(frame.header.kind, FrameKind::Reply);
    frame
}

/// Calls a method of the bench, and returns the numbers in the result.
fn numbers(raw: &Raw, name: &str, arguments: &[u8]) -> Vec<u32> {
    raw.call(1, method(<dyn Bench>::DESCRIPTION, name), arguments, &[]);
    let Frame { header, body, handles } = reply(raw);
    assert_eq!(header.code, Status::Done as u32, "{body:?}");
    assert!(handles.is_empty());
    let number = |entry| match entry {
        Entry::Object(number) => number,
        other => panic!("{other:?}"),
    };
    header.entries.iter().map(number).collect()
}

/// Calls `Counter::add` of the object with this number.
fn add(raw: &Raw, object: u32) -> Result<u32, Fault> {
    let code = method(<dyn Counter>::DESCRIPTION, "add");
    let call = Header { call: 2, code, object, timeout_ms: 60_000, ..Header::new(FrameKind::Call) };
    raw.send(&call, &1_u32.to_le_bytes(), &[]);
    let Frame { header, body, .. } = reply(raw);
    match header.code == Status::Done as u32 {
        true => Ok(u32::from_le_bytes(body.try_into().unwrap())),
        false => Err(Fault::read(&body).unwrap()),
    }
}

fn release(raw: &Raw, released: &[(u32, u32)]) {
    let (header, body) = ReleasedObjects::write(released);
    raw.send(&header, &body, &[]);
}

fn open(world: &World) -> Raw {
    Raw::open(&world.socket(), BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid)
}

fn is_no_object(fault: &Fault) -> bool {
    matches!(fault, Fault::NoObject { .. }) && !fault.may_have_run()
}

#[test]
fn references_to_objects_of_the_server_take_no_descriptor() {
    // Other tests in this process open descriptors too.
    alone(|| {
        over_every_transport(|bench| {
            bench.nothing().unwrap();
            let before = (descriptors(), bench.descriptors().unwrap());
            let counters = bench.counters(200).unwrap();
            for (i, counter) in (0..).zip(&counters) {
                assert_eq!(counter.add(i).unwrap(), i);
            }
            let casts: Vec<CounterClient> =
                counters.iter().map(|counter| counter.cast().unwrap()).collect();
            let after = (descriptors(), bench.descriptors().unwrap());
            assert!(after.0 <= before.0 && after.1 <= before.1, "{before:?}, then {after:?}");
            assert_eq!(casts[9].add(1).unwrap(), 10);
            let async_client = CounterAsyncClient::from(&counters[9]);
            let calls: Vec<_> = (0..100).map(|_| async_client.add(1)).collect();
            let last = calls.into_iter().map(|call| call.wait().unwrap()).max();
            assert_eq!(last, Some(110));
            // A reference that another process or another server gets is a door.
            let mut out = Encoder::new(Vec::new(), Limits::default());
            counters[9].encode(&mut out);
            let (_, handles) = out.finish_lent().unwrap();
            let door = handles.with(|handles| handles[0].try_clone_to_owned().unwrap());
            drop(handles);
            let through: CounterClient = syshandle::direct::from_door(door).unwrap();
            drop((counters, casts));
            assert_eq!(through.add(1).unwrap(), 111);
        });
    });
}

#[test]
fn a_hundred_thousand_objects_live_on_one_connection_and_are_released() {
    let world = World::new();
    let bench = world.bench();
    // A result of this size goes through shared memory, which takes a descriptor.
    let mut counters = bench.counters(AT_ONCE).unwrap();
    let before = bench.descriptors().unwrap();
    while counters.len() < MANY as usize {
        counters.extend(bench.counters(AT_ONCE).unwrap());
    }
    assert_eq!(bench.live_counters().unwrap(), counters.len() as u32);
    for counter in counters.iter().step_by(9_999) {
        assert_eq!(counter.add(7).unwrap(), 7);
    }
    assert!(bench.descriptors().unwrap() <= before);
    let kept = counters.pop().unwrap();
    drop(counters);
    eventually_equal(&1, || bench.live_counters().unwrap());
    assert_eq!(kept.add(1).unwrap(), 1);

    // The end of the connection releases all of them, while another client is served.
    let other = world.bench();
    let counters: Vec<_> = (0..5).flat_map(|_| bench.counters(AT_ONCE).unwrap()).collect();
    assert_eq!(other.live_counters().unwrap(), 5 * AT_ONCE + 1);
    let (reader, writer) = pipe();
    let last = bench.counter(&writer).unwrap();
    drop(writer);
    drop((bench, kept, last, counters));
    eventually_equal(&0, || other.live_counters().unwrap());
    assert_eq!(drain(reader), "");
}

#[test]
fn only_a_number_that_the_client_has_reaches_an_object() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    let (raw, other) = (open(&world), open(&world));
    let own = numbers(&raw, "counters", &3_u32.to_le_bytes());
    let others = numbers(&other, "counters", &9_u32.to_le_bytes());
    assert_eq!(own.len(), 3);
    assert_eq!(add(&raw, own[0]), Ok(1));
    assert_eq!(add(&raw, own[0]), Ok(2));
    for number in [others[8], u32::MAX, own[2] + 1, 1 << 31] {
        assert!(is_no_object(&add(&raw, number).unwrap_err()), "{number}");
        // The same number as an argument.
        let code = method(<dyn Bench>::DESCRIPTION, "add_to");
        let entries = [Entry::Object(own[1]), Entry::Object(number)].into_iter().collect();
        let call = Header { call: 3, code, entries, ..Header::new(FrameKind::Call) };
        raw.send(&Header { timeout_ms: 60_000, ..call }, &[0, 0, 1, 0, 0, 0], &[]);
        let Frame { header, body, .. } = reply(&raw);
        assert_eq!(header.code, Status::Fault as u32);
        assert!(is_no_object(&Fault::read(&body).unwrap()), "{number}");
    }
    release(&raw, &[(own[0], 1)]);
    assert!(is_no_object(&add(&raw, own[0]).unwrap_err()));
    assert_eq!(add(&raw, own[1]), Ok(1));
    // Each method of another interface is unknown to the object.
    let call = Header { call: 4, code: 30, object: own[1], ..Header::new(FrameKind::Call) };
    raw.send(&Header { timeout_ms: 60_000, ..call }, &[], &[]);
    assert_eq!(Fault::read(&reply(&raw).body), Ok(Fault::NoSuchMethod(30)));
    // A number is no object of another interface than that of the parameter.
    let code = method(<dyn Bench>::DESCRIPTION, "tell");
    let entries = [Entry::Object(own[1])].into_iter().collect();
    let call = Header { call: 5, code, entries, ..Header::new(FrameKind::Call) };
    raw.send(&Header { timeout_ms: 60_000, ..call }, &[0, 0, 0, 0, 0, 0], &[]);
    let fault = Fault::read(&reply(&raw).body).unwrap();
    assert!(matches!(fault, Fault::Malformed { parameter: Some(0), .. }), "{fault:?}");
}

#[test]
fn a_number_lasts_until_it_is_given_back_as_often_as_it_was_received() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    let raw = open(&world);
    let number = numbers(&raw, "counters", &1_u32.to_le_bytes())[0];
    let code = method(<dyn Bench>::DESCRIPTION, "keep_counter");
    let entries = [Entry::Object(number)].into_iter().collect();
    let keep = Header { call: 1, code, entries, ..Header::new(FrameKind::Call) };
    raw.send(&Header { timeout_ms: 60_000, ..keep }, &[0, 0], &[]);
    assert_eq!(reply(&raw).header.code, Status::Done as u32);
    for _ in 0..3 {
        assert_eq!(numbers(&raw, "kept_counter", &[]), [number]);
    }
    release(&raw, &[(number, 2), (number, 1)]);
    assert_eq!(add(&raw, number), Ok(1));
    release(&raw, &[(number, 1)]);
    assert!(is_no_object(&add(&raw, number).unwrap_err()));
    // The server keeps the object, and gives it another number.
    let again = numbers(&raw, "kept_counter", &[])[0];
    assert_ne!(again, number);
    assert_eq!(add(&raw, again), Ok(2));
}

#[test]
fn a_client_that_gives_back_what_it_has_not_is_disconnected() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    // The number of the object is 1.
    let released: [&[(u32, u32)]; 6] =
        [&[(1, 2)], &[(1, 1), (1, 1)], &[(1, u32::MAX)], &[(2, 1)], &[(0, 1)], &[(u32::MAX, 0)]];
    for released in released {
        let raw = open(&world);
        assert_eq!(numbers(&raw, "counters", &1_u32.to_le_bytes()), [1]);
        release(&raw, released);
        raw.ends();
        bench.nothing().unwrap();
    }
    let raw = open(&world);
    raw.send(&Header::new(FrameKind::ReleaseObjects), &[0; 7], &[]);
    raw.ends();
    eventually("the objects are released", || bench.live_counters().unwrap() == 0);
}

#[test]
fn a_client_without_numbers_gets_doors() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    let raw = Raw::greeted(&world.socket());
    let features = Features::NONE;
    let hello = Hello { features, ..Hello::new(BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid) };
    raw.send(&Header::new(FrameKind::Hello), &hello.write(), &[]);
    raw.call(1, method(<dyn Bench>::DESCRIPTION, "counters"), &2_u32.to_le_bytes(), &[]);
    let Frame { header, handles, .. } = reply(&raw);
    assert_eq!((handles.len(), header.entries.len()), (2, 0));
    raw.send(&Header { object: 1, ..Header::new(FrameKind::Call) }, &[], &[]);
    raw.ends();
}

#[test]
fn a_client_of_a_server_without_numbers_asks_for_doors() {
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let server = Raw(syshandle_os::Seqpacket::from(theirs));
    let offers = vec![Offer::new(Guid::NIL, <dyn Counter>::DESCRIPTION.iid)];
    let greeting = Greeting::new(Limits::default(), offers);
    let greeting = Greeting { features: Features::NONE, ..greeting };
    server.send(&Header::new(FrameKind::Greeting), &greeting.write(), &[]);
    let counter: CounterClient = syshandle::direct::from_socket(ours).unwrap();
    assert_eq!(server.receive().unwrap().header.kind, FrameKind::Hello);
    std::thread::scope(|scope| {
        scope.spawn(|| counter.cast::<CounterClient>().unwrap_err());
        let Frame { header, .. } = server.receive().unwrap();
        assert_eq!((header.kind, header.code, header.object), (FrameKind::Call, u32::MAX, 0));
        drop(server);
    });
}

#[test]
fn a_call_that_waits_keeps_the_objects_of_its_arguments() {
    let world = World::new();
    let bench = world.bench();
    let client = BenchAsyncClient::from(&bench);
    let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
    let counter = bench.counters(1).unwrap().remove(0);
    let blocked: Vec<_> = (0..64).map(|_| client.block(&entered, &until, 0)).collect();
    let queued = client.add_to(&counter, 3);
    drop(counter);
    until.set().unwrap();
    assert_eq!(queued.wait().unwrap(), 3);
    blocked.into_iter().for_each(|call| drop(call.wait().unwrap()));
    eventually("the object is released", || bench.live_counters().unwrap() == 0);
}

#[test]
fn results_that_nobody_fetches_release_their_objects() {
    let world = World::new();
    let bench = world.bench();
    let client = BenchAsyncClient::from(&bench);
    for _ in 0..20 {
        drop(client.counters(3));
        let unfetched = client.counters(3);
        bench.nothing().unwrap();
        drop(unfetched);
    }
    eventually("the objects are released", || bench.live_counters().unwrap() == 0);
}

#[test]
fn a_table_of_more_objects_than_the_limit_is_an_error_of_its_call() {
    let world = World::new();
    let bench = world.bench();
    let error = bench.counters(Limits::ENTRIES_MAX as u32 + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let text = "the limit of 4096 handles and objects in one call is exceeded";
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(bench.counters(Limits::ENTRIES_MAX as u32).unwrap().len(), Limits::ENTRIES_MAX);
    eventually("the objects are released", || bench.live_counters().unwrap() == 0);
}

#[test]
fn a_frame_that_gives_numbers_back_ends_a_door() {
    let world = World::new();
    let counter = world.bench().counters(1).unwrap().remove(0);
    let mut out = Encoder::new(Vec::new(), Limits::default());
    counter.encode(&mut out);
    let (_, handles) = out.finish_lent().unwrap();
    let door = handles.with(|handles| handles[0].as_fd().try_clone_to_owned().unwrap());
    let door = Raw(syshandle_os::Seqpacket::from(door));
    release(&door, &[(1, 1)]);
    door.ends();
    assert_eq!(counter.add(1).unwrap(), 1);
}
