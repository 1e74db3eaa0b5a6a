//! The server side on Windows: COM calls the objects.

pub(crate) mod activity;
pub(crate) mod arguments;
pub(crate) mod context;
pub(crate) mod objects;
mod session;
pub(crate) mod task;

use std::sync::Arc;
use std::time::Duration;

use syshandle_com::{
    Caller, ClassObject, ComError, RegisteredInterface, ServedObject, ServerProcess,
    enter_apartment,
};
use syshandle_os::under_wine;
use syshandle_registry::ComRegistry;

use self::activity::Activity;
use self::objects::ComObject;
use crate::class::ServedClass;
use crate::class_locks::ClassLocks;
use crate::{Error, ErrorKind, Result};

/// The settings of a server, all of which COM has itself.
#[derive(Debug, Default)]
pub(crate) struct ServerSettings {}

/// Serves until the server was idle for its idle timeout, also if the program was started by hand.
pub(crate) fn run(
    classes: Vec<ServedClass>,
    idle: Option<Duration>,
    _: ServerSettings,
) -> Result<()> {
    for class in &classes {
        ComRegistry::own().set_environment(class.clsid);
    }
    // The caller's thread may be in an apartment of its own, so a new thread serves.
    let server = std::thread::Builder::new().name("server".to_owned());
    let served = server.spawn(move || serve(classes, idle))?;
    served.join().unwrap_or_else(|_| Err(Error::failed("the server panicked")))
}

fn serve(served: Vec<ServedClass>, idle: Option<Duration>) -> Result<()> {
    enter_apartment().map_err(failed)?;
    let activity = Activity::new();
    let process = ServerProcess::hold();
    let locks = ClassLocks::of(served.iter().map(|class| class.clsid))?;
    let mut classes = Vec::new();
    for ServedClass { clsid, interfaces, make } in served {
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
    activity.wait_until_idle(idle.map(|idle| idle.max(FIRST)), true);
    loop {
        activity.wait_until_idle(idle, false);
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
    Error::detected(ErrorKind::System, "COM can't serve the classes").because(error)
}
