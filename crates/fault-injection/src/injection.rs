//! Makes the n-th system call with a given name fail in a program.
//!
//! The kernel suspends the thread at each system call of a list and notifies a supervisor process,
//! which makes the call continue or fail
//! ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)). So it
//! doesn't matter which part of the program makes the call, and the program needs no special build.

use std::fmt;
use std::io;

use crate::supervisor;
use crate::system_calls::{ERRORS, SystemCall};

/// Environment variable with the failure to inject, for example `sendmsg:3:EPIPE`. With the number
/// 0, no call fails and all calls are counted.
pub const FAILURE_VARIABLE: &str = "INJECTED_FAILURE";

/// Environment variable with the path of the report. When the program has ended, a line is written
/// to it: `socket=2 connect=1 … failed=1`.
pub const REPORT_VARIABLE: &str = "INJECTED_FAILURE_REPORT";

/// A call that fails, and its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InjectedFailure {
    /// The system call.
    pub call: SystemCall,
    /// Index of the call among the calls with this name, starting at 1; 0 if no call fails.
    pub nth: u32,
    /// Name and number of the error.
    pub error: (&'static str, i32),
}

/// The number of calls with each name, from the report of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Names and numbers of calls.
    pub calls: Vec<(String, u32)>,
    /// Whether the failure was injected.
    pub failed: bool,
}

impl InjectedFailure {
    /// Parses the output of `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let call = SystemCall::named(parts.next()?)?;
        let nth = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let error = ERRORS.iter().copied().find(|(known, _)| *known == name)?;
        parts.next().is_none().then_some(Self { call, nth, error })
    }
}

impl fmt::Display for InjectedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.call.name, self.nth, self.error.0)
    }
}

impl CallCounts {
    /// Parses the line of a report.
    pub fn parse(line: &str) -> Self {
        let mut counts = Self::default();
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(("failed", number)) => counts.failed = number != "0",
                Some((name, number)) => {
                    counts.calls.push((name.to_owned(), number.parse().unwrap_or(0)));
                }
                None => {}
            }
        }
        counts
    }
}

/// Arranges that the call named in the environment fails in this program. Does nothing if the
/// variables are not set. Call this first in `main`, while the process has a single thread.
///
/// # Errors
/// Returns an error if the kernel rejects the filter, or if the variables are invalid.
pub fn arm_from_environment() -> io::Result<()> {
    let (Ok(failure), Ok(report)) =
        (std::env::var(FAILURE_VARIABLE), std::env::var(REPORT_VARIABLE))
    else {
        return Ok(());
    };
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("no failure: {failure}"));
    let failure = InjectedFailure::parse(&failure).ok_or_else(invalid)?;
    supervisor::arm(failure, report.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_what_display_writes() {
        let call = SystemCall::named("sendmsg").expect("the list contains `sendmsg`");
        let failure = InjectedFailure { call, nth: 3, error: ("EPIPE", libc::EPIPE) };
        assert_eq!(failure.to_string(), "sendmsg:3:EPIPE");
        assert_eq!(InjectedFailure::parse("sendmsg:3:EPIPE"), Some(failure));
        assert_eq!(InjectedFailure::parse("sendmsg:3:EWHAT"), None);
        let counts = CallCounts::parse("socket=2 recvmsg=14 failed=1");
        assert_eq!(counts.calls, [("socket".to_owned(), 2), ("recvmsg".to_owned(), 14)]);
        assert!(counts.failed);
    }
}
