//! Starts a program that is nobody's child, without copying this process.
#![expect(unsafe_code, reason = "clone with a stack of its own, and what may be done before exec")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::check;
use super::limit::set_own_descriptor_limit;
use super::listen::{BACKLOG, FIRST};
use crate::spawn::SpawnStep;

/// A program in the form that `execve` takes, with all memory in place: nothing may be allocated
/// between clone and exec.
pub(crate) struct Image<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) arguments: &'a [&'a CStr],
    pub(crate) environment: &'a [&'a CStr],
    /// Become 0, 1, 2 and so on, in this order; every other descriptor is closed.
    pub(crate) descriptors: &'a [BorrowedFd<'a>],
    /// The soft limit of descriptors that it gets, if that isn't this process's.
    pub(crate) descriptor_limit: Option<u64>,
}

/// What the three processes share while they take turns: each waits for the next to exec or exit.
struct Shared {
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    descriptors: Vec<RawFd>,
    descriptor_limit: Option<u64>,
    /// `LISTEN_PID=` and room for the number, which only the last process knows.
    listen_pid: [u8; LISTEN_PID.len() + 11],
    stack_top: *mut c_void,
    pidfd: RawFd,
    errno: c_int,
    /// The step that failed.
    step: SpawnStep,
}

/// Starts the program and returns its pidfd. `LISTEN_PID` is added to its environment.
///
/// A process in the middle starts it and ends at once, so that it belongs to init and never
/// becomes a zombie of ours.
pub(crate) fn start(image: &Image<'_>) -> Result<OwnedFd, (SpawnStep, io::Error)> {
    // Those that are in the way of the places that they will be put to.
    let first_free = image.descriptors.len() as RawFd;
    let mut moved = Vec::new();
    let mut descriptors = Vec::with_capacity(image.descriptors.len());
    for descriptor in image.descriptors {
        descriptors.push(match descriptor.as_raw_fd() {
            raw if raw >= first_free => raw,
            _ => {
                let duplicate = rustix::io::fcntl_dupfd_cloexec(descriptor, first_free);
                moved.push(duplicate.map_err(|error| (SpawnStep::Descriptors, error.into()))?);
                moved.last().map_or(-1, AsRawFd::as_raw_fd)
            }
        });
    }
    let mut shared = Shared {
        path: image.path.as_ptr(),
        arguments: ptr::null(),
        environment: ptr::null(),
        descriptors,
        descriptor_limit: image.descriptor_limit,
        listen_pid: [0; LISTEN_PID.len() + 11],
        stack_top: ptr::null_mut(),
        pidfd: -1,
        errno: 0,
        step: SpawnStep::Clone,
    };
    shared.listen_pid[..LISTEN_PID.len()].copy_from_slice(LISTEN_PID);
    let arguments = null_terminated(image.arguments.iter().map(|argument| argument.as_ptr()));
    let listen_pid = shared.listen_pid.as_ptr().cast::<c_char>();
    let environment = null_terminated(
        image.environment.iter().map(|variable| variable.as_ptr()).chain([listen_pid]),
    );
    shared.arguments = arguments.as_ptr();
    shared.environment = environment.as_ptr();
    let mut stacks = [Stack::new(), Stack::new()];
    let [middle_stack, last_stack] = &mut stacks;
    shared.stack_top = last_stack.top();

    let in_clone = |error| (SpawnStep::Clone, error);
    let signals = block_all_signals().map_err(in_clone)?;
    // CLONE_FILES: the pidfd that the middle process gets is ours too. No exit signal: a program
    // that waits for its own children never hears of this one.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
    // SAFETY: `middle` runs on a stack of its own while this thread stands still (CLONE_VFORK),
    // touches only `shared`, which outlives it, and never returns to code of ours.
    let middle_pid =
        check(unsafe { libc::clone(middle, middle_stack.top(), flags, (&raw mut shared).cast()) });
    restore_signals(&signals);
    let middle_pid = middle_pid.map_err(in_clone)?;
    // SAFETY: waits for that process alone, without asking for its status.
    while check(unsafe { libc::waitpid(middle_pid, ptr::null_mut(), libc::__WALL) })
        .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    {}
    // The last process wrote its error here before it ended: the compiler can't know.
    // SAFETY: all are plain values of `shared`, whose other users have ended or exec'ed.
    let (pidfd, errno, step) = unsafe {
        (
            ptr::read_volatile(&shared.pidfd),
            ptr::read_volatile(&shared.errno),
            ptr::read_volatile(&shared.step),
        )
    };
    let process = match pidfd {
        -1 => None,
        // SAFETY: the kernel opened it for the table that we share with the middle process, which
        // has ended: this is its one owner.
        raw => Some(unsafe { OwnedFd::from_raw_fd(raw) }),
    };
    match (process, errno) {
        (Some(process), 0) => Ok(process),
        (_, 0) => Err(in_clone(io::Error::other("the process in the middle ended early"))),
        (_, errno) => Err((step, io::Error::from_raw_os_error(errno))),
    }
}

/// The process in the middle: starts the last one and ends.
extern "C" fn middle(shared: *mut c_void) -> c_int {
    let shared = shared.cast::<Shared>();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: as in `start`, one process further; the pidfd is written to `shared`.
    let pid = unsafe {
        libc::clone(last, (*shared).stack_top, flags, shared.cast(), &raw mut (*shared).pidfd)
    };
    if pid == -1 {
        fail(shared, SpawnStep::Clone);
    }
    // SAFETY: ends this process without running anything of the program's it shares memory with.
    unsafe { libc::_exit(0) }
}

/// The last process: becomes the program. Only system calls from here on.
extern "C" fn last(shared: *mut c_void) -> c_int {
    let shared = shared.cast::<Shared>();
    // SAFETY: the other two processes stand still: this is the one user of `shared`.
    let image = unsafe { &mut *shared };
    for signal in 1..=64 {
        // The system call itself, since libc keeps two signals for itself. All zeros: SIG_DFL.
        let default = [0_u64; 4];
        // SAFETY: the table of handlers is this process's own copy; the kernel reads four words.
        // It fails for the two signals that can't have a handler.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0, size_of::<u64>()) };
    }
    // SAFETY: no memory is involved. It can't fail: a new process leads no group.
    unsafe { libc::setsid() };
    // SAFETY: no memory is involved.
    unsafe { libc::umask(0o022) };
    // SAFETY: a constant string.
    if unsafe { libc::chdir(c"/".as_ptr()) } == -1 {
        fail(shared, SpawnStep::Folder);
    }
    for (place, &descriptor) in image.descriptors.iter().enumerate() {
        // SAFETY: the table of descriptors is this process's own copy.
        if unsafe { libc::dup2(descriptor, place as c_int) } == -1 {
            fail(shared, SpawnStep::Descriptors);
        }
        if place >= FIRST as usize {
            // A client learns from the kernel who called `listen`: this process, from now on, even
            // if the program never gets so far.
            // SAFETY: no memory is involved.
            unsafe { libc::listen(place as c_int, BACKLOG) };
        }
    }
    let first = image.descriptors.len() as libc::c_uint;
    // SAFETY: as above; all others are close-on-exec or a leak of somebody else's.
    if unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } == -1 {
        fail(shared, SpawnStep::Descriptors);
    }
    if let Some(limit) = image.descriptor_limit {
        // The program can do with the limit that this process has raised, too.
        let _ = set_own_descriptor_limit(limit);
    }
    // SAFETY: only asks.
    write_decimal(
        unsafe { libc::getpid() }.unsigned_abs(),
        &mut image.listen_pid[LISTEN_PID.len()..],
    );
    unblock_all_signals();
    // SAFETY: the path and both arrays are terminated and outlive the call.
    unsafe { libc::execve(image.path, image.arguments, image.environment) };
    fail(shared, SpawnStep::Exec)
}

/// Tells the error of the last system call to the parent, with its step, and ends.
fn fail(shared: *mut Shared, step: SpawnStep) -> ! {
    // SAFETY: errno is this thread's, which stands still in the parent meanwhile.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: `shared` outlives this process, and nobody else uses it now.
    unsafe { ptr::write_volatile(&raw mut (*shared).errno, errno) };
    // SAFETY: as above.
    unsafe { ptr::write_volatile(&raw mut (*shared).step, step) };
    // SAFETY: ends this process without running anything else.
    unsafe { libc::_exit(127) }
}

/// Writes a number in decimal, terminated by zero. `out` has room for ten digits.
fn write_decimal(mut number: u32, out: &mut [u8]) {
    let mut digits = [0; 10];
    let mut len = 0;
    loop {
        digits[len] = b'0' + (number % 10) as u8;
        len += 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    for (place, digit) in out.iter_mut().zip(digits[..len].iter().rev()) {
        *place = *digit;
    }
}

/// A signal handler that ran in the child would run in our memory.
fn block_all_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: a sigset_t is a plain array of integers, filled below.
    let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: writes a set.
    unsafe { libc::sigfillset(&mut all) };
    // SAFETY: reads one set and writes the other.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old) } {
        0 => Ok(old),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn restore_signals(old: &libc::sigset_t) {
    // SAFETY: reads a set that the kernel gave us.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old, ptr::null_mut()) };
}

fn unblock_all_signals() {
    // SAFETY: an empty set is all zeros.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    restore_signals(&none);
}

/// Memory for the stack of a process that only makes system calls.
struct Stack(Vec<u128>);

impl Stack {
    fn new() -> Self {
        Self(vec![0; STACK_SIZE / size_of::<u128>()])
    }

    /// One past its end, aligned to 16 bytes: where a stack that grows down starts.
    fn top(&mut self) -> *mut c_void {
        self.0.as_mut_ptr_range().end.cast()
    }
}

fn null_terminated(pointers: impl Iterator<Item = *const c_char>) -> Vec<*const c_char> {
    pointers.chain([ptr::null()]).collect()
}

const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// `execve` and the calls before it need a few hundred bytes; binding a symbol of libc, where that is
/// done late, a few thousand.
const STACK_SIZE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 4_194_304, u32::MAX] {
            let mut out = [0; 11];
            write_decimal(number, &mut out);
            let text = CStr::from_bytes_until_nul(&out).unwrap().to_str().unwrap();
            assert_eq!(text, number.to_string());
        }
    }
}
