//! Runs the real reactor, with real sockets and events, under a scheduler that tries many
//! interleavings of its threads. Also tests the counters of activity and quotas in this way.

#![expect(
    unreachable_pub,
    dead_code,
    clippy::allow_attributes,
    reason = "an interface is made for a crate's users"
)]

use std::io::PipeReader;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use shuttle::rand::Rng;
use syshandle_os::{Event, Filesystems, Peer, Seqpacket};
use syshandle_types::Guid;
use syshandle_wire::Hello;

use crate::class::{Interface, Proxy};
use crate::client::linux::handshake::ClientHandshake;
use crate::pipeline::{PendingCall, pipelined};
use crate::quota::{QuotaLimits, Quotas, Resource};
use crate::server::Outcome;
use crate::server::linux::connection::{ClientOrigin, ServerConnection};
use crate::server::linux::reactor::activity::{Activity, ActivityKind, ActivityLevel};
use crate::server::linux::reactor::event_loop::EventLoop;
use crate::server::linux::reactor::{Reactor, Settings, Threads};
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::{Mutex, TestClock, explore, now, run_once, thread};
use crate::untyped_object::Object;
use crate::wait_mode::{WaitMode, run_on_thread};
use crate::{Client, Context, Result, interface};

/// Longer than any interleaving lasts on the test's clock.
const LONG: Duration = Duration::from_secs(3600);

/// A test interface with quick methods, methods that block, and background tasks.
#[interface(iid = "5b0b7a0e-3f0c-4e0b-8f56-6c1d8a3f9e11")]
pub trait Workload {
    /// Returns its argument.
    fn echo(&self, number: u64) -> Result<u64>;
    /// Runs long.
    fn run_long(&self) -> Result<()>;
    /// Returns after a call of `echo`.
    fn wait_for_echo(&self) -> Result<()>;
    /// Returns when the `open` flag is set.
    fn wait_until_open(&self) -> Result<()>;
    /// Starts a background task that waits for the event.
    fn start_event_task(&self, context: &Context, event: Event, timeout_ms: u64) -> Result<()>;
    /// Starts a background task that waits until the pipe is readable or its other end is closed.
    fn start_pipe_task(&self, context: &Context, pipe: PipeReader, timeout_ms: u64) -> Result<()>;
    /// Notes the number. Takes long for every third one.
    #[oneway]
    fn note(&self, number: u64);
}

/// Implements [`Workload`] and counts the outcomes of its background tasks.
#[derive(Clone, Debug, Default)]
struct WorkloadObject {
    echoed: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
    ended: Arc<Outcomes>,
    notes: Arc<Mutex<Vec<u64>>>,
}

#[derive(Debug, Default)]
struct Outcomes {
    fired: AtomicUsize,
    expired: AtomicUsize,
    died: AtomicUsize,
}

impl Outcomes {
    fn count(&self) -> [usize; 3] {
        [&self.fired, &self.expired, &self.died].map(|count| count.load(Ordering::SeqCst))
    }
}

impl Workload for WorkloadObject {
    fn echo(&self, number: u64) -> Result<u64> {
        self.echoed.store(true, Ordering::SeqCst);
        Ok(number)
    }

    fn run_long(&self) -> Result<()> {
        (0..20).for_each(|_| thread::sleep(Duration::from_millis(2)));
        Ok(())
    }

    fn wait_for_echo(&self) -> Result<()> {
        while !self.echoed.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn wait_until_open(&self) -> Result<()> {
        while !self.open.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn start_event_task(&self, context: &Context, event: Event, timeout_ms: u64) -> Result<()> {
        context.on_signal(event, Duration::from_millis(timeout_ms), self.counting())?;
        Ok(())
    }

    fn start_pipe_task(&self, context: &Context, pipe: PipeReader, timeout_ms: u64) -> Result<()> {
        context.on_signal(pipe, Duration::from_millis(timeout_ms), self.counting())?;
        Ok(())
    }

    fn note(&self, number: u64) {
        if number % 3 == 0 {
            (0..10).for_each(|_| thread::sleep(Duration::from_millis(2)));
        }
        self.notes.lock().unwrap().push(number);
    }
}

impl WorkloadObject {
    fn counting(&self) -> impl FnOnce(Outcome) + Send + 'static {
        let ended = self.ended.clone();
        move |outcome| {
            let count = match outcome {
                Outcome::Fired => &ended.fired,
                Outcome::Expired => &ended.expired,
                _ => &ended.died,
            };
            count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until `count` background tasks have ended with each outcome.
    fn await_count(&self, count: [usize; 3]) {
        while self.ended.count() != count {
            thread::yield_now();
        }
    }
}

/// Starts a server with one connection; returns its client.
fn serve(object: &WorkloadObject) -> (WorkloadClient, Weak<Reactor>) {
    serve_where(object, |_, _| {})
}

/// Starts a server with one connection, after `before` was called with its reactor and the
/// connection.
fn serve_where(
    object: &WorkloadObject,
    before: impl FnOnce(&Arc<Reactor>, Arc<ServerConnection>),
) -> (WorkloadClient, Weak<Reactor>) {
    let settings = Settings {
        threads: Threads::Own,
        loops: 2,
        max_concurrent_calls: 1024,
        max_clients: usize::MAX,
        idle: Some(Duration::ZERO),
        drain: Duration::ZERO,
        filesystems: Arc::new(Filesystems::local()),
        quota_limits: QuotaLimits::UNLIMITED,
    };
    let reactor = Reactor::new(settings, None).unwrap();
    let object = Object::new().with::<dyn Workload, _>(&Arc::new(object.clone()));
    let (ours, theirs) = Seqpacket::pair().unwrap();
    ours.name_senders().unwrap();
    let origin = ClientOrigin::OfSocket(theirs.peer().unwrap());
    let connection =
        ServerConnection::serve(&reactor, theirs, origin, (&object, None)).unwrap().unwrap();
    let hello = Hello::new(Guid::NIL, <dyn Workload>::DESCRIPTION.iid);
    let handshake = ClientHandshake::new(ours, hello);
    before(&reactor, connection);
    reactor.start().unwrap();
    let opened = run_on_thread(handshake.open(WaitMode::Thread, now() + LONG));
    let connection = opened.unwrap();
    let client = Client::connected(connection, <dyn Workload>::DESCRIPTION).with_timeout(LONG);
    (WorkloadClient::from_client(client), Arc::downgrade(&reactor))
}

/// Waits until all threads of a reactor have ended and released it.
fn ended(reactor: &Weak<Reactor>) {
    while reactor.strong_count() > 0 {
        thread::yield_now();
    }
    // The watchdog checks periodically whether the reactor is gone.
    TestClock::advance_to(now() + LONG);
}

#[test]
fn calls_are_answered_and_the_last_client_ends_the_server_in_any_order() {
    explore(|| {
        let (client, reactor) = serve(&WorkloadObject::default());
        let other = client.clone();
        let calls = |client: WorkloadClient, from: u64| {
            (from..from + 2).for_each(|number| assert_eq!(client.echo(number).unwrap(), number));
        };
        let second = shuttle::thread::spawn(move || calls(other, 10));
        calls(client, 20);
        second.join().unwrap();
        ended(&reactor);
    });
}

#[test]
fn one_way_calls_run_in_order_and_before_later_calls_in_any_order() {
    explore(|| {
        let object = WorkloadObject::default();
        let (client, reactor) = serve(&object);
        (0..5).for_each(|number| client.note(number).unwrap());
        assert_eq!(client.echo(1).unwrap(), 1);
        assert_eq!(*object.notes.lock().unwrap(), [0, 1, 2, 3, 4]);
        let other = client.clone();
        let second = shuttle::thread::spawn(move || other.note(10).unwrap());
        (5..8).for_each(|number| client.note(number).unwrap());
        client.flush_one_way().unwrap();
        second.join().unwrap();
        client.flush_one_way().unwrap();
        let notes = object.notes.lock().unwrap().clone();
        assert_eq!(notes.len(), 9);
        assert!(notes.into_iter().filter(|number| *number != 10).eq(0..8));
        drop(client);
        ended(&reactor);
    });
}

#[test]
fn one_way_calls_that_were_sent_run_before_an_idle_server_ends_in_any_order() {
    explore(|| {
        let object = WorkloadObject::default();
        let (client, reactor) = serve(&object);
        (0..4).for_each(|number| client.note(number).unwrap());
        drop(client);
        ended(&reactor);
        assert_eq!(*object.notes.lock().unwrap(), [0, 1, 2, 3]);
    });
}

#[test]
fn a_method_that_takes_long_holds_up_no_other_call_in_any_order() {
    explore(|| {
        let (client, reactor) = serve(&WorkloadObject::default());
        let (done, other) = (Arc::new(AtomicBool::new(false)), client.clone());
        let is_done = done.clone();
        let long_call = shuttle::thread::spawn(move || {
            other.run_long().unwrap();
            is_done.store(true, Ordering::SeqCst);
        });
        assert_eq!(client.echo(1).unwrap(), 1);
        assert_eq!(client.echo(2).unwrap(), 2);
        long_call.join().unwrap();
        assert!(done.load(Ordering::SeqCst));
        drop(client);
        ended(&reactor);
    });
}

#[test]
fn methods_that_have_all_threads_hold_up_no_other_call_in_any_order() {
    explore(|| {
        let (client, reactor) = serve(&WorkloadObject::default());
        // More methods than event loops.
        let listening: Vec<_> = (0..3)
            .map(|_| {
                let client = client.clone();
                shuttle::thread::spawn(move || client.wait_for_echo().unwrap())
            })
            .collect();
        assert_eq!(client.echo(1).unwrap(), 1);
        listening.into_iter().for_each(|thread| thread.join().unwrap());
        drop(client);
        ended(&reactor);
    });
}

/// Moves a client of a reactor to its second loop, before any thread runs a loop.
fn move_to_the_other_loop(reactor: &Arc<Reactor>, connection: Arc<ServerConnection>) {
    let other = reactor.event_loop(1);
    // The object is created first. Until then, a connection does not move.
    reactor.as_worker(|context| {
        let _ = connection.clone().begin(context);
    });
    connection.move_to(other, reactor);
    assert_eq!((reactor.event_loop(0).load(), other.load()), (0, 1));
    reactor.hand_over(1).unwrap();
    assert_eq!(EventLoop::index_of(connection.key()), 1);
}

/// Starts `count` calls that are sent together.
fn echo_together(client: &WorkloadClient, count: u64) -> Vec<PendingCall<Result<u64>>> {
    pipelined(&WorkloadAsyncClient::from(client), |starter| {
        (0..count).map(|number| starter.echo(number)).collect()
    })
}

#[test]
fn calls_that_come_together_are_each_answered_in_any_order() {
    explore(|| {
        let (client, reactor) = serve(&WorkloadObject::default());
        for _ in 0..2 {
            for (number, call) in (0..).zip(echo_together(&client, 5)) {
                assert_eq!(call.wait().unwrap(), number);
            }
        }
        drop(client);
        ended(&reactor);
    });
}

#[test]
fn a_quick_method_that_takes_long_for_once_holds_up_nothing_that_came_with_it_in_any_order() {
    explore(|| {
        let object = WorkloadObject::default();
        let (client, reactor) = serve(&object);
        object.open.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            client.wait_until_open().unwrap();
            client.echo(0).unwrap();
        }
        object.open.store(false, Ordering::SeqCst);
        // Includes the case that no call follows.
        let count_after = shuttle::rand::thread_rng().gen_range(0..3);
        let (before, entering, after) = pipelined(&WorkloadAsyncClient::from(&client), |starter| {
            let (before, entering) = (starter.echo(1), starter.wait_until_open());
            let after: Vec<_> = (0..count_after).map(|_| starter.echo(2)).collect();
            (before, entering, after)
        });
        assert_eq!(before.wait().unwrap(), 1);
        after.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 2));
        // The method is still blocked here.
        object.open.store(true, Ordering::SeqCst);
        entering.wait().unwrap();
        drop(client);
        ended(&reactor);
    });
}

#[test]
fn a_client_that_leaves_during_a_batch_leaves_no_state_in_any_interleaving() {
    explore(|| {
        let object = WorkloadObject::default();
        let (client, reactor) = serve(&object);
        client.echo(0).unwrap();
        client.echo(0).unwrap();
        let entering = pipelined(&WorkloadAsyncClient::from(&client), |starter| {
            let first = starter.echo(1);
            let entering = starter.wait_until_open();
            drop((first, starter.echo(2)));
            entering
        });
        drop(entering);
        drop(client);
        object.open.store(true, Ordering::SeqCst);
        ended(&reactor);
    });
}

#[test]
fn a_client_moved_to_another_loop_is_served_there_in_any_interleaving() {
    explore(|| {
        let (client, reactor) = serve_where(&WorkloadObject::default(), move_to_the_other_loop);
        (0..3).for_each(|number| assert_eq!(client.echo(number).unwrap(), number));
        drop(client);
        ended(&reactor);
    });
}

#[test]
fn a_visit_between_two_looks_is_seen() {
    run_once(|| {
        let activity = Arc::<Activity>::default();
        activity.look();
        drop(activity.keep_alive(ActivityKind::Presence));
        assert!(activity.is_idle());
        assert!(activity.look() != ActivityLevel::Idle);
        assert!(activity.look() == ActivityLevel::Idle);
    });
}

#[test]
fn tasks_that_end_together_each_have_one_outcome_in_any_interleaving() {
    explore(|| {
        let object = WorkloadObject::default();
        let (client, reactor) = serve(&object);
        for _ in 0..3 {
            client.start_event_task(&Event::new().unwrap(), 0).unwrap();
        }
        drop(client);
        ended(&reactor);
        assert_eq!(object.ended.count(), [0, 3, 0]);
    });
}

#[test]
fn a_signalled_task_has_one_outcome_in_any_interleaving() {
    explore(|| assert_eq!(run_signalled_task(3_600_000), [1, 0, 0]));
}

#[test]
fn a_task_signalled_at_its_timeout_has_one_outcome_in_any_interleaving() {
    explore(|| {
        let [fired, expired, died] = run_signalled_task(0);
        assert_eq!((fired + expired, died), (1, 0));
    });
}

/// Starts a task for a client that then disconnects in order. Sets the event of the task before,
/// while or after the task starts to wait. Returns the outcomes when the server has ended.
fn run_signalled_task(timeout_ms: u64) -> [usize; 3] {
    let object = WorkloadObject::default();
    let (client, reactor) = serve(&object);
    let event = Event::new().unwrap();
    let set = event.try_clone().unwrap();
    let setting = shuttle::thread::spawn(move || set.set().unwrap());
    client.start_event_task(&event, timeout_ms).unwrap();
    setting.join().unwrap();
    // The task of a client that disconnects in order still runs.
    drop(client);
    ended(&reactor);
    object.ended.count()
}

#[test]
fn each_task_of_a_client_with_a_dedicated_thread_fires_in_any_interleaving() {
    explore(|| {
        let object = WorkloadObject::default();
        let (client, reactor) = serve(&object);
        // Enough calls to get a dedicated thread.
        (0..3).for_each(|number| assert_eq!(client.echo(number).unwrap(), number));
        for fired in 1..=2 {
            let event = Event::new().unwrap();
            client.start_event_task(&event, 3_600_000).unwrap();
            event.set().unwrap();
            object.await_count([fired, 0, 0]);
        }
        // The dedicated thread leaves a task to another thread after a newer task, after a call,
        // and during a method that runs long.
        let (older, newer) = (Event::new().unwrap(), Event::new().unwrap());
        client.start_event_task(&older, 3_600_000).unwrap();
        client.start_event_task(&newer, 3_600_000).unwrap();
        older.set().unwrap();
        assert_eq!(client.echo(7).unwrap(), 7);
        client.run_long().unwrap();
        newer.set().unwrap();
        object.await_count([4, 0, 0]);
        drop(client);
        ended(&reactor);
    });
}

#[test]
fn the_handle_of_a_timed_out_task_is_closed_in_any_interleaving() {
    explore(|| {
        let object = WorkloadObject::default();
        // The connection is in another loop than the thread that ends background tasks.
        let (client, reactor) = serve_where(&object, move_to_the_other_loop);
        let (pipe, writer) = std::io::pipe().unwrap();
        client.start_pipe_task(&pipe, 0).unwrap();
        drop(pipe);
        // The pipe stays empty, and no call arrives.
        object.await_count([0, 1, 0]);
        let is_closed = || {
            let mut polls = [PollFd::new(&writer, PollFlags::empty())];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut polls, Some(&now)).unwrap() == 1
        };
        while !is_closed() {
            thread::yield_now();
        }
        drop(client);
        ended(&reactor);
    });
}

#[test]
fn work_that_goes_over_into_presence_is_never_idle_in_any_order() {
    explore(|| {
        let activity = Arc::<Activity>::default();
        let mut hold = activity.keep_alive(ActivityKind::Work);
        let over = Arc::new(AtomicBool::new(false));
        let (there, is_over) = (activity.clone(), over.clone());
        let moving = shuttle::thread::spawn(move || {
            for what in [ActivityKind::Presence, ActivityKind::Work, ActivityKind::Presence] {
                let next = there.keep_alive(what);
                drop(std::mem::replace(&mut hold, next));
            }
            is_over.store(true, Ordering::SeqCst);
            drop(hold);
        });
        while !over.load(Ordering::SeqCst) {
            let idle = activity.is_idle() || activity.look() == ActivityLevel::Idle;
            assert!(!idle || over.load(Ordering::SeqCst), "it was idle while something was held");
            thread::yield_now();
        }
        moving.join().unwrap();
        assert!(activity.is_idle());
    });
}

#[test]
fn clients_get_exactly_their_quota_in_any_interleaving() {
    explore(|| {
        let totals = QuotaLimits { descriptors: 4, ..QuotaLimits::UNLIMITED };
        let quotas = Arc::new(Quotas::new(totals));
        let own = Seqpacket::pair().unwrap().0.peer().unwrap();
        let mut other = own;
        other.pid = u32::MAX;
        // Another process may have three of the four descriptors, so the two threads that take one
        // always find one free.
        let taken = Arc::new(AtomicUsize::new(0));
        let takers: Vec<_> = (0..3)
            .map(|number| {
                let (quota, taken) = (quotas.of(other), taken.clone());
                shuttle::thread::spawn(move || {
                    // A request that never fits does not disturb the others.
                    match number {
                        0 => drop(quota.take(Resource::BackgroundTask(0), 4).unwrap_err()),
                        _ => {
                            let one = quota.take(Resource::BackgroundTask(0), 1).unwrap();
                            assert!(taken.fetch_add(1, Ordering::SeqCst) < 3);
                            taken.fetch_sub(1, Ordering::SeqCst);
                            drop(one);
                        }
                    }
                })
            })
            .collect();
        takers.into_iter().for_each(|taker| taker.join().unwrap());
    });
}
