//! Prepares this process to receive handles in a sandbox.

use std::io;
use std::sync::OnceLock;

use crate::sys::fork::PerProcess;
use crate::{Closer, counter, device, mounts, probe, user};

/// Opens everything that is needed to examine handles later, so that a process which is confined
/// afterwards (seccomp, Landlock, `chroot`, no `/proc`) can receive handles. May be called more than
/// once.
///
/// From now on no thread is started to close handles ([`Closer`]), until the process serves something.
/// No file is opened either: a file of btrfs or overlay from another mount namespace is refused, and
/// the overflow id (65534) is a user or group that is unknown.
///
/// It keeps three descriptors: a file of `/proc/self/fdinfo`, a duplicate of it, and
/// `/proc/self/mountinfo`. A forked copy of this process has to prepare by itself.
///
/// # Errors
/// Which of them can't be had: `Unsupported` without `/proc`, no descriptors left.
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

/// Prepares this process to serve peers that don't trust each other: handles are closed by threads, and
/// events are set so that no other holder can block it ([`Event::set`](crate::Event::set)).
pub fn prepare_to_serve() {
    Closer::use_threads(true);
    counter::serve();
}

fn open_all() -> io::Result<()> {
    user::prepare();
    device::learn()?;
    probe::prepare()?;
    mounts::prepare()
}

/// Set when this process was prepared, or has tried to.
static DONE: PerProcess<OnceLock<()>> = PerProcess::new();

/// Prepares this process once, as far as it can. A process that can't is told so by the handle that it
/// can't examine.
pub fn prepare_once() {
    if let Some(done) = DONE.get() {
        done.get_or_init(|| drop(open_all()));
    }
}
