//! Panics of user code and of `tracing` subscribers: the server continues to serve, and can still
//! be ended.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use syshandle::handle::{Event, ManualEvent};
use syshandle_wire::{FrameKind, Header};

use crate::support::bench::{BENCH, BenchClient, Workbench};
use crate::support::hazard::{ARMED, FullDisk, Grumpy, HAZARD, HazardClient, Laboratory};
use crate::support::process::{
    BLOCKS, DRAIN_MS, LOG, OtherClient, STAY, THREADS_MAX, UNREAD, alone,
};
use crate::support::raw::Raw;
use crate::support::world::World;
use crate::support::{LONG, descriptors, drain, eventually, eventually_equal, pipe, threads};

/// Time within which a server that accepts clients sends its greeting.
const SOON: Duration = Duration::from_secs(1);

/// Waits until a process has ended.
fn ended(pid: u32) {
    let pid = Pid::from_raw(pid as i32).unwrap();
    eventually("the server has ended", || test_kill_process(pid).is_err());
}

fn terminate(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::TERM).unwrap();
}

/// Makes each kind of user code in the server panic.
fn panic_everywhere(connect: impl Fn() -> Option<HazardClient>) {
    let signalled = || {
        let event = Event::new().unwrap();
        event.set().unwrap();
        event
    };
    for _ in 0..5 {
        let hazard = connect().expect("the server serves");
        hazard.drop_later().unwrap();
        assert_eq!(hazard.result().unwrap().0, 7, "only its destructor panics");
        hazard.unencodable().unwrap_err();
        let keys = BTreeMap::from([(Grumpy(1), 1), (Grumpy(2), 2)]);
        hazard.map(&keys).unwrap_err();
        hazard.payload().unwrap_err();
        hazard.job(&signalled()).unwrap();
        hazard.job(&Event::new().unwrap()).unwrap();
        hazard.timer().unwrap();
        hazard.waitable(&signalled()).unwrap();
        hazard.pid().unwrap();
    }
}

#[test]
fn a_server_serves_on_wherever_its_users_code_panics_and_ends_when_it_is_told_to() {
    let world = World::with_environment(&[(STAY, "1")]);
    let connect = || {
        let activation = syshandle::Activation::new().registry(world.registry());
        activation.activate::<HazardClient>(HAZARD.clsid()).ok()
    };
    let pid = connect().unwrap().pid().unwrap();
    panic_everywhere(connect);
    for _ in 0..5 {
        connect().unwrap().next_object().unwrap();
        connect().unwrap().pid().unwrap_err();
    }
    let bench: BenchClient = world.activate(BENCH);
    assert_eq!((connect().unwrap().pid().unwrap(), bench.pid().unwrap()), (pid, pid));
    let before = bench.descriptors().unwrap();
    (0..50).for_each(|_| connect().unwrap().drop_later().unwrap());
    eventually("nothing is left of them", || bench.descriptors().unwrap() <= before);
    terminate(pid);
    ended(pid);
}

#[test]
fn a_server_serves_and_ends_though_its_log_panics() {
    for end in [terminate as fn(u32), |_| {}] {
        let stays = end as usize == terminate as fn(u32) as usize;
        let environment: &[_] = if stays { &[(LOG, "1"), (STAY, "1")] } else { &[(LOG, "1")] };
        let world = World::with_environment(environment);
        let pid = {
            let clients = [(); 10].map(|()| world.bench());
            thread::scope(|scope| {
                for bench in &clients {
                    scope.spawn(|| (0..50).for_each(|_| bench.nothing().unwrap()));
                }
            });
            clients[0].panic_with(0).unwrap_err();
            clients[0].pid().unwrap()
        };
        assert_eq!(world.bench().pid().unwrap(), pid, "it was not replaced");
        end(pid);
        ended(pid);
    }
}

#[test]
fn a_client_goes_on_though_its_log_panics() {
    alone(|| {
        tracing::subscriber::set_global_default(FullDisk).unwrap();
        let world = World::new();
        let bench = world.bench();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| bench.nothing().unwrap()));
            }
        });
        let here = BenchClient::in_process(Workbench::default()).unwrap();
        (0..50).for_each(|_| here.nothing().unwrap());
    });
}

#[test]
fn destructors_that_panic_leave_no_thread_and_no_descriptor_in_this_process() {
    alone(|| {
        ARMED.store(true, Ordering::SeqCst);
        let connect = || HazardClient::in_process(Laboratory::new()).ok();
        connect().unwrap().pid().unwrap();
        eventually_equal(&1, || threads() - 1);
        let before = (threads(), descriptors());
        for _ in 0..5 {
            connect().unwrap().drop_later().unwrap();
        }
        eventually_equal(&before, || (threads(), descriptors()));
    });
}

#[test]
fn a_server_ends_when_it_is_told_to_while_as_many_methods_and_jobs_block_as_may() {
    let world = World::with_environment(&[(STAY, "1"), (THREADS_MAX, "2"), (DRAIN_MS, "100")]);
    let hazard: HazardClient = world.activate(HAZARD);
    let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
    hazard.block_in_job(&entered, &until).unwrap();
    assert!(entered.wait_timeout(LONG).unwrap());
    let pid = hazard.pid().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| hazard.wait_in_worker(&until).unwrap_err());
        }
        // One background task and one method run, so further calls wait.
        let hasty = hazard.with_timeout(Duration::from_millis(50));
        eventually("all threads are taken", || hasty.pid().is_err());
        terminate(pid);
        ended(pid);
    });
}

#[test]
fn user_code_of_any_kind_that_blocks_counts_as_methods_of_the_client_that_causes_it() {
    for kind in BLOCKS {
        println!("{kind}");
        // The limit is four concurrent methods. One process may run three of them.
        let world = World::with_environment(&[(STAY, "1"), (THREADS_MAX, "4"), (DRAIN_MS, "100")]);
        let hazard: HazardClient = world.activate(HAZARD);
        let pid = hazard.pid().unwrap();
        let hostile = OtherClient::that_blocks(&world, kind);
        let bench = world.bench();
        for _ in 0..20 {
            bench.nothing().unwrap();
            let (when, (reader, writer)) = (Event::new().unwrap(), pipe());
            bench.job(&when, &LONG, &writer).unwrap();
            drop(writer);
            when.set().unwrap();
            assert_eq!(drain(reader), "Fired");
            world.bench().nothing().unwrap();
        }
        // This client uses the last thread for methods. The server must still end.
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        hazard.block_in_job(&entered, &until).unwrap();
        assert!(entered.wait_timeout(LONG).unwrap());
        terminate(pid);
        ended(pid);
        drop(hostile);
    }
}

#[test]
fn a_server_ends_when_it_is_told_to_while_its_log_blocks_all_event_loops() {
    let world = World::with_environment(&[(LOG, UNREAD), (STAY, "1"), (DRAIN_MS, "100")]);
    let pid = world.bench().pid().unwrap();
    let socket = world.socket();
    let mut clients = Vec::new();
    // A protocol violation causes a warning, which blocks the loop that logs it.
    eventually("no loop lets clients in", || {
        let client = Raw::connected(&socket);
        let is_greeted = client.0.wait_readable(Instant::now() + SOON).unwrap();
        let _ = client.send_as_it_is(&Header::new(FrameKind::Greeting), &[], &[]);
        clients.push(client);
        !is_greeted
    });
    terminate(pid);
    ended(pid);
}

#[test]
fn a_job_whose_event_is_set_while_as_many_methods_block_as_may_keeps_no_thread_busy() {
    let world = World::with_environment(&[(THREADS_MAX, "2")]);
    for _ in 0..4 {
        let clients: [_; 3] = std::array::from_fn(|_| world.bench());
        let (entered, until, when) =
            (Event::new().unwrap(), ManualEvent::new().unwrap(), Event::new().unwrap());
        let (reader, report) = pipe();
        let pid = clients[0].pid().unwrap();
        thread::scope(|scope| {
            let block = |client| {
                let (entered, until) = (&entered, &until);
                scope.spawn(move || BenchClient::block(client, entered, until, 0).unwrap());
                assert!(entered.wait_timeout(LONG).unwrap());
            };
            block(&clients[0]);
            clients[1].job(&when, &LONG, &report).unwrap();
            block(&clients[2]);
            when.set().unwrap();
            let before = cpu_time(pid);
            thread::sleep(Duration::from_millis(500));
            let used = cpu_time(pid) - before;
            assert!(used < Duration::from_millis(150), "{used:?} in half a second");
            until.set().unwrap();
        });
        drop(report);
        assert_eq!(drain(reader), "Fired");
    }
}

/// Returns the processor time that a process has used, from
/// [proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html). A tick is 10 ms.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>() * 10)
}
