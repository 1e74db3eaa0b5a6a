//! Errors of calls, activations and servers, and whether the call may have run.

pub(crate) mod call_error;
mod cause;
mod convert;
mod kind;

use std::error::Error as StdError;
use std::{fmt, io};

use syshandle_os::{Facts, Mismatch, Requirement, raw_os_error};
use syshandle_types::{IoCause, Printable};
use syshandle_wire::{Fault, MethodError};

use self::cause::{PrintableCause, is_lack};

pub use self::kind::ErrorKind;

/// The origin of an error. It decides which kind of error the caller of a method gets if the method
/// returns this error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The runtime of this process. The error describes a call of this process, so the caller of a
    /// method that passes the error on gets another kind.
    Runtime,
    /// A method, which chose the kind for its caller.
    Method,
    /// A fake in a test. Callers in the same process get every kind.
    Fake,
}

/// The result of a call without an error type of its own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of a call, an activation or a server.
///
/// Programs use [`Error::kind`]. The text is for people: it describes the failure, and `{:#}`
/// appends the chain of causes.
///
/// All texts of an error and its causes are [`Printable`], wherever they come from: a single line
/// of at most 4096 bytes without control characters. The only exception is that `{:#}` and `{:?}`
/// may quote lines of a server's log, each on a new line that starts with `    | `.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    may_have_run: bool,
    text: String,
    wrong_handle: Option<WrongHandle>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    io: Option<IoCause>,
    origin: Origin,
    /// Whether the error concerns a call. If so, `{:?}` tells whether the call may have run.
    is_of_call: bool,
    /// The last log lines of the failed server.
    log: Vec<String>,
}

impl Error {
    /// Creates the error of a method, with a text for the caller. The method may have had effects;
    /// [`Error::refused`] states that it had none.
    ///
    /// The caller gets an error of this kind, if a method may report the kind. Some kinds describe
    /// the call or the connection, and only the runtime may report them. Instead of these kinds,
    /// the caller gets [`ErrorKind::Failed`]:
    ///
    /// | kind | property that only the runtime knows |
    /// |---|---|
    /// | [`NoSuchClass`](ErrorKind::NoSuchClass), [`NoSuchInterface`](ErrorKind::NoSuchInterface), [`NoSuchMethod`](ErrorKind::NoSuchMethod), [`Incompatible`](ErrorKind::Incompatible) | the type of the called object |
    /// | [`Unproven`](ErrorKind::Unproven), [`HandlesLost`](ErrorKind::HandlesLost) | the state of the handles of the call |
    /// | [`Cancelled`](ErrorKind::Cancelled), [`OtherProcess`](ErrorKind::OtherProcess) | an action of the caller |
    /// | [`Disconnected`](ErrorKind::Disconnected), [`Violation`](ErrorKind::Violation), [`Aborted`](ErrorKind::Aborted), [`Panicked`](ErrorKind::Panicked) | the end of the connection or of the method |
    ///
    /// If a method only passes on an error with `?`, the caller gets the kind
    /// [`ErrorKind::Failed`] too, because the other kinds would describe the caller's own call. The
    /// errors of [`Context::on_signal`](crate::Context::on_signal),
    /// [`Context::on_timer`](crate::Context::on_timer) and
    /// [`Context::serve`](crate::Context::serve) keep their kind, because these functions act for
    /// the caller: [`ErrorKind::Busy`] means that the caller has reached its quota.
    ///
    /// A fake in a test can produce every kind with
    /// [`testing::simulated_error`](crate::testing::simulated_error).
    ///
    /// ```
    /// use syshandle::{Error, ErrorKind};
    ///
    /// let busy = Error::new(ErrorKind::Busy, "the scanner is in use").refused();
    /// assert_eq!((busy.kind(), busy.may_have_run()), (ErrorKind::Busy, false));
    /// let failed = Error::new(ErrorKind::TimedOut, "the lamp did not warm up");
    /// assert_eq!((failed.kind(), failed.may_have_run()), (ErrorKind::TimedOut, true));
    /// ```
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::of_method(kind, text, Origin::Method)
    }

    /// Creates an error of the kind [`ErrorKind::Failed`], for a failure that the caller need not
    /// distinguish from others.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, text)
    }

    /// States that the method refused the call and has had no effects, so the caller may retry.
    ///
    /// An error that the method only passes on becomes an error of the method. So the caller gets
    /// its kind, if a method may report the kind.
    #[must_use]
    pub fn refused(self) -> Self {
        let mut error = self.did_not_run();
        if error.0.origin == Origin::Runtime {
            error.0.origin = Origin::Method;
        }
        error
    }

    /// Creates an error that a method returns to its caller.
    pub(crate) fn of_method(kind: ErrorKind, text: impl Into<String>, origin: Origin) -> Self {
        let mut error = Self::detected(kind, text).maybe_ran();
        error.0.origin = origin;
        error
    }

    /// Creates an error that the runtime detected, of an operation that did not run.
    pub(crate) fn detected(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            may_have_run: false,
            text: Printable(text.into()).into_text(),
            wrong_handle: None,
            source: None,
            io: None,
            origin: Origin::Runtime,
            is_of_call: true,
            log: Vec::new(),
        }))
    }

    /// Adds the cause. Some kinds blame a file or a program, such as
    /// [`ErrorKind::BadRegistration`]. If the cause is a lack of system resources, such a kind
    /// becomes [`ErrorKind::System`].
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        if self.0.kind.blames() && source.downcast_ref().is_some_and(is_lack) {
            self.0.kind = ErrorKind::System;
        }
        if let Some(error) = source.downcast_ref() {
            self.0.io = Some(IoCause::new(raw_os_error(error), error.kind()));
        }
        self.0.source = Some(PrintableCause::printable(source));
        self
    }

    /// Adds the last lines of a server's log, which `{:#}` and `{:?}` quote.
    #[cfg(not(windows))]
    pub(crate) fn with_log<'a>(mut self, lines: impl Iterator<Item = &'a str>) -> Self {
        self.0.log = lines.map(|line| Printable(line).to_string()).collect();
        self
    }

    /// Marks the operation as one that may have run.
    pub(crate) fn maybe_ran(mut self) -> Self {
        self.0.may_have_run = true;
        self
    }

    /// Marks the error as an error of an operation that is not a call, such as a wait.
    pub(crate) fn of_no_call(mut self) -> Self {
        self.0.is_of_call = false;
        self.maybe_ran()
    }

    /// Marks the error as an error of an operation that a method requested from its context. The
    /// caller of the method gets its kind.
    pub(crate) fn of_context(mut self) -> Self {
        self.0.origin = Origin::Method;
        self.of_no_call()
    }

    /// Marks the operation as one that certainly did not run.
    pub(crate) fn did_not_run(mut self) -> Self {
        self.0.may_have_run = false;
        self
    }

    /// Prefixes the text with the place of the error, such as the method.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.0.text = Printable(format!("{place}: {}", self.0.text)).into_text();
        self
    }

    /// Returns the error of work that ended because its tokio runtime has ended.
    #[cfg(all(feature = "tokio", windows))]
    pub(crate) fn runtime_ended(error: tokio::task::JoinError) -> Self {
        let cause = io::Error::from(error);
        Self::detected(ErrorKind::Cancelled, "the runtime has ended").because(cause).maybe_ran()
    }

    /// Creates the same error for another call that failed for the same reason. The cause is not
    /// copied.
    #[cfg(not(windows))]
    pub(crate) fn of_another_call(&self) -> Self {
        let inner = &*self.0;
        let inner =
            Inner { text: inner.text.clone(), source: None, log: inner.log.clone(), ..*inner };
        Self(Box::new(inner))
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the call may have run, completely or in part. A call that did not run can be
    /// retried.
    pub fn may_have_run(&self) -> bool {
        self.0.may_have_run
    }

    /// Returns the kind of the `std::io::Error` from which this error was created, in this process
    /// or in the server's method.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.0.io.map(IoCause::kind)
    }

    /// Returns the system error number from which this error was created, in this process or in the
    /// server's method.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.io.and_then(IoCause::raw_os_error)
    }

    /// Returns the fault that the caller of a method gets for this error.
    pub(crate) fn to_fault(&self, caller_is_this_process: bool) -> Fault {
        let Inner { kind, may_have_run, origin, .. } = *self.0;
        let (kind, may_have_run) = match origin {
            Origin::Runtime => (ErrorKind::Failed, true),
            Origin::Fake if caller_is_this_process => (kind, may_have_run),
            _ if kind.is_for_methods() => (kind, may_have_run),
            _ => (ErrorKind::Failed, may_have_run),
        };
        Fault::Method(MethodError {
            kind: kind.number(),
            may_have_run,
            io: self.0.io,
            text: format!("{self:#}"),
        })
    }

    /// Returns the details of an error of the kind [`ErrorKind::WrongHandle`].
    pub fn wrong_handle(&self) -> Option<WrongHandle> {
        self.0.wrong_handle
    }

    /// Creates an error from a fault that the peer's runtime reported.
    pub(crate) fn from_fault(fault: &Fault) -> Self {
        let kind = match fault {
            Fault::NotAllowed { .. } => ErrorKind::NotAllowed,
            Fault::NoSuchClass(_) => ErrorKind::NoSuchClass,
            Fault::NoSuchInterface(_) => ErrorKind::NoSuchInterface,
            Fault::NoSuchMethod(_) => ErrorKind::NoSuchMethod,
            Fault::WrongHandle { .. } => ErrorKind::WrongHandle,
            Fault::Malformed { .. } => ErrorKind::Malformed,
            Fault::Incompatible { .. } => ErrorKind::Incompatible,
            Fault::Unproven { .. } => ErrorKind::Unproven,
            Fault::HandlesLost => ErrorKind::HandlesLost,
            Fault::Expired => ErrorKind::TimedOut,
            Fault::Busy { .. } | Fault::SlotGone => ErrorKind::Busy,
            Fault::Draining | Fault::Withdrawn => ErrorKind::Disconnected,
            Fault::Panicked { .. } => ErrorKind::Panicked,
            Fault::Unsendable { .. } => ErrorKind::System,
            Fault::TooLarge { .. } => ErrorKind::TooLarge,
            Fault::Aborted { .. } => ErrorKind::Aborted,
            Fault::Method(error) => ErrorKind::of_number(error.kind),
            _ => ErrorKind::Failed,
        };
        let mut error = Self::detected(kind, fault.to_string());
        error.0.may_have_run = fault.may_have_run();
        if let Fault::Method(method) = fault {
            error.0.io = method.io;
        }
        if let Fault::WrongHandle { slot, mismatch, .. } = *fault {
            let Mismatch { expected, received } = mismatch;
            error.0.wrong_handle = Some(WrongHandle { slot, expected, received });
        }
        error
    }
}

/// The details of a handle that is not as the interface declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WrongHandle {
    /// Index of the handle among all handles of the arguments, or of the result.
    pub slot: u16,
    /// The violated part of the declaration, such as the kinds or the rights.
    pub expected: Requirement,
    /// The kind and rights that the kernel reported.
    pub received: Facts,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)?;
        if f.alternate() {
            let mut source = self.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
            if !self.0.log.is_empty() {
                f.write_str(LOG_FOLLOWS)?;
            }
            self.0.log.iter().try_for_each(|line| write!(f, "{LOG_LINE}{line}"))?;
        }
        Ok(())
    }
}

/// Displays the whole chain, one error per line, as printed by
/// `fn main() -> syshandle::Result<()>`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}", self.0.text, self.0.kind)?;
        f.write_str(match self.0.may_have_run {
            _ if !self.0.is_of_call => ")",
            false => "; did not run)",
            true => "; may have run)",
        })?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, "\n  because {error}")?;
            source = error.source();
        }
        if !self.0.log.is_empty() {
            f.write_str("\n  its log ends:")?;
        }
        self.0.log.iter().try_for_each(|line| write!(f, "{LOG_LINE}{line}"))
    }
}

/// The text before the quoted lines of a log.
pub(crate) const LOG_FOLLOWS: &str = ": its log ends:";

/// The start of each quoted line of a log. It distinguishes these lines from other output.
pub(crate) const LOG_LINE: &str = "\n    | ";

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use syshandle_types::is_printable;

    use super::call_error::CallError;
    use super::*;

    const EVIL: &str = "a\u{1b}[2J\n\u{202e}b";
    const SHOWN: &str = r"a\u{1b}[2J\n\u{202e}b";

    /// A user-defined error with a cause.
    #[derive(Debug)]
    struct Foreign(Option<Box<Self>>);

    impl fmt::Display for Foreign {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if self.0.is_some() { "outer" } else { EVIL })
        }
    }

    impl StdError for Foreign {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.0.as_deref().map(|source| source as &(dyn StdError + 'static))
        }
    }

    #[test]
    fn every_text_of_an_error_is_printable() {
        let chain = || Foreign(Some(Box::new(Foreign(None))));
        for error in [
            Error::failed(EVIL),
            Error::failed("x").at(EVIL),
            Error::failed("x").because(io::Error::other(EVIL)),
            Error::failed("x").because(chain()),
            Error::from(io::Error::other(EVIL)),
            Error::from(io::Error::other(chain())),
            Error::from_fault(&Fault::Panicked { text: EVIL.into() }),
        ] {
            let shown = format!("{error:#}");
            assert!(shown.contains(SHOWN) && is_printable(&shown), "{shown:?}");
            let mut next: Option<&dyn StdError> = Some(&error);
            while let Some(cause) = next {
                assert!(is_printable(&cause.to_string()), "{cause:?}");
                next = cause.source();
            }
            assert!(!format!("{error:?}").contains('\u{1b}'));
        }
        let of_method = CallError::Method(EVIL.to_owned()).to_string();
        assert_eq!(of_method, SHOWN);
    }

    #[test]
    fn a_harmless_cause_stays_what_it_is() {
        let error = Error::failed("x").because(io::Error::from(io::ErrorKind::NotFound));
        let cause = StdError::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::NotFound));
    }

    #[cfg(not(windows))]
    #[test]
    fn each_line_of_a_quoted_log_is_marked_as_one() {
        let log = format!("one\u{7}\n{EVIL}");
        let error = Error::failed("x").with_log(log.lines());
        let quoted = "its log ends:\n    | one\\u{7}\n    | a\\u{1b}[2J\n    | \\u{202e}b";
        assert_eq!(format!("{error:#}"), format!("x: {quoted}"));
        assert!(format!("{error:?}").ends_with(quoted));
        assert_eq!(error.to_string(), "x");
    }
}
