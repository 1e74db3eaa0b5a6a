//! Pending calls: one thread starts several calls, and fetches their results later.

use std::fs::File;
use std::thread;
use std::time::Duration;

use syshandle::{
    Cancel, Error, ErrorKind, Result,
    handle::{Event, ManualEvent},
    pipeline::{PendingCall, pipelined},
};

use crate::support::bench::{BenchAsyncClient, BenchClient, Mishap, pattern};
use crate::support::raw::scripted_server;
use crate::support::world::{World, file, identity, over_every_transport};
use crate::support::{LONG, drain, pipe};

fn client(bench: &BenchClient) -> BenchAsyncClient {
    BenchAsyncClient::from(bench)
}

#[test]
fn calls_in_flight_each_get_their_own_result_in_whichever_order_they_are_waited_for() {
    over_every_transport(|bench| {
        let client = client(bench);
        let begin = |i: usize| client.echo(&vec![i as u8; 1 + i * 1000]);
        let mut calls: Vec<_> = (0..60).map(|i| (i, begin(i))).collect();
        // The results are fetched in another order: every third call first, then the others
        // backwards.
        let mut order: Vec<_> = calls.extract_if(.., |(i, _)| *i % 3 == 0).collect();
        order.extend(calls.into_iter().rev());
        for (i, call) in order {
            assert!(call.wait().unwrap() == vec![i as u8; 1 + i * 1000]);
        }
    });
}

#[test]
fn more_calls_than_the_server_takes_at_once_begin_when_others_have_ended() {
    over_every_transport(|bench| {
        let client = client(bench);
        let calls: Vec<_> = (0..500_u32).map(|len| (len, client.bytes(len))).collect();
        for (len, call) in calls {
            assert_eq!(call.wait().unwrap().len(), len as usize);
        }
    });
}

#[test]
fn unread_large_results_delay_no_other_call() {
    over_every_transport(|bench| {
        let client = client(bench);
        // All results together are larger than the shared memory.
        let calls: Vec<_> = (0..12).map(|_| client.bytes(3 * 1024 * 1024)).collect();
        let sent = pattern(5_000_000);
        assert!(bench.echo(&sent).unwrap() == sent);
        for call in calls {
            assert_eq!(call.wait().unwrap().len(), 3 * 1024 * 1024);
        }
    });
}

#[test]
fn handles_are_lent_until_the_call_has_begun_and_come_back_with_its_result() {
    over_every_transport(|bench| {
        let client = client(bench);
        let (decorated, when) = (file(), Event::new().unwrap());
        let id = identity(&when);
        let call = client.finish(&decorated, &when);
        drop((decorated, when));
        assert_eq!(identity(call.wait().unwrap()), id);
        let calls: Vec<_> = (0..20).map(|count| (count, client.events(count))).collect();
        for (count, call) in calls {
            assert_eq!(call.wait().unwrap().len(), count as usize);
        }
    });
}

#[test]
fn errors_come_from_the_wait_and_say_whether_the_call_may_have_run() {
    over_every_transport(|bench| {
        let client = client(bench);
        let mishap = client.fail_typed(&Mishap::TooMany { count: 2, limit: 1 });
        let panicked = client.panic_with(0);
        let no_file = File::from(pipe().1);
        let wrong = client.read_only(&no_file);
        assert!(matches!(
            mishap.wait().unwrap_err(),
            syshandle::CallError::Method(Mishap::TooMany { count: 2, limit: 1 })
        ));
        assert_eq!(panicked.wait().unwrap_err().kind(), ErrorKind::Panicked);
        assert_eq!(wrong.wait().unwrap_err().kind(), ErrorKind::WrongHandle);
        let hasty = BenchAsyncClient::from(&bench.with_timeout(Duration::ZERO));
        let error = hasty.nothing().wait().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, false));
    });
}

#[test]
fn the_timeout_of_a_pending_call_starts_with_the_call() {
    over_every_transport(|bench| {
        let until = ManualEvent::new().unwrap();
        let hasty = BenchAsyncClient::from(&bench.with_timeout(Duration::from_millis(50)));
        let entered = Event::new().unwrap();
        let call = hasty.block(&entered, &until, 0);
        assert!(entered.wait_timeout(LONG).unwrap());
        thread::sleep(Duration::from_millis(60));
        let error = call.wait().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, true));
        assert_eq!(error.to_string(), "Bench::block: timed out waiting for the reply");
        until.set().unwrap();
        bench.nothing().unwrap();
    });
}

#[test]
fn dropping_it_cancels_the_call() {
    over_every_transport(|bench| {
        let (report, theirs) = pipe();
        let entered = Event::new().unwrap();
        let call = client(bench).run_until_cancelled(&entered, &theirs);
        assert!(entered.wait_timeout(LONG).unwrap());
        drop((call, theirs));
        assert_eq!(drain(report), "cancelled");
        // Calls that are complete, or whose results are never awaited, do not block other calls.
        for _ in 0..200 {
            drop(client(bench).echo(&[1; 100]));
        }
        bench.nothing().unwrap();
    });
}

#[test]
fn a_wait_is_cancelled_from_another_thread() {
    over_every_transport(|bench| {
        let (cancel, until) = (Cancel::new().unwrap(), ManualEvent::new().unwrap());
        let entered = Event::new().unwrap();
        let call = BenchAsyncClient::from(&bench.with_cancel(&cancel)).block(&entered, &until, 0);
        thread::scope(|scope| {
            let waiting = scope.spawn(move || call.wait());
            assert!(entered.wait_timeout(LONG).unwrap());
            cancel.cancel();
            let error: Error = waiting.join().unwrap().unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Cancelled, true));
        });
        until.set().unwrap();
        bench.nothing().unwrap();
    });
}

#[test]
fn another_thread_may_wait_while_others_call() {
    over_every_transport(|bench| {
        let client = client(bench);
        let begun: Vec<Vec<PendingCall<Result<Vec<u8>>>>> =
            (0..4_u8).map(|thread| (0..10).map(|i| client.echo(&[thread, i])).collect()).collect();
        thread::scope(|scope| {
            for (thread, calls) in (0..4_u8).zip(begun) {
                scope.spawn(move || {
                    for (i, call) in (0..10).zip(calls) {
                        assert_eq!(bench.echo(&[i]).unwrap(), [i]);
                        assert_eq!(call.wait().unwrap(), [thread, i]);
                    }
                });
            }
        });
    });
}

#[test]
fn the_servers_death_ends_all_of_them() {
    let world = World::new();
    let bench = world.bench();
    let client = client(&bench);
    let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
    let calls: Vec<_> = (0..10).map(|_| client.block(&entered, &until, 0)).collect();
    assert!(entered.wait_timeout(LONG).unwrap());
    let server = rustix::process::Pid::from_raw(bench.pid().unwrap() as i32).unwrap();
    rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
    for call in calls {
        let error = call.wait().unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::Disconnected, true),
            "{error}"
        );
    }
    assert!(!client.nothing().wait().unwrap_err().may_have_run());
}

#[test]
fn calls_that_go_together_each_get_their_own_result() {
    over_every_transport(|bench| {
        let client = client(bench);
        // Some of these groups have more calls than a batch holds, or than may run at once. The
        // calls are small and large, with handles.
        for count in [1, 5, 16, 17, 64, 200] {
            let calls: Vec<_> = pipelined(&client, |client| {
                let len = |i: usize| if i % 7 == 6 { 40_000 } else { i };
                (0..count).map(|i| (len(i), client.echo(&vec![i as u8; len(i)]))).collect()
            });
            for (i, (len, call)) in calls.into_iter().enumerate().rev() {
                assert!(call.wait().unwrap() == vec![i as u8; len]);
            }
        }
        let (decorated, when) = (file(), Event::new().unwrap());
        let (before, finished, after) = pipelined(&client, |client| {
            (client.bytes(3), client.finish(&decorated, &when), client.events(2))
        });
        assert_eq!(after.wait().unwrap().len(), 2);
        assert_eq!(identity(finished.wait().unwrap()), identity(&when));
        assert_eq!(before.wait().unwrap(), pattern(3));
    });
}

#[test]
fn a_pipelined_call_may_be_waited_for_before_the_others_begin() {
    over_every_transport(|bench| {
        let calls = pipelined(&client(bench), |client| {
            let first = client.bytes(1);
            assert_eq!(first.wait().unwrap().len(), 1);
            // Calls whose results are never awaited do not block other calls.
            drop([client.bytes(2), client.bytes(3)]);
            [client.bytes(4), client.bytes(5)]
        });
        assert_eq!(calls.map(|call| call.wait().unwrap().len()), [4, 5]);
    });
}

#[test]
fn calls_of_a_copied_starter_are_sent_at_once() {
    over_every_transport(|bench| {
        let copy = pipelined(&client(bench), |client| client.clone());
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let call = copy.block(&entered, &until, 0);
        assert!(entered.wait_timeout(LONG).unwrap());
        until.set().unwrap();
        call.wait().unwrap();
        assert_eq!(copy.bytes(9).wait().unwrap().len(), 9);
    });
}

#[test]
fn calls_that_go_together_go_also_when_what_begins_them_panics() {
    over_every_transport(|bench| {
        let client = client(bench);
        let begun = std::sync::Mutex::new(Vec::new());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pipelined(&client, |client| {
                begun.lock().unwrap().extend([client.bytes(1), client.bytes(2)]);
                panic!("on purpose");
            })
        }));
        panicked.unwrap_err();
        for (len, call) in (1..).zip(begun.into_inner().unwrap()) {
            assert_eq!(call.wait().unwrap().len(), len);
        }
    });
}

#[test]
fn quick_methods_are_answered_though_one_that_was_quick_takes_long_among_them() {
    over_every_transport(|bench| {
        let client = client(bench);
        // A worker becomes dedicated to this client, and the server learns that both methods are
        // quick.
        let opened = ManualEvent::new().unwrap();
        opened.set().unwrap();
        for _ in 0..200 {
            bench.nothing().unwrap();
        }
        for _ in 0..20 {
            bench.block(&Event::new().unwrap(), &opened, 0).unwrap();
            let calls = pipelined(&client, |client| [(); 16].map(|()| client.nothing()));
            calls.into_iter().for_each(|call| call.wait().unwrap());
        }
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let (before, slow, after) = pipelined(&client, |client| {
            let before = [(); 5].map(|()| client.nothing());
            (before, client.block(&entered, &until, 0), [(); 5].map(|()| client.nothing()))
        });
        before.into_iter().chain(after).for_each(|call| call.wait().unwrap());
        // The slow method can end only now, so the replies of the quick methods did not wait for
        // it.
        until.set().unwrap();
        slow.wait().unwrap();
    });
}

#[test]
fn calls_that_go_together_and_the_servers_death() {
    let world = World::new();
    let bench = world.bench();
    let client = client(&bench);
    let server = rustix::process::Pid::from_raw(bench.pid().unwrap() as i32).unwrap();
    let calls = pipelined(&client, |client| {
        let first = client.nothing();
        rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
        // No other process holds the server's end of the connection, so its death ends the
        // connection.
        let error = bench.wait(&Event::new().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        [first, client.nothing()]
    });
    for call in calls {
        let error = call.wait().unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_run()),
            (ErrorKind::Disconnected, false),
            "{error}"
        );
    }
}

#[test]
fn calls_beyond_the_limit_of_the_clients_queue_are_refused() {
    const IN_FLIGHT: usize = 64;
    const QUEUED: usize = 65_536;
    // The server reads nothing.
    let (_server, client) = scripted_server::<BenchClient>();
    let client = BenchAsyncClient::from(client);
    let mut calls: Vec<_> = (0..IN_FLIGHT + QUEUED).map(|_| client.nothing()).collect();
    let error = client.nothing().wait().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
    let text = "Bench::nothing: the call can't be queued in the client: 65536 calls wait to be sent \
                (limit: 65536 calls)";
    assert_eq!(error.to_string(), text);
    // A call that is given up makes room.
    drop(calls.pop());
    assert!(!client.nothing().is_ready());
}
