//! Starts a program that is not a child of this process, without copying this process.
#![expect(unsafe_code, reason = "clone with a stack of its own, and what may be done before exec")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::check;
use super::listen::{BACKLOG, FIRST};
use super::this_process::set_own_descriptor_limit;
use crate::spawn::SpawnStep;

/// A program in the form that `execve` takes. All memory is allocated in advance, because nothing
/// may be allocated between clone and exec.
pub(crate) struct Image<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) arguments: &'a [&'a CStr],
    pub(crate) environment: &'a [&'a CStr],
    /// The descriptors of the program, which become 0, 1, 2 and so on in this order. All other
    /// descriptors are closed.
    pub(crate) descriptors: &'a [BorrowedFd<'a>],
    /// The soft limit of descriptors of the program, if it differs from this process's limit.
    pub(crate) descriptor_limit: Option<u64>,
}

/// The memory that the three processes share. Only one of them runs at a time, because each waits
/// until the next one has called exec or exit.
struct StartMemory {
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    descriptors: Vec<RawFd>,
    descriptor_limit: Option<u64>,
    /// `LISTEN_PID=` and room for the process id, which only the last process knows.
    listen_pid: [u8; LISTEN_PID.len() + 11],
    stack_top: *mut c_void,
    pidfd: RawFd,
    errno: c_int,
    /// The step that failed.
    step: SpawnStep,
}

/// Starts the program and returns its pidfd. Adds `LISTEN_PID` to its environment.
///
/// A middle process starts the program and ends at once, so that init becomes the parent of the
/// program and the program never becomes a zombie of this process.
pub(crate) fn start(image: &Image<'_>) -> Result<OwnedFd, (SpawnStep, io::Error)> {
    // Descriptors whose numbers are among the target numbers are duplicated to higher numbers
    // first.
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
    // CLONE_FILES: the pidfd that the middle process gets also belongs to this process. There is no
    // exit signal, so a caller that waits for its own children is not notified of this one.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
    // SAFETY: `middle` runs on its own stack while this thread is suspended (CLONE_VFORK). It
    // touches only `memory`, which outlives it, and never returns to code of this process.
    let middle_pid =
        check(unsafe { libc::clone(middle, middle_stack.top(), flags, (&raw mut memory).cast()) });
    restore_signals(&signals);
    let middle_pid = middle_pid.map_err(in_clone)?;
    // SAFETY: the call waits for that process alone, and writes no status.
    while check(unsafe { libc::waitpid(middle_pid, ptr::null_mut(), libc::__WALL) })
        .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    {}
    // The last process has written its error here before it ended, which the compiler can't know.
    // SAFETY: all fields are plain values of `memory`, whose other users have called exit or exec.
    let (pidfd, errno, step) = unsafe {
        (
            ptr::read_volatile(&memory.pidfd),
            ptr::read_volatile(&memory.errno),
            ptr::read_volatile(&memory.step),
        )
    };
    let process = match pidfd {
        -1 => None,
        // SAFETY: the kernel opened it in the descriptor table that this process shares with the
        // middle process, which has ended. So this value is its only owner.
        raw => Some(unsafe { OwnedFd::from_raw_fd(raw) }),
    };
    match (process, errno) {
        (Some(process), 0) => Ok(process),
        (_, 0) => Err(in_clone(io::Error::other("the process in the middle ended early"))),
        (_, errno) => Err((step, io::Error::from_raw_os_error(errno))),
    }
}

/// Runs in the middle process: starts the last process and ends.
extern "C" fn middle(memory: *mut c_void) -> c_int {
    let memory = memory.cast::<StartMemory>();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: as in `start`, for the next process. The pidfd is written to `memory`.
    let pid = unsafe {
        libc::clone(last, (*memory).stack_top, flags, memory.cast(), &raw mut (*memory).pidfd)
    };
    if pid == -1 {
        fail(memory, SpawnStep::Clone);
    }
    // SAFETY: the call ends this process without running other code of the program whose memory it
    // shares.
    unsafe { libc::_exit(0) }
}

/// Runs in the last process: becomes the program. Makes only system calls.
extern "C" fn last(memory: *mut c_void) -> c_int {
    let memory = memory.cast::<StartMemory>();
    // SAFETY: the other two processes are suspended, so this is the only user of `memory`.
    let image = unsafe { &mut *memory };
    for signal in 1..=64 {
        // The system call is made directly, because libc reserves two signals for itself. An action
        // of all zeros is SIG_DFL.
        let default = [0_u64; 4];
        // SAFETY: the table of handlers is this process's own copy, and the kernel reads four
        // words. The call fails for the two signals that can't have a handler.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0, size_of::<u64>()) };
    }
    // SAFETY: no memory is involved. The call can't fail, because a new process leads no process
    // group.
    unsafe { libc::setsid() };
    // SAFETY: no memory is involved.
    unsafe { libc::umask(0o022) };
    // SAFETY: the argument is a constant string.
    if unsafe { libc::chdir(c"/".as_ptr()) } == -1 {
        fail(memory, SpawnStep::Folder);
    }
    for (place, &descriptor) in image.descriptors.iter().enumerate() {
        // SAFETY: no memory is involved; the table of descriptors is this process's own copy.
        if unsafe { libc::dup2(descriptor, place as c_int) } == -1 {
            fail(memory, SpawnStep::Descriptors);
        }
        if place >= FIRST as usize {
            // The kernel tells clients which process called `listen`. From now on this is the new
            // process, even if the program is never executed. SAFETY: no memory is involved.
            unsafe { libc::listen(place as c_int, BACKLOG) };
        }
    }
    let first = image.descriptors.len() as libc::c_uint;
    // SAFETY: no memory is involved. All other descriptors are close-on-exec, or were leaked by
    // other code.
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
    // SAFETY: the path and both arrays are terminated and outlive the call.
    unsafe { libc::execve(image.path, image.arguments, image.environment) };
    fail(memory, SpawnStep::Exec)
}

/// Writes the error of the last system call and its step to `memory`, and ends.
fn fail(memory: *mut StartMemory, step: SpawnStep) -> ! {
    // SAFETY: errno belongs to the thread that is suspended in the parent.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: `memory` outlives this process, and no other process uses it now.
    unsafe { ptr::write_volatile(&raw mut (*memory).errno, errno) };
    // SAFETY: as above.
    unsafe { ptr::write_volatile(&raw mut (*memory).step, step) };
    // SAFETY: the call ends this process without running other code.
    unsafe { libc::_exit(127) }
}

/// Writes a number in decimal, terminated by zero. `out` has room for ten digits and the zero.
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
    // SAFETY: a sigset_t is a plain array of integers, for which zeros are values.
    let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes a set.
    unsafe { libc::sigfillset(&mut all) };
    // SAFETY: the call reads one set and writes the other.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old) } {
        0 => Ok(old),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn restore_signals(old: &libc::sigset_t) {
    // SAFETY: the call reads a set that the kernel has written.
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

    /// Returns the address after the end of the stack, aligned to 16 bytes. The stack grows down
    /// from there.
    fn top(&mut self) -> *mut c_void {
        self.0.as_mut_ptr_range().end.cast()
    }
}

fn null_terminated(pointers: impl Iterator<Item = *const c_char>) -> Vec<*const c_char> {
    pointers.chain([ptr::null()]).collect()
}

const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// `execve` and the calls before it need a few hundred bytes. Lazy binding of a libc symbol needs a
/// few thousand.
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
