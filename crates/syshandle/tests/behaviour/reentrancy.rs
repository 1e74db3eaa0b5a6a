//! Calls that methods, background tasks and destructors make: see `docs/reentrancy.md`.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use syshandle::handle::Event;
use syshandle::{Context, ErrorKind, Result, interface};

use crate::support::LONG;

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b71")]
trait Node {
    fn add_one(&self, number: u32) -> Result<u32>;
    /// Calls `other`, which calls this object, and so on, `depth` times.
    fn descend(&self, context: &Context, other: NodeClient, depth: u32) -> Result<u32>;
    /// Calls `other` from a background task, and sets `done` if that worked.
    fn call_later(&self, context: &Context, other: NodeClient, done: Event) -> Result<()>;
    /// Returns an object whose destructor calls `other`.
    fn calls_at_its_end(&self, context: &Context, other: NodeClient) -> Result<NodeClient>;
    /// Calls `other` with this timeout in milliseconds, and returns whether it timed out.
    fn call_for(&self, other: NodeClient, timeout_ms: u64) -> Result<bool>;
}

#[derive(Default)]
struct Peer {
    at_end: Option<NodeClient>,
    called: Option<mpsc::Sender<u32>>,
}

impl Node for Peer {
    fn add_one(&self, number: u32) -> Result<u32> {
        if let Some(called) = &self.called {
            let _ = called.send(number);
        }
        Ok(number + 1)
    }

    fn descend(&self, context: &Context, other: NodeClient, depth: u32) -> Result<u32> {
        if depth == 0 {
            return Ok(0);
        }
        let own = context.serve::<dyn Node, _>(Self::default())?;
        Ok(other.descend(&own, depth - 1)? + 1)
    }

    fn call_later(&self, context: &Context, other: NodeClient, done: Event) -> Result<()> {
        context.on_timer(Duration::from_millis(1), move |_| {
            if other.add_one(1).is_ok_and(|number| number == 2) {
                done.set().unwrap();
            }
        })?;
        Ok(())
    }

    fn calls_at_its_end(&self, context: &Context, other: NodeClient) -> Result<NodeClient> {
        context.serve::<dyn Node, _>(Self { at_end: Some(other), called: None })
    }

    fn call_for(&self, other: NodeClient, timeout_ms: u64) -> Result<bool> {
        let other = other.with_timeout(Duration::from_millis(timeout_ms));
        let timed_out = other.add_one(1).unwrap_err().kind() == ErrorKind::TimedOut;
        Ok(timed_out)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(other) = self.at_end.take() {
            let _ = other.add_one(7);
        }
    }
}

fn peer() -> NodeClient {
    NodeClient::in_process(Peer::default()).unwrap()
}

#[test]
fn a_method_calls_its_caller_back_to_any_depth() {
    let (server, own) = (peer(), peer());
    assert_eq!(server.descend(&own, 1).unwrap(), 1);
    assert_eq!(server.descend(&own, 10).unwrap(), 10);
}

#[test]
fn both_sides_call_each_other_at_once() {
    let (one, other) = (Arc::new(peer()), Arc::new(peer()));
    thread::scope(|scope| {
        for _ in 0..4 {
            for (from, to) in [(&one, &other), (&other, &one)] {
                scope.spawn(move || {
                    for _ in 0..50 {
                        assert_eq!(from.descend(to, 2).unwrap(), 2);
                    }
                });
            }
        }
    });
}

#[test]
fn a_background_task_calls_the_client_and_its_own_server() {
    let (server, own) = (peer(), peer());
    for target in [&own, &server] {
        let done = Event::new().unwrap();
        server.call_later(target, &done).unwrap();
        assert!(done.wait_timeout(LONG).unwrap());
    }
}

#[test]
fn a_destructor_calls_the_client() {
    let (called, calls) = mpsc::channel();
    let own = Peer { at_end: None, called: Some(called) };
    let own = NodeClient::in_process(own).unwrap();
    let object = peer().calls_at_its_end(&own).unwrap();
    assert_eq!(object.add_one(1).unwrap(), 2);
    drop(object);
    assert_eq!(calls.recv_timeout(LONG), Ok(7));
}

// COM has no quotas.
#[cfg(not(windows))]
#[test]
fn a_call_that_waits_for_the_slot_of_its_own_caller_ends_at_its_deadline() {
    use std::time::Instant;

    use syshandle::direct::connect;
    use syshandle::{Server, class};

    class! { NODE: Node = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d61"; }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::new().class(NODE, Peer::default).path(&path).max_concurrent_calls(1);
    let server = server.start().unwrap();
    let client: NodeClient = connect(&path).unwrap();
    let begin = Instant::now();
    // The outer call uses the only slot of this client, so the inner call waits for the slot.
    assert!(client.call_for(&client, 100).unwrap(), "the inner call times out");
    assert!(begin.elapsed() >= Duration::from_millis(100));
    // The slot is free again.
    assert_eq!(client.add_one(1).unwrap(), 2);
    server.shutdown();
    server.join().unwrap();
}
