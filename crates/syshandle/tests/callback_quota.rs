//! The quota of the objects that a process serves without a server. A program of its own, because
//! all such objects of a process share the quota.

#![cfg(target_os = "linux")]

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use syshandle::direct::{from_door, make_door};
use syshandle::handle::ManualEvent;
use syshandle::{ErrorKind, Result, interface};

/// An object with a method that blocks.
#[interface(iid = "b1f5f1c0-6a3e-4f6b-9a63-6b0f6f0f5a03")]
pub trait Gate {
    /// Returns when the event is set.
    fn pass(&self, open: ManualEvent) -> Result<()>;
    /// Returns at once.
    fn look(&self) -> Result<()>;
}

struct Wait;

impl Gate for Wait {
    fn pass(&self, open: ManualEvent) -> Result<()> {
        Ok(open.wait()?)
    }

    fn look(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn an_object_that_a_client_serves_has_quotas() {
    // 256 calls may run and 1024 may wait. The connections below make more calls than that.
    const CONNECTIONS: usize = 30;
    const CALLS: usize = 60;
    let door = make_door::<dyn Gate, _>(Wait).unwrap();
    let connect = || from_door::<GateClient>(door.as_fd().try_clone_to_owned().unwrap());
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| connect().unwrap()).collect();
    let open = ManualEvent::new().unwrap();
    let (sender, results) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        for client in &clients {
            let starter = GateAsyncClient::from(client);
            let mut calls: Vec<_> = (0..CALLS).map(|_| starter.pass(&open)).collect();
            // The server receives the calls of a connection in order. If it has accepted the last
            // one, it has accepted all.
            let (last, sender) = (calls.pop().unwrap(), sender.clone());
            scope.spawn(move || {
                sender.send(last.wait().err()).unwrap();
                calls.into_iter().for_each(|call| drop(call.wait()));
            });
        }
        let error = results.recv_timeout(Duration::from_secs(120)).unwrap();
        let error = error.expect("the call was accepted");
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false), "{error:?}");
        open.set().unwrap();
    });
    clients[0].look().unwrap();
}
