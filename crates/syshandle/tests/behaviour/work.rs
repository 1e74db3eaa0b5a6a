//! Background tasks: they wait without a thread, and get the outcome of their wait.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use syshandle::direct::from_door;
use syshandle::generated::Encoder;
use syshandle::{
    Encode, ErrorKind,
    handle::{Event, ManualEvent},
    object::Interface,
};
use syshandle_types::Limits;
use syshandle_wire::{FrameKind, Status};

use crate::server::Stopped;
use crate::support::bench::{BENCH, Bench, BenchAsyncClient, BenchClient, Workbench};
use crate::support::process::{OtherClient, THREADS_MAX, alone};
use crate::support::raw::Raw;
use crate::support::world::{World, door, file, over_every_transport};
use crate::support::{LONG, drain, eventually, eventually_equal, is_readable, pipe, threads};

fn event() -> Event {
    Event::new().unwrap()
}

#[test]
fn a_job_runs_when_its_event_fires() {
    over_every_transport(|bench| {
        let (when, (reader, writer)) = (event(), pipe());
        bench.job(&when, &LONG, &writer).unwrap();
        drop(writer);
        when.set().unwrap();
        assert_eq!(drain(reader), "Fired");
        assert!(!when.poll().unwrap(), "the event was taken");
    });
}

#[test]
fn a_job_runs_when_its_event_has_fired_already() {
    over_every_transport(|bench| {
        let (when, (reader, writer)) = (event(), pipe());
        when.set().unwrap();
        bench.job(&when, &LONG, &writer).unwrap();
        drop(writer);
        assert_eq!(drain(reader), "Fired");
    });
}

#[test]
fn a_background_task_runs_at_its_timeout() {
    over_every_transport(|bench| {
        for timeout in [Duration::from_millis(10), Duration::ZERO] {
            let (reader, writer) = pipe();
            bench.job(&event(), &timeout, &writer).unwrap();
            drop(writer);
            assert_eq!(drain(reader), "Expired");
        }
    });
}

#[test]
fn a_job_that_waits_for_nothing_but_its_time_runs_then() {
    over_every_transport(|bench| {
        for delay in [Duration::from_millis(10), Duration::ZERO] {
            let (reader, writer) = pipe();
            bench.job_after(&delay, &writer).unwrap();
            drop(writer);
            assert_eq!(drain(reader), "Elapsed");
        }
    });
}

#[test]
fn a_job_that_waits_for_its_time_takes_no_descriptor() {
    let world = World::new();
    let bench = world.bench();
    let before = bench.descriptors().unwrap();
    let reports = [(); 50].map(|()| pipe());
    for (_, writer) in &reports {
        bench.job_after(&LONG, writer).unwrap();
    }
    // The server has one more descriptor for each report, and none for the timers.
    eventually_equal(&(before + reports.len() as u32), || bench.descriptors().unwrap());
}

#[test]
fn a_job_may_wait_for_ever() {
    over_every_transport(|bench| {
        let (when, (reader, writer)) = (event(), pipe());
        bench.job(&when, &Duration::MAX, &writer).unwrap();
        drop(writer);
        when.set().unwrap();
        assert_eq!(drain(reader), "Fired");
    });
}

#[test]
fn an_event_consumed_by_another_waiter_ends_no_background_task() {
    over_every_transport(|bench| {
        let (when, (reader, writer)) = (event(), pipe());
        let two = [pipe(), pipe()];
        for (_, writer) in &two {
            bench.job(&when, &LONG, writer).unwrap();
        }
        // Setting the event once ends one of the two background tasks. The other one needs another
        // signal.
        when.set().unwrap();
        eventually("one has taken it", || {
            when.poll()
                .map(|set| {
                    if set {
                        when.set().unwrap()
                    }
                })
                .unwrap();
            two.iter().any(|(reader, _)| is_readable(reader, Duration::ZERO))
        });
        assert_eq!(two.iter().filter(|(reader, _)| is_readable(reader, Duration::ZERO)).count(), 1);
        when.set().unwrap();
        for (reader, writer) in two {
            drop(writer);
            assert_eq!(drain(reader), "Fired");
        }
        drop((reader, writer));
    });
}

#[test]
fn a_client_that_dies_ends_its_jobs() {
    let world = World::new();
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut client = OtherClient::with_job(&world, report.path(), false);
    client.kill();
    eventually_equal(&"ClientDied".to_owned(), || std::fs::read_to_string(report.path()).unwrap());
}

#[test]
fn a_client_that_dies_after_its_good_bye_ends_its_jobs() {
    let world = World::new();
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut client = OtherClient::with_job(&world, report.path(), true);
    client.kill();
    eventually_equal(&"ClientDied".to_owned(), || std::fs::read_to_string(report.path()).unwrap());
}

#[test]
fn a_client_that_lets_go_early_still_has_its_work_done() {
    let world = World::new();
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut client = OtherClient::with_job(&world, report.path(), true);
    client.fire();
    eventually_equal(&"Fired".to_owned(), || std::fs::read_to_string(report.path()).unwrap());
}

#[test]
fn a_job_that_starts_after_its_client_let_go_still_runs() {
    over_every_transport(|bench| {
        let (entered, when, (reader, writer)) = (event(), event(), pipe());
        let own = bench.cast::<BenchClient>().unwrap();
        let hasty = own.with_timeout(Duration::from_millis(20));
        // The call may also succeed: the method may notice the deadline before the client does.
        let _ = hasty.job_after_cancel(&entered, &when, &writer);
        drop((own, hasty, writer));
        when.set().unwrap();
        assert_eq!(drain(reader), "Fired");
    });
}

#[test]
fn a_job_that_starts_from_elsewhere_after_its_client_let_go_runs() {
    let world = World::new();
    let (bench, when, (reader, writer)) = (world.bench(), event(), pipe());
    bench.job_after_release(&when, &writer).unwrap();
    drop((bench, writer));
    when.set().unwrap();
    assert_eq!(drain(reader), "Fired");
}

#[test]
fn a_reply_says_whether_a_good_bye_is_awaited() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let number = |name| description.methods.iter().position(|method| method.name == name).unwrap();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    use std::os::fd::AsFd;
    for method in ["job_after_release", "job"] {
        let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
        let awaited = |name, body: &[u8], handles: &[_]| {
            raw.call(1, number(name) as u32, body, handles);
            let reply = raw.receive().unwrap().header;
            assert_eq!((reply.kind, reply.code), (FrameKind::Reply, Status::Done as u32));
            reply.awaits_bye
        };
        assert!(!awaited("nothing", &[], &[]));
        let (when, (reader, writer)) = (event(), pipe());
        let minute = [&[0, 0][..], &60_u64.to_le_bytes(), &0_u32.to_le_bytes(), &[1, 0]].concat();
        let body = if method == "job" { &minute[..] } else { &[0, 0, 1, 0] };
        assert!(awaited(method, body, &[when.as_fd(), writer.as_fd()]));
        assert!(awaited("nothing", &[], &[]), "from then on");
        drop((raw, writer));
        assert_eq!(drain(reader), "ClientDied");
    }
    raw.call(1, number("nothing") as u32, &[], &[]);
    assert!(!raw.receive().unwrap().header.awaits_bye, "another client's");
    bench.nothing().unwrap();
}

#[test]
fn a_job_that_starts_after_its_client_died_ends_at_once() {
    let world = World::new();
    let bench = world.bench();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let number =
        description.methods.iter().position(|method| method.name == "job_after_cancel").unwrap();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    let (entered, when, (reader, writer)) = (event(), event(), pipe());
    use std::os::fd::AsFd;
    let handles = [entered.as_fd(), when.as_fd(), writer.as_fd()];
    raw.call(1, number as u32, &[0, 0, 1, 0, 2, 0], &handles);
    assert!(entered.wait_timeout(LONG).unwrap());
    // The connection ends without `Bye`.
    drop((raw, writer));
    assert_eq!(drain(reader), "ClientDied");
    bench.nothing().unwrap();
}

#[test]
fn a_panicking_background_task_harms_no_client() {
    over_every_transport(|bench| {
        let when = event();
        bench.job_that_panics(&when).unwrap();
        when.set().unwrap();
        eventually("it has begun", || !when.poll().map(|set| set && when.set().is_ok()).unwrap());
        let (when, (reader, writer)) = (event(), pipe());
        bench.job(&when, &LONG, &writer).unwrap();
        drop(writer);
        when.set().unwrap();
        assert_eq!(drain(reader), "Fired");
    });
}

#[test]
fn a_job_that_takes_long_delays_no_other() {
    over_every_transport(|bench| {
        let (entered, until) = (event(), ManualEvent::new().unwrap());
        let soon = Duration::from_millis(1);
        for _ in 0..3 {
            bench.job_that_blocks(&soon, &entered, &until).unwrap();
        }
        assert!(entered.wait_timeout(LONG).unwrap());
        // This task expires while the earlier tasks still block their threads.
        let (reader, writer) = pipe();
        bench.job(&event(), &soon, &writer).unwrap();
        drop(writer);
        assert_eq!(drain(reader), "Expired");
        until.set().unwrap();
    });
}

#[test]
fn a_job_that_fails_ends_the_clients_waits_with_its_text() {
    over_every_transport(|bench| {
        for on_another_thread in [false, true] {
            let own: BenchClient = from_door(door(bench)).unwrap();
            let when = event();
            own.fail_when(&when, "the dishes broke", on_another_thread).unwrap();
            thread::scope(|scope| {
                let wait = scope.spawn(|| own.with_timeout(LONG).wait(&event()));
                let (entered, until) = (event(), ManualEvent::new().unwrap());
                let blocked = own.clone();
                let call = scope.spawn({
                    let (entered, until) =
                        (entered.try_clone().unwrap(), until.try_clone().unwrap());
                    move || blocked.with_timeout(LONG).block(&entered, &until, 0)
                });
                assert!(entered.wait_timeout(LONG).unwrap());
                when.set().unwrap();
                let error = wait.join().unwrap().unwrap_err();
                assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, true));
                assert_eq!(error.to_string(), "the dishes broke");
                let error = call.join().unwrap().unwrap_err();
                assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, true));
                assert_eq!(error.to_string(), "Bench::block: the dishes broke");
                until.set().unwrap();
            });
            let error = own.nothing().unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, false));
        }
        bench.nothing().unwrap();
    });
}

#[test]
fn the_server_of_an_in_process_object_ends_after_abort_from_its_own_thread() {
    alone(|| {
        let before = threads();
        let bench = BenchClient::in_process(Workbench::default()).unwrap();
        let when = event();
        bench.fail_when(&when, "over", true).unwrap();
        when.set().unwrap();
        bench.with_timeout(LONG).wait(&event()).unwrap_err();
        drop(bench);
        eventually_equal(&before, threads);
    });
}

#[test]
fn ten_thousand_jobs_wait_at_once_without_a_thread_of_their_own() {
    let world = World::new();
    let bench = world.bench();
    bench.spare_descriptors(None).unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    // Each background task holds a file and an event. The quota counts one descriptor more, for the
    // object that the task waits for. One process may have five eighths of the server's descriptors.
    let room = (limit.unwrap_or(u64::MAX) / 8 * 5).saturating_sub(200) / 3;
    let count = room.min(10_000) as u32;
    println!("{count} jobs, with a limit of {limit:?} descriptors");
    let (when, file) = (ManualEvent::new().unwrap(), file());
    bench.job_that_counts(&when, &file).unwrap();
    let threads = bench.threads().unwrap();
    let before = bench.descriptors().unwrap();
    for _ in 1..count {
        bench.job_that_counts(&when, &file).unwrap();
    }
    // The server may have started a few more threads for the calls above, but a pending background
    // task needs no thread.
    let more = bench.threads().unwrap() - threads;
    assert!(more <= 16, "{more} more threads");
    assert_eq!(bench.descriptors().unwrap(), before + 2 * (count - 1));
    when.set().unwrap();
    eventually_equal(&count, || bench.jobs_done().unwrap());
    eventually_equal(&(before - 2), || bench.descriptors().unwrap());
}

#[test]
fn a_pending_job_keeps_the_server_though_its_client_has_gone() {
    let world = World::new();
    let bench = world.bench();
    let (reader, writer) = pipe();
    bench.keep_for_life(&writer).unwrap();
    drop(writer);
    let (when, (report, writer)) = (event(), pipe());
    bench.job(&when, &LONG, &writer).unwrap();
    drop((bench, writer));
    // This time is several times the server's idle timeout.
    thread::sleep(Duration::from_millis(500));
    when.set().unwrap();
    assert_eq!(drain(report), "Fired");
    // The pipe ends when the server exits.
    assert_eq!(drain(reader), "");
}

#[test]
fn a_client_that_is_released_while_its_socket_is_full_is_no_client_that_died() {
    let world = World::new();
    let bench = world.bench();
    let server = bench.pid().unwrap();
    let (when, (reader, writer)) = (event(), pipe());
    bench.job(&when, &LONG, &writer).unwrap();
    drop(writer);
    let server = Stopped::stop(server);
    let quick = BenchAsyncClient::from(&bench.with_timeout(Duration::from_millis(200)));
    let large = vec![7; 30_000];
    let mut sent = 0;
    let calls: Vec<_> = (0..16).map(|_| quick.echo(&large)).collect();
    for call in calls {
        // A call that was sent may have run. The other calls did not fit in the socket.
        sent += usize::from(call.wait().unwrap_err().may_have_run());
    }
    assert!(sent < 16, "the socket is full");
    let start = std::time::Instant::now();
    drop((quick, bench));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    drop(server);
    // The task continues to wait after the server has noticed the end of the connection.
    assert!(!is_readable(&reader, Duration::from_millis(500)));
    when.set().unwrap();
    assert_eq!(drain(reader), "Fired");
}

#[test]
fn a_cancelled_job_never_runs_and_its_signal_stays_for_others() {
    over_every_transport(|bench| {
        let (when, (reader, writer)) = (event(), pipe());
        bench.job_to_cancel(Some(&when), &writer).unwrap();
        drop(writer);
        assert!(bench.cancel_job().unwrap());
        assert_eq!(drain(reader), "", "the callback was dropped");
        when.set().unwrap();
        assert!(!bench.cancel_job().unwrap(), "it was cancelled already");
        assert!(when.poll().unwrap());
    });
}

#[test]
fn a_job_that_has_run_cannot_be_cancelled() {
    over_every_transport(|bench| {
        let (when, (reader, writer)) = (event(), pipe());
        bench.job_to_cancel(Some(&when), &writer).unwrap();
        drop(writer);
        when.set().unwrap();
        assert_eq!(drain(reader), "Fired");
        assert!(!bench.cancel_job().unwrap());
    });
}

#[test]
fn a_job_whose_handle_is_dropped_still_runs() {
    over_every_transport(|bench| {
        let (first, second) = (event(), event());
        let (reader, writer) = pipe();
        bench.job_to_cancel(Some(&first), &writer).unwrap();
        drop(writer);
        // The object keeps only the handle of its last task, so this call drops the handle of the
        // first task.
        bench.job_to_cancel(Some(&second), &pipe().1).unwrap();
        first.set().unwrap();
        assert_eq!(drain(reader), "Fired");
    });
}

#[test]
fn jobs_that_are_cancelled_leave_no_descriptors_and_no_work() {
    let world = World::new();
    let bench = world.bench();
    let (_reader, writer) = pipe();
    let cancel = |when: Option<&Event>| {
        bench.job_to_cancel(when, &writer).unwrap();
        assert!(bench.cancel_job().unwrap());
    };
    cancel(Some(&event()));
    let before = bench.descriptors().unwrap();
    for _ in 0..200 {
        cancel(Some(&event()));
        cancel(None);
    }
    eventually_equal(&before, || bench.descriptors().unwrap());
    drop(bench);
    // The server ends, because no background task is pending.
    eventually("the server has ended", || !world.is_running());
}

#[test]
fn the_jobs_of_a_client_that_dies_run_on_no_more_threads_than_its_methods_may() {
    const METHODS: u32 = 16;
    const JOBS: u32 = 2_000;
    let world = World::with_environment(&[(THREADS_MAX, &METHODS.to_string())]);
    let bench = world.bench();
    bench.spare_descriptors(None).unwrap();
    let description = <dyn Bench as Interface>::DESCRIPTION;
    let number = description.methods.iter().position(|method| method.name == "job_after").unwrap();
    let mut delay = Encoder::new(Vec::new(), Limits::default());
    LONG.encode(&mut delay);
    let (mut body, _) = delay.finish().unwrap();
    // The slot number of the handle `report`.
    body.extend([0, 0]);
    let file = file();
    let raw = Raw::open(&world.socket(), BENCH.clsid(), description.iid);
    let threads = bench.threads().unwrap();
    for call in 0..JOBS {
        raw.call(call, number as u32, &body, &[file.as_fd()]);
        assert_eq!(raw.receive().unwrap().header.code, 0);
    }
    let with_jobs = bench.descriptors().unwrap();
    drop(raw);
    let mut most = 0;
    eventually("the jobs have ended", || {
        most = most.max(bench.threads().unwrap());
        bench.descriptors().unwrap() + JOBS <= with_jobs
    });
    assert!(most <= threads + METHODS, "{threads} threads before, and {most} then");
}
