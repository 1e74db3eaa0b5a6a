//! Handles that a program passes often.

cfg_if::cfg_if! {
    if #[cfg(not(windows))] {
        pub(crate) mod linux;

        use linux::Registration;
    }
}

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use syshandle_types::describe::{Describe, Type};
use syshandle_types::{Encode, Encoder, Handle};

/// A handle that this process passes often.
///
/// The first message that passes it to a peer asks the peer to keep it. Once the peer has answered,
/// later messages on the same connection name the kept handle instead of passing it, so the kernel
/// transfers nothing and the peer need not prove it again. The value is passed like the handle that
/// it contains: `&registered` as a `&File`.
///
/// ```
/// use std::fs::File;
/// use std::sync::Arc;
/// use syshandle::{Result, handle::Registered, interface};
///
/// #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a51")]
/// pub trait Disk {
///     /// Returns the size of an image.
///     fn size(&self, #[handle(file, read)] image: Arc<File>) -> Result<u64>;
/// }
///
/// struct Measure;
///
/// impl Disk for Measure {
///     fn size(&self, image: Arc<File>) -> Result<u64> {
///         Ok(image.metadata()?.len())
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let disk = DiskClient::in_process(Measure)?;
/// let image = Registered::new(File::open("/dev/null")?);
/// for _ in 0..3 {
///     assert_eq!(disk.size(&image)?, 0);
/// }
/// # Ok(())
/// # }
/// ```
///
/// - A method that declares `Arc<File>` gets the value that its process keeps, and no system call is
///   made. A method that declares `File` gets a duplicate.
/// - A method that returns `Registered<File>` passes a result in the same way. Its client gets an
///   `Arc<File>`.
/// - A peer may decline to keep a handle, or take it back at any time. Then the handle is passed as
///   any other.
/// - When the last clone is dropped, the peers give the handle up. What they have received of it as
///   an `Arc` or as a duplicate stays open.
///
/// A peer keeps the handle open meanwhile. So a lock of the file stays held, a pipe does not end, a
/// socket stays connected, and a mount stays busy. The guide's chapter on handles describes which
/// properties of a kept handle are proven once.
///
/// On Windows the handle is passed like any other.
pub struct Registered<T> {
    /// Dropped first: the number of the handle must not be looked up when it is closed.
    #[cfg(not(windows))]
    _registration: Arc<Registration>,
    handle: Arc<T>,
}

impl<T: Handle> Registered<T> {
    /// Registers a handle.
    pub fn new(handle: T) -> Self {
        Self::from(Arc::new(handle))
    }
}

impl<T> Registered<T> {
    /// Returns the value, to put it into a struct that is passed.
    pub fn shared(&self) -> &Arc<T> {
        &self.handle
    }
}

impl<T: Handle> From<T> for Registered<T> {
    fn from(handle: T) -> Self {
        Self::new(handle)
    }
}

/// Registers a handle that the program shares. The registration ends with the last clone of this
/// value, and not with the `Arc`.
impl<T: Handle> From<Arc<T>> for Registered<T> {
    fn from(handle: Arc<T>) -> Self {
        Self {
            #[cfg(not(windows))]
            _registration: Registration::of(handle.as_handle()),
            handle,
        }
    }
}

impl<T> Clone for Registered<T> {
    fn clone(&self) -> Self {
        Self {
            #[cfg(not(windows))]
            _registration: self._registration.clone(),
            handle: self.handle.clone(),
        }
    }
}

impl<T> Deref for Registered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.handle
    }
}

impl<T: fmt::Debug> fmt::Debug for Registered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registered").field(&self.handle).finish()
    }
}

/// Encoded like the handle.
impl<T: Encode> Encode for Registered<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.handle.encode(out);
    }
}

/// Described like the handle. As a result, a client gets it as an `Arc`.
impl<T: Describe> Describe for Registered<T> {
    const TYPE: Type = T::TYPE;
    type Argument<'a>
        = T::Argument<'a>
    where
        Self: 'a;
    type Output = Arc<T>;
}
