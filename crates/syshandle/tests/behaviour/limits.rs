//! Limits: an error names the limit that was reached. Later calls succeed when the usage is below
//! the limit again.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use syshandle::{
    ErrorKind,
    direct::from_door,
    handle::{Event, ManualEvent, OwnedHandle},
    object::Interface,
};
use syshandle_os::Seqpacket;
use syshandle_types::Limits;
use syshandle_wire::{Body, Fault, FrameKind, Greeting, Header, Hello, Offer};

use crate::support::bench::{BENCH, Bench, BenchClient, Workbench, pattern, spare_descriptors};
use crate::support::process::{CLIENTS_MAX, DESCRIPTORS_MAX, THREADS_MAX, alone};
use crate::support::raw::Raw;
use crate::support::world::{World, door, file, over_every_transport, try_door};
use crate::support::{LONG, descriptors, drain, eventually, eventually_no_more, pipe};

const MEGABYTES_16: usize = 16 * 1024 * 1024;

#[test]
fn the_largest_message_crosses_and_one_byte_more_does_not() {
    over_every_transport(|bench| {
        // The length of the list takes four bytes of the message.
        let largest = pattern(MEGABYTES_16 - 4);
        assert!(bench.echo(&largest).unwrap() == largest);
        let error = bench.echo(&vec![0; MEGABYTES_16 - 3]).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, false));
        let text =
            "Bench::echo: parameter `bytes`: the limit of 16777216 bytes in one call is exceeded";
        assert_eq!(error.to_string(), text);
        assert!(bench.bytes(MEGABYTES_16 as u32 - 4).unwrap() == largest);
        let error = bench.bytes(MEGABYTES_16 as u32 - 3).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, true));
        let text = "Bench::bytes: the result is too large: the limit of 16777216 bytes in one call is exceeded";
        assert_eq!(error.to_string(), text);
        bench.nothing().unwrap();
    });
}

#[test]
fn as_many_handles_cross_as_the_kernel_takes_and_one_more_does_not() {
    over_every_transport(|bench| {
        let handles = |count| -> Vec<OwnedHandle> { (0..count).map(|_| file().into()).collect() };
        bench.close(&handles(253)).unwrap();
        let error = bench.close(&handles(254)).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, false));
        let text = "Bench::close: parameter `handles[253]`: the limit of 253 handles in one call is exceeded";
        assert_eq!(error.to_string(), text);
        assert_eq!(bench.events(253).unwrap().len(), 253);
        let error = bench.events(254).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, true));
        let text = "Bench::events: the result is too large: `[253]`: the limit of 253 \
                    handles in one call is exceeded";
        assert_eq!(error.to_string(), text);
    });
}

#[test]
fn a_call_beyond_the_limit_waits_for_a_slot_and_its_timeout_says_so() {
    over_every_transport(|bench| {
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| bench.block(&entered, &until, 0).unwrap());
                assert!(entered.wait_timeout(LONG).unwrap());
            }
            let error = bench.with_timeout(Duration::from_millis(10)).nothing().unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, false));
            let text = "Bench::nothing: \
                        timed out waiting for a free call slot (limit: 64 calls in flight)";
            assert_eq!(error.to_string(), text);
            let waits = scope.spawn(|| bench.nothing());
            until.set().unwrap();
            waits.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_call_that_waits_for_its_turn_starts_as_soon_as_any_other_ends() {
    let bench = BenchClient::in_process(Workbench::default()).unwrap();
    let entered = Event::new().unwrap();
    let [one, all] = [(); 2].map(|()| ManualEvent::new().unwrap());
    thread::scope(|scope| {
        // The thread of the first call receives the replies of all calls. Its own call takes the
        // longest time.
        for until in std::iter::repeat_n(&all, 63).chain([&one]) {
            let (bench, entered) = (&bench, &entered);
            scope.spawn(move || bench.block(entered, until, 0).unwrap());
            assert!(entered.wait_timeout(LONG).unwrap());
        }
        let waits = scope.spawn(|| bench.nothing());
        one.set().unwrap();
        waits.join().unwrap().unwrap();
        all.set().unwrap();
    });
}

#[test]
fn a_client_that_ignores_the_limit_of_calls_is_cut_off() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let block = description.methods.iter().position(|method| method.name == "block").unwrap();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
    use std::os::fd::AsFd;
    for call in 0..65 {
        let body = [0, 0, 1, 0, 0, 0, 0, 0];
        raw.call(call, block as u32, &body, &[entered.as_fd(), until.as_fd()]);
    }
    raw.ends();
    until.set().unwrap();
    bench.nothing().unwrap();
}

#[test]
fn more_methods_than_threads_wait_for_each_other() {
    let world = World::with_environment(&[(THREADS_MAX, "2")]);
    let bench = world.bench();
    let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
    thread::scope(|scope| {
        let calls: Vec<_> =
            (0..5).map(|_| scope.spawn(|| bench.block(&entered, &until, 1))).collect();
        assert!(entered.wait_timeout(LONG).unwrap());
        until.set().unwrap();
        for call in calls {
            assert_eq!(call.join().unwrap().unwrap().len(), 1);
        }
    });
}

#[test]
fn calls_beyond_the_methods_of_one_client_wait_and_calls_beyond_those_are_refused() {
    // The server's limits are two running methods and eight waiting calls. One process may have
    // five eighths of each limit, rounded up.
    const RUN_AND_WAIT: usize = 2 + 5;
    for round in 0..5 {
        // Each round has its own server, because a call counts until its results are destroyed,
        // which is after its reply.
        let world = World::with_environment(&[(THREADS_MAX, "2")]);
        let bench = world.bench();
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let (sender, results) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..RUN_AND_WAIT + 4 {
                let (sender, bench, entered, until) = (sender.clone(), &bench, &entered, &until);
                scope.spawn(move || sender.send(bench.block(entered, until, 1)).unwrap());
            }
            for _ in 0..4 {
                let error = results.recv_timeout(LONG).unwrap().unwrap_err();
                assert_eq!(
                    (error.kind(), error.may_have_run()),
                    (ErrorKind::Busy, false),
                    "{round}"
                );
            }
            until.set().unwrap();
            for _ in 0..RUN_AND_WAIT {
                assert_eq!(results.recv_timeout(LONG).unwrap().unwrap().len(), 1);
            }
        });
    }
}

#[test]
fn more_clients_than_the_server_takes_are_told_so() {
    let world = World::with_environment(&[(CLIENTS_MAX, "2")]);
    let (first, second) = (world.bench(), world.bench());
    let activation = syshandle::Activation::new().registry(world.registry());
    let error = activation.activate::<BenchClient>(BENCH.clsid()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
    assert_eq!(error.to_string(), "the server is busy: it has reached its limit of clients");
    // At the limit, new clients can't connect through a door either.
    let counter = first.counters(1).unwrap().remove(0);
    let error = std::error::Error::source(&try_door(&counter).unwrap_err()).unwrap().to_string();
    assert!(error.contains("the server is busy"), "{error}");
    drop(second);
    eventually("there is room", || activation.activate::<BenchClient>(BENCH.clsid()).is_ok());
}

#[test]
fn each_refused_client_receives_the_reason_and_takes_no_descriptor_of_the_server() {
    let world = World::with_environment(&[(CLIENTS_MAX, "1")]);
    let bench = world.bench();
    let before = bench.descriptors().unwrap();
    let refused: Vec<_> = (0..200)
        .map(|_| {
            let raw = Raw::connected(&world.socket());
            let hello = Hello::new(BENCH.clsid(), <dyn Bench as Interface>::DESCRIPTION.iid);
            // The server may have closed the connection before the hello.
            let header = Header {
                body: Body::Inline { len: hello.write().len() as u32 },
                ..Header::new(FrameKind::Hello)
            };
            let _ = raw.send_as_it_is(&header, &hello.write(), &[]);
            raw
        })
        .collect();
    // No client has received anything yet.
    eventually_no_more([before], || [bench.descriptors().unwrap()]);
    for raw in refused {
        assert!(raw.0.wait_readable(Instant::now() + LONG).unwrap());
        let mut bytes = [0; Header::FRAME_MAX];
        // Not even the first receive fails, for example with `ECONNRESET`.
        let received = raw.0.receive(&mut bytes, &mut Vec::new()).unwrap();
        let (header, body) = Header::read(&bytes[..received.len]).unwrap();
        assert_eq!(header.kind, FrameKind::Refused);
        assert_eq!(Fault::read(body).unwrap(), Fault::Busy { limit: "clients".into() });
        assert_eq!(raw.0.receive(&mut bytes, &mut Vec::new()).unwrap().len, 0);
    }
}

#[test]
fn a_door_does_not_let_in_more_clients_than_the_server_takes() {
    // One process may have three of the four clients.
    let world = World::with_environment(&[(CLIENTS_MAX, "4")]);
    let first = world.bench();
    // The door counts as a client, and so does the connection through it.
    let door = door(&first);
    let second: BenchClient = from_door(door.try_clone().unwrap()).unwrap();
    let error = std::error::Error::source(&try_door(&first).unwrap_err()).unwrap().to_string();
    assert!(error.contains("the server is busy"), "{error}");
    second.nothing().unwrap();
    drop(door);
}

#[test]
fn handles_that_the_server_has_no_descriptors_for_fail_their_call_alone() {
    let world = World::new();
    let bench = world.bench();
    let event = Event::new().unwrap();
    bench.finish(&file(), &event).unwrap();
    let before = bench.descriptors().unwrap();
    for spare in 0..2 {
        bench.spare_descriptors(Some(spare)).unwrap();
        let error = bench.finish(&file(), &event).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::HandlesLost, false));
        let text =
            "Bench::finish: the receiver had no descriptors or no memory left for the handles";
        assert_eq!(error.to_string(), text);
        bench.nothing().unwrap();
    }
    bench.spare_descriptors(None).unwrap();
    bench.finish(&file(), &event).unwrap();
    eventually_no_more([before], || [bench.descriptors().unwrap()]);
}

#[test]
fn handles_that_the_client_has_no_descriptors_for_fail_their_call_alone() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        bench.events(3).unwrap();
        let before = descriptors();
        for spare in 0..3 {
            spare_descriptors(Some(spare));
            let error = bench.events(3).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::HandlesLost, true));
            let text = "Bench::events: \
                        this process has no descriptors or no memory left for the handles of the result";
            assert_eq!(error.to_string(), text);
            bench.nothing().unwrap();
        }
        spare_descriptors(None);
        assert_eq!(bench.events(3).unwrap().len(), 3);
        eventually_no_more([before], || [descriptors()]);
    });
}

/// Every call returns the right result or a suitable error, for any small number of free
/// descriptors in the server.
#[test]
fn near_its_limit_of_descriptors_a_server_ends_every_call_rightly() {
    let world = World::new();
    let bench = world.bench();
    bench.finish(&file(), &Event::new().unwrap()).unwrap();
    for spare in 0..8 {
        bench.spare_descriptors(Some(spare)).unwrap();
        let right = |error: syshandle::Error| match error.kind() {
            ErrorKind::HandlesLost | ErrorKind::Unproven => {
                assert!(!error.may_have_run(), "{error}");
            }
            // The method had no free descriptor for its own work.
            ErrorKind::Failed | ErrorKind::System => assert!(error.may_have_run(), "{error}"),
            // The server can't make a door.
            ErrorKind::Busy => {}
            kind => panic!("{kind:?}: {error}"),
        };
        for _ in 0..3 {
            let _ = bench.finish(&file(), &Event::new().unwrap()).map_err(right);
            let _ = bench.events(4).map_err(right);
            let _ = bench.counters(1).map_err(right);
            let _ = bench.close(&[file().into(), file().into()]).map_err(right);
        }
        bench.nothing().unwrap();
    }
    bench.spare_descriptors(None).unwrap();
    bench.finish(&file(), &Event::new().unwrap()).unwrap();
}

#[test]
fn shared_memory_that_the_server_had_no_descriptor_for_comes_again() {
    let world = World::new();
    let bench = world.bench();
    let large = pattern(100_000);
    bench.spare_descriptors(Some(0)).unwrap();
    for _ in 0..3 {
        let error = bench.block_with(&Event::new().unwrap(), &set(), &large).unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::HandlesLost, false),
            "{error}"
        );
        let error = bench.echo(&large).unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::HandlesLost, false),
            "{error}"
        );
        bench.nothing().unwrap();
    }
    bench.spare_descriptors(None).unwrap();
    // The next call may still report the earlier failure.
    let _ = bench.echo(&large);
    assert!(bench.echo(&large).unwrap() == large);
}

#[test]
fn a_result_for_which_the_server_has_no_shared_memory_says_so() {
    let world = World::new();
    let bench = world.bench();
    bench.spare_descriptors(Some(0)).unwrap();
    let error = bench.bytes(100_000).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::System, true));
    let text = error.to_string();
    let start =
        "Bench::bytes: the result can't be sent: memfd_create failed, because this process has";
    let cause = std::io::Error::from(rustix::io::Errno::MFILE).to_string();
    assert!(text.starts_with(start) && text.ends_with(&cause), "{text}");
    bench.spare_descriptors(None).unwrap();
    assert!(bench.bytes(100_000).unwrap() == pattern(100_000));
}

#[test]
fn shared_memory_that_the_client_had_no_descriptor_for_comes_again() {
    alone(|| {
        let world = World::new();
        let bench = world.bench();
        bench.nothing().unwrap();
        spare_descriptors(Some(0));
        for _ in 0..3 {
            let error = bench.bytes(100_000).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::HandlesLost, true));
            bench.nothing().unwrap();
        }
        let error = bench.echo(&pattern(100_000)).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::System, false), "{error:?}");
        spare_descriptors(None);
        let before = descriptors();
        // The next call may still report the earlier failure.
        let _ = bench.bytes(100_000);
        assert!(bench.bytes(100_000).unwrap() == pattern(100_000));
        assert!(bench.echo(&pattern(100_000)).unwrap() == pattern(100_000));
        // The two additional descriptors are the shared memory of each direction.
        eventually_no_more([before + 2], || [descriptors()]);
    });
}

fn set() -> ManualEvent {
    let event = ManualEvent::new().unwrap();
    event.set().unwrap();
    event
}

#[test]
fn a_program_that_a_server_starts_gets_the_limit_of_descriptors_that_the_server_was_started_with() {
    alone(|| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        if maximum.is_some_and(|maximum| maximum <= 300) {
            println!("skipped: this process may have no more than 300 descriptors");
            return;
        }
        setrlimit(Resource::Nofile, Rlimit { current: Some(300), maximum }).unwrap();
        let limit = |command: &mut std::process::Command| {
            let output = command.args(["-c", "ulimit -n"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let shell = || std::process::Command::new("sh");
        assert_eq!(limit(syshandle::handle::restore_descriptor_limit(&mut shell())), "300");
        syshandle_os::raise_descriptor_limit();
        syshandle_os::raise_descriptor_limit();
        assert_ne!(limit(&mut shell()), "300");
        assert_eq!(limit(syshandle::handle::restore_descriptor_limit(&mut shell())), "300");
    });
}

/// Calls `events` eight times over a raw connection, and does not read the replies. Returns when a
/// later call has run. Slow calls run in parallel, so some of the eight may still be running then.
fn ask_for_events(raw: &Raw, first_call: u32) {
    let number = |name| {
        let methods = <dyn Bench>::DESCRIPTION.methods;
        methods.iter().position(|method| method.name == name).unwrap() as u32
    };
    for call in first_call..first_call + 8 {
        raw.call(call, number("events"), &100_u32.to_le_bytes(), &[]);
    }
    let (reader, writer) = pipe();
    raw.call(first_call + 8, number("close"), &[1, 0, 0, 0, 0, 0], &[writer.as_fd()]);
    drop(writer);
    drain(reader);
}

#[test]
fn handles_that_a_client_does_not_receive_count_also_after_its_connection_has_ended() {
    // At most half of the 1024 descriptors may be in flight. One process may have five eighths of
    // that half.
    let world = World::with_environment(&[(DESCRIPTORS_MAX, "1024")]);
    let bench = world.bench();
    let open = || Raw::open(&world.socket(), BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid);
    let replies_with_handles = |raw: &Raw| {
        let replies: Vec<_> = (0..9).map_while(|_| raw.receive()).collect();
        replies.iter().filter(|reply| reply.handles.len() == 100).count()
    };
    let is_limited = |what: &str| {
        eventually(what, || match bench.events(100) {
            Ok(_) => false,
            Err(error) => error.to_string().contains("too many handles are in flight"),
        });
    };
    let is_free = |what: &str| eventually(what, || bench.events(100).is_ok());

    let unread = open();
    ask_for_events(&unread, 0);
    is_limited("another connection of the same client");
    // Replies without handles are not affected by the limit.
    bench.nothing().unwrap();
    // Three replies with handles fit in the limit. If a call was slow, its reply may have been sent
    // after the first replies were received, so there may be more.
    assert!((3..=8).contains(&replies_with_handles(&unread)));
    is_free("everything was received");

    // This time is longer than the interval at which the server checks all connections of a client.
    thread::sleep(Duration::from_millis(600));
    ask_for_events(&unread, 20);
    is_limited("the replies are unread");
    // The server ends the connection because this frame violates the protocol. Its replies stay
    // unread.
    unread.send(&Header::new(FrameKind::Greeting), &[], &[]);
    // This time is longer than the interval at which the server checks all connections of a client.
    thread::sleep(Duration::from_millis(600));
    is_limited("the connection has ended");
    // There may be more than three replies, as above.
    assert!((3..=8).contains(&replies_with_handles(&unread)));
    is_free("the queue of the ended connection is empty");

    let unread = open();
    ask_for_events(&unread, 0);
    drop(unread);
    is_free("the client is gone");
}

/// Returns a client whose server sends a greeting and then never receives. Also returns the
/// server's end of the connection.
fn client_of_a_deaf_server() -> (BenchClient, Raw) {
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let raw = Raw(Seqpacket::from(theirs));
    let offers = vec![Offer::new(BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid)];
    let greeting = Greeting::new(Limits::default(), offers);
    raw.send(&Header::new(FrameKind::Greeting), &greeting.write(), &[]);
    (syshandle::direct::from_socket(ours).unwrap(), raw)
}

#[test]
fn a_call_whose_server_never_receives_ends_in_time_with_an_error_that_names_that() {
    alone(|| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(512), maximum }).unwrap();
        // The server is this process, so one peer may have half of its descriptor limit in flight.
        let handles: Vec<OwnedHandle> = (0..100).map(|_| file().into()).collect();
        let call = |bench: &BenchClient| {
            let began = Instant::now();
            let error = bench.with_timeout(Duration::from_millis(50)).close(&handles).unwrap_err();
            assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
            error
        };
        let is_limited = |error: &syshandle::Error| {
            let text = "the handles can't be sent: the server does not receive earlier ones";
            let is_busy = error.kind() == ErrorKind::Busy;
            assert_eq!((is_busy, !error.may_have_run()), (is_busy, is_busy), "{error}");
            assert_eq!(format!("{error:#}").contains(text), is_busy, "{error:#}");
            is_busy
        };
        let before = [descriptors()];
        let (bench, deaf) = client_of_a_deaf_server();
        for _ in 0..2 {
            assert_eq!(call(&bench).kind(), ErrorKind::TimedOut);
        }
        assert!(is_limited(&call(&bench)));
        // The limit also applies to another connection to the same server, and after the first one
        // has ended.
        let (other, deaf_too) = client_of_a_deaf_server();
        assert!(is_limited(&call(&other)));
        drop(bench);
        assert!(is_limited(&call(&other)));
        drop(deaf);
        eventually("the server is gone, and what it had in flight", || !is_limited(&call(&other)));
        drop((other, deaf_too));
        // The handles that a peer has not received are checked when connections end.
        eventually_no_more(before, || {
            let (client, server) = client_of_a_deaf_server();
            // The client's end is kept until the server receives the client's hello.
            drop(server);
            drop(client);
            [descriptors()]
        });
    });
}
