//! The trait of all types that own a handle.

use std::any::Any;
use std::fs::File;
use std::sync::Arc;

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

/// A handle of some type that several owners share.
pub type SharedHandle = Arc<dyn Any + Send + Sync>;

/// How a handle becomes a value of one type that several owners share, and a handle again.
#[derive(Clone, Copy, Debug)]
pub struct SharedType {
    make: fn(OwnedHandle) -> SharedHandle,
    lend: fn(&SharedHandle) -> Option<BorrowedHandle<'_>>,
    take: fn(SharedHandle) -> Option<OwnedHandle>,
}

impl SharedType {
    /// Returns the functions of a type.
    pub fn of<H: Handle + Into<OwnedHandle> + Send + Sync + 'static>() -> Self {
        Self {
            make: |handle| Arc::new(H::from_handle(handle)),
            lend: |value| Some(value.downcast_ref::<H>()?.as_handle()),
            take: |value| Some(Arc::into_inner(value.downcast::<H>().ok()?)?.into()),
        }
    }

    /// Makes the value of a handle that was proven to match the declaration of the type.
    pub fn make(self, handle: OwnedHandle) -> SharedHandle {
        (self.make)(handle)
    }

    /// Borrows the handle of a value that `make` has returned.
    pub fn lend(self, value: &SharedHandle) -> Option<BorrowedHandle<'_>> {
        (self.lend)(value)
    }

    /// Takes the handle of such a value, unless it has another owner.
    pub fn take(self, value: SharedHandle) -> Option<OwnedHandle> {
        (self.take)(value)
    }
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

        $crate::impl_handle_value!($type, shared);
    )+};
}

/// Implements [`Encode`](crate::Encode), [`Decode`](crate::Decode) and
/// [`Describe`](crate::Describe) for a type that implements [`Handle`](crate::Handle). The handle
/// is encoded as the number of its slot, a `u16`, and the handle itself accompanies the bytes.
/// With `shared`, a registered handle is received as an `Arc` without a duplicate. That requires a
/// conversion to an owned handle.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_handle_value {
    ($type:ty $(, $shared:ident)?) => {
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

            $($crate::impl_handle_value!(@$shared);)?
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
    (@shared) => {
        #[inline]
        fn decode_shared(
            input: &mut $crate::Decoder<'_>,
        ) -> Result<::std::sync::Arc<Self>, $crate::DecodeError> {
            input.take_shared_handle()
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
