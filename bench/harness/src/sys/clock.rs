//! The CPU clock of another process.
#![expect(unsafe_code, reason = "a clock by the number of a process has no safe function")]

use std::io;
use std::time::Duration;

/// Returns the CPU time of all threads of a process, including ended threads, with nanosecond
/// resolution. `getrusage` only reports this process, and `/proc` has a resolution of 10 ms.
///
/// # Errors
/// The errors of [`clock_gettime(2)`](https://man7.org/linux/man-pages/man2/clock_gettime.2.html):
/// the process doesn't exist.
pub fn process_cpu_time(pid: u32) -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // Computed like `clock_getcpuclockid(3)`: the complement of the process id, and 2 for the
    // scheduler's clock.
    let clock = (!(pid as libc::clockid_t) << 3) | 2;
    // SAFETY: the pointer refers to a local value, which the kernel fills.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
