//! The trait of all types that own a handle, and a borrowed form of them.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle};

use crate::{Declared, Kinds};

/// An owned handle of unknown kind; closes when dropped.
pub type OwnedHandle = std::os::windows::io::OwnedHandle;

/// A borrowed handle.
pub type BorrowedHandle<'a> = std::os::windows::io::BorrowedHandle<'a>;

/// A type that owns one handle.
///
/// Implemented for types of the standard library and of this crate. `from_handle` takes a handle
/// that was proven to match [`Handle::DECLARED`] or the declaration of its parameter.
pub trait Handle: Sized {
    /// The declaration of a parameter of this type, unless the parameter declares something else.
    const DECLARED: Declared;

    /// Borrows the handle.
    fn as_handle(&self) -> BorrowedHandle<'_>;

    /// Takes ownership of a proven handle.
    fn from_handle(handle: OwnedHandle) -> Self;
}

/// Accepts any kind; the parameter usually declares one.
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

/// A typed handle over one with another owner. `Borrowed<File>` can be lent as `&File`, and closes
/// nothing when dropped.
pub struct Borrowed<'a, H> {
    handle: ManuallyDrop<H>,
    lender: std::marker::PhantomData<BorrowedHandle<'a>>,
}

impl<'a, H: From<OwnedHandle>> Borrowed<'a, H> {
    /// Wraps a borrowed handle.
    #[expect(unsafe_code, reason = "a second owner of a handle, which never closes it")]
    pub fn new(handle: BorrowedHandle<'a>) -> Self {
        // SAFETY: the handle is open for 'a, which this value can't outlive. The second owner made
        // here is never dropped, so only the first owner closes the handle.
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
