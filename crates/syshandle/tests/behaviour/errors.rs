//! Invalid input and failures cause errors that have a kind, name the cause, and state whether the
//! call may have run.

use std::fs::File;
use std::os::fd::AsFd;

use syshandle::{
    CallError, Error, ErrorKind,
    handle::{Event, Facts, KernelObject, Kind, Kinds, Mismatch, Requirement, Rights},
    object::Interface,
};
use syshandle_types::FieldPath;
use syshandle_wire::{Fault, FrameKind, Header, Status};

use crate::support::bench::{
    BENCH, Bench, BenchClient, CounterClient, DOUBLE, Mishap, Named, NamedClient, NamedTwiceClient,
    Workbench,
};
use crate::support::pipe;
use crate::support::raw::Raw;
use crate::support::world::{World, file, over_every_transport};

#[track_caller]
fn check(error: &Error, kind: ErrorKind, may_have_run: bool, text: &str) {
    assert_eq!(
        (error.kind(), error.may_have_run(), error.to_string().as_str()),
        (kind, may_have_run, text)
    );
}

fn event() -> Event {
    Event::new().unwrap()
}

#[test]
fn a_wrong_kind_names_the_expected_and_the_received_kind_and_did_not_run() {
    over_every_transport(|bench| {
        let error = bench.finish(&File::from(pipe().1), &event()).unwrap_err();
        let text = "Bench::finish: parameter `decorate`: expected a file, got a pipe";
        check(&error, ErrorKind::WrongHandle, false, text);
        let expected = Requirement::Kind(Kinds::of(Kind::File));
        let rights = Rights::WRITE | Rights::APPEND;
        let received = Facts { object: KernelObject::Pipe, rights };
        let wrong = error.wrong_handle().unwrap();
        assert_eq!((wrong.slot, wrong.expected, wrong.received), (0, expected, received));
    });
}

#[test]
fn a_missing_right_names_the_expected_and_the_received_rights() {
    over_every_transport(|bench| {
        let error = bench.finish(&File::open("/dev/null").unwrap(), &event()).unwrap_err();
        let text =
            "Bench::finish: parameter `decorate`: expected read | write, got a device with read";
        check(&error, ErrorKind::WrongHandle, false, text);
    });
}

#[test]
fn a_surplus_right_is_refused_with_a_declared_maximum() {
    over_every_transport(|bench| {
        let error = bench.read_only(&file()).unwrap_err();
        let text = "Bench::read_only: parameter `file`: \
                    expected no more than read, got a file with read | write | append";
        check(&error, ErrorKind::WrongHandle, false, text);
        bench.read_only(&File::open("/dev/null").unwrap()).unwrap();
    });
}

#[test]
fn a_result_that_is_not_what_is_declared_may_have_run() {
    over_every_transport(|bench| {
        let error = bench.wrong_result().unwrap_err();
        let text = "Bench::wrong_result: result: expected read | write, got a device with read";
        check(&error, ErrorKind::WrongHandle, true, text);
    });
}

#[test]
fn a_panic_hits_its_caller_alone_and_says_its_text() {
    over_every_transport(|bench| {
        for (what, text) in [
            (0, "Bench::panic_with: the method panicked: a plain text"),
            (1, "Bench::panic_with: the method panicked: a text with a number: 1"),
            (2, "Bench::panic_with: the method panicked: no text"),
        ] {
            let error = bench.panic_with(what).unwrap_err();
            check(&error, ErrorKind::Panicked, true, text);
            bench.nothing().unwrap();
        }
        let Err(CallError::Call(error)) = bench.panic_typed() else { panic!("it said a mishap") };
        let text = "Bench::panic_typed: the method panicked: no mishap";
        check(&error, ErrorKind::Panicked, true, text);
    });
}

#[test]
fn an_error_of_the_system_crosses_with_all_its_causes() {
    over_every_transport(|bench| {
        let error = bench.fail_with_causes().unwrap_err();
        let text = "Bench::fail_with_causes: the outside: the middle: NotNow";
        check(&error, ErrorKind::Failed, true, text);
    });
}

#[test]
fn an_error_of_the_users_own_crosses_with_its_data() {
    over_every_transport(|bench| {
        let fail = |mishap| match bench.fail_typed(&mishap) {
            Err(CallError::Method(mishap)) => mishap,
            other => panic!("{other:?}"),
        };
        assert!(matches!(fail(Mishap::NotNow), Mishap::NotNow));
        let many = fail(Mishap::TooMany { count: 9, limit: u64::MAX });
        assert!(matches!(many, Mishap::TooMany { count: 9, limit: u64::MAX }));
        let Mishap::Broken(text, bytes) = fail(Mishap::Broken("é".into(), vec![1, 2])) else {
            panic!("another mishap")
        };
        assert_eq!((text.as_str(), bytes), ("é", vec![1, 2]));
    });
}

#[test]
fn a_method_that_the_server_does_not_know_yet_did_not_run() {
    let world = World::new();
    let older: NamedClient = world.activate(DOUBLE);
    older.set_name("the older").unwrap();
    // Both interfaces have the same identifier, but this client knows a later version with one more
    // method.
    let newer: NamedTwiceClient = older.cast().unwrap();
    assert_eq!(newer.name().unwrap(), "the older");
    let error = newer.second_name(&file()).unwrap_err();
    let text = "NamedTwice::second_name: the server's version of the interface has no method 2";
    check(&error, ErrorKind::NoSuchMethod, false, text);
    assert_eq!(newer.name().unwrap(), "the older");
}

#[test]
fn an_interface_that_the_object_does_not_have_is_named() {
    let client = BenchClient::in_process(Workbench::default()).unwrap();
    let error = client.cast::<CounterClient>().unwrap_err();
    let text = "the object has no interface `Counter`, only `Bench`: `CLASS.in_process(…)` makes an \
                object with all interfaces of its class";
    check(&error, ErrorKind::NoSuchInterface, false, text);
    client.nothing().unwrap();
}

#[test]
fn a_class_that_the_server_does_not_serve_is_refused() {
    let world = World::new();
    let _bench = world.bench();
    let raw = Raw::greeted(&world.socket());
    raw.hello(syshandle::Guid::NIL, <dyn Bench as Interface>::DESCRIPTION.iid);
    let refused = raw.receive().unwrap();
    assert_eq!(refused.header.kind, FrameKind::Refused);
    assert_eq!(Fault::read(&refused.body), Ok(Fault::NoSuchClass(syshandle::Guid::NIL)));
    raw.ends();
    let raw = Raw::greeted(&world.socket());
    let named = <dyn Named as Interface>::DESCRIPTION.iid;
    raw.hello(BENCH.clsid(), named);
    assert_eq!(Fault::read(&raw.receive().unwrap().body), Ok(Fault::NoSuchInterface(named)));
}

/// Sends a handmade call of `finish`, and returns the fault in the reply.
fn answer(body: &[u8], handles: &[&dyn AsFd]) -> Fault {
    let world = World::new();
    let _bench = world.bench();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), <dyn Bench as Interface>::DESCRIPTION.iid);
    let handles: Vec<_> = handles.iter().map(|handle| handle.as_fd()).collect();
    let finish = method("finish");
    raw.call(1, finish, body, &handles);
    let reply = raw.receive().unwrap();
    assert_eq!((reply.header.kind, reply.header.call), (FrameKind::Reply, 1));
    assert_eq!(Status::from_number(reply.header.code), Some(Status::Fault));
    // After the error, the connection can still be used.
    raw.call(2, method("nothing"), &[], &[]);
    assert_eq!(raw.receive().unwrap().header.code, 0);
    Fault::read(&reply.body).unwrap()
}

fn method(name: &str) -> u32 {
    let methods = <dyn Bench as Interface>::DESCRIPTION.methods;
    methods.iter().position(|method| method.name == name).unwrap() as u32
}

const OTHER_VERSION: &str = "the sender may have another version of the interface";

#[test]
fn a_missing_handle_fails_the_call_and_nothing_else() {
    let fault = answer(&[0, 0, 1, 0], &[&file()]);
    let text = "handle 1 is missing".into();
    assert_eq!(fault, Fault::Malformed { parameter: Some(1), path: FieldPath::default(), text });
}

#[test]
fn an_extra_handle_fails_the_call_and_nothing_else() {
    let fault = answer(&[0, 0, 1, 0], &[&file(), &event(), &event()]);
    let text = format!("1 handle is left over: {OTHER_VERSION}");
    assert_eq!(fault, Fault::Malformed { parameter: None, path: FieldPath::default(), text });
}

#[test]
fn a_handle_at_another_place_fails_the_call_and_nothing_else() {
    let fault = answer(&[1, 0, 0, 0], &[&event(), &file()]);
    let text = "handle 1 is out of order".into();
    assert_eq!(fault, Fault::Malformed { parameter: Some(0), path: FieldPath::default(), text });
    let fault = answer(&[0, 0, 1, 0], &[&event(), &file()]);
    let Fault::WrongHandle { parameter: Some(0), slot: 0, mismatch, .. } = fault else {
        panic!("{fault:?}")
    };
    assert!(matches!(mismatch, Mismatch { expected: Requirement::Kind(_), .. }));
    assert_eq!(mismatch.received.rights & Rights::SIGNAL, Rights::SIGNAL);
}

#[test]
fn bytes_that_are_left_over_or_missing_fail_the_call_and_nothing_else() {
    let fault = answer(&[0, 0, 1, 0, 7], &[&file(), &event()]);
    let text = format!("1 byte is left over: {OTHER_VERSION}");
    assert_eq!(fault, Fault::Malformed { parameter: None, path: FieldPath::default(), text });
    let fault = answer(&[0, 0, 1], &[&file(), &event()]);
    let text = format!("the message ends too early: {OTHER_VERSION}");
    assert_eq!(fault, Fault::Malformed { parameter: Some(1), path: FieldPath::default(), text });
}

#[test]
fn only_the_client_that_violates_the_protocol_is_disconnected() {
    let world = World::new();
    let bench = world.bench();
    let (clsid, iid) = (BENCH.clsid(), <dyn Bench as Interface>::DESCRIPTION.iid);
    let open = || Raw::open(&world.socket(), clsid, iid);
    let frame = |kind| move |raw: &Raw| raw.send(&Header::new(kind), &[], &[]);
    type Say = Box<dyn Fn(&Raw)>;
    let rubbish: [(&str, Say); 7] = [
        ("a greeting", Box::new(frame(FrameKind::Greeting))),
        ("a reply", Box::new(frame(FrameKind::Reply))),
        ("an attach", Box::new(frame(FrameKind::Attach))),
        ("a second hello", Box::new(move |raw| raw.hello(clsid, iid))),
        (
            "a wrong number of handles",
            Box::new(|raw| {
                let header = Header { handles: 2, ..Header::new(FrameKind::Call) };
                raw.send(&header, &[], &[file().as_fd()]);
            }),
        ),
        (
            "memory that is a file",
            Box::new(|raw| {
                let header = Header { handles: 1, ..Header::new(FrameKind::Arena) };
                raw.send(&header, &[], &[file().as_fd()]);
            }),
        ),
        (
            "bytes",
            Box::new(|raw| {
                let bytes = [std::io::IoSlice::new(b"GET / HTTP/1.1")];
                raw.0.send(&bytes, &[]).unwrap();
            }),
        ),
    ];
    for (what, send) in rubbish {
        println!("{what}");
        let raw = open();
        send(&raw);
        raw.ends();
        bench.nothing().unwrap();
    }
}

#[test]
fn an_error_prints_its_kind_whether_it_ran_and_its_causes() {
    let error = Error::from(std::io::Error::other(Mishap::NotNow));
    assert_eq!(format!("{error:?}"), "NotNow (System; may have run)");
}
