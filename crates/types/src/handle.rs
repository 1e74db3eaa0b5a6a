//! The trait of all types that own a handle.

use std::fs::File;

pub use crate::platform::{BorrowedHandle, OwnedHandle, borrow};
use crate::{Declaration, Kind, Kinds};

/// A type that owns one handle.
///
/// Implemented for types of the standard library and of `syshandle-os`. Callers prove a handle
/// before they pass it to `from_handle`.
pub trait Handle: Sized {
    /// The declaration that every handle of this type must match.
    const DECLARATION: Declaration;

    /// Borrows the handle.
    fn as_handle(&self) -> BorrowedHandle<'_>;

    /// Creates the value from a handle that was proven to match [`Handle::DECLARATION`] and, if
    /// there is one, the declaration of its parameter.
    fn from_handle(handle: OwnedHandle) -> Self;
}

/// Implements [`Handle`](crate::Handle), [`Encode`](crate::Encode), [`Decode`](crate::Decode) and
/// [`Describe`](crate::Describe) for types that convert to and from `OwnedHandle`.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_handle {
    ($($type:ty => $declared:expr),+ $(,)?) => {$(
        impl $crate::Handle for $type {
            const DECLARATION: $crate::Declaration = $declared;

            fn as_handle(&self) -> $crate::BorrowedHandle<'_> {
                $crate::borrow(self)
            }

            fn from_handle(handle: $crate::OwnedHandle) -> Self {
                Self::from(handle)
            }
        }

        $crate::impl_handle_value!($type);
    )+};
}

/// Implements [`Encode`](crate::Encode), [`Decode`](crate::Decode) and
/// [`Describe`](crate::Describe) for a type that implements [`Handle`](crate::Handle). The handle
/// is encoded as the number of its slot, a `u16`, and the handle itself accompanies the bytes.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_handle_value {
    ($type:ty) => {
        impl $crate::Encode for $type {
            #[inline]
            fn encode<'a>(&'a self, out: &mut $crate::Encoder<'a>) {
                out.put_handle($crate::Handle::as_handle(self));
            }
        }

        impl $crate::Decode for $type {
            #[inline]
            fn decode(input: &mut $crate::Decoder<'_>) -> Result<Self, $crate::DecodeError> {
                input.take_handle()
            }
        }

        impl $crate::Describe for $type {
            const TYPE: $crate::describe::Type = $crate::describe::Type::Handle {
                name: stringify!($type),
                declared: <$type as $crate::Handle>::DECLARATION,
            };
            type Argument<'a> = &'a Self;
            type Output = Self;
        }
    };
}

impl_handle!(
    // `OwnedHandle` permits any kind. The parameter usually declares one.
    OwnedHandle => Declaration::new(Kinds::ANY),
    File => Declaration::kind(Kind::File),
);

/// The ends of pipes, which the standard library has since Rust 1.87.
#[cfg(std_pipes)]
#[expect(clippy::incompatible_msrv, reason = "older standard libraries don't set `std_pipes`")]
mod pipes {
    use std::io::{PipeReader, PipeWriter};

    use crate::{Declaration, Kind, Rights};

    impl_handle!(
        PipeReader => Declaration::kind(Kind::Pipe).at_least(Rights::READ),
        PipeWriter => Declaration::kind(Kind::Pipe).at_least(Rights::WRITE),
    );
}
