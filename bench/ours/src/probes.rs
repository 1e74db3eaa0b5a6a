//! Measures the proof of one handle of each kind.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use bench_harness::Result;
use bench_harness::sparkle::Dishes;
use rustix::event::EventfdFlags;
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::process::PidfdFlags;
use rustix::time::{TimerfdClockId, TimerfdFlags};
use syshandle_os::{Declaration, Kind, prove};

use crate::ladder::Rung;

/// Returns a probe for each kind that exists on this machine.
pub(crate) fn all() -> Result<Vec<Rung<'static>>> {
    let dishes = Dishes::new();
    let open = |path: &str| -> Result<OwnedFd> {
        Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    };
    let event = |flags| rustix::event::eventfd(0, flags);
    let pid = rustix::process::getpid();
    let pidfd = |flags| rustix::process::pidfd_open(pid, flags);
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty())?;
    let mut objects: Vec<(&'static str, Kind, Result<OwnedFd>)> = vec![
        ("a file in memory", Kind::File, Ok(dishes.open()?.into())),
        ("a file on a disk", Kind::File, Ok(File::open(std::env::current_exe()?)?.into())),
        ("a device", Kind::File, open("/dev/null")),
        ("a directory", Kind::Directory, open("/")),
        ("a pipe", Kind::Pipe, Ok(rustix::pipe::pipe()?.0)),
        ("a socket", Kind::Socket, Ok(std::os::unix::net::UnixStream::pair()?.0.into())),
        ("an event", Kind::Event, Ok(event(EventfdFlags::empty())?)),
        ("a semaphore", Kind::Semaphore, Ok(event(EventfdFlags::SEMAPHORE)?)),
        ("a timer", Kind::Timer, Ok(timer)),
        ("a section", Kind::Section, section()),
        ("a process", Kind::Process, Ok(pidfd(PidfdFlags::empty())?)),
        ("a token", Kind::Token, open("/proc/self/ns/user")),
        ("a job", Kind::Job, open("/sys/fs/cgroup")),
    ];
    // A kind is omitted if this machine has no such object, or if the kernel doesn't report it.
    objects.retain(|(name, kind, object)| {
        let object = object.as_ref().map_err(|error| error.to_string());
        let proven = object.and_then(|object| {
            prove(object.as_fd(), &Declaration::kind(*kind)).map_err(|error| format!("{error:?}"))
        });
        if let Err(error) = &proven {
            eprintln!("no probe for {name}: {error}");
        }
        proven.is_ok()
    });
    let rungs = objects.into_iter().filter_map(|(name, kind, object)| {
        let object = object.ok()?;
        let rung = move || match prove(object.as_fd(), &Declaration::kind(kind)) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error:?}").into()),
        };
        Some((name, Box::new(rung) as _))
    });
    Ok(rungs.collect())
}

fn section() -> Result<OwnedFd> {
    let section = rustix::fs::memfd_create("bench", MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&section, 4096)?;
    Ok(section)
}
