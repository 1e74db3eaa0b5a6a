//! Subscribers: clients whose callbacks a server keeps, and how they learn that it has ended.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use syshandle::direct::connect;
use syshandle::serving::RunningServer;
use syshandle::wait::TimerOutcome;
use syshandle::{Context, Result, Server, class, in_process, interface};

use crate::support::LONG;
use crate::support::bench::{Counter, CounterClient};
use crate::support::world::World;

class! { FEED: Feed = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d61"; }

/// An object whose server keeps what its clients pass to it.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b61")]
trait Feed {
    /// Calls the counter, and keeps it until the server ends.
    fn subscribe(&self, counter: CounterClient) -> Result<()>;
    /// Keeps the context of this call after the server has ended.
    fn keep_context(&self, context: &Context) -> Result<()>;
    /// Returns an object of the server. The server reports the end of the object.
    fn subscription(&self, context: &Context) -> Result<CounterClient>;
    /// Starts a background task that reports its end.
    fn remind(&self, context: &Context, after: Duration) -> Result<()>;
}

/// Contexts that outlive their calls. In the store, they and the server would keep each other.
static KEPT_CONTEXTS: Mutex<Vec<Context>> = Mutex::new(Vec::new());

struct Store {
    counters: Mutex<Vec<CounterClient>>,
    ended: Sender<()>,
}

impl Feed for Arc<Store> {
    fn subscribe(&self, counter: CounterClient) -> Result<()> {
        counter.add(1)?;
        self.counters.lock().unwrap().push(counter);
        Ok(())
    }

    fn keep_context(&self, context: &Context) -> Result<()> {
        KEPT_CONTEXTS.lock().unwrap().push(context.clone());
        Ok(())
    }

    fn subscription(&self, context: &Context) -> Result<CounterClient> {
        context.serve::<dyn Counter, _>(Subscriber(self.ended.clone()))
    }

    fn remind(&self, context: &Context, after: Duration) -> Result<()> {
        let ended = self.ended.clone();
        context.on_timer(after, move |outcome| {
            assert_eq!(outcome, TimerOutcome::Elapsed);
            let _ = ended.send(());
        })?;
        Ok(())
    }
}

/// An object that reports when its last reference is gone.
struct Subscriber(Sender<()>);

impl Counter for Subscriber {
    fn add(&self, count: u32) -> Result<u32> {
        Ok(count)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Returns a callback, and the receiver of the end of its last reference.
fn subscriber() -> (CounterClient, Receiver<()>) {
    let (sender, receiver) = channel();
    (in_process::<dyn Counter, _>(Subscriber(sender)).unwrap(), receiver)
}

/// Idle timeout of the server.
const IDLE: Duration = Duration::from_millis(20);

/// Starts a server in this process, and connects to it.
fn feed() -> (RunningServer, FeedClient, Receiver<()>) {
    let (ended, receiver) = channel();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let store = Arc::new(Store { counters: Mutex::default(), ended });
    let server = Server::new().class(FEED, move || store.clone()).path(&path).idle_timeout(IDLE);
    let server = server.start().unwrap();
    (server, connect(path).unwrap(), receiver)
}

#[test]
fn a_callback_that_only_a_server_holds_does_not_keep_it_and_is_released_when_it_ends_idle() {
    let (server, feed, _) = feed();
    let (callback, released) = subscriber();
    feed.subscribe(&callback).unwrap();
    drop(callback);
    assert!(released.recv_timeout(3 * IDLE).is_err(), "the server has a client and the callback");
    drop(feed);
    server.join().unwrap();
    released.recv_timeout(LONG).unwrap();
}

#[test]
fn the_exit_of_an_idle_process_releases_the_callbacks_that_it_never_dropped() {
    let world = World::new();
    let (used, used_released) = subscriber();
    let bench = world.bench();
    bench.keep_counter_for_life(&used).unwrap();
    // A reference that the server has not used.
    let (sender, unused_released) = channel();
    let door = syshandle::direct::make_door::<dyn Counter, _>(Subscriber(sender)).unwrap();
    bench.keep_for_life(&door).unwrap();
    drop((used, door));
    assert!(used_released.try_recv().is_err() && unused_released.try_recv().is_err());
    let server = bench.pid().unwrap();
    drop(bench);
    used_released.recv_timeout(LONG).unwrap();
    unused_released.recv_timeout(LONG).unwrap();
    assert_ne!(world.bench().pid().unwrap(), server);
}

#[test]
fn an_object_of_an_idle_server_keeps_it_until_the_last_reference_is_gone() {
    let (server, feed, ended) = feed();
    let subscription = feed.subscription().unwrap();
    drop(feed);
    assert!(ended.recv_timeout(5 * IDLE).is_err());
    assert_eq!(subscription.add(7).unwrap(), 7);
    drop(subscription);
    ended.recv_timeout(LONG).unwrap();
    server.join().unwrap();
}

#[test]
fn a_background_task_keeps_an_idle_server_and_a_context_does_not() {
    let (server, feed, ended) = feed();
    feed.keep_context().unwrap();
    feed.remind(&(5 * IDLE)).unwrap();
    drop(feed);
    server.join().unwrap();
    // The task has run before the server ended.
    ended.try_recv().unwrap();
    KEPT_CONTEXTS.lock().unwrap().clear();
}
