//! Objects of a process that share one reactor, and their withdrawal. A program of its own, because
//! it counts the threads and descriptors of the process.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use syshandle::object::Proxy;
use syshandle::serving::Withdrawal;
use syshandle::{Context, Error, ErrorKind, Result, in_process, interface};

/// A callback.
#[interface(iid = "b1f5f1c0-6a3e-4f6b-9a63-6b0f6f0f5a01")]
pub trait Listener {
    /// Adds a number to the sum that the callback has.
    fn notify(&self, number: u64) -> Result<u64>;
}

/// An object that keeps callbacks.
#[interface(iid = "b1f5f1c0-6a3e-4f6b-9a63-6b0f6f0f5a02")]
pub trait Publisher {
    /// Keeps a callback.
    fn subscribe(&self, listener: ListenerClient) -> Result<()>;
    /// Calls each callback, and returns the sum of the results.
    fn publish(&self, number: u64) -> Result<u64>;
    /// Calls the first callback through the given number of other publishers.
    fn relay(&self, next: Option<PublisherClient>, number: u64) -> Result<u64>;
}

struct Sum;

impl Listener for Sum {
    fn notify(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }
}

#[derive(Default)]
struct Registry(Mutex<Vec<ListenerClient>>);

impl Registry {
    fn listeners(&self) -> MutexGuard<'_, Vec<ListenerClient>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher for Registry {
    fn subscribe(&self, listener: ListenerClient) -> Result<()> {
        self.listeners().push(listener);
        Ok(())
    }

    fn publish(&self, number: u64) -> Result<u64> {
        self.listeners().iter().map(|listener| listener.notify(number)).sum()
    }

    fn relay(&self, next: Option<PublisherClient>, number: u64) -> Result<u64> {
        match next {
            Some(next) => next.relay(None, number + 1),
            None => self.publish(number),
        }
    }
}

/// A callback whose methods last until the test lets them end.
#[interface(iid = "b1f5f1c0-6a3e-4f6b-9a63-6b0f6f0f5a03")]
pub trait Worker {
    /// Returns the number of calls so far.
    fn count(&self) -> Result<usize>;
    /// Reports its start, and waits until the test lets it end.
    fn work(&self) -> Result<usize>;
    /// Withdraws this object, and returns whether it was there.
    fn withdraw(&self) -> Result<bool>;
    /// Counts the call, and returns this number of bytes.
    fn bytes(&self, len: u32) -> Result<Vec<u8>>;
}

struct Job {
    count: AtomicUsize,
    started: Mutex<Sender<()>>,
    may_end: Mutex<Receiver<()>>,
    withdrawal: OnceLock<Withdrawal>,
    dropped: Sender<()>,
}

impl Worker for Arc<Job> {
    fn count(&self) -> Result<usize> {
        Ok(self.count.fetch_add(1, Ordering::SeqCst))
    }

    fn work(&self) -> Result<usize> {
        self.started.lock().unwrap().send(()).unwrap();
        // Ends when the test drops the sender.
        let _ = self.may_end.lock().unwrap().recv();
        Ok(7)
    }

    fn withdraw(&self) -> Result<bool> {
        Ok(self.withdrawal.get().unwrap().withdraw())
    }

    fn bytes(&self, len: u32) -> Result<Vec<u8>> {
        self.count.fetch_add(1, Ordering::SeqCst);
        Ok(vec![7; len as usize])
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

/// The test's side of a [`Job`].
struct JobControl {
    started: Receiver<()>,
    may_end: Sender<()>,
    dropped: Receiver<()>,
}

/// Serves a job. The job has the value that withdraws it.
fn job() -> (WorkerClient, Withdrawal, JobControl) {
    let (job, control) = new_job();
    let client = in_process::<dyn Worker, _>(job.clone()).unwrap();
    let withdrawal = client.as_client().withdrawal().unwrap();
    job.withdrawal.set(withdrawal.clone()).unwrap();
    (client, withdrawal, control)
}

fn new_job() -> (Arc<Job>, JobControl) {
    let (started_sender, started) = channel();
    let (may_end, may_end_receiver) = channel();
    let (dropped_sender, dropped) = channel();
    let job = Arc::new(Job {
        count: AtomicUsize::new(0),
        started: Mutex::new(started_sender),
        may_end: Mutex::new(may_end_receiver),
        withdrawal: OnceLock::new(),
        dropped: dropped_sender,
    });
    (job, JobControl { started, may_end, dropped })
}

/// An object that passes references on.
#[interface(iid = "b1f5f1c0-6a3e-4f6b-9a63-6b0f6f0f5a04")]
pub trait Exchange {
    /// Returns another reference to the same object.
    fn copy(&self, worker: WorkerClient) -> Result<WorkerClient>;
    /// Serves a callback from the server of this object.
    fn serve(&self, context: &Context) -> Result<ListenerClient>;
    /// Withdraws the callback that was served last.
    fn withdraw(&self) -> Result<bool>;
}

#[derive(Default)]
struct Copier(Mutex<Option<Withdrawal>>);

impl Exchange for Copier {
    fn copy(&self, worker: WorkerClient) -> Result<WorkerClient> {
        Ok(worker)
    }

    fn serve(&self, context: &Context) -> Result<ListenerClient> {
        let served = context.serve::<dyn Listener, _>(Sum)?;
        *self.0.lock().unwrap() = served.as_client().withdrawal();
        Ok(served)
    }

    fn withdraw(&self) -> Result<bool> {
        Ok(self.0.lock().unwrap().as_ref().is_some_and(Withdrawal::withdraw))
    }
}

/// An object that lends a worker. Its clients get numbers of the worker.
#[interface(iid = "b1f5f1c0-6a3e-4f6b-9a63-6b0f6f0f5a05")]
pub trait Lender {
    /// Returns a reference to the worker.
    fn lend(&self, context: &Context) -> Result<WorkerClient>;
    /// Keeps a reference to the worker, and returns the worker's number of calls.
    fn keep(&self, worker: WorkerClient) -> Result<usize>;
    /// Returns whether the kept worker is gone.
    fn kept_is_gone(&self) -> Result<bool>;
}

struct Agency {
    /// The worker, until it is lent for the first time.
    job: Mutex<Option<Arc<Job>>>,
    lent: Mutex<Option<WorkerClient>>,
    kept: Mutex<Option<WorkerClient>>,
}

impl Lender for Agency {
    fn lend(&self, context: &Context) -> Result<WorkerClient> {
        if let Some(job) = self.job.lock().unwrap().take() {
            let worker = context.serve::<dyn Worker, _>(job.clone())?;
            job.withdrawal.set(worker.as_client().withdrawal().unwrap()).unwrap();
            *self.lent.lock().unwrap() = Some(worker);
        }
        Ok(self.lent.lock().unwrap().clone().unwrap())
    }

    fn keep(&self, worker: WorkerClient) -> Result<usize> {
        assert!(worker.as_client().withdrawal().is_none());
        let count = worker.count();
        *self.kept.lock().unwrap() = Some(worker);
        count
    }

    fn kept_is_gone(&self) -> Result<bool> {
        Ok(is_gone(&self.kept.lock().unwrap().as_ref().unwrap().count().unwrap_err()))
    }
}

fn is_gone(error: &Error) -> bool {
    error.kind() == ErrorKind::Disconnected
        && !error.may_have_run()
        && format!("{error:#}").contains("the object no longer exists")
}

const LONG: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Prevents that two tests count at the same time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    wait_until("the objects of the test before are gone", || threads() == 0);
    alone
}

/// Returns the number of threads of the library. The test program starts other threads.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may have ended in the meantime.
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("syshandle")).count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn publisher() -> PublisherClient {
    in_process::<dyn Publisher, _>(Registry::default()).unwrap()
}

#[test]
fn a_thousand_callbacks_take_no_thread_and_one_descriptor_each() {
    let _alone = alone();
    syshandle::direct::prepare().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let (threads_before, descriptors_before) = (threads(), descriptors());
    let registry = publisher();
    let listeners: Vec<_> =
        (0..1000).map(|_| in_process::<dyn Listener, _>(Sum).unwrap()).collect();
    assert!(descriptors() - descriptors_before < 40, "an unused callback takes no descriptor");
    for listener in &listeners {
        registry.subscribe(listener).unwrap();
    }
    // The registry is in this process too, so this process has both ends of each door.
    assert!(descriptors() - descriptors_before < 2 * 1000 + 40);
    // Each connected callback takes one descriptor on each side.
    assert_eq!(registry.publish(1).unwrap(), 2000);
    assert!(descriptors() - descriptors_before < 4 * 1000 + 40);
    assert!(threads() - threads_before < 3 * cores + 4, "{} threads", threads());

    // A method that calls objects of the same reactor does not wait for itself.
    let first = publisher();
    let depth = 20;
    for _ in 0..depth {
        assert_eq!(first.relay(Some(&registry), 5).unwrap(), 7000);
    }

    // The reactor ends with the last object.
    drop((registry, first, listeners));
    let deadline = Instant::now() + Duration::from_secs(60);
    while threads() > threads_before || descriptors() > descriptors_before {
        assert!(Instant::now() < deadline, "{} threads, {} descriptors", threads(), descriptors());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_withdrawn_object_is_gone_for_its_hundred_holders_and_frees_their_descriptors() {
    let _alone = alone();
    syshandle::direct::prepare().unwrap();
    let exchange = in_process::<dyn Exchange, _>(Copier::default()).unwrap();
    let (own, withdrawal, control) = job();
    let before = descriptors();
    let mut holders: Vec<_> = (0..100).map(|_| exchange.copy(&own).unwrap()).collect();
    // A reference that was passed on by its holder, and one by the holder of that reference.
    let passed_on = exchange.copy(&holders[0]).unwrap();
    holders.push(exchange.copy(&passed_on).unwrap());
    holders.push(passed_on);
    for holder in holders.iter().step_by(2) {
        holder.count().unwrap();
    }
    assert!(withdrawal.withdraw());
    control.dropped.recv_timeout(LONG).unwrap();
    for holder in holders.iter().chain([&own]) {
        for _ in 0..2 {
            let error = holder.count().unwrap_err();
            assert!(is_gone(&error), "{error:?}");
        }
        // Passing the reference on fails too.
        assert!(exchange.copy(holder).is_err());
    }
    // Each holder has a descriptor of its own until it drops the reference.
    let count = holders.len();
    wait_until("the server's ends are closed", || descriptors() <= before + count + 10);
    drop(holders);
    wait_until("all descriptors are closed", || descriptors() <= before + 10);
    // The others are still served.
    let (other, ..) = job();
    assert_eq!(exchange.copy(&other).unwrap().count().unwrap(), 0);
}

#[test]
fn calls_that_run_when_their_object_is_withdrawn_finish() {
    let _alone = alone();
    let exchange = in_process::<dyn Exchange, _>(Copier::default()).unwrap();
    let (own, withdrawal, control) = job();
    let clients: Vec<_> = (0..4).map(|_| exchange.copy(&own).unwrap()).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = clients.iter().map(|client| scope.spawn(|| client.work())).collect();
        // The lock of the object lets one method wait at a time, after all have started.
        clients.iter().for_each(|_| control.started.recv_timeout(LONG).unwrap());
        assert!(withdrawal.withdraw());
        // A connection with a running call refuses further calls.
        for client in clients.iter().chain([&own]) {
            let error = client.count().unwrap_err();
            assert!(is_gone(&error), "{error:?}");
        }
        assert!(control.dropped.try_recv().is_err(), "running methods keep the object");
        drop(control.may_end);
        for call in running {
            assert_eq!(call.join().unwrap().unwrap(), 7);
        }
    });
    control.dropped.recv_timeout(LONG).unwrap();
    for client in clients {
        assert!(is_gone(&client.count().unwrap_err()));
    }
}

#[test]
fn a_call_that_comes_together_with_the_withdrawal_runs_or_reports_that_it_did_not() {
    let _alone = alone();
    let exchange = in_process::<dyn Exchange, _>(Copier::default()).unwrap();
    for round in 0..20 {
        let (own, withdrawal, control) = job();
        let clients: Vec<_> = (0..4).map(|_| exchange.copy(&own).unwrap()).collect();
        std::thread::scope(|scope| {
            let callers: Vec<_> = clients
                .iter()
                .map(|client| {
                    // Each call that failed did not run.
                    scope.spawn(|| {
                        (0..)
                            .map(|_| client.count())
                            .find_map(|counted| counted.err())
                            .expect("the calls fail in the end")
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(round % 5));
            assert!(withdrawal.withdraw());
            for caller in callers {
                let error = caller.join().unwrap();
                assert!(is_gone(&error), "{error:?}");
            }
        });
        control.dropped.recv_timeout(LONG).unwrap();
        drop((own, clients));
    }
}

#[test]
fn an_object_can_be_withdrawn_in_its_own_method_and_only_once() {
    let _alone = alone();
    let exchange = in_process::<dyn Exchange, _>(Copier::default()).unwrap();
    let (own, withdrawal, control) = job();
    let holder = exchange.copy(&own).unwrap();
    assert!(holder.withdraw().unwrap(), "the reply of the method arrives");
    control.dropped.recv_timeout(LONG).unwrap();
    assert!(is_gone(&holder.withdraw().unwrap_err()));
    assert!(is_gone(&own.count().unwrap_err()));
    assert!(!withdrawal.withdraw());
}

#[test]
fn a_holder_that_does_not_read_its_results_keeps_no_withdrawn_object() {
    let _alone = alone();
    let exchange = in_process::<dyn Exchange, _>(Copier::default()).unwrap();
    let (own, withdrawal, control) = job();
    let holder = exchange.copy(&own).unwrap();
    let unread = WorkerAsyncClient::from(&holder);
    // All results together are larger than the shared memory.
    let calls: Vec<_> = (0..12).map(|_| unread.bytes(3 * 1024 * 1024)).collect();
    // The calls to count count too.
    let counted = AtomicUsize::new(0);
    wait_until("all calls have run", || {
        own.count().unwrap() - counted.fetch_add(1, Ordering::SeqCst) == 12
    });
    assert!(withdrawal.withdraw());
    control.dropped.recv_timeout(LONG).unwrap();
    let mut lost = 0;
    for call in calls {
        match call.wait() {
            Ok(bytes) => assert_eq!(bytes.len(), 3 * 1024 * 1024),
            Err(error) => {
                assert!(error.may_have_run(), "{error:?}");
                lost += 1;
            }
        }
    }
    assert!(lost > 0);
}

#[test]
fn a_withdrawal_keeps_nothing_alive() {
    let _alone = alone();
    let (own, withdrawal, control) = job();
    assert_eq!(own.count().unwrap(), 0);
    assert!(own.as_client().withdrawal().is_some());
    drop(own);
    control.dropped.recv_timeout(LONG).unwrap();
    wait_until("nothing is left to withdraw", || !withdrawal.withdraw());
}

#[test]
fn only_the_reference_of_the_owner_withdraws_an_object() {
    let _alone = alone();
    let exchange = in_process::<dyn Exchange, _>(Copier::default()).unwrap();
    let (own, ..) = job();
    let holder = exchange.copy(&own).unwrap();
    assert!(holder.as_client().withdrawal().is_none());
    let clone = own.as_client().clone();
    assert!(clone.withdrawal().is_some_and(|withdrawal| withdrawal.withdraw()));
    assert!(is_gone(&holder.count().unwrap_err()));
}

#[test]
fn an_object_that_a_method_serves_can_be_withdrawn() {
    let _alone = alone();
    let exchange = in_process::<dyn Exchange, _>(Copier::default()).unwrap();
    let (connected, unused) = (exchange.serve().unwrap(), exchange.serve().unwrap());
    assert_eq!(connected.notify(1).unwrap(), 2);
    assert!(exchange.withdraw().unwrap());
    assert!(is_gone(&unused.notify(1).unwrap_err()));
    // The other object is not affected.
    assert_eq!(connected.notify(1).unwrap(), 2);
    assert!(!exchange.withdraw().unwrap());
}

#[test]
fn a_withdrawn_object_is_gone_for_the_clients_that_have_its_number() {
    let _alone = alone();
    let (job, control) = new_job();
    let (lent, kept) = (Mutex::default(), Mutex::default());
    let agency = Agency { job: Mutex::new(Some(job)), lent, kept };
    let agency = in_process::<dyn Lender, _>(agency).unwrap();
    let worker = agency.lend().unwrap();
    let before = descriptors();
    let other = agency.lend().unwrap();
    let cast: WorkerClient = worker.cast().unwrap();
    assert_eq!((other.count().unwrap(), cast.count().unwrap()), (0, 1));
    assert!(descriptors() <= before, "the references are numbers");
    assert_eq!(agency.keep(&worker).unwrap(), 2);
    let busy = WorkerAsyncClient::from(&worker).work();
    control.started.recv_timeout(LONG).unwrap();

    assert!(other.withdraw().unwrap(), "the reply of the method arrives");
    for reference in [&worker, &other, &cast] {
        assert!(is_gone(&reference.count().unwrap_err()));
    }
    assert!(is_gone(&worker.cast::<WorkerClient>().unwrap_err()));
    assert!(is_gone(&agency.keep(&worker).unwrap_err()));
    assert!(agency.kept_is_gone().unwrap());
    let error = agency.lend().unwrap_err();
    assert!(format!("{error:#}").contains("the object no longer exists"), "{error:#}");
    // The method that runs finishes, and then the object is dropped.
    assert!(control.dropped.try_recv().is_err());
    drop(control.may_end);
    assert_eq!(busy.wait().unwrap(), 7);
    control.dropped.recv_timeout(LONG).unwrap();
    // The connection goes on.
    drop((worker, other, cast));
    assert!(agency.kept_is_gone().unwrap());
}
