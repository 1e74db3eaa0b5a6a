//! Makes the n-th system call with a given name fail in a program.
//!
//! The kernel stops each such call and notifies another process, which lets it continue or fail
//! ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)). So the
//! real call fails in the real program, whichever part of the program makes it, and the tested
//! program is the one that users run.

use std::fmt;
use std::io;

use crate::calls::{Call, ERRORS};
use crate::supervisor;

/// Environment variable with the call to fail: `sendmsg:3:EPIPE`. With number 0, all calls continue
/// and are counted.
pub const FAULT: &str = "INJECTED_FAULT";

/// Environment variable with the path of the report. It gets a line when the program has ended:
/// `socket=2 connect=1 … failed=1`.
pub const REPORT: &str = "INJECTED_FAULT_REPORT";

/// The call to fail and its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The system call.
    pub call: Call,
    /// Index of the call among the calls with this name, from 1; 0 for none.
    pub nth: u32,
    /// Name and number of the error.
    pub error: (&'static str, i32),
}

/// The number of calls of each name, from a program's report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names and numbers of calls.
    pub calls: Vec<(String, u32)>,
    /// Whether a call was made to fail.
    pub failed: bool,
}

impl Fault {
    /// Parses the output of [`fmt::Display`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let call = Call::named(parts.next()?)?;
        let nth = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let error = ERRORS.iter().copied().find(|(known, _)| *known == name)?;
        parts.next().is_none().then_some(Self { call, nth, error })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.call.name, self.nth, self.error.0)
    }
}

impl Counts {
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
    let (Ok(fault), Ok(report)) = (std::env::var(FAULT), std::env::var(REPORT)) else {
        return Ok(());
    };
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("no fault: {fault}"));
    let fault = Fault::parse(&fault).ok_or_else(invalid)?;
    supervisor::arm(fault, report.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_was_written() {
        let call = Call::named("sendmsg").expect("a call that there is");
        let fault = Fault { call, nth: 3, error: ("EPIPE", libc::EPIPE) };
        assert_eq!(fault.to_string(), "sendmsg:3:EPIPE");
        assert_eq!(Fault::parse("sendmsg:3:EPIPE"), Some(fault));
        assert_eq!(Fault::parse("sendmsg:3:EWHAT"), None);
        let counts = Counts::parse("socket=2 recvmsg=14 failed=1");
        assert_eq!(counts.calls, [("socket".to_owned(), 2), ("recvmsg".to_owned(), 14)]);
        assert!(counts.failed);
    }
}
