//! Faults: errors that one side's runtime reports to the other when it can't serve a call or a
//! connection.

use std::fmt;

use syshandle_types::{
    BorrowedHandle, Declaration, Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder,
    Facts, FieldPath, Files, Guid, IoCause, Kinds, Limits, Mismatch, Object, OwnedHandle,
    Printable, ProofError, Prove, Requirement, Rights, Sockets,
};

/// The reason why the runtime of the other side does not serve a call or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The server does not permit the client's user.
    NotAllowed {
        /// The client's user ID, as the kernel reports it to the server.
        uid: u32,
    },
    /// The server doesn't serve this class.
    NoSuchClass(Guid),
    /// The object doesn't have this interface.
    NoSuchInterface(Guid),
    /// The interface has no method with this number.
    NoSuchMethod(u32),
    /// A handle does not match its declaration in the interface.
    WrongHandle {
        /// The index of the parameter; `None` in a result.
        parameter: Option<u16>,
        /// The path of the value within the parameter or the result.
        path: FieldPath,
        /// The slot of the handle among all handles of the call.
        slot: u16,
        /// The declared and the received properties.
        mismatch: Mismatch,
    },
    /// A value needs a field or variant that the receiver's version of its type doesn't have.
    Incompatible {
        /// The index of the parameter; `None` in a result.
        parameter: Option<u16>,
        /// The path of the value within the parameter or the result.
        path: FieldPath,
        /// The cause.
        text: String,
    },
    /// The bytes of the arguments do not match the interface.
    Malformed {
        /// The index of the parameter; `None` in a result.
        parameter: Option<u16>,
        /// The path of the value within the parameter or the result.
        path: FieldPath,
        /// The cause.
        text: String,
    },
    /// A kernel query about a handle failed.
    Unproven {
        /// The index of the parameter; `None` in a result.
        parameter: Option<u16>,
        /// The path of the value within the parameter or the result.
        path: FieldPath,
        /// The cause.
        text: String,
    },
    /// Handles were lost in transit, because the receiver had no free file descriptors.
    HandlesLost,
    /// The deadline of the call passed before the call ran.
    Expired,
    /// The call would exceed a limit of the server.
    Busy {
        /// Description of the limit.
        limit: String,
    },
    /// The server is shutting down and accepts no more calls.
    Draining,
    /// The method panicked.
    Panicked {
        /// The panic message.
        text: String,
    },
    /// The method failed with an error type that is not declared in its interface.
    Failed {
        /// The error message, including its causes.
        text: String,
    },
    /// The method ran, but its result could not be sent.
    Unsendable {
        /// The cause.
        text: String,
    },
    /// The method ran, but its result exceeds the limit of bytes or handles of one call.
    TooLarge {
        /// Description of the limit.
        text: String,
    },
    /// The object could not be created.
    NoObject {
        /// The cause.
        text: String,
    },
    /// The method returned an error of the runtime's own error type.
    Method(MethodError),
    /// The server program has ended the connection.
    Aborted {
        /// The reason given by the program.
        text: String,
    },
    /// The owner of the object has withdrawn it.
    Withdrawn,
    /// The server no longer has the registered handle that the call refers to.
    SlotGone,
}

/// The error of a method that declares no error type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodError {
    /// The number of the error's kind, which `docs/wire.md` defines.
    pub kind: u8,
    /// Whether the method may have had side effects.
    pub may_have_run: bool,
    /// The I/O error that caused this one, if any.
    pub io: Option<IoCause>,
    /// The error message, including its causes.
    pub text: String,
}

impl Fault {
    /// Returns whether the call with this fault may have run.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Panicked { .. }
            | Self::Failed { .. }
            | Self::Unsendable { .. }
            | Self::TooLarge { .. }
            | Self::Aborted { .. } => true,
            Self::Method(error) => error.may_have_run,
            _ => false,
        }
    }

    /// Returns the body of the frame that reports this fault.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Encoder::new(Vec::new(), Limits::default());
        self.encode(&mut out);
        // Texts are truncated to less than the limit of a message, so encoding can't fail.
        out.finish().map(|(bytes, _)| bytes).unwrap_or_default()
    }

    /// Parses the body of a frame that reports a fault.
    ///
    /// # Errors
    /// The body is not a fault that this version knows.
    pub fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(body, Vec::new(), &NoHandles);
        let fault = Self::decode(&mut input)?;
        input.finish()?;
        Ok(fault)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        let DecodeError { parameter, path, kind } = error;
        match kind {
            DecodeErrorKind::Handle { slot, mismatch } => {
                Self::WrongHandle { parameter, path, slot, mismatch }
            }
            DecodeErrorKind::Unproven { text, .. } => Self::Unproven { parameter, path, text },
            DecodeErrorKind::RequiredField { .. }
            | DecodeErrorKind::UnknownHandles { .. }
            | DecodeErrorKind::UnknownKey { .. } => {
                Self::Incompatible { parameter, path, text: kind.to_string() }
            }
            DecodeErrorKind::NoMemory { limit } => Self::Busy { limit: limit.into() },
            kind => Self::Malformed { parameter, path, text: kind.to_string() },
        }
    }
}

/// Displays text from the peer as [`Printable`].
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { uid } => write!(f, "the server does not allow user {uid}"),
            Self::NoSuchClass(clsid) => write!(f, "the server doesn't serve class {clsid}"),
            Self::NoSuchInterface(iid) => write!(f, "the object has no interface {iid}"),
            Self::NoSuchMethod(number) => {
                write!(f, "the server's version of the interface has no method {number}")
            }
            Self::WrongHandle { mismatch, .. } => mismatch.fmt(f),
            Self::Incompatible { text, .. } | Self::Malformed { text, .. } => {
                Printable(text).fmt(f)
            }
            Self::Unproven { text, .. } => {
                write!(f, "the kind of the handle can't be determined: {}", Printable(text))
            }
            Self::HandlesLost => {
                f.write_str("the receiver had no descriptors or no memory left for the handles")
            }
            Self::Expired => f.write_str("the call timed out before it ran"),
            Self::Busy { limit } => {
                write!(f, "the server is busy: it has reached its limit of {}", Printable(limit))
            }
            Self::Draining => f.write_str("the server is shutting down"),
            Self::Panicked { text } => write!(f, "the method panicked: {}", Printable(text)),
            Self::Failed { text } => Printable(text).fmt(f),
            Self::Unsendable { text } => write!(f, "the result can't be sent: {}", Printable(text)),
            Self::TooLarge { text } => write!(f, "the result is too large: {}", Printable(text)),
            Self::NoObject { text } => {
                write!(f, "the object can't be created: {}", Printable(text))
            }
            Self::Method(error) => Printable(&error.text).fmt(f),
            Self::Aborted { text } => Printable(text).fmt(f),
            Self::Withdrawn => f.write_str("the object no longer exists"),
            Self::SlotGone => f.write_str("the server has taken a registered handle back"),
        }
    }
}

impl Encode for Fault {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let text = |number: u8, text: &str, out: &mut Encoder<'a>| {
            out.put(&[number]);
            let cut = cut(text);
            out.put_len(cut.len());
            out.put(cut.as_bytes());
        };
        let number = |number: u8, value: u32, out: &mut Encoder<'a>| {
            out.put(&[number]);
            out.put(&value.to_le_bytes());
        };
        match self {
            Self::NotAllowed { uid } => number(1, *uid, out),
            Self::NoSuchClass(clsid) => {
                out.put(&[2]);
                clsid.encode(out);
            }
            Self::NoSuchInterface(iid) => {
                out.put(&[3]);
                iid.encode(out);
            }
            Self::NoSuchMethod(method) => number(4, *method, out),
            Self::WrongHandle { parameter, path, slot, mismatch } => {
                out.put(&[5]);
                put_place(*parameter, path, out);
                out.put(&slot.to_le_bytes());
                put_mismatch(mismatch, out);
            }
            Self::Malformed { parameter, path, text: what } => {
                text(6, what, out);
                put_place(*parameter, path, out);
            }
            Self::HandlesLost => out.put(&[7]),
            Self::Expired => out.put(&[8]),
            Self::Busy { limit } => text(9, limit, out),
            Self::Draining => out.put(&[10]),
            Self::Panicked { text: what } => text(11, what, out),
            Self::Failed { text: what } => text(12, what, out),
            Self::Unsendable { text: what } => text(13, what, out),
            Self::NoObject { text: what } => text(14, what, out),
            Self::TooLarge { text: what } => text(15, what, out),
            Self::Unproven { parameter, path, text: what } => {
                text(16, what, out);
                put_place(*parameter, path, out);
            }
            Self::Method(MethodError { kind, may_have_run, io, text: what }) => {
                text(17, what, out);
                out.put(&[*kind, u8::from(*may_have_run)]);
                match io {
                    None => out.put(&[0]),
                    Some(cause) => cause.encode(out),
                }
            }
            Self::Aborted { text: what } => text(18, what, out),
            Self::Incompatible { parameter, path, text: what } => {
                text(19, what, out);
                put_place(*parameter, path, out);
            }
            Self::Withdrawn => out.put(&[20]),
            Self::SlotGone => out.put(&[21]),
        }
    }
}

impl Decode for Fault {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            1 => Self::NotAllowed { uid: u32::decode(input)? },
            2 => Self::NoSuchClass(Guid::decode(input)?),
            3 => Self::NoSuchInterface(Guid::decode(input)?),
            4 => Self::NoSuchMethod(u32::decode(input)?),
            5 => Self::WrongHandle {
                parameter: parameter(input)?,
                path: path(input)?,
                slot: u16::decode(input)?,
                mismatch: take_mismatch(input)?,
            },
            6 => Self::Malformed {
                text: String::decode(input)?,
                parameter: parameter(input)?,
                path: path(input)?,
            },
            7 => Self::HandlesLost,
            8 => Self::Expired,
            9 => Self::Busy { limit: String::decode(input)? },
            10 => Self::Draining,
            11 => Self::Panicked { text: String::decode(input)? },
            12 => Self::Failed { text: String::decode(input)? },
            13 => Self::Unsendable { text: String::decode(input)? },
            14 => Self::NoObject { text: String::decode(input)? },
            15 => Self::TooLarge { text: String::decode(input)? },
            16 => Self::Unproven {
                text: String::decode(input)?,
                parameter: parameter(input)?,
                path: path(input)?,
            },
            17 => Self::Method(MethodError {
                text: String::decode(input)?,
                kind: u8::decode(input)?,
                may_have_run: bool::decode(input)?,
                io: match u8::decode(input)? {
                    0 => None,
                    number => Some(IoCause::decode(number, input)?),
                },
            }),
            18 => Self::Aborted { text: String::decode(input)? },
            19 => Self::Incompatible {
                text: String::decode(input)?,
                parameter: parameter(input)?,
                path: path(input)?,
            },
            20 => Self::Withdrawn,
            21 => Self::SlotGone,
            _ => return Err(input.error(DecodeErrorKind::Value { expected: "fault" })),
        })
    }
}

fn put_mismatch(mismatch: &Mismatch, out: &mut Encoder<'_>) {
    let (part, bits) = match mismatch.expected {
        Requirement::Kind(kinds) => (0, kinds.bits()),
        Requirement::Rights(rights) => (1, rights.bits()),
        Requirement::NoMoreThan(rights) => (2, rights.bits()),
        Requirement::Sockets(sockets) => (3, sockets.bits()),
        Requirement::Files(files) => (4, files.bits()),
    };
    out.put(&[part]);
    out.put(&bits.to_le_bytes());
    out.put(&[mismatch.received.object as u8]);
    out.put(&mismatch.received.rights.bits().to_le_bytes());
}

fn take_mismatch(input: &mut Decoder<'_>) -> Result<Mismatch, DecodeError> {
    let (part, bits) = (u8::decode(input)?, u32::decode(input)?);
    let expected = match part {
        0 => Requirement::Kind(Kinds::from_bits_truncate(bits)),
        1 => Requirement::Rights(Rights::from_bits_truncate(bits)),
        2 => Requirement::NoMoreThan(Rights::from_bits_truncate(bits)),
        3 => Requirement::Sockets(Sockets::from_bits_truncate(bits)),
        4 => Requirement::Files(Files::from_bits_truncate(bits)),
        _ => return Err(input.error(DecodeErrorKind::Value { expected: "part of a declaration" })),
    };
    // An object that only newer peers know becomes unknown.
    let object = u8::decode(input)?;
    let known = Object::ALL.into_iter().find(|known| *known as u8 == object);
    let object = known.unwrap_or(Object::Other);
    let rights = Rights::from_bits_truncate(u32::decode(input)?);
    Ok(Mismatch { expected, received: Facts { object, rights } })
}

fn put_place<'a>(parameter: Option<u16>, path: &'a FieldPath, out: &mut Encoder<'a>) {
    out.put(&parameter.unwrap_or(NO_PARAMETER).to_le_bytes());
    out.put_len(path.as_str().len());
    out.put(path.as_str().as_bytes());
}

fn path(input: &mut Decoder<'_>) -> Result<FieldPath, DecodeError> {
    Ok(String::decode(input)?.as_str().into())
}

fn parameter(input: &mut Decoder<'_>) -> Result<Option<u16>, DecodeError> {
    Ok(Some(u16::decode(input)?).filter(|index| *index != NO_PARAMETER))
}

/// Truncates the text to the limit for faults.
fn cut(text: &str) -> &str {
    syshandle_types::cut(text, Limits::TEXT_BYTES_MAX)
}

/// The prover for decoding a fault, which can't contain handles.
struct NoHandles;

impl Prove for NoHandles {
    fn prove(
        &self,
        _: BorrowedHandle<'_>,
        _: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        Err(ProofError::Unknown("a fault carries no handles".into()))
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }
}

const NO_PARAMETER: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use std::io;

    use syshandle_types::Kind;

    use super::*;

    fn examples() -> Vec<Fault> {
        let mismatch = Mismatch {
            expected: Requirement::Kind(Kinds::of(Kind::File)),
            received: Facts { object: Object::Pipe, rights: Rights::READ },
        };
        let text = || "what".to_owned();
        let path = || FieldPath::from("rings[2].size");
        vec![
            Fault::NotAllowed { uid: 1000 },
            Fault::NoSuchClass(Guid::from_bytes([1; 16])),
            Fault::NoSuchInterface(Guid::from_bytes([2; 16])),
            Fault::NoSuchMethod(9),
            Fault::WrongHandle { parameter: Some(0), path: path(), slot: 3, mismatch },
            Fault::Malformed { parameter: None, path: FieldPath::default(), text: text() },
            Fault::HandlesLost,
            Fault::Expired,
            Fault::Busy { limit: text() },
            Fault::Draining,
            Fault::Withdrawn,
            Fault::SlotGone,
            Fault::Panicked { text: text() },
            Fault::Failed { text: text() },
            Fault::Unsendable { text: text() },
            Fault::NoObject { text: text() },
            Fault::TooLarge { text: text() },
            Fault::Unproven { parameter: Some(3), path: path(), text: text() },
            Fault::Method(MethodError { kind: 3, may_have_run: false, io: None, text: text() }),
            Fault::Method(MethodError {
                kind: 200,
                may_have_run: true,
                io: Some(IoCause::Errno(13)),
                text: text(),
            }),
            Fault::Method(MethodError {
                kind: 0,
                may_have_run: true,
                io: Some(IoCause::Kind(io::ErrorKind::UnexpectedEof)),
                text: text(),
            }),
            Fault::Aborted { text: text() },
            Fault::Incompatible { parameter: Some(1), path: path(), text: text() },
        ]
    }

    #[test]
    fn every_fault_round_trips_and_no_truncation_of_it_does() {
        for fault in examples() {
            let bytes = fault.write();
            assert_eq!(Fault::read(&bytes).as_ref(), Ok(&fault));
            for len in 0..bytes.len() {
                assert!(Fault::read(&bytes[..len]).is_err(), "{fault:?} {len}");
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = Fault::Failed { text: "é".repeat(Limits::TEXT_BYTES_MAX) };
        let Ok(Fault::Failed { text }) = Fault::read(&long.write()) else { panic!("not read") };
        assert_eq!(text.len(), Limits::TEXT_BYTES_MAX);
    }
}
