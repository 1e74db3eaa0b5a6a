//! Prepares this process to receive handles in a sandbox.

use std::io;
use std::sync::OnceLock;

use crate::sys::fork::PerProcess;
use crate::sys::{counter, device, mounts, probe};
use crate::{Closer, memory, user};

/// Opens all files that are needed to examine handles later. A process that is confined afterwards
/// (seccomp, Landlock, `chroot`, no `/proc`) can then still receive handles. May be called more
/// than once.
///
/// From now on no thread is started to close handles ([`Closer`]), until the process serves. No
/// file is opened either: a file of btrfs or overlay from another mount namespace is refused, and
/// the overflow id (65534) is an unknown user or group.
///
/// The process keeps three descriptors: a file of `/proc/self/fdinfo`, a duplicate of it, and
/// `/proc/self/mountinfo`. A forked copy of this process has to call this function itself.
///
/// # Errors
/// Names the file that can't be opened: `Unsupported` without `/proc`, or no descriptor is left.
pub fn prepare() -> io::Result<()> {
    open_all()?;
    if let Some(done) = DONE.get() {
        done.get_or_init(|| ());
    }
    Closer::use_threads(false);
    mounts::open_nothing();
    user::open_nothing();
    Ok(())
}

/// Prepares this process to serve peers that don't trust each other. From now on threads close
/// handles, and no other holder of an event can block setting it
/// ([`Event::set`](crate::Event::set)).
pub fn prepare_to_serve() {
    Closer::use_threads(true);
    counter::serve();
}

fn open_all() -> io::Result<()> {
    user::prepare();
    device::learn()?;
    memory::learn();
    probe::prepare()?;
    mounts::prepare()
}

/// Set once this process was prepared, successfully or not.
static DONE: PerProcess<OnceLock<()>> = PerProcess::new();

/// Prepares this process once, as far as possible. If it fails, examining a handle later returns
/// the error.
pub fn prepare_once() {
    if let Some(done) = DONE.get() {
        done.get_or_init(|| drop(open_all()));
    }
}
