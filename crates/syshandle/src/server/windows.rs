//! The server side on Windows: COM calls the objects.

pub(crate) mod activity;
pub(crate) mod arguments;
pub(crate) mod context;
mod ending;
mod holders;
pub(crate) mod objects;
pub(crate) mod server_control;
mod session;
pub(crate) mod task;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use syshandle_com::{
    Caller, ClassObject, ComError, RegisteredInterface, ServedObject, ServerProcess,
    enter_apartment,
};
use syshandle_os::under_wine;
use syshandle_registry::ComRegistry;
use syshandle_wire::Fault;

use self::activity::Activity;
use self::objects::ComObject;
use self::server_control::ServerControl;
use crate::class_locks::ClassLocks;
use crate::server::running_server::join;
use crate::untyped_object::{Object, ServedClass};
use crate::{Error, ErrorKind, Result};

/// The settings of a server that COM doesn't have itself.
#[derive(Debug)]
pub(crate) struct ServerSettings {
    pub(crate) drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { drain: DRAIN_TIMEOUT }
    }
}

/// Serves until the idle timeout passes, even if the program was started by hand.
pub(crate) fn run(
    classes: Vec<ServedClass>,
    idle: Option<Duration>,
    settings: ServerSettings,
) -> Result<()> {
    let (_, thread) = start(classes, idle, settings)?;
    join(thread)
}

/// Starts to serve. Returns the thread that ends with the server.
pub(crate) fn start(
    classes: Vec<ServedClass>,
    idle: Option<Duration>,
    settings: ServerSettings,
) -> Result<(ServerControl, JoinHandle<Result<()>>)> {
    for class in &classes {
        ComRegistry::own().set_environment(class.clsid);
    }
    let activity = Activity::new();
    let control = ServerControl(activity.clone());
    let (started, start_result) = std::sync::mpsc::channel();
    // The caller's thread may be in an apartment of its own, so a new thread serves.
    let thread = std::thread::Builder::new().name("syshandle-server".to_owned());
    let thread = thread.spawn(move || serve(classes, idle, settings.drain, &activity, &started))?;
    match start_result.recv() {
        Ok(()) => Ok((control, thread)),
        // The thread has ended without serving.
        Err(_) => {
            join(thread).and_then(|()| Err(Error::failed("the server has ended before it served")))
        }
    }
}

fn serve(
    served: Vec<ServedClass>,
    idle: Option<Duration>,
    drain: Duration,
    activity: &Arc<Activity>,
    started: &Sender<()>,
) -> Result<()> {
    enter_apartment().map_err(failed)?;
    let process = ServerProcess::hold();
    let locks = ClassLocks::of(served.iter().map(|class| class.clsid))?;
    let mut class_objects = Vec::new();
    for ServedClass { clsid, interfaces, make } in served {
        for interface in interfaces {
            RegisteredInterface::of(interface).map_err(failed)?;
        }
        let activity = activity.clone();
        let object = move |caller| {
            if activity.is_stopping() {
                return Err(Fault::Draining);
            }
            self::make(&*make, &activity, caller).map_err(|error| {
                crate::log::error!(%error, "an object couldn't be created");
                Fault::Failed { text: format!("{error:#}") }
            })
        };
        class_objects.push(ClassObject::register(clsid, object).map_err(failed)?);
    }
    process.open().map_err(failed)?;
    crate::log::debug!("serving");
    // `start` waits for this message.
    let _ = started.send(());
    let mut process = process;
    // The client that caused the start takes some time to connect; under Wine always at least a
    // second.
    let first = if was_started_by_com() { FIRST_CLIENT_TIMEOUT } else { Duration::ZERO };
    activity.wait_until_idle(idle.map(|idle| idle.max(first)), true);
    loop {
        activity.wait_until_idle(idle, false);
        if activity.is_stopping() {
            crate::log::debug!("the server was told to end");
            process.release();
            drop(class_objects);
            ending::end(activity, drain);
            return Ok(());
        }
        let Some(lock) = locks.take(LOCK_TIMEOUT)? else { continue };
        // From the release on, no client can connect, unless this process has another server.
        if process.release() && activity.is_idle() {
            drop(class_objects);
            drop(lock);
            // A client that connected just before uses its object until it releases it.
            while !activity.is_idle() && !activity.is_stopping() {
                activity.wait_until_idle(idle, false);
            }
            if activity.is_stopping() {
                ending::end(activity, drain);
            }
            break;
        }
        process = ServerProcess::hold();
        process.open().map_err(failed)?;
    }
    crate::log::debug!("no client uses the server any more");
    Ok(())
}

/// Default of the time that running methods and background tasks have when the server ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait of an idle server for the locks of its classes, which clients hold while they
/// activate a class.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// Least time that a server which COM started waits for its first client.
const FIRST_CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns whether COM started this program, because a client activated one of its classes.
fn was_started_by_com() -> bool {
    std::env::args().any(|argument| {
        let word = argument.strip_prefix(['-', '/']).unwrap_or_default();
        word.eq_ignore_ascii_case("Embedding")
    })
}

/// Makes the object for a new client.
fn make(
    make: &dyn Fn() -> Object,
    activity: &Arc<Activity>,
    caller: Caller,
) -> Result<ServedObject> {
    // On Windows, the caller of this function is COM. The client is known at its first call.
    let client = caller.process_id.filter(|_| under_wine());
    ComObject::new(make(), activity, client)?.into_served()
}

fn failed(error: ComError) -> Error {
    Error::detected(ErrorKind::System, "COM can't serve the classes").because(error)
}
