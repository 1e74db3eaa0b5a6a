//! Encoding of I/O errors, which keep their kind and their OS error number.

use std::error::Error;
use std::io;

use crate::{Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder, Printable};

/// The part of an I/O error that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoCause {
    /// An OS error number.
    Errno(i32),
    /// The kind of an error without an OS error number.
    Kind(io::ErrorKind),
}

impl IoCause {
    /// Creates the cause from the OS error number of an error or, if there is none, from its kind.
    pub fn new(raw_os_error: Option<i32>, kind: io::ErrorKind) -> Self {
        raw_os_error.map_or(Self::Kind(kind), Self::Errno)
    }

    /// Returns the error kind.
    pub fn kind(self) -> io::ErrorKind {
        match self {
            Self::Errno(errno) => io::Error::from_raw_os_error(errno).kind(),
            Self::Kind(kind) => kind,
        }
    }

    /// Returns the OS error number, if there is one.
    pub fn raw_os_error(self) -> Option<i32> {
        match self {
            Self::Errno(errno) => Some(errno),
            Self::Kind(_) => None,
        }
    }

    /// Writes the number of the variant, followed by the error number or the number of the kind.
    pub fn encode(self, out: &mut Encoder<'_>) {
        match self {
            Self::Errno(errno) => {
                out.put(&[ERRNO]);
                out.put(&errno.to_le_bytes());
            }
            Self::Kind(kind) => {
                let number = IO_KINDS.iter().position(|known| *known == kind);
                out.put(&[KIND, number.unwrap_or_default() as u8]);
            }
        }
    }

    /// Reads the cause, given the number of its variant.
    ///
    /// # Errors
    /// The number is unknown, or the message ends.
    pub fn decode(variant: u8, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match variant {
            ERRNO => Ok(Self::Errno(i32::decode(input)?)),
            KIND => {
                // A kind that only newer peers know becomes `Other`.
                let kind = IO_KINDS.get(usize::from(u8::decode(input)?));
                Ok(Self::Kind(kind.copied().unwrap_or(io::ErrorKind::Other)))
            }
            _ => Err(input.error(DecodeErrorKind::Value { expected: "io::Error" })),
        }
    }
}

/// Encoded as its cause. The text follows as a `String` if the error has no OS error number,
/// because otherwise the receiver's system has the text. The text is empty if it only describes
/// the kind.
impl Encode for io::Error {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let cause = IoCause::new(self.raw_os_error(), self.kind());
        cause.encode(out);
        if let IoCause::Kind(kind) = cause {
            let text = match self.to_string() {
                text if self.get_ref().is_none() && text == kind.to_string() => String::new(),
                text => Printable(with_causes(text, self)).into_text(),
            };
            out.put_len(text.len());
            out.put(text.as_bytes());
        }
    }
}

impl Decode for io::Error {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let variant = u8::decode(input)?;
        match IoCause::decode(variant, input)? {
            IoCause::Errno(errno) => Ok(Self::from_raw_os_error(errno)),
            IoCause::Kind(kind) => {
                let text = String::decode(input)?;
                if text.is_empty() {
                    return Ok(kind.into());
                }
                // `io::Error` allocates the error, and the error allocates its text.
                input.charge_value::<[String; 2]>()?;
                Ok(Self::new(kind, Printable(text).into_text()))
            }
        }
    }
}

/// Appends the causes of an error to its text.
fn with_causes(mut text: String, error: &dyn Error) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The number of [`IoCause::Errno`] on the wire.
const ERRNO: u8 = 1;

/// The number of [`IoCause::Kind`] on the wire.
const KIND: u8 = 2;

/// The error kinds that the standard library may report without an OS error number. The index of a
/// kind is its number on the wire. A kind that is not in the list is sent as the first one.
const IO_KINDS: [io::ErrorKind; 39] = [
    io::ErrorKind::Other,
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::NotConnected,
    io::ErrorKind::AddrInUse,
    io::ErrorKind::AddrNotAvailable,
    io::ErrorKind::NetworkDown,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::AlreadyExists,
    io::ErrorKind::WouldBlock,
    io::ErrorKind::NotADirectory,
    io::ErrorKind::IsADirectory,
    io::ErrorKind::DirectoryNotEmpty,
    io::ErrorKind::ReadOnlyFilesystem,
    io::ErrorKind::StaleNetworkFileHandle,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::InvalidData,
    io::ErrorKind::TimedOut,
    io::ErrorKind::WriteZero,
    io::ErrorKind::StorageFull,
    io::ErrorKind::NotSeekable,
    io::ErrorKind::QuotaExceeded,
    io::ErrorKind::FileTooLarge,
    io::ErrorKind::ResourceBusy,
    io::ErrorKind::ExecutableFileBusy,
    io::ErrorKind::Deadlock,
    io::ErrorKind::CrossesDevices,
    io::ErrorKind::TooManyLinks,
    // `InvalidFilename` in Rust 1.87 and newer. The system has an error number for it.
    io::ErrorKind::Other,
    io::ErrorKind::ArgumentListTooLong,
    io::ErrorKind::Interrupted,
    io::ErrorKind::Unsupported,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::OutOfMemory,
];
