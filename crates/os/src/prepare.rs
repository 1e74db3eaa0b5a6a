//! Prepares this process to receive handles while it is confined to a sandbox.

use std::io;
use std::sync::OnceLock;

use crate::sys::fork::PerProcess;
use crate::sys::{counter, device, mounts, probe};
use crate::{Closer, memory, user};

/// Opens all files that are needed to examine handles later. A process that enters a sandbox
/// afterwards (seccomp, Landlock, `chroot`, no `/proc`) can then still receive handles. May be
/// called more than once.
///
/// From now on, no thread is started to close handles ([`Closer`]) until this process runs a
/// server with threads. No more files are opened either, with two consequences: a btrfs or overlay file from
/// another mount namespace is rejected, and the overflow ID (65534) counts as an unknown user or
/// group.
///
/// The process keeps three descriptors open: a file of `/proc/self/fdinfo`, a duplicate of it, and
/// `/proc/self/mountinfo`. A forked child has to call this function itself.
///
/// # Errors
/// The error names the file that can't be opened: `Unsupported` if `/proc` isn't mounted, or the
/// error for too many open file descriptors.
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

/// Prepares this process to serve peers that don't trust each other. From now on, other holders of
/// an event can't block [`Event::set`](crate::Event::set). With `has_threads`, threads close handles
/// from now on, also if [`prepare`] was called.
pub fn prepare_to_serve(has_threads: bool) {
    if has_threads {
        Closer::use_threads(true);
    }
    counter::serve();
}

fn open_all() -> io::Result<()> {
    user::prepare();
    device::learn()?;
    memory::learn();
    probe::prepare()?;
    mounts::prepare()
}

/// Whether this process was prepared, successfully or not.
static DONE: PerProcess<OnceLock<()>> = PerProcess::new();

/// Prepares this process once, and ignores errors. If the preparation failed, a later proof returns
/// the error.
pub fn prepare_once() {
    if let Some(done) = DONE.get() {
        done.get_or_init(|| drop(open_all()));
    }
}
