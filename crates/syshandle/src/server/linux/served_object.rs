//! Objects of this process to which references are passed: objects that a method serves, and
//! callbacks.

use std::io;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};

use syshandle_os::{Credentials, OwnedHandle, Peer, Seqpacket};
use syshandle_types::describe::Interface;
use syshandle_types::{Guid, MessageObject};

use super::context::CallContext;
use super::doors::{self, InnerDoor};
use super::holders::{Holder, Holders};
use super::reactor::activity::{ActivityKind, KeepAlive};
use super::reactor::{Reactor, Settings};
use crate::door::{self, DoorMaker};
use crate::quota::{OBJECT_BYTES, Quota, QuotaGuard, Resource};
use crate::setup::{failed, other_process};
use crate::sync::{Mutex, MutexGuard};
use crate::untyped_object::Object;
use crate::withdrawal::Withdrawal;
use crate::{Error, ErrorKind, Result};

/// An object of this process. It takes a descriptor for each door, and none without doors.
#[derive(Debug)]
pub(crate) struct ServedObject {
    kept: Arc<KeptObject>,
    /// Lets the owner of the object withdraw it; `None` if the object has no owner but a client.
    holders: Option<Arc<Holders>>,
    /// Whether this is the reference of the owner.
    is_own: bool,
}

/// The part of an object that a reference in this process holds; `None` after the reference was
/// dropped or the object was withdrawn. In a box, because the list of holders keeps the memory of
/// this value longer.
#[derive(Debug)]
struct KeptObject(Mutex<Option<Box<ObjectParts>>>);

#[derive(Debug)]
struct ObjectParts {
    object: Object,
    /// The door that was made with the object, until it is passed on.
    first: Option<OwnedHandle>,
    reactor: Arc<Reactor>,
    /// The quota in which its doors count.
    quota: Arc<Quota>,
    /// The part of the quota that an object without a door takes.
    _quota_guard: Option<QuotaGuard>,
    /// Keeps a reactor without a server alive.
    keep_alive: Option<KeepAlive>,
}

impl ServedObject {
    /// Serves an object from the server of a call, counted in the client's quota. If the client
    /// accepts no numbers, makes the first door.
    pub(crate) fn of_call(context: &CallContext, object: Object) -> Result<Self> {
        let (reactor, quota) = (&context.reactor, &context.connection.session().quota);
        if !reactor.is_own() {
            return Err(other_process("context"));
        }
        let holders = Holders::new(reactor);
        let (first, _quota_guard) = match context.receiver() {
            0 => (InnerDoor::open(reactor, quota, (&object, Some(&holders))).map(Some), None),
            _ => match quota.take(Resource::Memory(OBJECT_BYTES), 0) {
                Ok(quota_guard) => (Ok(None), Some(quota_guard)),
                Err(limit) => (Err(io::Error::new(io::ErrorKind::QuotaExceeded, limit)), None),
            },
        };
        let first = first.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::QuotaExceeded => ErrorKind::Busy,
                _ => ErrorKind::System,
            };
            Error::detected(kind, NOT_SERVED).because(error)
        })?;
        let (reactor, quota) = (reactor.clone(), quota.clone());
        let parts = ObjectParts { object, first, reactor, quota, _quota_guard, keep_alive: None };
        Ok(Self::new(Some(holders), true, parts))
    }

    /// Makes the reference of a method to an object that a client has passed back by its number,
    /// counted in the client's quota.
    ///
    /// # Errors
    /// Returns the name of the limit that the client has reached.
    pub(super) fn received(
        reactor: &Arc<Reactor>,
        quota: &Arc<Quota>,
        (object, holders): (&Object, Option<&Arc<Holders>>),
    ) -> Result<Self, &'static str> {
        let _quota_guard = Some(quota.take(Resource::Memory(OBJECT_BYTES), 0)?);
        let (object, reactor, quota) = (object.clone(), reactor.clone(), quota.clone());
        let (first, keep_alive) = (None, None);
        let parts = ObjectParts { object, first, reactor, quota, _quota_guard, keep_alive };
        Ok(Self::new(holders.cloned(), false, parts))
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
        let (holders, first, _quota_guard) = (Holders::new(&reactor), None, None);
        let parts = ObjectParts { object, first, reactor, quota, _quota_guard, keep_alive };
        Self::new(Some(holders), true, parts)
    }

    fn new(holders: Option<Arc<Holders>>, is_own: bool, parts: ObjectParts) -> Self {
        let reactor = parts.reactor.clone();
        let kept = Arc::new(KeptObject(Mutex::new(Some(Box::new(parts)))));
        if let Some(holders) = &holders {
            holders.add(&reactor, &kept);
        }
        Self { kept, holders, is_own }
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
        Ok(InnerDoor::open(&reactor, &quota, (&object, self.holders.as_ref()))?)
    }

    fn require(&self, interface: &Interface) -> Result<()> {
        let object = self.kept.parts().as_ref().map(|parts| parts.object.clone());
        object.ok_or_else(door::gone)?.require(interface)
    }

    fn withdrawal(&self) -> Option<Withdrawal> {
        let holders: Weak<Holders> = Arc::downgrade(self.holders.as_ref()?);
        self.is_own.then(|| Withdrawal::new(holders))
    }

    fn pass(&self, iid: Guid, server: usize) -> Option<MessageObject> {
        let guard = self.kept.parts();
        let ObjectParts { object, reactor, .. } = &**guard.as_ref()?;
        doors::pass(reactor, (object, self.holders.as_ref()), iid, server)
    }
}

impl KeptObject {
    fn parts(&self) -> MutexGuard<'_, Option<Box<ObjectParts>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the owner's part of the object.
    fn release(&self) {
        let parts = self.parts().take();
        let Some(parts) = parts else { return };
        let ObjectParts { object, first, reactor, keep_alive, .. } = *parts;
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
