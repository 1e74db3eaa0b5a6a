//! Clients take turns, however many connections each of them has.
//!
//! Runs the real reactor on the thread of the test, and counts the sources that are handled. The
//! clock advances only by what the test's method spends, so the load of the machine doesn't matter.

#![expect(
    unreachable_pub,
    dead_code,
    clippy::allow_attributes,
    reason = "an interface is made for a crate's users"
)]

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use syshandle_os::{Event, Filesystems, Peer, Seqpacket};
use syshandle_types::Guid;
use syshandle_wire::{Body, Fault, FrameKind, Header, Hello, Status};

use crate::class::Interface;
use crate::quota::QuotaLimits;
use crate::server::linux::connection::{ClientOrigin, ServerConnection};
use crate::server::linux::reactor::event_loop::LoopContext;
use crate::server::linux::reactor::{Reactor, Settings, Threads};
use crate::sync::{TestClock, now, run_once};
use crate::untyped_object::Object;
use crate::{Context, Result, interface};

/// An interface with a method that takes some time.
#[interface(iid = "0c7d5f5e-5d0a-4c1e-9d53-9e7a1f0b6a27")]
pub trait Costly {
    /// Takes this time on the clock of the test.
    fn spend(&self, microseconds: u64) -> Result<()>;
    /// Starts this number of background tasks, each of which waits for this time.
    fn start_tasks(&self, context: &Context, count: u32, seconds: u32) -> Result<()>;
    /// Starts a background task that captures the arguments.
    fn capture(&self, context: &Context, events: Vec<Event>, bytes: Vec<u8>) -> Result<()>;
}

struct CostlyObject;

impl Costly for CostlyObject {
    fn spend(&self, microseconds: u64) -> Result<()> {
        TestClock::advance_to(now() + Duration::from_micros(microseconds));
        Ok(())
    }

    fn start_tasks(&self, context: &Context, count: u32, seconds: u32) -> Result<()> {
        for _ in 0..count {
            context.on_timer(Duration::from_secs(seconds.into()), |_| {})?;
        }
        Ok(())
    }

    fn capture(&self, context: &Context, events: Vec<Event>, bytes: Vec<u8>) -> Result<()> {
        context.on_timer(DAY, move |_| drop((events, bytes)))?;
        Ok(())
    }
}

const SPEND: u32 = 0;
const START_TASKS: u32 = 1;
const CAPTURE: u32 = 2;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The client's end of a connection.
pub(super) struct RawClient(pub(super) Seqpacket);

impl RawClient {
    /// Connects as the process `pid`, and says hello.
    fn connect(reactor: &Arc<Reactor>, pid: u32) -> Self {
        let object = Object::new().with::<dyn Costly, _>(&Arc::new(CostlyObject));
        Self::connect_to(reactor, pid, &object, <dyn Costly>::DESCRIPTION.iid)
    }

    /// Connects to an object as the process `pid`, and says hello.
    pub(super) fn connect_to(reactor: &Arc<Reactor>, pid: u32, object: &Object, iid: Guid) -> Self {
        let (ours, theirs) = Seqpacket::pair().unwrap();
        let mut client = theirs.peer().unwrap();
        client.pid = pid;
        let client = ClientOrigin::OfSocket(client);
        ServerConnection::serve(reactor, theirs, client, (object, None)).unwrap().unwrap();
        let hello = Hello::new(Guid::NIL, iid);
        let this = Self(ours);
        this.send(&Header::new(FrameKind::Hello), &hello.write(), &[]);
        this
    }

    pub(super) fn send(&self, header: &Header, body: &[u8], handles: &[BorrowedFd<'_>]) {
        let header = Header { body: Body::Inline { len: body.len() as u32 }, ..header.clone() };
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        let table = IoSlice::new(header.entries.as_bytes());
        self.0.send(&[IoSlice::new(&head[..len]), table, IoSlice::new(body)], handles).unwrap();
    }

    pub(super) fn call(&self, call: u32, method: u32, body: &[u8]) {
        let header =
            Header { call, code: method, timeout_ms: 60_000, ..Header::new(FrameKind::Call) };
        self.send(&header, body, &[]);
    }

    /// Receives a frame. Returns `false` if there is none.
    pub(super) fn receive(&self) -> bool {
        let received = self.0.receive(&mut vec![0; Header::FRAME_MAX], &mut Vec::new());
        received.is_ok_and(|received| received.len > 0)
    }
}

pub(super) const ATTACKER: u32 = u32::MAX;
pub(super) const HONEST: u32 = u32::MAX - 1;

/// Runs `test` as the thread of a server's only loop.
fn with_reactor(test: impl Fn(LoopContext<'_>) + Send + Sync + 'static) {
    with_limits(QuotaLimits::UNLIMITED, test);
}

pub(super) fn with_limits(
    quota_limits: QuotaLimits,
    test: impl Fn(LoopContext<'_>) + Send + Sync + 'static,
) {
    syshandle_os::raise_descriptor_limit();
    run_once(move || {
        let settings = Settings {
            threads: Threads::Own,
            loops: 1,
            max_concurrent_calls: 1024,
            max_clients: usize::MAX,
            idle: None,
            drain: Duration::ZERO,
            filesystems: Arc::new(Filesystems::local()),
            quota_limits,
        };
        let reactor = Reactor::new(settings, None).unwrap();
        reactor.as_worker(&test);
        reactor.stop();
        drop(reactor);
        // The watchdog checks periodically whether the reactor is gone.
        TestClock::advance_to(now() + DAY);
    });
}

/// Handles ready sources, one at a time, until none is ready or `is_done`. Returns their number.
pub(super) fn run_turns(context: LoopContext<'_>, is_done: impl Fn() -> bool) -> usize {
    let event_loop = context.reactor.event_loop(Reactor::FIRST);
    let mut turns = 0;
    while !is_done() {
        let Some(ready) = event_loop.next() else {
            if event_loop.look().unwrap() == 0 {
                break;
            }
            continue;
        };
        if let Some(source) = event_loop.source(ready.key) {
            let _ = source.act(context, ready);
            turns += 1;
        }
    }
    turns
}

pub(super) fn run_all(context: LoopContext<'_>) {
    run_turns(context, || false);
}

#[test]
fn a_call_waits_for_few_turns_of_a_client_with_three_hundred_busy_connections() {
    with_reactor(|context| {
        let attackers: Vec<_> =
            (0..300).map(|_| RawClient::connect(context.reactor, ATTACKER)).collect();
        let honest = RawClient::connect(context.reactor, HONEST);
        run_all(context);
        while honest.receive() {}
        for call in 0..8 {
            for attacker in &attackers {
                attacker.call(call, SPEND, &200_u64.to_le_bytes());
            }
        }
        for call in 0..50 {
            honest.call(call, SPEND, &1_u64.to_le_bytes());
            let turns = run_turns(context, || honest.0.has_message());
            assert!(honest.receive());
            assert!(turns <= 5, "the call waited for {turns} turns");
        }
        // All calls of the other client are answered too.
        run_all(context);
        for attacker in &attackers {
            let received = std::iter::repeat_with(|| attacker.receive());
            assert_eq!(received.take_while(|is_frame| *is_frame).count(), 1 + 8);
        }
    });
}

#[test]
fn the_background_tasks_of_a_dead_client_end_in_turns_with_the_calls_of_others() {
    with_reactor(|context| {
        let (attacker, honest) = with_tasks(context, 3600);
        drop(attacker);
        assert_tasks_end_in_turns(context, &honest);
    });
}

#[test]
fn background_tasks_whose_timers_are_due_together_end_in_turns_with_the_calls_of_others() {
    with_reactor(|context| {
        let (_attacker, honest) = with_tasks(context, 0);
        assert_tasks_end_in_turns(context, &honest);
    });
}

const TASKS: usize = 1000;

/// Returns two clients. The first one has just called a method that starts [`TASKS`] tasks, each of
/// which waits for this time.
fn with_tasks(context: LoopContext<'_>, seconds: u32) -> (RawClient, RawClient) {
    let [attacker, honest] = [ATTACKER, HONEST].map(|pid| RawClient::connect(context.reactor, pid));
    run_all(context);
    while attacker.receive() || honest.receive() {}
    attacker.call(0, START_TASKS, &[(TASKS as u32).to_le_bytes(), seconds.to_le_bytes()].concat());
    run_turns(context, || attacker.0.has_message());
    assert_eq!(waiting_tasks(context), TASKS);
    (attacker, honest)
}

/// Lets all tasks end. In the meantime, calls of a client wait for few turns.
fn assert_tasks_end_in_turns(context: LoopContext<'_>, honest: &RawClient) {
    let (mut left, mut timers) = (waiting_tasks(context), context.reactor.timers().len());
    for call in 0..20 {
        honest.call(call, SPEND, &1_u64.to_le_bytes());
        let turns = run_turns(context, || honest.0.has_message());
        assert!(honest.receive());
        assert!(turns <= 6, "the call waited for {turns} turns");
        let timers_left = context.reactor.timers().len();
        let taken = timers - timers_left;
        assert!(taken <= 100, "the call waited for {taken} timers");
        timers = timers_left;
        let ended = left - waiting_tasks(context);
        assert!(ended <= 6, "the call waited for the end of {ended} tasks");
        left -= ended;
    }
    run_all(context);
    assert_eq!(waiting_tasks(context), 0);
}

#[test]
fn captured_arguments_count_in_the_quota_until_the_task_has_ended() {
    with_reactor(|context| {
        let client = RawClient::connect(context.reactor, HONEST);
        run_all(context);
        let quota = context.reactor.quotas().all().remove(0).1;
        let before = quota.used();
        // Three events, and 1,000 bytes.
        let body = [&[3, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0xe8, 3, 0, 0][..], &[7; 1000]].concat();
        let events = [(); 3].map(|()| Event::new().unwrap());
        let header = Header {
            call: 1,
            code: CAPTURE,
            timeout_ms: 60_000,
            handles: 3,
            ..Header::new(FrameKind::Call)
        };
        client.send(&header, &body, &events.each_ref().map(AsFd::as_fd));
        run_all(context);
        let used = quota.used();
        assert_eq!((used.tasks, used.descriptors), (1, before.descriptors + 3));
        assert!(used.bytes >= before.bytes + 1000, "{} bytes", used.bytes);
        drop(client);
        run_all(context);
        let after = quota.used();
        assert_eq!((after.tasks, after.descriptors, after.bytes), (0, 0, 0));
    });
}

#[test]
fn a_client_has_as_many_tasks_as_its_quota_allows_on_all_connections_together() {
    // Another process of the server's user has ten of the sixteen tasks.
    with_limits(QuotaLimits { tasks: 16, ..QuotaLimits::UNLIMITED }, |context| {
        let clients = [(); 2].map(|()| RawClient::connect(context.reactor, ATTACKER));
        for (client, count) in clients.iter().zip([8_u32, 3]) {
            client.call(0, START_TASKS, &[count.to_le_bytes(), 3600_u32.to_le_bytes()].concat());
        }
        run_all(context);
        assert_eq!(waiting_tasks(context), 10);
        assert!(clients[1].receive());
        let mut bytes = vec![0; Header::FRAME_MAX];
        let received = clients[1].0.receive(&mut bytes, &mut Vec::new()).unwrap();
        let (header, body) = Header::read(&bytes[..received.len]).unwrap();
        assert_eq!(header.code, Status::Fault as u32);
        let error = crate::Error::from_fault(&Fault::read(body).unwrap());
        assert_eq!(error.kind(), crate::ErrorKind::Busy);
        assert!(error.to_string().contains("background tasks of one client"), "{error}");
    });
}

/// Returns the number of background tasks of all clients.
fn waiting_tasks(context: LoopContext<'_>) -> usize {
    context.reactor.quotas().all().iter().map(|(_, quota)| quota.used().tasks).sum()
}
