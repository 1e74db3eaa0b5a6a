//! A server whose methods run as tasks of a tokio runtime: a method that waits takes no thread, and
//! ends with its call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use syshandle::direct::connect;
use syshandle::handle::{Event, ManualEvent};
use syshandle::serving::RunningServer;
use syshandle::tokio::AsyncObject;
use syshandle::{Context, ErrorKind, Result, Server, class, interface};
use tokio::runtime::{Builder, Runtime};

use crate::support::process::alone;
use crate::support::{LONG, eventually, threads};

class! { GATE: Gate = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d71"; }

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b71")]
trait Gate {
    /// Returns when the gate is open.
    fn pass(&self) -> Result<u32>;
    /// The same, and panics then.
    fn panic(&self) -> Result<()>;
    /// Returns the process of the client when the gate is open.
    fn caller(&self, context: &Context) -> Result<u32>;
    fn quick(&self, text: String) -> Result<String>;
}

/// Counts the methods that wait at the gate.
#[derive(Clone)]
struct Keeper {
    open: Arc<ManualEvent>,
    waiting: Arc<AtomicUsize>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Keeper {
    fn new() -> Self {
        Self { open: Arc::new(ManualEvent::new().unwrap()), waiting: Arc::default() }
    }

    async fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(self.waiting.clone());
        syshandle::tokio::wait(&*self.open).await.unwrap();
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl GateAsync for Keeper {
    async fn pass(&self) -> Result<u32> {
        self.wait().await;
        Ok(7)
    }

    async fn panic(&self) -> Result<()> {
        self.wait().await;
        panic!("the gate broke")
    }

    async fn caller(&self, context: &Context) -> Result<u32> {
        self.wait().await;
        Ok(context.client().pid)
    }

    async fn quick(&self, text: String) -> Result<String> {
        tokio::task::yield_now().await;
        Ok(text)
    }
}

/// A server in a runtime with two threads.
struct Subject {
    keeper: Keeper,
    server: Option<RunningServer>,
    folder: tempfile::TempDir,
    runtime: Option<Runtime>,
}

impl Subject {
    fn new(set: impl FnOnce(Server) -> Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (keeper, handle) = (Keeper::new(), runtime.handle().clone());
        let implementation = keeper.clone();
        let make = move || AsyncObject::new(&handle, implementation.clone());
        let server = set(Server::new().class(GATE, make).path(folder.path().join("socket")));
        let server = Some(server.never_exit().start().unwrap());
        Self { keeper, server, folder, runtime: Some(runtime) }
    }

    fn gate(&self) -> GateClient {
        connect(self.folder.path().join("socket")).unwrap()
    }

    fn server(&self) -> &RunningServer {
        self.server.as_ref().unwrap()
    }

    fn eventually_waiting(&self, count: usize) {
        eventually("the methods wait", || self.keeper.waiting() == count);
    }
}

#[test]
fn a_thousand_methods_that_wait_take_no_thread() {
    const CONNECTIONS: usize = 20;
    const CALLS: usize = 1000;
    alone(|| {
        let subject = Subject::new(|server| server);
        let gates: Vec<_> =
            (0..CONNECTIONS).map(|_| GateAsyncClient::from(subject.gate())).collect();
        // The event loops and the runtime have started their threads.
        let all: Vec<_> = gates.iter().map(|gate| gate.quick("hello")).collect();
        all.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), "hello"));
        let before = threads();
        let calls: Vec<_> = (0..CALLS).map(|call| gates[call % CONNECTIONS].pass()).collect();
        subject.eventually_waiting(CALLS);
        // On a busy machine, the server may start further threads for its event loops.
        assert!(threads() <= before + 8, "{} threads instead of {before}", threads());
        let stats = subject.server().stats();
        assert_eq!(stats.calls.running, CALLS);
        assert_eq!(stats.quotas[0].async_calls.used, CALLS);
        // Another call is not delayed.
        assert_eq!(gates[0].quick("quick").wait().unwrap(), "quick");
        subject.keeper.open.set().unwrap();
        calls.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 7));
        let stats = subject.server().stats();
        assert!(stats.calls.done > CALLS as u64);
    });
}

#[test]
fn the_future_of_a_cancelled_call_is_dropped() {
    let subject = Subject::new(|server| server);
    let gate = GateAsyncClient::from(subject.gate());
    let call = gate.pass();
    subject.eventually_waiting(1);
    drop(call);
    subject.eventually_waiting(0);
    // A deadline is a cancel too.
    let error = gate.with_timeout(Duration::from_millis(20)).pass().wait().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, true));
    subject.eventually_waiting(0);
    // So is the end of the connection.
    let call = gate.caller();
    subject.eventually_waiting(1);
    drop((call, gate));
    subject.eventually_waiting(0);
    eventually("nothing is counted", || {
        subject.server().stats().quotas.iter().all(|quota| quota.async_calls.used == 0)
    });
}

#[test]
fn a_panic_in_a_future_is_the_error_of_its_call_alone() {
    let subject = Subject::new(|server| server);
    let gate = GateAsyncClient::from(subject.gate());
    let (broken, caller) = (gate.panic(), gate.caller());
    subject.eventually_waiting(2);
    subject.keeper.open.set().unwrap();
    let error = broken.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("the gate broke"), "{error}");
    assert_eq!(caller.wait().unwrap(), std::process::id());
}

#[test]
fn asynchronous_calls_beyond_the_limit_are_refused_and_did_not_run() {
    // The process of the server itself may use the whole limit.
    let subject = Subject::new(|server| server.max_async_calls(5));
    let gate = GateAsyncClient::from(subject.gate());
    let calls: Vec<_> = (0..5).map(|_| gate.pass()).collect();
    subject.eventually_waiting(5);
    let error = gate.pass().wait().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
    assert!(error.to_string().contains("asynchronous calls of one client"), "{error}");
    subject.keeper.open.set().unwrap();
    calls.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 7));
    assert_eq!(gate.pass().wait().unwrap(), 7);
}

#[test]
fn a_server_that_ends_waits_for_futures_and_then_drops_them() {
    for opens in [true, false] {
        let drain = if opens { LONG } else { Duration::from_millis(20) };
        let mut subject = Subject::new(|server| server.drain_timeout(drain));
        let gate = GateAsyncClient::from(subject.gate());
        let call = gate.pass();
        subject.eventually_waiting(1);
        let server = subject.server.take().unwrap();
        server.shutdown();
        if opens {
            eventually("the server refuses calls", || gate.quick("").wait().is_err());
            subject.keeper.open.set().unwrap();
            assert_eq!(call.wait().unwrap(), 7);
        } else {
            let error = call.wait().unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true));
        }
        server.join().unwrap();
        subject.eventually_waiting(0);
    }
}

#[test]
fn a_call_whose_runtime_ends_fails_and_may_have_run() {
    let mut subject = Subject::new(|server| server);
    let gate = GateAsyncClient::from(subject.gate());
    let call = gate.pass();
    subject.eventually_waiting(1);
    subject.runtime.take().unwrap().shutdown_background();
    for call in [call, gate.pass()] {
        let error = call.wait().unwrap_err();
        assert!(error.may_have_run());
        assert!(error.to_string().contains("the runtime of the method has ended"), "{error}");
    }
}

#[test]
fn an_asynchronous_object_is_served_in_an_event_loop_of_the_program() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (keeper, handle) = (Keeper::new(), runtime.handle().clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let make = {
        let keeper = keeper.clone();
        move || AsyncObject::new(&handle, keeper.clone())
    };
    let mut source = Server::new().class(GATE, make).path(&path).event_source().unwrap();
    let server = source.server();
    let done = Event::new().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let gate: GateClient = connect(&path).unwrap();
            let pending = GateAsyncClient::from(&gate).pass();
            eventually("the method waits", || keeper.waiting() == 1);
            assert_eq!(gate.quick("quick").unwrap(), "quick");
            keeper.open.set().unwrap();
            assert_eq!(pending.wait().unwrap(), 7);
            server.shutdown();
            done.set().unwrap();
        });
        while source.dispatch().unwrap().is_continue() {
            crate::dispatched_server::wait_for(&[&source]);
        }
    });
    assert!(done.poll().unwrap());
}
