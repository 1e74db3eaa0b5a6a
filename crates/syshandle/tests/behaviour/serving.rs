//! Servers that run beside other work of their process: their end, and their statistics.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use syshandle::direct::connect;
use syshandle::handle::{Event, ManualEvent};
use syshandle::object::Interface;
use syshandle::serving::{QuotaOwner, RefusalStats, RunningServer, ServerRef};
use syshandle::wait::TimerOutcome;
use syshandle::{Context, ErrorKind, Guid, Result, Server, class, interface};
use syshandle_wire::{Fault, FrameKind, Header, Status};

use crate::support::bench::spare_descriptors;
use crate::support::process::alone;
use crate::support::raw::Raw;
use crate::support::{LONG, eventually};

class! { DESK: Desk = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d51"; }

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b51")]
trait Desk {
    fn add(&self, one: u32, other: u32) -> Result<u32>;
    /// Returns the number of calls that are running, including this one, and the number of clients
    /// of the server.
    fn count(&self, context: &Context) -> Result<(u64, u64)>;
    fn shut_down(&self, context: &Context) -> Result<()>;
    /// Sets `entered` and waits for `until`.
    #[blocking]
    fn block(&self, entered: Event, until: ManualEvent) -> Result<()>;
    /// Starts a background task that sets `stopped` when the server ends.
    fn remind(&self, context: &Context, stopped: Event) -> Result<()>;
    fn read(
        &self,
        #[handle(file, read, at_most = read)] file: File,
        #[range(0..=9)] number: u8,
    ) -> Result<()>;
}

/// A later version of [`Desk`] with one more method.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b51")]
trait LaterDesk {
    fn add(&self, one: u32, other: u32) -> Result<u32>;
    fn count(&self, context: &Context) -> Result<(u64, u64)>;
    fn shut_down(&self, context: &Context) -> Result<()>;
    fn block(&self, entered: Event, until: ManualEvent) -> Result<()>;
    fn remind(&self, context: &Context, stopped: Event) -> Result<()>;
    fn read(&self, #[handle(file, read)] file: File, number: u8) -> Result<()>;
    fn none(&self, #[handle(file, read)] file: File) -> Result<()>;
}

struct Clerk;

impl Desk for Clerk {
    fn add(&self, one: u32, other: u32) -> Result<u32> {
        Ok(one + other)
    }

    fn count(&self, context: &Context) -> Result<(u64, u64)> {
        let stats = context.server().stats();
        Ok((stats.calls.running as u64, stats.clients as u64))
    }

    fn shut_down(&self, context: &Context) -> Result<()> {
        context.server().shutdown();
        Ok(())
    }

    fn block(&self, entered: Event, until: ManualEvent) -> Result<()> {
        entered.set()?;
        until.wait()?;
        Ok(())
    }

    fn remind(&self, context: &Context, stopped: Event) -> Result<()> {
        context.on_timer(Duration::from_secs(3600), move |outcome| {
            assert_eq!(outcome, TimerOutcome::Stopping);
            stopped.set().unwrap();
        })?;
        Ok(())
    }

    fn read(&self, _: File, _: u8) -> Result<()> {
        Ok(())
    }
}

/// A server that a test starts at a separate path.
struct Subject {
    server: Option<RunningServer>,
    folder: tempfile::TempDir,
}

impl Subject {
    fn new(set: impl FnOnce(Server) -> Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = set(Server::new().class(DESK, || Clerk).path(folder.path().join("socket")));
        let server = server.drain_timeout(Duration::from_millis(100)).start().unwrap();
        Self { server: Some(server), folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn desk(&self) -> Result<DeskClient> {
        connect(self.path())
    }

    fn server(&self) -> ServerRef {
        self.server.as_ref().unwrap().server()
    }

    fn join(&mut self) -> Result<()> {
        self.server.take().unwrap().join()
    }
}

fn event() -> Event {
    Event::new().unwrap()
}

#[test]
fn several_servers_run_in_one_process() {
    let (mut one, mut other) = (Subject::new(|server| server), Subject::new(|server| server));
    let desks = [one.desk().unwrap(), other.desk().unwrap()];
    for desk in &desks {
        assert_eq!(desk.add(1, 2).unwrap(), 3);
    }
    one.server().shutdown();
    one.join().unwrap();
    assert_eq!(desks[0].add(1, 2).unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(one.desk().unwrap_err().kind(), ErrorKind::Disconnected);
    // The end of one server does not affect the other.
    assert_eq!(desks[1].add(1, 2).unwrap(), 3);
    other.server().shutdown();
    other.join().unwrap();
}

#[test]
fn a_server_that_is_started_handles_no_signal() {
    alone(|| {
        let mut subject = Subject::new(|server| server);
        assert_eq!(subject.desk().unwrap().add(1, 2).unwrap(), 3);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        assert_eq!(caught >> (15 - 1) & 1, 0, "SIGTERM is left to the program");
        subject.server().shutdown();
        subject.join().unwrap();
    });
}

#[test]
fn a_server_that_is_dropped_ends() {
    let mut subject = Subject::new(Server::never_exit);
    let desk = subject.desk().unwrap();
    drop(subject.server.take());
    eventually("the server has ended", || {
        desk.add(1, 2).is_err_and(|error| error.kind() == ErrorKind::Disconnected)
    });
}

#[test]
fn a_method_can_end_its_server_and_still_replies() {
    let mut subject = Subject::new(Server::never_exit);
    subject.desk().unwrap().shut_down().unwrap();
    subject.join().unwrap();
}

#[test]
fn a_server_without_clients_can_be_joined() {
    let mut subject = Subject::new(|server| server.idle_timeout(Duration::from_millis(10)));
    subject.join().unwrap();
}

#[test]
fn a_task_learns_that_its_server_ends() {
    let mut subject = Subject::new(|server| server);
    let (desk, stopped) = (subject.desk().unwrap(), event());
    desk.remind(&stopped).unwrap();
    assert_eq!(subject.server().stats().background_tasks, 1);
    subject.server().shutdown();
    subject.join().unwrap();
    assert!(stopped.wait_timeout(LONG).unwrap());
}

#[test]
fn a_method_that_blocks_for_ever_does_not_block_join() {
    let mut subject = Subject::new(|server| server);
    let (desk, entered, until) = (subject.desk().unwrap(), event(), ManualEvent::new().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| desk.block(&entered, &until));
        assert!(entered.wait_timeout(LONG).unwrap());
        let begin = Instant::now();
        subject.server().shutdown();
        assert!(begin.elapsed() < Duration::from_secs(1), "`shutdown` does not wait");
        subject.join().unwrap();
        // The limit is generous, because other tests run at the same time.
        assert!(begin.elapsed() < Duration::from_secs(10), "after {:?}", begin.elapsed());
        until.set().unwrap();
    });
}

#[test]
fn a_server_counts_its_work() {
    let subject = Subject::new(|server| server.max_concurrent_calls(2));
    let server = subject.server();
    let at_start = server.stats();
    assert_eq!((at_start.calls.done, at_start.clients, at_start.quotas.len()), (0, 0, 0));
    let desk = subject.desk().unwrap();
    for _ in 0..10 {
        desk.add(1, 2).unwrap();
    }
    assert_eq!(desk.count().unwrap(), (1, 1));
    eventually("all calls are counted", || server.stats().calls.done == 11);

    let errors = Mutex::new(Vec::new());
    let until = ManualEvent::new().unwrap();
    let most = 2 + 2 * 4;
    thread::scope(|scope| {
        for _ in 0..most + 2 {
            scope.spawn(|| {
                if let Err(error) = desk.block(&event(), &until) {
                    errors.lock().unwrap().push(error.kind());
                }
            });
        }
        eventually("the rest is refused", || server.stats().refusals.busy == 2);
        eventually("the limits are used up", || {
            let stats = server.stats();
            (stats.calls.running, stats.calls.waiting) == (2, most - 2)
        });
        let stats = server.stats();
        let quota = stats.quotas[0];
        assert_eq!(quota.owner, QuotaOwner::Process(std::process::id()));
        assert_eq!((quota.running_calls.used, quota.running_calls.limit), (2, Some(2)));
        assert_eq!(quota.clients.used, 1);
        assert!(quota.descriptors.used > 2 * most, "{stats:?}");
        assert_eq!(stats.descriptors, quota.descriptors.used);
        assert!(stats.event_loops >= 1 && stats.threads >= 3, "{stats:?}");
        until.set().unwrap();
    });
    assert_eq!(*errors.lock().unwrap(), [ErrorKind::Busy; 2]);
    eventually("nothing is left", || {
        let stats = server.stats();
        stats.calls.running == 0 && stats.calls.waiting == 0 && stats.background_tasks == 0
    });
    drop(desk);
    eventually("the client has gone", || server.stats().clients == 0);
    eventually("its quota has gone", || server.stats().quotas.is_empty());
}

#[test]
fn a_refused_call_or_client_is_counted_by_its_reason() {
    let subject = Subject::new(|server| server.max_concurrent_calls(2));
    let refusals = || {
        let RefusalStats { not_allowed, busy, stopping, not_found, invalid, .. } =
            subject.server().stats().refusals;
        assert_eq!((not_allowed, busy, stopping), (0, 0, 0));
        (not_found, invalid)
    };
    let desk = subject.desk().unwrap();
    desk.read(&tempfile::tempfile().unwrap(), 9).unwrap_err();
    assert_eq!(refusals(), (0, 1), "the handle has a right too many");
    let null = File::open("/dev/null").unwrap();
    desk.read(&null, 10).unwrap_err();
    assert_eq!(refusals(), (0, 2), "the number is past its range");
    desk.read(&null, 9).unwrap();
    assert_eq!(refusals(), (0, 2), "the call is not refused");

    let later: LaterDeskClient = connect(subject.path()).unwrap();
    let error = later.none(&null).unwrap_err();
    assert_eq!((error.kind(), refusals()), (ErrorKind::NoSuchMethod, (1, 2)));
    let iid = <dyn Desk as Interface>::DESCRIPTION.iid;
    let one = Guid::from_bytes([1; 16]);
    for (clsid, iid, count) in [(one, iid, 2), (DESK.clsid(), one, 3)] {
        let stranger = Raw::open(&subject.path(), clsid, iid);
        assert_eq!(stranger.receive().unwrap().header.kind, FrameKind::Refused);
        assert_eq!(refusals(), (count, 2));
    }
}

#[test]
fn a_call_that_nobody_waits_for_when_its_turn_comes_is_counted_as_expired() {
    let subject = Subject::new(|server| server.max_concurrent_calls(2));
    let (server, desk, entered) = (subject.server(), subject.desk().unwrap(), event());
    let (until, timeout) = (ManualEvent::new().unwrap(), Duration::from_millis(500));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| desk.block(&entered, &until).unwrap());
            assert!(entered.wait_timeout(LONG).unwrap());
        }
        let late = scope.spawn(|| desk.with_timeout(timeout).add(1, 2).unwrap_err().kind());
        eventually("the call waits for its turn", || server.stats().calls.waiting == 1);
        // The server has already received the call. After this sleep, the deadline of the call has
        // passed.
        thread::sleep(timeout);
        assert_eq!(late.join().unwrap(), ErrorKind::TimedOut);
        assert_eq!(server.stats().refusals.expired, 0);
        until.set().unwrap();
        eventually("the call is refused", || server.stats().refusals.expired == 1);
    });
    assert_eq!(server.stats().calls.done, 2);
}

#[test]
fn a_call_whose_handles_were_lost_is_counted() {
    alone(|| {
        let subject = Subject::new(|server| server);
        let (desk, null) = (subject.desk().unwrap(), File::open("/dev/null").unwrap());
        desk.read(&null, 9).unwrap();
        assert_eq!(subject.server().stats().refusals.handles_lost, 0);
        spare_descriptors(Some(0));
        let error = desk.read(&null, 9).unwrap_err();
        spare_descriptors(None);
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::HandlesLost, false));
        assert_eq!(subject.server().stats().refusals.handles_lost, 1);
    });
}

class! { WATCH: Watch = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d52"; }

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b52")]
trait Watch {
    /// Starts a background task that sets `gone` when the client has died.
    fn watch(&self, context: &Context, gone: Event) -> Result<()>;
    /// Sets `entered`, and ends when the call is cancelled.
    #[blocking]
    fn until_cancelled(&self, context: &Context, entered: Event) -> Result<()>;
    fn nothing(&self) -> Result<()>;
}

impl Watch for Clerk {
    fn watch(&self, context: &Context, gone: Event) -> Result<()> {
        context.on_timer(Duration::MAX, move |outcome| {
            if outcome == TimerOutcome::ClientDied {
                gone.set().unwrap();
            }
        })?;
        Ok(())
    }

    fn until_cancelled(&self, context: &Context, entered: Event) -> Result<()> {
        entered.set()?;
        while !context.is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn nothing(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn the_reply_to_a_cancelled_call_tells_whether_its_method_ran() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::new().class(WATCH, || Clerk).path(&path).max_concurrent_calls(1);
    let server = server.start().unwrap();
    let raw = Raw::open(&path, WATCH.clsid(), <dyn Watch as Interface>::DESCRIPTION.iid);
    let entered = event();
    raw.call(1, 1, &[0, 0], &[entered.as_fd()]);
    assert!(entered.wait_timeout(LONG).unwrap());
    // The second call waits, because only one method may run.
    raw.call(2, 2, &[], &[]);
    for call in [2, 1] {
        raw.send(&Header { call, ..Header::new(FrameKind::Cancel) }, &[], &[]);
    }
    let mut replies = [raw.receive().unwrap(), raw.receive().unwrap()];
    replies.sort_by_key(|reply| reply.header.call);
    let status = replies.each_ref().map(|reply| (reply.header.call, reply.header.code));
    assert_eq!(status, [(1, Status::Done as u32), (2, Status::Fault as u32)]);
    assert_eq!(Fault::read(&replies[1].body).unwrap(), Fault::Expired);
    server.server().shutdown();
    server.join().unwrap();
}

#[test]
fn an_endless_timer_tells_a_server_that_a_client_has_died() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::new().class(WATCH, || Clerk).path(&path).start().unwrap();
    let iid = <dyn Watch as Interface>::DESCRIPTION.iid;
    let gone = [event(), event()];
    let clients = gone.each_ref().map(|gone| {
        let client = Raw::open(&path, WATCH.clsid(), iid);
        client.call(1, 0, &[0, 0], &[gone.as_fd()]);
        assert_eq!(client.receive().unwrap().header.code, Status::Done as u32);
        client
    });
    let [one, other] = clients;
    // The connection ends without `Bye`.
    drop(one);
    assert!(gone[0].wait_timeout(LONG).unwrap());
    assert!(!gone[1].poll().unwrap());
    drop(other);
    assert!(gone[1].wait_timeout(LONG).unwrap());
    server.server().shutdown();
    server.join().unwrap();
}
