//! Objects of this process to which references are passed: objects that a method serves, and
//! callbacks.

use std::io;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};

use syshandle_os::{Credentials, OwnedHandle, Peer, Seqpacket};
use syshandle_types::describe::Interface;

use super::context::CallContext;
use super::doors::InnerDoor;
use super::holders::{Holder, Holders};
use super::reactor::activity::{ActivityKind, KeepAlive};
use super::reactor::{Reactor, Settings};
use crate::door::{self, DoorMaker};
use crate::quota::Quota;
use crate::setup::{failed, other_process};
use crate::sync::{Mutex, MutexGuard};
use crate::untyped_object::Object;
use crate::withdrawal::Withdrawal;
use crate::{Error, ErrorKind, Result};

/// An object of this process. It takes a descriptor for each door, and none without doors.
#[derive(Debug)]
pub(crate) struct ServedObject {
    kept: Arc<KeptObject>,
    holders: Arc<Holders>,
}

/// The owner's part of an object; `None` after the object was withdrawn.
#[derive(Debug)]
struct KeptObject(Mutex<Option<ObjectParts>>);

#[derive(Debug)]
struct ObjectParts {
    object: Object,
    /// The door that was made with the object, until it is passed on.
    first: Option<OwnedHandle>,
    reactor: Arc<Reactor>,
    /// The quota in which its doors count.
    quota: Arc<Quota>,
    /// Keeps a reactor without a server alive.
    keep_alive: Option<KeepAlive>,
}

impl ServedObject {
    /// Serves an object from the server of a call, counted in the client's quota. Makes its first
    /// door.
    pub(crate) fn of_call(context: &CallContext, object: Object) -> Result<Self> {
        let (reactor, quota) = (&context.reactor, &context.connection.session().quota);
        if !reactor.is_own() {
            return Err(other_process("context"));
        }
        let holders = Holders::new(reactor);
        let first =
            InnerDoor::open(reactor, quota, (&object, Some(&holders))).map_err(|error| {
                let kind = match error.kind() {
                    io::ErrorKind::QuotaExceeded => ErrorKind::Busy,
                    _ => ErrorKind::System,
                };
                Error::detected(kind, NOT_SERVED).because(error)
            })?;
        let (reactor, quota, first) = (reactor.clone(), quota.clone(), Some(first));
        Ok(Self::new(holders, ObjectParts { object, first, reactor, quota, keep_alive: None }))
    }

    /// Serves an object of a process without a server. All such objects share one reactor.
    pub(crate) fn without_server(object: Object) -> Result<Self> {
        let own = own_credentials()?;
        Ok(Self::of(shared_reactor()?, own, object))
    }

    /// Serves an object of the program from a server.
    pub(crate) fn in_server(reactor: &Arc<Reactor>, object: Object) -> Result<Self> {
        let own = own_credentials()?;
        let keep_alive = reactor.keep_alive(ActivityKind::Presence);
        Ok(Self::of((reactor.clone(), keep_alive), own, object))
    }

    /// Serves an object with a reactor of its own.
    pub(crate) fn alone(object: Object) -> Result<Self> {
        let own = own_credentials()?;
        Ok(Self::of(new_reactor()?, own, object))
    }

    fn of(
        (reactor, keep_alive): (Arc<Reactor>, KeepAlive),
        own: Credentials,
        object: Object,
    ) -> Self {
        let (quota, keep_alive) = (reactor.quotas().of(own), Some(keep_alive));
        let holders = Holders::new(&reactor);
        Self::new(holders, ObjectParts { object, first: None, reactor, quota, keep_alive })
    }

    fn new(holders: Arc<Holders>, parts: ObjectParts) -> Self {
        let reactor = parts.reactor.clone();
        let kept = Arc::new(KeptObject(Mutex::new(Some(parts))));
        holders.add(&reactor, &kept);
        Self { kept, holders }
    }
}

impl DoorMaker for ServedObject {
    fn make_door(&self) -> Result<OwnedHandle> {
        let mut guard = self.kept.parts();
        let parts = guard.as_mut().ok_or_else(door::gone)?;
        if let Some(first) = parts.first.take() {
            return Ok(first);
        }
        let (object, reactor) = (parts.object.clone(), parts.reactor.clone());
        let quota = parts.quota.clone();
        drop(guard);
        Ok(InnerDoor::open(&reactor, &quota, (&object, Some(&self.holders)))?)
    }

    fn require(&self, interface: &Interface) -> Result<()> {
        let object = self.kept.parts().as_ref().map(|parts| parts.object.clone());
        object.ok_or_else(door::gone)?.require(interface)
    }

    fn withdrawal(&self) -> Withdrawal {
        let holders: Weak<Holders> = Arc::downgrade(&self.holders);
        Withdrawal::new(holders)
    }
}

impl KeptObject {
    fn parts(&self) -> MutexGuard<'_, Option<ObjectParts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the owner's part of the object.
    fn release(&self) {
        let parts = self.parts().take();
        let Some(ObjectParts { object, first, reactor, keep_alive, .. }) = parts else { return };
        drop((object, first));
        if keep_alive.is_some() {
            drop(keep_alive);
            if reactor.is_own() {
                // The reactor ends with its last object, and this thread is none of its own.
                reactor.look_around();
            }
        }
    }
}

impl Holder for KeptObject {
    fn withdraw(&self, _: &Arc<Reactor>) {
        self.release();
    }
}

impl Drop for ServedObject {
    fn drop(&mut self) {
        self.kept.release();
    }
}

/// Returns the reactor that serves all objects of this process that belong to no server. The first
/// object starts it.
fn shared_reactor() -> Result<(Arc<Reactor>, KeepAlive)> {
    // Outside of `crate::sync`, whose locks in tests belong to one run of the scheduler.
    static SHARED: StdMutex<Weak<Reactor>> = StdMutex::new(Weak::new());

    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    // A forked copy of a process has no threads to serve its objects, so it starts a reactor.
    if let Some(reactor) = shared.upgrade().filter(|reactor| reactor.is_own()) {
        if let Some(keep_alive) = reactor.try_keep_alive(ActivityKind::Presence) {
            return Ok((reactor, keep_alive));
        }
    }
    let (reactor, keep_alive) = new_reactor()?;
    *shared = Arc::downgrade(&reactor);
    Ok((reactor, keep_alive))
}

fn new_reactor() -> Result<(Arc<Reactor>, KeepAlive)> {
    let reactor = Reactor::new(Settings::of_objects(), None)?;
    let keep_alive = reactor.keep_alive(ActivityKind::Presence);
    reactor.start().map_err(not_served)?;
    Ok((reactor, keep_alive))
}

/// Returns the credentials of this process, as its peers see them.
fn own_credentials() -> Result<Credentials> {
    let (end, _other) = Seqpacket::pair().map_err(failed("socketpair", NOT_SERVED))?;
    end.peer().map_err(not_served)
}

fn not_served(error: io::Error) -> Error {
    Error::detected(ErrorKind::System, NOT_SERVED).because(error)
}

const NOT_SERVED: &str = "the object can't be served";
