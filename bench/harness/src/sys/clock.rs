//! The CPU clock of another process.
#![expect(unsafe_code, reason = "a clock by the number of a process has no safe function")]

use std::io;
use std::time::Duration;

/// The CPU time of a process: all threads, also those that have ended, to the nanosecond.
/// `getrusage` tells only of this process, and `/proc` in steps of 10 ms.
///
/// # Errors
/// Those of [`clock_gettime(2)`](https://man7.org/linux/man-pages/man2/clock_gettime.2.html): there
/// is no such process.
pub fn process_cpu_time(pid: u32) -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // As `clock_getcpuclockid(3)` makes it: the pid's complement, and 2 for the scheduler's clock.
    let clock = (!(pid as libc::clockid_t) << 3) | 2;
    // SAFETY: the pointer is to a value of this function's, which the kernel fills.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
