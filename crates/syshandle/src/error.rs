//! What can go wrong with a call, and whether it ran all the same.

use std::error::Error as StdError;
use std::{fmt, io};

use syshandle_os::{Facts, Mismatch, Wanted, raw_os_error};
use syshandle_wire::{
    Fault, IoCause, MethodError, OpenError, Printable, Unsendable, Violation, is_printable,
};

pub use syshandle_wire::Ran;

/// The result of a call that can only fail as every call can.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call, an activation or a server failed.
///
/// [`Error::kind`] is for programs, the text for people: it names the cause, and `{:#}` adds what
/// caused that, and so on.
///
/// Every text of an error and of its causes is [`Printable`], whoever wrote it: it is one line, has
/// no control characters, and has at most 4096 bytes. Only the lines of a server's log, which `{:#}`
/// and `{:?}` may quote, are lines of their own; each of them starts with `    | `.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    ran: Ran,
    text: String,
    wrong_handle: Option<WrongHandle>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    io: Option<IoCause>,
    /// The program has chosen the kind for its caller: it crosses the wire.
    is_chosen: bool,
    /// It is about a call, which ran or did not.
    is_of_call: bool,
    /// The end of the log of the server that failed.
    log: Vec<String>,
}

/// What kind of failure it is, for programs that act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No program is registered for the class.
    NotRegistered,
    /// A registration exists, but isn't one.
    BadRegistration,
    /// Somebody else could change a folder or file that activation relies on.
    Insecure,
    /// There is no folder for sockets: `XDG_RUNTIME_DIR` isn't set, or isn't there.
    NoRuntimeDirectory,
    /// The server's program couldn't be started, or ended before it greeted.
    StartFailed,
    /// The client is confined, and so can't start a server.
    ActivationDenied,
    /// Another server serves there already.
    AlreadyRunning,
    /// The server is not for this client.
    NotAllowed,
    /// The server doesn't serve the class.
    NoSuchClass,
    /// The object doesn't have the interface.
    NoSuchInterface,
    /// The interface, as the server knows it, doesn't have the method.
    NoSuchMethod,
    /// A handle is not of the kind, or has not the rights, that the interface declares.
    WrongHandle,
    /// The kernel couldn't be asked what a handle is: there is no silent pass.
    Unproven,
    /// Arguments or a result are not what the interface says.
    Malformed,
    /// Handles were lost, since their receiver had no descriptors left.
    HandlesLost,
    /// A value is larger, or has more handles, than one call may have.
    TooLarge,
    /// A limit of the server is reached for now.
    Busy,
    /// The time was over.
    TimedOut,
    /// The caller cancelled the call.
    Cancelled,
    /// The server ended, in order or not.
    Disconnected,
    /// The client, or the server's object, belongs to the process that this one was forked from.
    OtherProcess,
    /// The peer broke the rules of the wire.
    Violation,
    /// The method panicked.
    Panicked,
    /// The method said no, with an error that its interface has no type for.
    Failed,
    /// The server's program has ended the connection: [`Context::fail`](crate::Context::fail).
    Aborted,
    /// The system said no.
    System,
}

impl ErrorKind {
    /// The kinds by their numbers on the wire: a new one comes at the end.
    const ALL: [Self; 26] = [
        Self::Failed,
        Self::NotRegistered,
        Self::BadRegistration,
        Self::Insecure,
        Self::NoRuntimeDirectory,
        Self::StartFailed,
        Self::ActivationDenied,
        Self::AlreadyRunning,
        Self::NotAllowed,
        Self::NoSuchClass,
        Self::NoSuchInterface,
        Self::NoSuchMethod,
        Self::WrongHandle,
        Self::Unproven,
        Self::Malformed,
        Self::HandlesLost,
        Self::TooLarge,
        Self::Busy,
        Self::TimedOut,
        Self::Cancelled,
        Self::Disconnected,
        Self::Violation,
        Self::Panicked,
        Self::Aborted,
        Self::System,
        Self::OtherProcess,
    ];

    fn number(self) -> u8 {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default() as u8
    }

    /// The kind of this number. A kind that only a newer peer knows is a failure, to us.
    fn of_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Failed)
    }
}

impl Error {
    /// An error of a method: what `Result<T>` in an interface takes, as a text for the caller.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::failed_as(ErrorKind::Failed, text)
    }

    /// An error of a method that may have done something, as an error of this kind for the caller.
    ///
    /// An error that a method only passes on with `?` is of the kind [`ErrorKind::Failed`] for the
    /// caller, whatever it was to the method: the kinds are about the caller's own call.
    ///
    /// An object that stands for another one in a test can make every kind of error in this way.
    pub fn failed_as(kind: ErrorKind, text: impl Into<String>) -> Self {
        let mut error = Self::new(kind, text).maybe_ran();
        error.0.is_chosen = true;
        error
    }

    /// An error of a method that refuses the call and has done nothing: the caller learns that the
    /// call did not run, so it may try again.
    ///
    /// ```
    /// use syshandle::{Error, ErrorKind, Ran};
    ///
    /// let busy = Error::refused(ErrorKind::Busy, "the scanner is in use");
    /// assert_eq!((busy.kind(), busy.ran()), (ErrorKind::Busy, Ran::No));
    /// let denied = Error::refused(ErrorKind::NotAllowed, "only members may scan");
    /// # let _ = denied;
    /// ```
    pub fn refused(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::failed_as(kind, text).did_not_run()
    }

    /// An error of something that did not run.
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            ran: Ran::No,
            text: Printable(text.into()).into_text(),
            wrong_handle: None,
            source: None,
            io: None,
            is_chosen: false,
            is_of_call: true,
            log: Vec::new(),
        }))
    }

    /// The same, with its cause. Where the system had no room for something, that is what it is, and
    /// not a fault of what was to be read or started.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        if BLAMES.contains(&self.0.kind) && source.downcast_ref().is_some_and(is_lack) {
            self.0.kind = ErrorKind::System;
        }
        if let Some(error) = source.downcast_ref() {
            self.0.io = Some(IoCause::of(error));
        }
        self.0.source = Some(Cause::printable(source));
        self
    }

    /// Adds the end of a server's log, which `{:#}` and `{:?}` quote.
    #[cfg(not(windows))]
    pub(crate) fn with_log<'a>(mut self, lines: impl Iterator<Item = &'a str>) -> Self {
        self.0.log = lines.map(|line| Printable(line).to_string()).collect();
        self
    }

    /// The same, of something that may have run.
    pub(crate) fn maybe_ran(mut self) -> Self {
        self.0.ran = Ran::Maybe;
        self
    }

    /// Marks the error as one of a wait, which is no call.
    #[cfg(not(windows))]
    pub(crate) fn of_no_call(mut self) -> Self {
        self.0.is_of_call = false;
        self.maybe_ran()
    }

    /// The same, of something that did not run for certain.
    pub(crate) fn did_not_run(mut self) -> Self {
        self.0.ran = Ran::No;
        self
    }

    /// The same, with the place where it happened before the text.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.0.text = Printable(format!("{place}: {}", self.0.text)).into_text();
        self
    }

    /// The same of another call, but for its cause.
    #[cfg(not(windows))]
    pub(crate) fn of_another_call(&self) -> Self {
        let Inner { kind, ran, ref text, wrong_handle, io, is_chosen, is_of_call, ref log, .. } =
            *self.0;
        let (text, log, source) = (text.clone(), log.clone(), None);
        let inner = Inner { kind, ran, text, wrong_handle, source, io, is_chosen, is_of_call, log };
        Self(Box::new(inner))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the call ran: one that did not run can be tried again.
    pub fn ran(&self) -> Ran {
        self.0.ran
    }

    /// The kind of the `std::io::Error` that this error was made of, here or in the method.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.0.io.map(IoCause::kind)
    }

    /// The number of the operating system's error that this error was made of, here or in the method.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.io.and_then(IoCause::raw_os_error)
    }

    /// What the caller of a method is told of the error that the method has returned.
    pub(crate) fn to_fault(&self) -> Fault {
        let (kind, ran) = match self.0.is_chosen {
            true => (self.0.kind, self.0.ran),
            false => (ErrorKind::Failed, Ran::Maybe),
        };
        Fault::Method(MethodError {
            kind: kind.number(),
            ran,
            io: self.0.io,
            text: format!("{self:#}"),
        })
    }

    /// The facts of an error of the kind [`ErrorKind::WrongHandle`].
    pub fn wrong_handle(&self) -> Option<WrongHandle> {
        self.0.wrong_handle
    }

    /// What a peer's runtime said.
    pub(crate) fn from_fault(fault: &Fault) -> Self {
        let kind = match fault {
            Fault::NotAllowed { .. } => ErrorKind::NotAllowed,
            Fault::NoSuchClass(_) => ErrorKind::NoSuchClass,
            Fault::NoSuchInterface(_) => ErrorKind::NoSuchInterface,
            Fault::NoSuchMethod(_) => ErrorKind::NoSuchMethod,
            Fault::WrongHandle { .. } => ErrorKind::WrongHandle,
            Fault::Malformed { .. } => ErrorKind::Malformed,
            Fault::Unproven { .. } => ErrorKind::Unproven,
            Fault::HandlesLost => ErrorKind::HandlesLost,
            Fault::Expired => ErrorKind::TimedOut,
            Fault::Busy { .. } => ErrorKind::Busy,
            Fault::Draining => ErrorKind::Disconnected,
            Fault::Panicked { .. } => ErrorKind::Panicked,
            Fault::Unsendable { .. } => ErrorKind::System,
            Fault::TooLarge { .. } => ErrorKind::TooLarge,
            Fault::Aborted { .. } => ErrorKind::Aborted,
            Fault::Method(error) => ErrorKind::of_number(error.kind),
            _ => ErrorKind::Failed,
        };
        let mut error = Self::new(kind, fault.to_string());
        error.0.ran = fault.ran();
        if let Fault::Method(method) = fault {
            error.0.io = method.io;
        }
        if let Fault::WrongHandle { slot, mismatch, .. } = *fault {
            let Mismatch { wanted: expected, received } = mismatch;
            error.0.wrong_handle = Some(WrongHandle { slot, expected, received });
        }
        error
    }
}

/// A handle that was not what the interface declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongHandle {
    /// Its place among all handles of the arguments, or of the result.
    pub slot: u16,
    /// The part of the declaration that it failed: the kinds, or the rights.
    pub expected: Wanted,
    /// What the kernel said that it is.
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

/// The whole chain, a line each: what `fn main() -> syshandle::Result<()>` prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}", self.0.text, self.0.kind)?;
        match self.0.ran {
            _ if !self.0.is_of_call => f.write_str(")")?,
            Ran::No => f.write_str("; did not run)")?,
            Ran::Maybe => f.write_str("; may have run)")?,
        }
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

/// Precedes the quoted lines of a log.
pub(crate) const LOG_FOLLOWS: &str = ": its log ends:";

/// Starts each quoted line of a log, so that none can be taken for a line of another program's.
pub(crate) const LOG_LINE: &str = "\n    | ";

/// The text of a cause that is not [`Printable`] by itself.
#[derive(Debug)]
struct Cause {
    text: String,
    source: Option<Box<Self>>,
}

impl Cause {
    /// Returns the error as it is if all texts of its chain are printable, else a copy of these texts.
    fn printable(error: Box<dyn StdError + Send + Sync>) -> Box<dyn StdError + Send + Sync> {
        let mut next: Option<&dyn StdError> = Some(&*error);
        while let Some(cause) = next {
            if !is_printable(&cause.to_string()) {
                return Box::new(Self::copy(&*error));
            }
            next = cause.source();
        }
        error
    }

    fn copy(error: &dyn StdError) -> Self {
        let source = error.source().map(|source| Box::new(Self::copy(source)));
        Self { text: Printable(error).to_string(), source }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// An error of the system, in a method or a program of the user's.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::System,
        };
        let text = error.to_string();
        let mut new = Self::new(kind, text).maybe_ran();
        new.0.io = Some(IoCause::of(&error));
        if error.source().is_some() { new.because(CauseOf(error)) } else { new }
    }
}

/// What caused an error whose own text is known.
#[derive(Debug)]
struct CauseOf(io::Error);

impl fmt::Display for CauseOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source().map_or(Ok(()), |cause| write!(f, "{cause}"))
    }
}

impl StdError for CauseOf {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()?.source()
    }
}

impl From<Unsendable> for Error {
    fn from(unsendable: Unsendable) -> Self {
        let kind = match &unsendable {
            Unsendable::TooManyBytes { .. }
            | Unsendable::TooManyHandles { .. }
            | Unsendable::TooDeep => ErrorKind::TooLarge,
            Unsendable::Value(_) => ErrorKind::Malformed,
            _ => ErrorKind::System,
        };
        let error = Self::new(kind, unsendable.to_string());
        match unsendable {
            Unsendable::Handle(cause) => error.because(cause),
            _ => error,
        }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::new(ErrorKind::Violation, "the server broke the rules of the wire").because(violation)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused(fault) => Self::from_fault(&fault),
            OpenError::Violation(violation) => violation.into(),
        }
    }
}

/// Why a method with an error type of its own failed.
///
/// The client's method returns it. The server's method returns it too if it may refuse a call: see
/// [`interface`](crate::interface).
#[derive(Debug)]
pub enum CallError<E> {
    /// The method ran, and this is its error.
    Method(E),
    /// The call failed, as every call can.
    Call(Error),
}

/// Of a method that fails as a call fails: [`Error::refused`] makes an error that says it did not run.
impl<E> From<Error> for CallError<E> {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl<E> From<io::Error> for CallError<E> {
    fn from(error: io::Error) -> Self {
        Self::Call(error.into())
    }
}

/// The text of a method's error comes from the server, and is displayed as [`Printable`].
impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(error) => Printable(error).fmt(f),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for CallError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Method(error) => error.source(),
            Self::Call(error) => error.source(),
        }
    }
}

/// Whether the system, or this process's limits, had no room: for memory, descriptors, buffers, files.
fn is_lack(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOSPC: i32 = 28;
    const ENOBUFS: i32 = 105;
    const EDQUOT: i32 = 122;
    matches!(raw_os_error(error), Some(ENOMEM | ENFILE | EMFILE | ENOSPC | ENOBUFS | EDQUOT))
}

/// What blames somebody.
const BLAMES: [ErrorKind; 5] = [
    ErrorKind::ActivationDenied,
    ErrorKind::BadRegistration,
    ErrorKind::Insecure,
    ErrorKind::NoRuntimeDirectory,
    ErrorKind::StartFailed,
];

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}[2J\n\u{202e}b";
    const SHOWN: &str = r"a\u{1b}[2J\n\u{202e}b";

    /// An error of a user's, with a cause of its own.
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
    fn every_text_of_an_error_is_printable_whoever_wrote_it() {
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
