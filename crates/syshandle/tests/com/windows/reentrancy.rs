//! Calls that methods, background tasks and destructors make between two processes: see
//! `docs/reentrancy.md`.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use syshandle::{Context, Result, class, handle::Event, interface, object::Proxy};

use super::Test;
use super::place::PATIENCE;

pub(crate) const TESTS: &[Test] = &[
    ("a_method_calls_its_caller_back_to_any_depth", depth),
    ("both_sides_call_each_other_at_once", both),
    ("a_background_task_calls_the_client_and_its_own_server", task),
    ("a_destructor_calls_the_client", destructor),
    ("a_method_calls_its_own_server_as_a_client", own_server),
    ("a_caller_knows_the_process_of_each_side", processes),
];

/// Calls other objects of this interface.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f70")]
pub(crate) trait Node {
    fn add_one(&self, number: u32) -> Result<u32>;

    /// Calls `other`, which calls this object, and so on, `depth` times.
    fn descend(&self, context: &Context, other: NodeClient, depth: u32) -> Result<u32>;

    /// Calls `other` from a background task, and sets `done` if that worked.
    fn call_later(&self, context: &Context, other: NodeClient, done: Event) -> Result<()>;

    /// Returns an object whose destructor calls `other`.
    fn calls_at_its_end(&self, context: &Context, other: NodeClient) -> Result<NodeClient>;

    /// Activates the class of this object, and calls the new object.
    fn call_own_class(&self) -> Result<u32>;

    /// Returns the identifiers of the client's process, by its credentials and by their process.
    fn client(&self, context: &Context) -> Result<(u32, u32, u32)>;

    /// Calls `client` of another object.
    fn client_at(&self, other: NodeClient) -> Result<(u32, u32, u32)>;
}

class! {
    /// The class of the tests.
    pub NODE: Node = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f71";
}

#[derive(Default)]
pub(crate) struct Peer {
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
                let _ = done.set();
            }
        })?;
        Ok(())
    }

    fn calls_at_its_end(&self, context: &Context, other: NodeClient) -> Result<NodeClient> {
        context.serve::<dyn Node, _>(Self { at_end: Some(other), called: None })
    }

    fn call_own_class(&self) -> Result<u32> {
        NodeClient::activate(NODE)?.add_one(1)
    }

    fn client(&self, context: &Context) -> Result<(u32, u32, u32)> {
        let client = context.client();
        let by_number = client.process()?.id()?.unwrap_or_default();
        Ok((client.pid, by_number, context.client_process()?.id()?.unwrap_or_default()))
    }

    fn client_at(&self, other: NodeClient) -> Result<(u32, u32, u32)> {
        other.client()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(other) = self.at_end.take() {
            let _ = other.add_one(7);
        }
    }
}

fn server() -> NodeClient {
    NodeClient::activate(NODE).unwrap()
}

fn own() -> NodeClient {
    NodeClient::in_process(Peer::default()).unwrap()
}

fn depth() {
    let (server, own) = (server(), own());
    assert_eq!(server.descend(&own, 1).unwrap(), 1);
    assert_eq!(server.descend(&own, 10).unwrap(), 10);
}

fn both() {
    let (server, own) = (server(), own());
    thread::scope(|scope| {
        for _ in 0..3 {
            for (from, to) in [(&server, &own), (&own, &server)] {
                scope.spawn(move || {
                    for _ in 0..10 {
                        assert_eq!(from.descend(to, 2).unwrap(), 2);
                    }
                });
            }
        }
    });
}

fn task() {
    let (server, own) = (server(), own());
    for target in [&own, &server] {
        let done = Event::new().unwrap();
        server.call_later(target, &done).unwrap();
        assert!(done.wait_timeout(PATIENCE).unwrap());
    }
}

fn destructor() {
    let (called, calls) = mpsc::channel();
    let own = NodeClient::in_process(Peer { at_end: None, called: Some(called) }).unwrap();
    let object = server().calls_at_its_end(&own).unwrap();
    assert_eq!(object.add_one(1).unwrap(), 2);
    drop(object);
    assert_eq!(calls.recv_timeout(PATIENCE), Ok(7));
}

fn own_server() {
    assert_eq!(server().call_own_class().unwrap(), 2);
}

fn processes() {
    let (server, own) = (server(), own());
    let this = std::process::id();
    assert_eq!(server.client().unwrap(), (this, this, this));
    assert_eq!(own.client().unwrap(), (this, this, this));
    // The server calls an object of this process.
    let pid = server.as_client().server().unwrap().pid;
    assert_eq!(server.client_at(&own).unwrap(), (pid, pid, pid));
}
