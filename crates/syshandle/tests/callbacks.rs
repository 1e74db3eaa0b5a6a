//! Objects of a process that share one reactor. A program of its own, because it counts the threads
//! and descriptors of the process.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use syshandle::{Result, in_process, interface};

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

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

fn threads() -> usize {
    count("/proc/self/task")
}

fn descriptors() -> usize {
    count("/proc/self/fd")
}

fn publisher() -> PublisherClient {
    in_process::<dyn Publisher, _>(Registry::default()).unwrap()
}

#[test]
fn a_thousand_callbacks_take_no_thread_and_one_descriptor_each() {
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
