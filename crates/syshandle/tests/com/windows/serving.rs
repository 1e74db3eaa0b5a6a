//! Servers that run beside other work of their process: their end, and their statistics.

use std::io::{PipeWriter, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use syshandle::{
    Activation, Context, Error, ErrorKind, Guid, Result, Server, class,
    handle::{Event, ManualEvent, Process},
    interface,
    object::{Class, ClassInfo},
    serving::RunningServer,
    wait::TimerOutcome,
};

use super::Test;
use super::clients::start;
use super::place::{PATIENCE, until, until_ended};

pub(crate) const TESTS: &[Test] = &[
    ("a_method_ends_its_server_and_still_replies", replies),
    ("a_stopping_server_refuses_calls_and_lets_methods_end", drains),
    ("a_task_learns_that_its_server_ends", told),
    ("a_method_that_blocks_does_not_block_the_end_of_its_server", blocked),
    ("a_server_counts_its_work", counts),
    ("a_server_in_the_client_s_process_is_joined", joined),
    ("a_server_serves_other_processes_beside_its_own_work", beside),
    ("several_servers_run_and_end_in_one_process", several),
    ("a_server_that_is_dropped_ends", dropped),
    ("a_server_without_clients_can_be_joined", idle),
    ("a_method_that_blocks_does_not_block_join", blocked_join),
    ("an_object_of_this_process_can_be_ended", in_process),
    ("a_panic_of_a_constructor_is_told", constructor),
];

/// Ends its server, and reports how it ends.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f50")]
pub(crate) trait Shift {
    fn add(&self, one: u32, other: u32) -> Result<u32>;

    /// Returns the identifier of the server's process.
    fn pid(&self) -> Result<u32>;

    /// Returns the numbers of clients, of running and of ended calls, of calls that were refused
    /// because the server was about to end, and of background tasks.
    fn count(&self, context: &Context) -> Result<Vec<u64>>;

    fn shut_down(&self, context: &Context) -> Result<()>;

    /// Sets `entered` and waits for `until`. Returns whether the server is stopping, and whether the
    /// call is cancelled.
    fn block(&self, context: &Context, entered: Event, until: ManualEvent) -> Result<(bool, bool)>;

    /// Sets `entered`, waits for `until`, and refuses.
    fn block_and_refuse(&self, entered: Event, until: ManualEvent) -> Result<()>;

    /// Starts a background task that sets `stopped` when the server ends.
    fn remind(&self, context: &Context, stopped: Event) -> Result<()>;

    /// Keeps the pipe open until the object is dropped.
    fn keep(&self, pipe: PipeWriter) -> Result<()>;
}

class! {
    /// A class whose server has little time to end.
    pub SHORT_SHIFT: Shift = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f51";
}

class! {
    /// A class whose server has enough time to end.
    pub LONG_SHIFT: Shift = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f52";
}

class! {
    /// A class that the tests' own process serves.
    pub OWN_SHIFT: Shift = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f53";
}

class! {
    /// Another class that the tests' own process serves.
    pub OTHER_SHIFT: Shift = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f54";
}

#[derive(Default)]
pub(crate) struct Worker(Mutex<Option<PipeWriter>>);

impl Shift for Worker {
    fn add(&self, one: u32, other: u32) -> Result<u32> {
        Ok(one + other)
    }

    fn pid(&self) -> Result<u32> {
        Ok(std::process::id())
    }

    fn count(&self, context: &Context) -> Result<Vec<u64>> {
        let stats = context.server().stats();
        let (clients, tasks) = (stats.clients as u64, stats.background_tasks as u64);
        let calls = stats.calls;
        Ok(vec![clients, calls.running as u64, calls.done, stats.refusals.stopping, tasks])
    }

    fn shut_down(&self, context: &Context) -> Result<()> {
        context.server().shutdown();
        Ok(())
    }

    fn block(&self, context: &Context, entered: Event, until: ManualEvent) -> Result<(bool, bool)> {
        entered.set()?;
        until.wait()?;
        Ok((context.is_stopping(), context.is_cancelled()))
    }

    fn block_and_refuse(&self, entered: Event, until: ManualEvent) -> Result<()> {
        entered.set()?;
        until.wait()?;
        Err(Error::new(ErrorKind::Busy, "another time").refused())
    }

    fn remind(&self, context: &Context, stopped: Event) -> Result<()> {
        context.on_timer(Duration::from_secs(3600), move |outcome| {
            if outcome == TimerOutcome::Stopping {
                let _ = stopped.set();
            }
        })?;
        Ok(())
    }

    fn keep(&self, pipe: PipeWriter) -> Result<()> {
        *self.0.lock().unwrap() = Some(pipe);
        Ok(())
    }
}

/// Serves one of the classes until a client ends the server.
pub(crate) fn main(server: Server, drain: Duration) -> Result<()> {
    server.drain_timeout(drain).start()?.join()
}

/// One test at a time uses the classes, because a server ends for all clients.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shift<C: ClassInfo>(class: Class<C>) -> ShiftClient {
    Activation::new().timeout(PATIENCE).activate(class.clsid()).unwrap()
}

fn process(client: &ShiftClient) -> Process {
    Process::open(client.pid().unwrap()).unwrap()
}

fn events() -> (Event, ManualEvent) {
    (Event::new().unwrap(), ManualEvent::new().unwrap())
}

fn replies() {
    let _alone = alone();
    let client = shift(SHORT_SHIFT);
    let server = process(&client);
    client.shut_down().unwrap();
    until_ended(&server);
    assert!(server.exit_status().unwrap().unwrap().success());
}

fn drains() {
    let _alone = alone();
    let client = shift(LONG_SHIFT);
    let server = process(&client);
    let (entered, release) = events();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| client.block(&entered, &release));
        assert!(entered.wait_timeout(PATIENCE).unwrap());
        let refusing = scope.spawn(|| client.block_and_refuse(&entered, &release));
        assert!(entered.wait_timeout(PATIENCE).unwrap());
        client.shut_down().unwrap();
        let error = client.add(1, 2).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, false));
        assert_eq!(error.to_string(), "Shift::add: the server is shutting down");
        // A new server starts beside the one that ends.
        let next = shift(LONG_SHIFT);
        assert_eq!(next.add(1, 2).unwrap(), 3);
        assert_ne!(next.pid().unwrap(), server.id().unwrap().unwrap());
        let next_server = process(&next);
        next.shut_down().unwrap();
        until_ended(&next_server);
        release.set().unwrap();
        assert_eq!(blocked.join().unwrap().unwrap(), (true, false));
        let error = refusing.join().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false), "{error:?}");
    });
    until_ended(&server);
    assert!(server.exit_status().unwrap().unwrap().success());
}

fn told() {
    let _alone = alone();
    let client = shift(SHORT_SHIFT);
    let (server, stopped) = (process(&client), Event::new().unwrap());
    client.remind(&stopped).unwrap();
    assert_eq!(client.count().unwrap()[4], 1);
    client.shut_down().unwrap();
    assert!(stopped.wait_timeout(PATIENCE).unwrap());
    until_ended(&server);
}

fn blocked() {
    let _alone = alone();
    let client = shift(SHORT_SHIFT);
    let server = process(&client);
    let (entered, never) = events();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| client.block(&entered, &never).unwrap_err());
        assert!(entered.wait_timeout(PATIENCE).unwrap());
        client.shut_down().unwrap();
        let error = blocked.join().unwrap();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true));
    });
    until_ended(&server);
    assert!(server.exit_status().unwrap().unwrap().success());
}

fn counts() {
    let _alone = alone();
    let client = shift(LONG_SHIFT);
    let server = process(&client);
    // The method that counts runs itself. The runtime's own calls don't count.
    assert_eq!(client.count().unwrap(), [1, 1, 1, 0, 0]);
    client.add(1, 2).unwrap();
    let (entered, release) = events();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| client.block(&entered, &release));
        assert!(entered.wait_timeout(PATIENCE).unwrap());
        assert_eq!(client.count().unwrap(), [1, 2, 3, 0, 0]);
        release.set().unwrap();
        blocked.join().unwrap().unwrap();
    });
    let other = shift(LONG_SHIFT);
    assert_eq!(other.count().unwrap(), [2, 1, 5, 0, 0]);
    other.shut_down().unwrap();
    until_ended(&server);
}

/// Starts a server of a class in this process.
fn own<C>(class: Class<C>, set: impl FnOnce(Server) -> Server) -> RunningServer
where
    C: ClassInfo + syshandle::object::Serves<Worker>,
{
    let server = Server::new().class(class, Worker::default);
    set(server.drain_timeout(Duration::from_millis(100))).start().unwrap()
}

fn joined() {
    let _alone = alone();
    let server = own(OWN_SHIFT, Server::never_exit);
    assert_eq!((server.stats().clients, server.stats().calls.done), (0, 0));
    let client = shift(OWN_SHIFT);
    assert_eq!(client.add(1, 2).unwrap(), 3);
    let (mut reader, writer) = std::io::pipe().unwrap();
    client.keep(&writer).unwrap();
    drop(writer);
    let stats = server.stats();
    assert_eq!((stats.clients, stats.calls.done, stats.calls.running), (1, 2, 0));
    let reference = server.server();
    server.shutdown();
    server.join().unwrap();
    // The object was dropped, although the client still refers to it.
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
    let error = client.add(1, 2).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, false));
    let error = client.wait(&Event::new().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    drop(client);
    assert_eq!(reference.stats().calls.done, 2);
}

fn beside() {
    let _alone = alone();
    let server = own(OWN_SHIFT, Server::never_exit);
    let client = start(&["add", &OWN_SHIFT.clsid().to_string()]);
    let output = client.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim(), format!("3 {}", std::process::id()));
    until("the client has gone", || server.stats().clients == 0);
    assert_eq!(server.stats().calls.done, 2);
    server.shutdown();
    server.join().unwrap();
}

/// Calls a server from a process of its own. Returns the sum, and the process of the server.
pub(crate) fn add(class: Guid) -> String {
    let client: ShiftClient = Activation::new().timeout(PATIENCE).activate(class).unwrap();
    format!("{} {}", client.add(1, 2).unwrap(), client.pid().unwrap())
}

fn several() {
    let _alone = alone();
    let short = |server: Server| server.idle_timeout(Duration::from_millis(100));
    let one = own(OWN_SHIFT, Server::never_exit);
    let other = own(OTHER_SHIFT, short);
    let (first, second) = (shift(OWN_SHIFT), shift(OTHER_SHIFT));
    assert_eq!((first.add(1, 2).unwrap(), second.add(1, 2).unwrap()), (3, 3));
    one.shutdown();
    one.join().unwrap();
    assert_eq!(first.add(1, 2).unwrap_err().kind(), ErrorKind::Disconnected);
    // The end of one server does not affect the other.
    assert_eq!(second.add(1, 2).unwrap(), 3);
    // Each of two servers ends by its own idle timeout.
    let again = own(OWN_SHIFT, Server::never_exit);
    drop(second);
    other.join().unwrap();
    assert_eq!(shift(OWN_SHIFT).add(1, 2).unwrap(), 3);
    again.shutdown();
    again.join().unwrap();
}

fn dropped() {
    let _alone = alone();
    let server = own(OWN_SHIFT, Server::never_exit);
    let client = shift(OWN_SHIFT);
    drop(server);
    until("the server has ended", || {
        client.add(1, 2).is_err_and(|error| error.kind() == ErrorKind::Disconnected)
    });
}

fn idle() {
    let _alone = alone();
    let server = own(OWN_SHIFT, |server| server.idle_timeout(Duration::from_millis(10)));
    server.join().unwrap();
}

fn blocked_join() {
    let _alone = alone();
    let server = own(OWN_SHIFT, Server::never_exit);
    let client = shift(OWN_SHIFT);
    let (entered, release) = events();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| client.block(&entered, &release).unwrap_err());
        assert!(entered.wait_timeout(PATIENCE).unwrap());
        let begin = Instant::now();
        server.shutdown();
        server.join().unwrap();
        // The machine may be busy.
        assert!(begin.elapsed() < Duration::from_secs(10), "after {:?}", begin.elapsed());
        let error = blocked.join().unwrap();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true));
        assert_eq!(error.to_string(), "Shift::block: the server was stopped");
        release.set().unwrap();
    });
}

#[expect(clippy::panic, reason = "that is what is tried")]
fn constructor() {
    let _alone = alone();
    let make = || -> Worker { panic!("so it was asked") };
    let server = Server::new().class(OWN_SHIFT, make).never_exit().start().unwrap();
    let error = ShiftClient::activate(OWN_SHIFT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked, "{error:?}");
    server.shutdown();
    server.join().unwrap();
}

fn in_process() {
    let client = ShiftClient::in_process(Worker::default()).unwrap();
    let stopped = Event::new().unwrap();
    client.remind(&stopped).unwrap();
    // The end may be faster than the reply.
    let _ = client.shut_down();
    assert!(stopped.wait_timeout(PATIENCE).unwrap());
    until("the object has ended", || {
        client.add(1, 2).is_err_and(|error| error.kind() == ErrorKind::Disconnected)
    });
}
