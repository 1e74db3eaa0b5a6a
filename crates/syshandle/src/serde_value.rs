//! Values of types that only support serde.

mod limited_reader;

use std::any::type_name;
use std::cell::RefCell;

use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};
use syshandle_types::describe::{Describe, Type};
use syshandle_types::{
    Decode, DecodeError, DecodeErrorKind, Decoder, Encode, EncodeErrorKind, Encoder,
};

use limited_reader::{Budget, LimitedReader};

/// A value of a type that only supports [serde](https://serde.rs). Pass `Serde(value)` if the
/// interface declares `Serde<T>`.
///
/// The value is encoded as bytes in the format of
/// [postcard](https://postcard.jamesmunns.com/wire-format), so it can't contain handles. The limits
/// of all values apply: the maximum size of a message and the maximum nesting depth. Both sides
/// must use the same type, because the bytes don't name it.
///
/// ```
/// use syshandle::{Result, Serde, interface};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Settings {
///     volume: u8,
/// }
///
/// #[interface(iid = "0b9c8a40-6f43-4b59-9d0e-1c0a3c1f7a11")]
/// trait Player {
///     fn set(&self, settings: Serde<Settings>) -> Result<Serde<Settings>>;
/// }
///
/// struct Quiet;
///
/// impl Player for Quiet {
///     fn set(&self, Serde(mut settings): Serde<Settings>) -> Result<Serde<Settings>> {
///         settings.volume = settings.volume.min(3);
///         Ok(Serde(settings))
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let player = PlayerClient::in_process(Quiet)?;
/// let Serde(set) = player.set(&Serde(Settings { volume: 11 }))?;
/// assert_eq!(set.volume, 3);
/// # Ok(())
/// # }
/// ```
// Exhaustive, because programs create and destructure this type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serde<T>(pub T);

/// Encodes the number of bytes as `u32`, then the bytes that postcard makes of the value.
impl<T: Serialize> Encode for Serde<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let limit = out.limits().message_bytes_max;
        let bytes = Bytes { bytes: Vec::new(), limit: limit as usize };
        match postcard::serialize_with_flavor(&self.0, bytes) {
            Ok(bytes) => {
                out.put_len(bytes.len());
                out.put(&bytes);
            }
            Err(postcard::Error::SerializeBufferFull) => {
                out.fail(EncodeErrorKind::TooManyBytes { limit });
            }
            Err(error) => {
                out.fail(EncodeErrorKind::Value(format!("{}: {error}", type_name::<T>())));
            }
        }
    }
}

impl<T: DeserializeOwned> Decode for Serde<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let len = input.take_len()?;
        let bytes = input.take(len)?;
        let memory = RefCell::new(&mut *input);
        let charge = |bytes| memory.borrow_mut().charge(bytes);
        let budget = Budget::new(len, &charge);
        let mut postcard = postcard::Deserializer::from_bytes(bytes);
        let value = T::deserialize(LimitedReader::new(&mut postcard, &budget));
        let rest = postcard.finalize();
        let (is_too_deep, no_memory) = (budget.is_too_deep(), budget.into_memory_error());
        if let Some(error) = no_memory {
            return Err(error);
        }
        match (value, rest) {
            (Ok(value), Ok([])) => Ok(Self(value)),
            _ if is_too_deep => Err(input.error(DecodeErrorKind::TooDeep)),
            _ => Err(input.error(DecodeErrorKind::Value { expected: type_name::<T>() })),
        }
    }
}

impl<T> Describe for Serde<T> {
    const TYPE: Type = Type::Serde(type_name::<T>);
    type Argument<'a>
        = &'a Self
    where
        Self: 'a;
    type Output = Self;
}

/// A byte vector that refuses to grow beyond the maximum size of a message.
struct Bytes {
    bytes: Vec<u8>,
    limit: usize,
}

impl Flavor for Bytes {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.bytes)
    }
}
