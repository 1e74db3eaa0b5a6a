//! Conversions and duplication, which all types with one handle share.

/// For a type that wraps an owned handle, implements [`Handle`](crate::Handle), the conversions to
/// and from an owned handle, and `try_clone`. The last argument is a function that creates the
/// wrapped value from an owned handle.
macro_rules! impl_owned {
    ($type:ident, $noun:literal, $declared:expr) => {
        $crate::owned::impl_owned!($type, $noun, $declared, Into::into);
    };
    ($type:ident, $noun:literal, $declared:expr, $from:expr) => {
        impl $type {
            #[doc = concat!("Returns a second handle to the same ", $noun, ", with the same rights.")]
            ///
            /// # Errors
            /// Fails if this process can't open more handles.
            pub fn try_clone(&self) -> std::io::Result<Self> {
                self.0.try_clone().map(Self).map_err($crate::system_call::failed($crate::sys::DUPLICATE))
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsHandle for $type {
            fn as_handle(&self) -> $crate::BorrowedHandle<'_> {
                std::os::windows::io::AsHandle::as_handle(&self.0)
            }
        }

        #[cfg(not(windows))]
        impl std::os::fd::AsFd for $type {
            fn as_fd(&self) -> $crate::BorrowedHandle<'_> {
                std::os::fd::AsFd::as_fd(&self.0)
            }
        }

        impl From<$crate::OwnedHandle> for $type {
            fn from(handle: $crate::OwnedHandle) -> Self {
                Self($from(handle))
            }
        }

        impl From<$type> for $crate::OwnedHandle {
            fn from(value: $type) -> Self {
                value.0.into()
            }
        }

        syshandle_types::impl_handle!($type => $declared);
    };
}
pub(crate) use impl_owned;
