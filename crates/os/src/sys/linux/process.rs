//! Processes and threads, which pidfds represent.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use super::feature::{Feature, may_use};
use super::{device, fdinfo, ioctl};
use crate::process::no_such;
use crate::system_call::failed;
use crate::{Credentials, Process};

pub(crate) fn current() -> io::Result<OwnedFd> {
    open(std::process::id())
}

pub(crate) fn open(id: u32) -> io::Result<OwnedFd> {
    pidfd_open(id, PidfdFlags::empty(), "process").map_err(named_pidfd_open)
}

pub(crate) fn of(child: &Child) -> io::Result<OwnedFd> {
    open(child.id())
}

pub(crate) fn current_thread() -> io::Result<OwnedFd> {
    open_thread(rustix::thread::gettid().as_raw_pid().unsigned_abs())
}

pub(crate) fn open_thread(id: u32) -> io::Result<OwnedFd> {
    match pidfd_open(id, THREAD, "thread") {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
            Err(io::Error::new(ErrorKind::Unsupported, "a handle to a thread needs Linux 6.9"))
        }
        opened => opened.map_err(named_pidfd_open),
    }
}

/// Returns whether two pidfds refer to the same process. Returns `None` if the kernel can't tell.
pub(crate) fn are_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Option<bool> {
    let [one, other] = [one, other].map(|pidfd| device::stat(pidfd).ok());
    let (one, other) = (one?, other?);
    let comparable = device::is_pidfd(&one) && device::is_pidfd(&other);
    comparable.then_some(one.inode == other.inode)
}

pub(crate) fn exit_status(process: &Process) -> io::Result<Option<ExitStatus>> {
    let process = process.as_fd();
    if let Some(status) = told_exit_status(process) {
        return Ok(Some(status));
    }
    // `NOWAIT` does not reap the child, so that its owner can still wait for it.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match rustix::process::waitid(WaitId::PidFd(process), options) {
        Ok(Some(status)) => Ok(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(ExitStatus::from_raw((code & 0xff) << 8)),
            (None, Some(signal)) if status.dumped() => Some(ExitStatus::from_raw(signal | CORE)),
            (None, Some(signal)) => Some(ExitStatus::from_raw(signal)),
            (None, None) => None,
        }),
        // The process isn't a child of this process, or was already waited for.
        Ok(None) | Err(Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn credentials(process: BorrowedFd<'_>) -> io::Result<Credentials> {
    let info = process_info(process)?;
    match info.has_credentials() {
        true => Ok(Credentials::new(info.tgid, info.euid, info.egid)),
        false => Err(ended("process")),
    }
}

/// Sends a signal to a process or thread.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, number: i32, noun: &str) -> io::Result<()> {
    super::signal::send(pidfd, number).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::SRCH) => ended(noun),
        _ => failed("pidfd_send_signal")(error),
    })
}

/// Opens a pidfd of a process or, with the flag `PIDFD_THREAD`, of a thread.
pub(crate) fn pidfd_open(id: u32, flags: PidfdFlags, noun: &str) -> io::Result<OwnedFd> {
    let missing = || no_such(noun, id);
    // No process can have an ID outside of the range.
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(missing)?;
    rustix::process::pidfd_open(pid, flags).map_err(|error| match error {
        Errno::SRCH => missing(),
        error => error.into(),
    })
}

/// Names the system call in an error of [`pidfd_open`].
pub(crate) fn named_pidfd_open(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => failed("pidfd_open")(error),
        // The error already says that there is no such process.
        None => error,
    }
}

/// Returns the ID of a process or thread in this pid namespace. Returns `None` if the process no
/// longer exists or isn't visible here.
pub(crate) fn id(pidfd: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    match process_info(pidfd) {
        Ok(info) => return Ok(Some(info.pid).filter(|&pid| pid != 0)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) => {}
    }
    let mut room = fdinfo::Room::new();
    let info = fdinfo::read(pidfd, &device::stat(pidfd)?, &mut room).map_err(|error| {
        let what = format!("the number of a process is read from /proc before Linux 6.13: {error}");
        io::Error::new(error.kind(), what)
    })?;
    // The kernel prints -1 if the process no longer exists, and 0 if it isn't visible here.
    let id = info.value("Pid:").and_then(|id| id.parse::<i32>().ok()).unwrap_or(0);
    Ok(u32::try_from(id).ok().filter(|&id| id != 0))
}

/// Returns how a process ended, if the kernel reports that to any holder of a pidfd (Linux 6.15).
/// It does so after the parent has waited for the process.
pub(crate) fn told_exit_status(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    let info = process_info(pidfd).ok()?;
    info.exit_code().map(ExitStatus::from_raw)
}

/// Returns whether a pidfd certainly refers to a thread other than the main thread of its process.
pub(crate) fn is_thread(pidfd: BorrowedFd<'_>) -> bool {
    // The IDs are unknown on older kernels, if the process no longer exists, and if it isn't
    // visible here.
    process_info(pidfd).is_ok_and(|info| info.pid != info.tgid)
}

fn process_info(pidfd: BorrowedFd<'_>) -> io::Result<ioctl::ProcessInfo> {
    let unsupported = || {
        let what = "asking a process for its user and number (PIDFD_GET_INFO) needs Linux 6.13";
        io::Error::new(ErrorKind::Unsupported, what)
    };
    if !may_use(Feature::ProcessInfo) {
        return Err(unsupported());
    }
    ioctl::process_info(pidfd).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOTTY | Errno::INVAL) if is_other(pidfd) => {
            io::Error::new(ErrorKind::InvalidInput, "the handle is of no process")
        }
        Some(Errno::NOTTY | Errno::INVAL) => unsupported(),
        Some(Errno::SRCH | Errno::REMOTE) => ended("process"),
        _ => {
            let what = format!("a process can't be asked for its number (PIDFD_GET_INFO): {error}");
            io::Error::new(error.kind(), what)
        }
    })
}

/// Returns whether a handle is certainly not a pidfd. Before Linux 6.9, pidfds have the same device
/// number as other objects.
fn is_other(handle: BorrowedFd<'_>) -> bool {
    device::stat(handle).is_ok_and(|stat| !device::is_pidfd(&stat) && !device::is_anonymous(&stat))
}

/// Returns the error for a process or thread that no longer exists.
pub(crate) fn ended(noun: &str) -> io::Error {
    let what = format!("the {noun} has ended, or isn't visible in this namespace");
    io::Error::new(ErrorKind::NotFound, what)
}

pub(crate) use id as thread_id;

/// `PIDFD_THREAD` of `linux/pidfd.h`.
pub(crate) const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());

/// The bit in a raw exit status that reports a core dump.
const CORE: i32 = 0x80;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::super::feature::seam::without;
    use super::*;
    use crate::{Object, Thread, identify};

    fn shell(script: &str) -> Child {
        Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn the_end_of_a_child_is_waited_for_and_told() {
        let mut child = shell("read line; exit 7");
        let process = Process::of(&child).unwrap();
        assert_eq!(process.id().unwrap(), Some(child.id()));
        assert!(!process.wait_timeout(Duration::ZERO).unwrap());
        assert_eq!(process.exit_status().unwrap(), None);
        drop(child.stdin.take());
        process.wait().unwrap();
        assert_eq!(process.exit_status().unwrap().unwrap().code(), Some(7));
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert!(process.wait_timeout(Duration::ZERO).unwrap());
        assert_eq!(process.id().unwrap(), None);
        match process.exit_status().unwrap() {
            Some(status) => assert_eq!(status.code(), Some(7)),
            None => println!("skipped: this kernel forgets how a process ended (Linux 6.15)"),
        }
    }

    #[test]
    fn a_signal_ends_a_process() {
        let mut child = shell("read line");
        let process = Process::of(&child).unwrap();
        process.signal(0).unwrap();
        process.signal(libc::SIGKILL).unwrap();
        process.wait().unwrap();
        assert_eq!(process.exit_status().unwrap().unwrap().signal(), Some(libc::SIGKILL));
        child.wait().unwrap();
        assert_eq!(process.signal(0).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_number_of_a_child_that_was_waited_for_is_not_found() {
        let mut child = shell("exit 0");
        child.wait().unwrap();
        // Another process may already have the child's ID, but that is rare.
        match Process::of(&child) {
            Ok(_) => println!("skipped: the number of the child is used again"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
    }

    #[test]
    fn a_dead_process_is_still_a_process() {
        let mut child = shell("exit 0");
        let process = Process::of(&child).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(identify(process.as_fd()).unwrap().object, Object::Process);
    }

    #[test]
    fn this_process_has_its_own_number_and_user() {
        let process = Process::current().unwrap();
        assert_eq!(process.id().unwrap(), Some(std::process::id()));
        match process.credentials() {
            Ok(credentials) => assert_eq!(credentials.uid, crate::UserId::current()),
            Err(error) => println!("skipped: {error}"),
        }
    }

    #[test]
    fn a_handle_of_another_kind_is_told_from_an_older_kernel() {
        let no_process = Process::from(OwnedFd::from(tempfile::tempfile().unwrap()));
        let error = no_process.credentials().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(error.to_string(), "the handle is of no process");
        without(Feature::ProcessInfo, || {
            let error = Process::current().unwrap().credentials().unwrap_err();
            assert!(error.to_string().contains("PIDFD_GET_INFO"), "{error}");
            without(Feature::Proc, || {
                let error = Process::current().unwrap().id().unwrap_err();
                assert!(error.to_string().contains("is read from /proc"), "{error}");
            });
        });
    }

    #[test]
    fn an_older_kernel_tells_the_number_by_proc() {
        let process = Process::current().unwrap();
        without(Feature::ProcessInfo, || {
            assert_eq!(process.id().unwrap(), Some(std::process::id()));
            assert_eq!(process.credentials().unwrap_err().kind(), ErrorKind::Unsupported);
            without(Feature::Proc, || assert!(process.id().is_err()));
        });
    }

    #[test]
    fn the_end_of_a_thread_is_waited_for() {
        let (send, receive) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let running = std::thread::spawn(move || {
            send.send(Thread::current()).unwrap();
            ended.recv().unwrap();
        });
        let thread = match receive.recv().unwrap() {
            Ok(thread) => thread,
            Err(error) => return println!("skipped: {error}"),
        };
        assert_eq!(identify(thread.as_fd()).unwrap().object, Object::Thread);
        assert!(thread.id().unwrap().is_some_and(|id| id != std::process::id()));
        assert!(!thread.wait_timeout(Duration::ZERO).unwrap());
        assert_eq!(thread.exit_status(), None);
        end.send(()).unwrap();
        assert!(thread.wait_timeout(Duration::from_secs(20)).unwrap());
        running.join().unwrap();
        match thread.exit_status() {
            Some(status) => assert!(status.success()),
            None => println!("skipped: this kernel forgets how a thread ended (Linux 6.15)"),
        }
        assert_eq!(thread.signal(0).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
