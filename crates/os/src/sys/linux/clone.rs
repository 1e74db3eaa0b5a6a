//! Starts a program that is not a child of this process, without copying the memory of this
//! process.
#![expect(unsafe_code, reason = "clone with a separate stack, and system calls before exec")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::check;
use super::listen::{BACKLOG, FIRST};
use super::this_process::set_own_descriptor_limit;
use crate::spawn::SpawnStep;

/// A program in the form that `execve` takes. All memory is allocated in advance, because
/// allocating between `clone` and `execve` isn't safe.
pub(crate) struct Image<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) arguments: &'a [&'a CStr],
    pub(crate) environment: &'a [&'a CStr],
    /// The descriptors of the program, which get the numbers 0, 1, 2 and so on in this order. All
    /// others are closed.
    pub(crate) descriptors: &'a [BorrowedFd<'a>],
    /// The program's soft limit of file descriptors, if it differs from the limit of this process.
    pub(crate) descriptor_limit: Option<u64>,
}

/// Memory shared by the three processes that take part in a start. Only one of them runs at a time,
/// because each is suspended until the next one has called `execve` or `_exit`.
struct StartMemory {
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    descriptors: Vec<RawFd>,
    descriptor_limit: Option<u64>,
    /// `LISTEN_PID=` and space for the process ID, which only the last process knows.
    listen_pid: [u8; LISTEN_PID.len() + 11],
    stack_top: *mut c_void,
    pidfd: RawFd,
    errno: c_int,
    /// The failed step.
    step: SpawnStep,
}

/// Starts the program and returns its pidfd. Adds `LISTEN_PID` to its environment.
///
/// An intermediate process starts the program and ends immediately. So init becomes the parent of
/// the program, and the program never becomes a zombie of this process.
pub(crate) fn start(image: &Image<'_>) -> Result<OwnedFd, (SpawnStep, io::Error)> {
    // Descriptors whose numbers are needed as targets are first duplicated to higher numbers.
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
    let mut memory = StartMemory {
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
    memory.listen_pid[..LISTEN_PID.len()].copy_from_slice(LISTEN_PID);
    let arguments = null_terminated(image.arguments.iter().map(|argument| argument.as_ptr()));
    let listen_pid = memory.listen_pid.as_ptr().cast::<c_char>();
    let environment = null_terminated(
        image.environment.iter().map(|variable| variable.as_ptr()).chain([listen_pid]),
    );
    memory.arguments = arguments.as_ptr();
    memory.environment = environment.as_ptr();
    let mut stacks = [Stack::new(), Stack::new()];
    let [middle_stack, last_stack] = &mut stacks;
    memory.stack_top = last_stack.top();

    let in_clone = |error| (SpawnStep::Clone, error);
    let signals = block_all_signals().map_err(in_clone)?;
    // `CLONE_FILES`: the pidfd that the intermediate process opens also belongs to this process. No
    // exit signal is requested, so a thread that waits for its own children is not notified of this
    // one.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
    // SAFETY: `middle` runs on its own stack while this thread is suspended (`CLONE_VFORK`). It
    // accesses only `memory`, which outlives it, and never returns to code of this process.
    let middle_pid =
        check(unsafe { libc::clone(middle, middle_stack.top(), flags, (&raw mut memory).cast()) });
    restore_signals(&signals);
    let middle_pid = middle_pid.map_err(in_clone)?;
    // SAFETY: the call waits for this one process, and writes no status.
    while check(unsafe { libc::waitpid(middle_pid, ptr::null_mut(), libc::__WALL) })
        .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    {}
    // A volatile read, because the compiler can't know that the last process may have written its
    // error here. SAFETY: all fields are plain values of `memory`, and the other processes that
    // used it have called `_exit` or `execve`.
    let (pidfd, errno, step) = unsafe {
        (
            ptr::read_volatile(&memory.pidfd),
            ptr::read_volatile(&memory.errno),
            ptr::read_volatile(&memory.step),
        )
    };
    let process = match pidfd {
        -1 => None,
        // SAFETY: the kernel opened the descriptor in the table that this process shares with the
        // intermediate process, which has ended. So this value is the only owner.
        raw => Some(unsafe { OwnedFd::from_raw_fd(raw) }),
    };
    match (process, errno) {
        (Some(process), 0) => Ok(process),
        (_, 0) => Err(in_clone(io::Error::other("the process in the middle ended early"))),
        (_, errno) => Err((step, io::Error::from_raw_os_error(errno))),
    }
}

/// Runs in the intermediate process: starts the last process and ends.
extern "C" fn middle(memory: *mut c_void) -> c_int {
    let memory = memory.cast::<StartMemory>();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: as in `start`, for the last process. The kernel writes the pidfd to `memory`.
    let pid = unsafe {
        libc::clone(last, (*memory).stack_top, flags, memory.cast(), &raw mut (*memory).pidfd)
    };
    if pid == -1 {
        fail(memory, SpawnStep::Clone);
    }
    // SAFETY: the call ends this process without running other code that could access the shared
    // memory.
    unsafe { libc::_exit(0) }
}

/// Runs in the last process: executes the program. Makes only system calls.
extern "C" fn last(memory: *mut c_void) -> c_int {
    let memory = memory.cast::<StartMemory>();
    // SAFETY: the other two processes are suspended, so nothing else accesses `memory`.
    let image = unsafe { &mut *memory };
    for signal in 1..=64 {
        // The system call is made directly, because libc reserves two signals for itself. An action
        // of all zeros means `SIG_DFL`.
        let default = [0_u64; 4];
        // SAFETY: this process has its own copy of the handler table, and the kernel reads four
        // words. The call fails for the two signals that can't have a handler.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0, size_of::<u64>()) };
    }
    // SAFETY: the call accesses no memory. It can't fail, because a new process is not the leader
    // of a process group.
    unsafe { libc::setsid() };
    // SAFETY: the call accesses no memory.
    unsafe { libc::umask(0o022) };
    // SAFETY: the argument is a constant string.
    if unsafe { libc::chdir(c"/".as_ptr()) } == -1 {
        fail(memory, SpawnStep::Folder);
    }
    for (place, &descriptor) in image.descriptors.iter().enumerate() {
        // SAFETY: the call accesses no memory, and this process has its own copy of the descriptor
        // table.
        if unsafe { libc::dup2(descriptor, place as c_int) } == -1 {
            fail(memory, SpawnStep::Descriptors);
        }
        if place >= FIRST as usize {
            // The kernel reports to clients the process that last called `listen`. From now on this
            // is the new process, even if executing the program fails. SAFETY: the call accesses no
            // memory.
            unsafe { libc::listen(place as c_int, BACKLOG) };
        }
    }
    let first = image.descriptors.len() as libc::c_uint;
    // SAFETY: the call accesses no memory. It closes descriptors of this process's own table, which
    // are either close-on-exec anyway or were leaked by other code.
    if unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } == -1 {
        fail(memory, SpawnStep::Descriptors);
    }
    if let Some(limit) = image.descriptor_limit {
        // If this fails, the program runs with the raised limit of this process.
        let _ = set_own_descriptor_limit(limit);
    }
    // SAFETY: the call takes no arguments.
    write_decimal(
        unsafe { libc::getpid() }.unsigned_abs(),
        &mut image.listen_pid[LISTEN_PID.len()..],
    );
    unblock_all_signals();
    // SAFETY: the path and the entries of both arrays are null-terminated, both arrays end with a
    // null pointer, and all outlive the call.
    unsafe { libc::execve(image.path, image.arguments, image.environment) };
    fail(memory, SpawnStep::Exec)
}

/// Writes the failed step and `errno` to `memory`, and ends this process.
fn fail(memory: *mut StartMemory, step: SpawnStep) -> ! {
    // SAFETY: `errno` belongs to the parent's thread, which is suspended.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: `memory` outlives this process, and no other process accesses it now.
    unsafe { ptr::write_volatile(&raw mut (*memory).errno, errno) };
    // SAFETY: as above.
    unsafe { ptr::write_volatile(&raw mut (*memory).step, step) };
    // SAFETY: the call ends this process without running other code.
    unsafe { libc::_exit(127) }
}

/// Writes a number in decimal, terminated by a zero byte. `out` must have room for ten digits and
/// the zero byte.
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

/// Blocks all signals, because a signal handler in the child would run in this process's memory.
fn block_all_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: a `sigset_t` is a plain array of integers, for which zero is a valid value.
    let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: the call initializes the set.
    unsafe { libc::sigfillset(&mut all) };
    // SAFETY: the call reads one set and writes the other.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old) } {
        0 => Ok(old),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn restore_signals(old: &libc::sigset_t) {
    // SAFETY: the call reads an initialized set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old, ptr::null_mut()) };
}

fn unblock_all_signals() {
    // SAFETY: a set of all zeros is valid, and empty.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    restore_signals(&none);
}

/// Memory for the stack of a process that only makes system calls.
struct Stack(Vec<u128>);

impl Stack {
    fn new() -> Self {
        Self(vec![0; STACK_SIZE / size_of::<u128>()])
    }

    /// Returns the address after the end of the memory, aligned to 16 bytes. The stack grows down
    /// from there.
    fn top(&mut self) -> *mut c_void {
        self.0.as_mut_ptr_range().end.cast()
    }
}

fn null_terminated(pointers: impl Iterator<Item = *const c_char>) -> Vec<*const c_char> {
    pointers.chain([ptr::null()]).collect()
}

const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// `execve` and the calls before it need a few hundred bytes of stack. Lazy binding of a libc
/// symbol needs a few thousand.
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
