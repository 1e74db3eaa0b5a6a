//! Kinds of errors.

use syshandle_registry::ErrorKind as RegistryErrorKind;

/// The kind of an error, for programs that handle it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No program is registered for the class.
    NotRegistered,
    /// The class's registration is not valid.
    BadRegistration,
    /// Another user could change a folder or file that activation relies on.
    Insecure,
    /// The folder for sockets is missing: `XDG_RUNTIME_DIR` isn't set, or doesn't exist.
    NoRuntimeDirectory,
    /// The server's program couldn't be started, or ended before its greeting.
    StartFailed,
    /// The client is confined and therefore can't start a server.
    ActivationDenied,
    /// Another server already uses the socket of this registration.
    AlreadyRunning,
    /// The server does not allow this client.
    NotAllowed,
    /// The server doesn't serve the class.
    NoSuchClass,
    /// The object doesn't have the interface.
    NoSuchInterface,
    /// The server's version of the interface doesn't have the method.
    NoSuchMethod,
    /// The client's and the server's version of the interface differ, so that the receiver would
    /// misread a value. Either the client did not send the call, or the receiver refused a value of a
    /// type with `#[grows]`, because it needs a field or variant that the receiver doesn't know.
    Incompatible,
    /// The kind or the rights of a handle don't match the declaration of the interface.
    WrongHandle,
    /// The query to the kernel about a handle failed. Such a handle is never accepted.
    Unproven,
    /// Arguments or a result don't match the interface.
    Malformed,
    /// Handles were lost because the receiver had no free descriptors.
    HandlesLost,
    /// A value exceeds the limit of bytes or handles of one call.
    TooLarge,
    /// A limit of the server, or of the calls that wait in the client, is reached. A later call may
    /// succeed.
    Busy,
    /// The deadline passed.
    TimedOut,
    /// The caller cancelled the call.
    Cancelled,
    /// The connection ended, because the server was stopped or died.
    Disconnected,
    /// The client or object belongs to the parent from which this process was forked.
    OtherProcess,
    /// The peer violated the protocol.
    Violation,
    /// The method panicked.
    Panicked,
    /// The method failed with an error for which its interface has no type.
    Failed,
    /// The server's program ended the connection with [`Context::abort`](crate::Context::abort).
    Aborted,
    /// A system call failed.
    System,
}

impl ErrorKind {
    /// The kinds by their numbers on the wire. New kinds are appended.
    const ALL: [Self; 27] = [
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
        Self::Incompatible,
    ];

    pub(super) fn number(self) -> u8 {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default() as u8
    }

    /// Returns the kind with this number. An unknown number, which a newer peer may send, becomes
    /// `Failed`.
    pub(super) fn of_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Failed)
    }

    /// Returns whether a method may report the kind. The other kinds describe the call or the
    /// connection, so a caller trusts that the runtime reports them.
    /// [`Error::new`](super::Error::new) lists these kinds.
    pub(super) fn is_for_methods(self) -> bool {
        !matches!(
            self,
            Self::NoSuchClass
                | Self::NoSuchInterface
                | Self::NoSuchMethod
                | Self::Incompatible
                | Self::Unproven
                | Self::HandlesLost
                | Self::Cancelled
                | Self::OtherProcess
                | Self::Disconnected
                | Self::Violation
                | Self::Aborted
                | Self::Panicked
        )
    }

    /// Returns whether the kind blames a file, a folder or a program.
    pub(super) fn blames(self) -> bool {
        matches!(
            self,
            Self::ActivationDenied
                | Self::BadRegistration
                | Self::Insecure
                | Self::NoRuntimeDirectory
                | Self::StartFailed
        )
    }
}

impl From<RegistryErrorKind> for ErrorKind {
    fn from(kind: RegistryErrorKind) -> Self {
        match kind {
            RegistryErrorKind::NotRegistered => Self::NotRegistered,
            RegistryErrorKind::BadRegistration => Self::BadRegistration,
            RegistryErrorKind::Insecure => Self::Insecure,
            RegistryErrorKind::NoRuntimeDirectory => Self::NoRuntimeDirectory,
            RegistryErrorKind::ActivationDenied => Self::ActivationDenied,
            RegistryErrorKind::AlreadyRunning => Self::AlreadyRunning,
            RegistryErrorKind::StartFailed => Self::StartFailed,
            RegistryErrorKind::NoSuchClass => Self::NoSuchClass,
            RegistryErrorKind::Busy => Self::Busy,
            _ => Self::System,
        }
    }
}
