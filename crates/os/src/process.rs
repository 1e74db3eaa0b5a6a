//! Processes: wait for their end, read their exit status, send signals.
//!
//! | | |
//! |---|---|
//! | object | a pidfd ([pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html)), which can't come to refer to another process |
//! | proof | `statx` shows the device of pidfds, and `F_GETFL` doesn't show `PIDFD_THREAD`; before Linux 6.9 `/proc/self/fdinfo` has `Pid` |
//! | rights | `wait`: every holder; `signal`: the kernel checks the permissions of the sending process, as for [kill(2)](https://man7.org/linux/man-pages/man2/kill.2.html), and not a right of the handle |
//! | `try_clone` | the same process |
//! | Windows | a process HANDLE, `sh_process` |

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use crate::handle::impl_handle;
use crate::sys::feature::{Feature, may_use};
use crate::sys::ioctl;
use crate::sys::{device, fdinfo};
use crate::system_call::failed;
use crate::wait::{Waitable, wait_any};
use crate::{Credentials, Declared, Kind};

/// A process, running or ended.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl_handle!(Process => Declared::kind(Kind::Process));

impl Process {
    /// Returns a handle to this process.
    ///
    /// # Errors
    /// Returns the errors of `pidfd_open(2)`, for example if no descriptor is left.
    pub fn current() -> io::Result<Self> {
        Self::open(std::process::id())
    }

    /// Returns the process that has this number now. The number certainly refers to the intended
    /// process only for this process itself, and for a child that wasn't waited for yet.
    ///
    /// # Errors
    /// `NotFound` without such a process; the other errors of `pidfd_open(2)`.
    pub fn open(id: u32) -> io::Result<Self> {
        pidfd_open(id, PidfdFlags::empty(), "process").map(Self).map_err(named_pidfd_open)
    }

    /// Returns a handle to a child of this process. The owner of the [`Child`] still has to wait
    /// for it.
    ///
    /// # Errors
    /// `NotFound` if the owner has waited for the child already; the other errors of
    /// `pidfd_open(2)`.
    pub fn of(child: &Child) -> io::Result<Self> {
        Self::open(child.id())
    }

    /// Returns whether two pidfds refer to the same process; `None` if the kernel cannot tell
    /// (before Linux 6.9).
    pub fn are_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Option<bool> {
        let [one, other] = [one, other].map(|pidfd| device::stat(pidfd).ok());
        let (one, other) = (one?, other?);
        let comparable = device::is_pidfd(&one) && device::is_pidfd(&other);
        comparable.then_some(one.inode == other.inode)
    }

    /// Returns how the process ended; `None` while it runs, and if the kernel doesn't tell.
    ///
    /// The kernel reports the status to the parent. From Linux 6.15 on it reports it to every
    /// holder, once the parent has received it.
    ///
    /// # Errors
    /// Returns the errors of [`waitid(2)`](https://man7.org/linux/man-pages/man2/waitid.2.html).
    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = told_exit_status(self.0.as_fd()) {
            return Ok(Some(status));
        }
        // This call doesn't reap the child, so that its owner can still wait for it.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::PidFd(self.0.as_fd()), options) {
            Ok(Some(status)) => Ok(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Some(ExitStatus::from_raw((code & 0xff) << 8)),
                (None, Some(signal)) if status.dumped() => {
                    Some(ExitStatus::from_raw(signal | CORE))
                }
                (None, Some(signal)) => Some(ExitStatus::from_raw(signal)),
                (None, None) => None,
            }),
            // The process isn't a child of this process, or was waited for already.
            Ok(None) | Err(Errno::CHILD) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the user and group of the process (Linux 6.13).
    ///
    /// # Errors
    /// `Unsupported` on an older kernel; `NotFound` if the process no longer exists.
    pub fn credentials(&self) -> io::Result<Credentials> {
        let info = process_info(self.0.as_fd())?;
        match info.has_credentials() {
            true => Ok(Credentials::new(info.tgid, info.euid, info.egid)),
            false => Err(gone()),
        }
    }
}

macro_rules! impl_process {
    ($type:ident, $noun:literal) => {
        impl $type {
            #[doc = concat!("The number of the ", $noun, " in the pid namespace of this process; ")]
            /// `None` if it isn't visible there, or no longer exists.
            ///
            /// The number is for display only. It may refer to another one by the time it is used.
            ///
            /// # Errors
            /// `Unsupported` before Linux 6.13 without `/proc`.
            pub fn id(&self) -> io::Result<Option<u32>> {
                $crate::process::id(self.0.as_fd())
            }

            #[doc = concat!("Sends a signal to the ", $noun, ", by its number in")]
            /// [signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html); number 0 only
            /// checks whether a signal could be sent.
            ///
            /// # Errors
            /// Returns the errors of
            /// [`pidfd_send_signal(2)`](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html):
            /// `PermissionDenied`; `NotFound` if it no longer exists.
            pub fn signal(&self, number: i32) -> io::Result<()> {
                let sent = $crate::sys::signal::send(self.0.as_fd(), number);
                sent.map_err(|error| match Errno::from_io_error(&error) {
                    Some(Errno::SRCH) => io::Error::new(
                        io::ErrorKind::NotFound,
                        concat!("the ", $noun, " has ended, or isn't visible in this namespace"),
                    ),
                    _ => $crate::system_call::failed("pidfd_send_signal")(error),
                })
            }

            #[doc = concat!("Waits until the ", $noun, " has ended, for as long as it takes.")]
            ///
            /// # Errors
            /// Returns the errors of `poll(2)`.
            pub fn wait(&self) -> io::Result<()> {
                wait_any(&[self], None).map(drop)
            }

            #[doc = concat!("Waits until the ", $noun, " has ended, but not longer than `timeout`; ")]
            /// returns whether it has.
            ///
            /// # Errors
            /// Returns the errors of `poll(2)`.
            pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
                Ok(wait_any(&[self], Some(timeout))?.is_some())
            }

            #[doc = concat!("A second handle to the same ", $noun, ".")]
            ///
            /// # Errors
            /// Fails if no descriptor is left.
            pub fn try_clone(&self) -> io::Result<Self> {
                self.0.try_clone().map(Self).map_err($crate::system_call::failed(
                    $crate::sys::DUPLICATE,
                ))
            }
        }

        /// The object stays ready, because an ended process stays ended.
        impl Waitable for $type {
            fn handle(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }

            fn take(&self) -> io::Result<bool> {
                Ok(true)
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl From<OwnedFd> for $type {
            fn from(handle: OwnedFd) -> Self {
                Self(handle)
            }
        }

        impl From<$type> for OwnedFd {
            fn from(handle: $type) -> Self {
                handle.0
            }
        }
    };
}
pub(crate) use impl_process;
impl_process!(Process, "process");

/// Opens a pidfd of a process or, with the flag `PIDFD_THREAD`, of a thread.
pub(crate) fn pidfd_open(id: u32, flags: PidfdFlags, noun: &str) -> io::Result<OwnedFd> {
    let missing = || io::Error::new(ErrorKind::NotFound, format!("no {noun} has the number {id}"));
    // No process can have a number outside of the range.
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

/// Returns the number of a process or thread in this pid namespace.
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
    // The kernel prints -1 if the process no longer exists, 0 if it isn't visible here.
    let id = info.value("Pid:").and_then(|id| id.parse::<i32>().ok()).unwrap_or(0);
    Ok(u32::try_from(id).ok().filter(|&id| id != 0))
}

/// Returns how a process ended, if its parent has waited for it and the kernel reports the status
/// to every holder (Linux 6.15).
pub(crate) fn told_exit_status(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    let info = process_info(pidfd).ok()?;
    info.exit_code().map(ExitStatus::from_raw)
}

/// Returns whether a pidfd certainly refers to a thread that isn't the first of its process.
pub(crate) fn is_thread(pidfd: BorrowedFd<'_>) -> bool {
    // Older kernels report no number, and neither do processes that no longer exist or aren't
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
        Some(Errno::SRCH | Errno::REMOTE) => gone(),
        _ => {
            let what = format!("a process can't be asked for its number (PIDFD_GET_INFO): {error}");
            io::Error::new(error.kind(), what)
        }
    })
}

/// Returns whether a handle is certainly not a pidfd. Before Linux 6.9 pidfds share their device
/// with other objects.
fn is_other(handle: BorrowedFd<'_>) -> bool {
    device::stat(handle).is_ok_and(|stat| !device::is_pidfd(&stat) && !device::is_anonymous(&stat))
}

fn gone() -> io::Error {
    let what = "the process is gone, or isn't visible in this namespace";
    io::Error::new(ErrorKind::NotFound, what)
}

/// The bit of a raw exit status for a core dump.
const CORE: i32 = 0x80;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sys::feature::seam::without;
    use crate::{Object, identify};

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
    fn a_number_that_no_process_has_is_not_found() {
        // The kernel assigns neither 0 nor such high numbers.
        for id in [0, i32::MAX as u32, u32::MAX] {
            let error = Process::open(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.to_string(), format!("no process has the number {id}"));
        }
        let mut child = shell("exit 0");
        child.wait().unwrap();
        // Another process may have its number by now, but usually none has.
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
}
