//! The trait of all types that own a handle, and a borrowed form of each.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle};

use crate::{Declared, Kinds};

/// An owned handle of a kind nobody has looked at yet; closes when dropped.
pub type OwnedHandle = std::os::windows::io::OwnedHandle;

/// A handle lent for a while.
pub type BorrowedHandle<'a> = std::os::windows::io::BorrowedHandle<'a>;

/// A type that owns one handle.
///
/// Implemented for the standard library's types and for those of this crate. `from_handle` takes
/// a handle that was proven to be what [`Handle::DECLARED`] says, or what its parameter declares.
pub trait Handle: Sized {
    /// What a parameter of this type is unless it declares otherwise.
    const DECLARED: Declared;

    /// Lends the handle.
    fn as_handle(&self) -> BorrowedHandle<'_>;

    /// Takes ownership of a handle that was proven.
    fn from_handle(handle: OwnedHandle) -> Self;
}

/// Anything that has a kind at all; the parameter usually declares which.
impl Handle for OwnedHandle {
    const DECLARED: Declared = Declared::new(Kinds::ANY);

    fn as_handle(&self) -> BorrowedHandle<'_> {
        AsHandle::as_handle(self)
    }

    fn from_handle(handle: OwnedHandle) -> Self {
        handle
    }
}

/// Implements [`Handle`] for a type that converts from and to an owned handle.
macro_rules! impl_handle {
    ($($type:ty => $declared:expr),+ $(,)?) => {$(
        impl $crate::Handle for $type {
            const DECLARED: $crate::Declared = $declared;

            fn as_handle(&self) -> $crate::BorrowedHandle<'_> {
                std::os::windows::io::AsHandle::as_handle(self)
            }

            fn from_handle(handle: $crate::OwnedHandle) -> Self {
                Self::from(handle)
            }
        }
    )+};
}
pub(crate) use impl_handle;

/// What every type has that is nothing but an owned handle.
macro_rules! impl_owned {
    ($type:ident, $noun:literal, $declared:expr) => {
        impl $type {
            #[doc = concat!("A second handle to the same ", $noun, ", with the same rights.")]
            ///
            /// # Errors
            /// Those of `DuplicateHandle`.
            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(Self(self.0.try_clone()?))
            }
        }

        impl std::os::windows::io::AsHandle for $type {
            fn as_handle(&self) -> $crate::BorrowedHandle<'_> {
                std::os::windows::io::AsHandle::as_handle(&self.0)
            }
        }

        impl From<$crate::OwnedHandle> for $type {
            fn from(handle: $crate::OwnedHandle) -> Self {
                Self(handle)
            }
        }

        impl From<$type> for $crate::OwnedHandle {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        $crate::platform::handle::impl_handle!($type => $declared);
    };
}
pub(crate) use impl_owned;

/// A typed handle over one that somebody else owns: `Borrowed<File>` is lent where `&File` is
/// asked for, and closes nothing when dropped.
pub struct Borrowed<'a, H> {
    handle: ManuallyDrop<H>,
    lender: std::marker::PhantomData<BorrowedHandle<'a>>,
}

impl<'a, H: From<OwnedHandle>> Borrowed<'a, H> {
    /// Wraps a borrowed handle.
    #[expect(unsafe_code, reason = "a second owner of a handle, which never closes it")]
    pub fn new(handle: BorrowedHandle<'a>) -> Self {
        // SAFETY: the handle is open for 'a, which this value can't outlive; and the second owner
        // made here is never dropped, so it is closed by its first owner alone.
        let second = unsafe { OwnedHandle::from_raw_handle(handle.as_raw_handle()) };
        Self { handle: ManuallyDrop::new(H::from(second)), lender: std::marker::PhantomData }
    }
}

impl<H> Deref for Borrowed<'_, H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.handle
    }
}

impl<H: fmt::Debug> fmt::Debug for Borrowed<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Borrowed").field(&*self.handle).finish()
    }
}
