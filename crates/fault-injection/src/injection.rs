//! Makes the n-th system call with a given name fail in a program.
//!
//! The kernel stops each such call and notifies another process, which lets it continue or fail
//! ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)). So the
//! real call fails in the real program, whichever part of the program makes it, and the tested
//! program is the one that users run.

use std::fmt;
use std::io;

use crate::supervisor;
use crate::system_calls::{ERRORS, SystemCall};

/// Environment variable with the call to fail: `sendmsg:3:EPIPE`. With number 0, all calls continue
/// and are counted.
pub const FAILURE_VARIABLE: &str = "INJECTED_FAILURE";

/// Environment variable with the path of the report. It gets a line when the program has ended:
/// `socket=2 connect=1 … failed=1`.
pub const REPORT_VARIABLE: &str = "INJECTED_FAILURE_REPORT";

/// The call to fail and its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InjectedFailure {
    /// The system call.
    pub call: SystemCall,
    /// Index of the call among the calls with this name, from 1; 0 for none.
    pub nth: u32,
    /// Name and number of the error.
    pub error: (&'static str, i32),
}

/// The number of calls of each name, from a program's report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Names and numbers of calls.
    pub calls: Vec<(String, u32)>,
    /// Whether the requested failure was injected.
    pub failed: bool,
}

impl InjectedFailure {
    /// Parses the output of [`fmt::Display`].
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

/// Makes the call that the environment names fail from now on in this program. Does nothing without
/// these variables. Must be called first in `main`, while the process has a single thread.
///
/// # Errors
/// The kernel refuses the filter, or the variables are not valid.
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
        let call = SystemCall::named("sendmsg").expect("a known call");
        let failure = InjectedFailure { call, nth: 3, error: ("EPIPE", libc::EPIPE) };
        assert_eq!(failure.to_string(), "sendmsg:3:EPIPE");
        assert_eq!(InjectedFailure::parse("sendmsg:3:EPIPE"), Some(failure));
        assert_eq!(InjectedFailure::parse("sendmsg:3:EWHAT"), None);
        let counts = CallCounts::parse("socket=2 recvmsg=14 failed=1");
        assert_eq!(counts.calls, [("socket".to_owned(), 2), ("recvmsg".to_owned(), 14)]);
        assert!(counts.failed);
    }
}
