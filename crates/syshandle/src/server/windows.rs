//! Server side.

pub(crate) mod activity;
pub(super) mod arguments;
pub(super) mod context;
pub(crate) mod objects;
mod session;
pub(super) mod task;

use std::sync::Arc;
use std::time::Duration;

use syshandle_com::{
    Caller, ClassObject, ComError, RegisteredInterface, ServedObject, ServerProcess,
    enter_apartment,
};
use syshandle_os::under_wine;
use syshandle_registry::ComRegistry;
use syshandle_types::Guid;
use syshandle_types::describe::Interface as Description;

pub use context::Context;
pub use task::{Outcome, TimerOutcome};

use self::activity::Activity;
use self::objects::ComObject;
use crate::class::{Class, Serves};
use crate::class_locks::ClassLocks;
use crate::{Error, ErrorKind, Result};

/// Makes the object for a new client.
type Factory = Arc<dyn Fn() -> crate::class::Object + Send + Sync>;

/// Server: the classes that a program serves, and its settings.
///
/// COM finds the server by its registration (`syshandle register`), starts it with a client's first
/// call, and decides which users may use it. Settings of a server on Linux, such as policies,
/// limits and file systems, don't exist here, because COM has its own settings.
///
/// ```no_run
/// # use syshandle::{class, interface, Result, Server};
/// # #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
/// # trait Greeter { fn greet(&self) -> Result<String>; }
/// # class! { GREETER: Greeter = "ea27c73a-48c2-4714-9d20-a9d2c4f6aed3"; }
/// #[derive(Default)]
/// struct Hello;
///
/// impl Greeter for Hello {
///     fn greet(&self) -> Result<String> {
///         Ok("hello".into())
///     }
/// }
///
/// fn main() -> Result<()> {
///     Server::new().class(GREETER, Hello::default).run()
/// }
/// ```
pub struct Server {
    classes: Vec<ServedClass>,
    idle: Option<Duration>,
}

/// Class that is served.
struct ServedClass {
    clsid: Guid,
    interfaces: &'static [&'static Description],
    make: Factory,
}

impl Server {
    /// Makes a server without classes, which ends after ten seconds without activity.
    pub fn new() -> Self {
        Self { classes: Vec::new(), idle: Some(Duration::from_secs(10)) }
    }

    /// Serves a class: `make` makes the object for each client that activates it.
    #[must_use]
    pub fn class<C: Serves<T>, T>(
        mut self,
        class: Class<C>,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        // Keeps the mark in the program file, where `syshandle register` searches for it.
        std::hint::black_box(C::MARK);
        let make: Factory = Arc::new(move || C::object(make()));
        self.classes.push(ServedClass { clsid: class.clsid(), interfaces: C::INTERFACES, make });
        self
    }

    /// Sets the time without activity after which the server ends.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        // With zero the server would end before the first client.
        self.idle = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Sets that the server never ends by itself.
    #[must_use]
    pub fn never_exit(mut self) -> Self {
        self.idle = None;
        self
    }

    /// Serves until the server was idle for its idle timeout, also if the program was started by
    /// hand.
    ///
    /// # Errors
    /// An interface that COM can't represent, and the errors of COM.
    pub fn run(self) -> Result<()> {
        for class in &self.classes {
            ComRegistry::own().set_environment(class.clsid);
        }
        // The caller's thread may be in an apartment of its own, so a new thread serves.
        let served =
            std::thread::Builder::new().name("server".to_owned()).spawn(|| self.serve())?;
        served.join().unwrap_or_else(|_| Err(Error::failed("the server panicked")))
    }

    fn serve(self) -> Result<()> {
        enter_apartment().map_err(failed)?;
        let activity = Activity::new();
        let process = ServerProcess::hold();
        let locks = ClassLocks::of(self.classes.iter().map(|class| class.clsid))?;
        let mut classes = Vec::new();
        for ServedClass { clsid, interfaces, make } in self.classes {
            for interface in interfaces {
                RegisteredInterface::of(interface).map_err(failed)?;
            }
            let activity = activity.clone();
            let object = move |caller| match self::make(&*make, &activity, caller) {
                Ok(served) => Some(served),
                Err(error) => {
                    crate::log::error!(%error, "an object couldn't be made");
                    None
                }
            };
            classes.push(ClassObject::register(clsid, object).map_err(failed)?);
        }
        process.open().map_err(failed)?;
        crate::log::debug!("serving");
        let mut process = process;
        // The client that caused the start takes some time to connect; under Wine always at least a
        // second.
        activity.wait_until_idle(self.idle.map(|idle| idle.max(FIRST)), true);
        loop {
            activity.wait_until_idle(self.idle, false);
            let Some(turn) = locks.take(TURN)? else { continue };
            // No client can connect from the release of the last reference on.
            if process.release() && activity.is_idle() {
                drop(classes);
                drop(turn);
                break;
            }
            process = ServerProcess::hold();
            process.open().map_err(failed)?;
        }
        crate::log::debug!("no client uses the server any more");
        Ok(())
    }
}

/// Longest wait of an idle server for its turn, that is for clients that are activating its
/// classes.
const TURN: Duration = Duration::from_millis(200);

/// Least time until the first client must have connected.
const FIRST: Duration = Duration::from_secs(10);

/// Makes the object for a new client.
fn make(
    make: &dyn Fn() -> crate::class::Object,
    activity: &Arc<Activity>,
    caller: Caller,
) -> Result<ServedObject> {
    // On Windows COM itself requests the object on behalf of the client.
    let client = caller.process_id.filter(|_| under_wine());
    ComObject::new(make(), activity, client)?.into_served()
}

fn failed(error: ComError) -> Error {
    Error::detected(ErrorKind::System, "COM says no").because(error)
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let classes: Vec<_> = self.classes.iter().map(|class| class.clsid).collect();
        f.debug_struct("Server").field("classes", &classes).field("idle", &self.idle).finish()
    }
}
