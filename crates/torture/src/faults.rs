//! Makes the n-th of a program's system calls of a name fail.
//!
//! The kernel stops each such call and asks another process, which has it go on or fail
//! ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)). So what
//! fails is the real call of the real program, wherever in it that is, and the program is the one
//! that people run.

use std::fmt;
use std::io;

use crate::calls::{Call, ERRORS};
use crate::supervisor;

/// Says which call fails: `sendmsg:3:EPIPE`. Number 0 lets all calls go on and counts them.
pub const FAULT: &str = "TORTURE_FAULT";

/// Names the file that gets a line when the program has ended: `socket=2 connect=1 … failed=1`.
pub const REPORT: &str = "TORTURE_REPORT";

/// Which call fails, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call.
    pub call: Call,
    /// Which of them, from 1; 0 for none.
    pub nth: u32,
    /// The error's name and number.
    pub error: (&'static str, i32),
}

/// Which of a program's calls were made, and how often: from the line of its report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names and numbers.
    pub calls: Vec<(String, u32)>,
    /// Whether the fault came to pass.
    pub failed: bool,
}

impl Fault {
    /// Reads what [`fmt::Display`] writes.
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
    /// Reads a report's line.
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

/// Has the call fail that the environment names, from now on in this program; without one nothing
/// changes. To be called first in `main`, while there is one thread.
///
/// # Errors
/// The kernel doesn't let it, or the environment says something else.
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
