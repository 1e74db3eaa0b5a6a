// The cases of `client.rs`, for the type `Bench`.

use std::thread;
use std::time::{Duration, Instant};

use syshandle::{
    Cancel, Error, ErrorKind,
    handle::{Event, ManualEvent},
};

use crate::support::bench::pattern;
use crate::support::world::Transport;
use crate::support::{LONG, drain, pipe};

fn over_every_transport(test: impl Fn(&Bench)) {
    crate::support::world::over_every_transport(|bench| test(&Bench::from(bench.clone())));
}

fn event() -> Event {
    Event::new().unwrap()
}

fn manual() -> ManualEvent {
    ManualEvent::new().unwrap()
}

/// Starts a call on a new thread. Returns when the method of the call has set the event that was
/// passed to it.
fn begun<'s, R: Send + 's>(
    scope: &'s thread::Scope<'s, '_>,
    call: impl FnOnce(&Event) -> R + Send + 's,
) -> thread::ScopedJoinHandle<'s, R> {
    let entered = std::sync::Arc::new(event());
    let theirs = entered.clone();
    let handle = scope.spawn(move || call(&theirs));
    assert!(entered.wait_timeout(LONG).unwrap());
    handle
}

#[test]
fn replies_in_any_order_reach_the_threads_that_wait() {
    over_every_transport(|bench| {
        let gates: Vec<_> = (0..20).map(|_| manual()).collect();
        thread::scope(|scope| {
            let calls: Vec<_> = gates
                .iter()
                .zip(0..)
                .map(|(gate, i)| begun(scope, move |entered| bench.block(entered, gate, i)))
                .collect();
            // The calls end in the reverse order of their start.
            for (i, (gate, call)) in gates.iter().zip(calls).enumerate().rev() {
                gate.set().unwrap();
                assert_eq!(call.join().unwrap().unwrap().len(), i);
            }
        });
    });
}

#[test]
fn many_threads_that_call_at_once_each_get_their_own_answer() {
    over_every_transport(|bench| {
        thread::scope(|scope| {
            for seed in 0..16_u8 {
                scope.spawn(move || {
                    for round in 0..200_usize {
                        let sent = vec![seed; 1 + round * usize::from(seed)];
                        assert!(bench.echo(&sent).unwrap() == sent);
                    }
                });
            }
        });
    });
}

#[test]
fn a_call_that_takes_too_long_ends_at_its_deadline_and_may_have_run() {
    over_every_transport(|bench| {
        let until = manual();
        let began = Instant::now();
        // Long enough for the call to start on a busy machine.
        let hasty = bench.with_timeout(Duration::from_millis(300));
        let error = hasty.block(&event(), &until, 0).unwrap_err();
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, true));
        assert_eq!(error.to_string(), "Bench::block: timed out waiting for the reply");
        until.set().unwrap();
        bench.nothing().unwrap();
    });
}

#[test]
fn a_call_without_time_is_not_even_sent() {
    over_every_transport(|bench| {
        bench.nothing().unwrap();
        let error = bench.with_timeout(Duration::ZERO).nothing().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, false));
    });
}

#[test]
fn late_replies_are_dropped_with_their_handles_and_the_client_goes_on() {
    over_every_transport(|bench| {
        let hasty = bench.with_timeout(Duration::from_millis(5));
        let until = manual();
        for _ in 0..10 {
            hasty.block(&event(), &until, 20).unwrap_err();
            hasty.block_bytes(&event(), &until, 100_000).unwrap_err();
        }
        until.set().unwrap();
        for i in 0..100 {
            assert_eq!(bench.echo(&[i]).unwrap(), [i]);
        }
    });
}

#[test]
fn the_server_learns_how_long_the_client_waits() {
    over_every_transport(|bench| {
        let left = bench.with_timeout(Duration::from_secs(1000)).time_left().unwrap();
        assert!(left > Duration::from_secs(900) && left <= Duration::from_secs(1001), "{left:?}");
        let left = bench.with_timeout(Duration::MAX).time_left().unwrap();
        assert!(left > Duration::from_secs(1_000_000), "{left:?}");
    });
}

#[track_caller]
fn is_cancelled(error: &Error, may_have_run: bool) {
    assert_eq!(
        (error.kind(), error.may_have_run()),
        (ErrorKind::Cancelled, may_have_run),
        "{error}"
    );
}

#[test]
fn a_call_is_cancelled_from_another_thread_while_it_receives() {
    over_every_transport(|bench| {
        let (cancel, until) = (Cancel::new().unwrap(), manual());
        thread::scope(|scope| {
            let bench = bench.with_cancel(&cancel);
            let until = &until;
            let call = begun(scope, move |entered| bench.block(entered, until, 0));
            cancel.cancel();
            is_cancelled(&call.join().unwrap().unwrap_err(), true);
        });
        until.set().unwrap();
        bench.nothing().unwrap();
    });
}

#[test]
fn a_call_is_cancelled_from_another_thread_while_another_one_receives() {
    over_every_transport(|bench| {
        let (cancel, until) = (Cancel::new().unwrap(), manual());
        thread::scope(|scope| {
            let until = &until;
            let receives = begun(scope, move |entered| bench.block(entered, until, 1));
            let cancelled = bench.with_cancel(&cancel);
            let calls: Vec<_> = (0..3)
                .map(|_| {
                    let bench = cancelled.clone();
                    begun(scope, move |entered| bench.block(entered, until, 0))
                })
                .collect();
            cancel.cancel();
            for call in calls {
                is_cancelled(&call.join().unwrap().unwrap_err(), true);
            }
            until.set().unwrap();
            assert_eq!(receives.join().unwrap().unwrap().len(), 1);
        });
    });
}

#[test]
fn another_thread_takes_over_the_receiver_role() {
    over_every_transport(|bench| {
        let (cancel, until) = (Cancel::new().unwrap(), manual());
        thread::scope(|scope| {
            let (until, hasty) = (&until, bench.with_cancel(&cancel));
            let receives = begun(scope, move |entered| hasty.block(entered, until, 0));
            let others: Vec<_> = (0..3)
                .map(|_| begun(scope, move |entered| bench.block(entered, until, 2)))
                .collect();
            cancel.cancel();
            is_cancelled(&receives.join().unwrap().unwrap_err(), true);
            until.set().unwrap();
            for other in others {
                assert_eq!(other.join().unwrap().unwrap().len(), 2);
            }
        });
    });
}

#[test]
fn a_call_cancelled_before_it_began_is_not_sent() {
    over_every_transport(|bench| {
        let cancel = Cancel::new().unwrap();
        cancel.cancel();
        is_cancelled(&bench.with_cancel(&cancel).nothing().unwrap_err(), false);
        bench.nothing().unwrap();
    });
}

#[test]
fn a_wait_for_an_event_is_cancelled_too() {
    over_every_transport(|bench| {
        let cancel = Cancel::new().unwrap();
        let waiting = bench.with_cancel(&cancel);
        thread::scope(|scope| {
            let wait = scope.spawn(|| waiting.wait(&event()));
            cancel.cancel();
            let error = wait.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        });
    });
}

#[test]
fn a_wait_for_an_event_ends_with_it_or_with_its_time() {
    over_every_transport(|bench| {
        let event = event();
        event.set().unwrap();
        bench.wait(&event).unwrap();
        let error = bench.with_timeout(Duration::from_millis(5)).wait(&event).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn the_server_sees_that_a_call_was_cancelled() {
    over_every_transport(|bench| {
        let (cancel, (reader, writer)) = (Cancel::new().unwrap(), pipe());
        thread::scope(|scope| {
            let (cancelled, writer) = (bench.with_cancel(&cancel), &writer);
            let call = begun(scope, move |entered| cancelled.run_until_cancelled(entered, writer));
            cancel.cancel();
            is_cancelled(&call.join().unwrap().unwrap_err(), true);
        });
        drop(writer);
        assert_eq!(drain(reader), "cancelled");
    });
}

#[test]
fn the_server_sees_that_the_time_of_a_call_is_over() {
    over_every_transport(|bench| {
        let (reader, writer) = pipe();
        // The first call of a client may have to connect.
        bench.nothing().unwrap();
        let hasty = bench.with_timeout(Duration::from_millis(20));
        // The call may also succeed: the method may notice the deadline before the client does.
        let _ = hasty.run_until_cancelled(&event(), &writer);
        drop(writer);
        assert_eq!(drain(reader), "cancelled");
    });
}

#[test]
fn the_server_gets_the_callers_identity_from_the_kernel() {
    over_every_transport(|bench| {
        let (pid, uid, gid) = bench.caller().unwrap();
        assert_eq!(pid, std::process::id());
        assert_eq!(uid, rustix::process::getuid().as_raw());
        assert_eq!(gid, rustix::process::getgid().as_raw());
    });
}

#[test]
fn large_values_cross_whole_in_both_directions() {
    over_every_transport(|bench| {
        for len in [0, 1, 32_763, 32_764, 32_765, 33 * 1024, 1024 * 1024, 16 * 1024 * 1024 - 4] {
            let sent = pattern(len);
            assert!(bench.echo(&sent).unwrap() == sent, "{len}");
        }
    });
}

/// The shared memory of a connection has room for three values of this size.
const LARGE: usize = 5 * 1024 * 1024;

#[test]
fn large_values_of_many_threads_wait_for_room_and_cross_whole() {
    for transport in [Transport::InProcess, Transport::Socket] {
        let subject = transport.connect();
        let bench = &Bench::from(subject.bench.clone());
        thread::scope(|scope| {
            for i in 0..8 {
                scope.spawn(move || {
                    let sent = pattern(LARGE + i * 4099);
                    for _ in 0..4 {
                        assert!(bench.echo(&sent).unwrap() == sent);
                    }
                });
            }
        });
    }
}

#[test]
fn the_largest_value_gets_its_turn_among_many_smaller_ones() {
    let subject = Transport::InProcess.connect();
    let bench = &Bench::from(subject.bench.clone());
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let sent = pattern(1024 * 1024);
                let end = Instant::now() + LONG;
                while !done.load(std::sync::atomic::Ordering::SeqCst) && Instant::now() < end {
                    bench.echo(&sent).unwrap();
                }
            });
        }
        let largest = pattern(16 * 1024 * 1024 - 4);
        for _ in 0..3 {
            let len = bench.with_timeout(LONG).block_with(&event(), &set(), &largest[..]);
            // The encoding of the two handles takes some bytes of the message.
            assert_eq!(len.map_err(|error| error.kind()), Err(ErrorKind::TooLarge));
            let echoed = bench.with_timeout(LONG).echo(&largest).unwrap();
            assert!(echoed == largest);
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

fn set() -> ManualEvent {
    let event = manual();
    event.set().unwrap();
    event
}

/// The server has read the arguments of these slow methods. Without a frame of its own, it would
/// release their memory only with the replies.
#[test]
fn slow_methods_do_not_keep_the_memory_of_their_arguments() {
    over_every_transport(|bench| {
        let until = manual();
        // Fifteen arguments, each just below the size that the server releases at once.
        let argument = pattern(1024 * 1024 - 1024);
        thread::scope(|scope| {
            let (until, argument) = (&until, &argument);
            for _ in 0..15 {
                begun(scope, move |entered| bench.block_with(entered, until, argument).unwrap());
            }
            let sent = pattern(4 * 1024 * 1024);
            assert!(bench.echo(&sent).unwrap() == sent);
            until.set().unwrap();
        });
    });
}

/// The client has read the results, but sends no call whose frame could release their memory.
#[test]
fn a_large_result_reuses_the_memory_of_results_that_were_read() {
    over_every_transport(|bench| {
        let (first, second) = (manual(), manual());
        let len = 1024 * 1024 - 1024;
        thread::scope(|scope| {
            let (first, second) = (&first, &second);
            let small: Vec<_> = (0..15)
                .map(|_| begun(scope, move |entered| bench.block_bytes(entered, first, len)))
                .collect();
            let large = begun(scope, move |entered| bench.block_bytes(entered, second, 4 * len));
            first.set().unwrap();
            for call in small {
                assert_eq!(call.join().unwrap().unwrap().len(), len as usize);
            }
            second.set().unwrap();
            assert!(large.join().unwrap().unwrap() == pattern(4 * len as usize));
        });
    });
}

#[test]
fn more_results_than_fit_the_memory_come_one_after_the_other() {
    over_every_transport(|bench| {
        let until = manual();
        let len = 3 * 1024 * 1024;
        thread::scope(|scope| {
            let until = &until;
            let calls: Vec<_> = (0..12)
                .map(|_| begun(scope, move |entered| bench.block_bytes(entered, until, len)))
                .collect();
            until.set().unwrap();
            for call in calls {
                assert!(call.join().unwrap().unwrap() == pattern(len as usize));
            }
        });
    });
}

#[test]
fn calls_that_fill_the_socket_wait_for_room_and_all_arrive() {
    over_every_transport(|bench| {
        let argument = pattern(30_000);
        thread::scope(|scope| {
            for _ in 0..60 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        assert!(bench.echo(&argument).unwrap() == argument);
                    }
                });
            }
        });
    });
}

#[test]
fn clones_are_the_same_object_and_outlive_each_other() {
    over_every_transport(|bench| {
        let clone: Bench = bench.clone();
        let other = clone.with_timeout(LONG);
        drop(clone);
        other.keep(&std::fs::File::open("/dev/null").unwrap()).unwrap();
        assert_eq!(bench.give_back().unwrap().len(), 1);
    });
}
