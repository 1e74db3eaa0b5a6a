//! Sends signals to pidfds, and handles `SIGXFSZ`, the signal for exceeding the file size limit.
#![expect(unsafe_code, reason = "signal sets are raw memory; libc has no function for some calls")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Sends a signal. Signal 0 only checks whether the process could be signalled.
pub(crate) fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the pointer to a `siginfo_t` is null, so the call reads no memory.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0)
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Blocks `SIGXFSZ` in this thread until dropped, and discards the signal if it was raised in
/// between.
///
/// The kernel sends the signal to the thread whose write exceeds the file size limit.
#[derive(Debug)]
pub(crate) struct FileSizeSignalBlock {
    /// The previous signal mask of the thread; `None` if the mask could not be changed.
    before: Option<libc::sigset_t>,
    was_pending: bool,
}

impl FileSizeSignalBlock {
    pub(crate) fn new() -> Self {
        let set = file_size_signal();
        let mut before = MaybeUninit::uninit();
        // SAFETY: the call reads one signal set and writes the other. Both live in this function.
        let blocked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, before.as_mut_ptr()) };
        // SAFETY: if the call succeeded, it has written the set.
        let before = (blocked == 0).then(|| unsafe { before.assume_init() });
        Self { before, was_pending: is_pending() }
    }
}

impl Drop for FileSizeSignalBlock {
    fn drop(&mut self) {
        let Some(before) = self.before else { return };
        // A signal that was already pending remains pending.
        if !self.was_pending && is_pending() {
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the call reads the set and the timeout. The pointer to a `siginfo_t` is null,
            // so it writes nothing.
            unsafe { libc::sigtimedwait(&file_size_signal(), ptr::null_mut(), &at_once) };
        }
        // SAFETY: the call reads the set, and writes nothing, because the other pointer is null.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    }
}

/// Makes this process ignore `SIGXFSZ`, unless it has its own handler.
pub(crate) fn ignore_file_size_signal() {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the call only writes the current action, if it succeeds.
    if unsafe { libc::sigaction(libc::SIGXFSZ, ptr::null(), action.as_mut_ptr()) } == 0
        // SAFETY: the call succeeded, so it has written the action.
        && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_DFL
    {
        // SAFETY: ignoring a signal runs no handler.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    }
}

fn file_size_signal() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call initializes the whole set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was initialized above.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: the call modifies the set, which lives in this function.
    unsafe { libc::sigaddset(&mut set, libc::SIGXFSZ) };
    set
}

fn is_pending() -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call writes the set or fails.
    let known = unsafe { libc::sigpending(set.as_mut_ptr()) } == 0;
    // SAFETY: the set is only read, and only if the call above has written it.
    known && unsafe { libc::sigismember(set.as_ptr(), libc::SIGXFSZ) } == 1
}
