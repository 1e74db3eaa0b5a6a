//! The measured work.

use std::fmt;
use std::str::FromStr;

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// W1: passes a number, and returns another one.
    Null,
    /// W2: passes a file and an event, and returns the event. Both sides close their handles.
    Handles,
    /// W3: the whole timeline of the sparkle sample, on a file in memory.
    Sparkle,
    /// W4: this number of clients of one server process, each calling as fast as it can.
    Clients(usize),
    /// W4 on one connection: this number of calls in flight at once.
    Pipelined(usize),
    /// W4 on one connection: one-way calls, with a flush after this number.
    OneWay(usize),
    /// W5: passes this number of bytes, and returns them.
    Payload(usize),
    /// W6: connects, makes the first call and closes the connection.
    Connect,
    /// Starts the server, connects and makes the first call.
    Cold,
    /// Null calls while this number of idle clients is connected.
    Idle(usize),
    /// Passes this number of handles: in one call, or in several calls if the kernel can't pass
    /// them with one message.
    ManyHandles(usize),
    /// Null calls while this number of background tasks waits in the server, each for its own
    /// event.
    BackgroundTasks(usize),
    /// Null calls while this number of background tasks waits in the server for a timer.
    Timers(usize),
    /// Null calls of the objects to which a client refers, of which there are this many.
    Objects(usize),
    /// Creates an object, calls it and releases it, beside this number of other objects.
    NewObject(usize),
    /// Looks up one of this number of registrations, a different one in each lap.
    LookUp(usize),
    /// Calls the last method of an interface with this number of methods.
    Methods(usize),
    /// Connects, calls and closes, with an interface of this number of methods.
    ConnectMethods(usize),
}

impl Work {
    /// Maximum number of handles that the kernel passes with one message (`SCM_MAX_FD`).
    pub const HANDLES_MAX: usize = 253;
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("w1"),
            Self::Handles => f.write_str("w2"),
            Self::Sparkle => f.write_str("w3"),
            Self::Clients(n) => write!(f, "w4-{n}"),
            Self::Pipelined(n) => write!(f, "w4p-{n}"),
            Self::OneWay(n) => write!(f, "w4o-{n}"),
            Self::Payload(n) => write!(f, "w5-{n}"),
            Self::Connect => f.write_str("w6"),
            Self::Cold => f.write_str("cold"),
            Self::Idle(n) => write!(f, "idle-{n}"),
            Self::ManyHandles(n) => write!(f, "handles-{n}"),
            Self::BackgroundTasks(n) => write!(f, "tasks-{n}"),
            Self::Timers(n) => write!(f, "timers-{n}"),
            Self::Objects(n) => write!(f, "objects-{n}"),
            Self::NewObject(n) => write!(f, "new-object-{n}"),
            Self::LookUp(n) => write!(f, "find-{n}"),
            Self::Methods(n) => write!(f, "methods-{n}"),
            Self::ConnectMethods(n) => write!(f, "w6m-{n}"),
        }
    }
}

/// The error of a word that is not the name of any work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWork(String);

impl fmt::Display for UnknownWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no work is called `{}`", self.0)
    }
}

impl std::error::Error for UnknownWork {}

impl FromStr for Work {
    type Err = UnknownWork;

    fn from_str(text: &str) -> Result<Self, UnknownWork> {
        let unknown = || UnknownWork(text.to_owned());
        let (name, number) = match text.rsplit_once('-') {
            Some((name, number)) => (name, Some(number.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        Ok(match (name, number) {
            ("w1", None) => Self::Null,
            ("w2", None) => Self::Handles,
            ("w3", None) => Self::Sparkle,
            ("w4", Some(n)) => Self::Clients(n),
            ("w4p", Some(n)) => Self::Pipelined(n),
            ("w4o", Some(n)) => Self::OneWay(n),
            ("w5", Some(n)) => Self::Payload(n),
            ("w6", None) => Self::Connect,
            ("cold", None) => Self::Cold,
            ("idle", Some(n)) => Self::Idle(n),
            ("handles", Some(n)) => Self::ManyHandles(n),
            ("tasks", Some(n)) => Self::BackgroundTasks(n),
            ("timers", Some(n)) => Self::Timers(n),
            ("objects", Some(n)) => Self::Objects(n),
            ("new-object", Some(n)) => Self::NewObject(n),
            ("find", Some(n)) => Self::LookUp(n),
            ("methods", Some(n)) => Self::Methods(n),
            ("w6m", Some(n)) => Self::ConnectMethods(n),
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_is_read_as_it_is_written() {
        for work in [
            Work::Null,
            Work::Clients(64),
            Work::Pipelined(8),
            Work::OneWay(1_000),
            Work::Payload(65_536),
            Work::Cold,
            Work::Idle(3),
            Work::ManyHandles(253),
            Work::BackgroundTasks(10),
            Work::Timers(100_000),
            Work::Objects(100_000),
            Work::NewObject(100_000),
            Work::LookUp(10_000),
            Work::Methods(1_000),
            Work::ConnectMethods(1_000),
        ] {
            assert_eq!(work.to_string().parse(), Ok(work));
        }
        assert!("w9".parse::<Work>().is_err());
        assert!("w4-x".parse::<Work>().is_err());
    }
}
