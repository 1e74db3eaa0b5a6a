//! Borrows a handle as a value of a type that owns one.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
#[cfg(not(windows))]
use std::os::fd::{AsRawFd, FromRawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawHandle, FromRawHandle};

use crate::{BorrowedHandle, OwnedHandle};

/// A borrowed handle with a type. `HandleRef<File>` can be passed as `&File`, and does not close
/// the handle when it is dropped.
pub struct HandleRef<'a, H> {
    handle: ManuallyDrop<H>,
    lender: std::marker::PhantomData<BorrowedHandle<'a>>,
}

impl<'a, H: From<OwnedHandle>> HandleRef<'a, H> {
    /// Wraps a borrowed handle.
    #[expect(unsafe_code, reason = "a second owner of a handle, which never closes it")]
    pub fn new(handle: BorrowedHandle<'a>) -> Self {
        // SAFETY: the handle is open for 'a, which this value can't outlive. The second owner
        // created here is never dropped, so only the first owner closes the handle.
        #[cfg(not(windows))]
        let second = unsafe { OwnedHandle::from_raw_fd(handle.as_raw_fd()) };
        // SAFETY: as above.
        #[cfg(windows)]
        let second = unsafe { OwnedHandle::from_raw_handle(handle.as_raw_handle()) };
        Self { handle: ManuallyDrop::new(H::from(second)), lender: std::marker::PhantomData }
    }
}

impl<H> Deref for HandleRef<'_, H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.handle
    }
}

impl<H: fmt::Debug> fmt::Debug for HandleRef<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandleRef").field(&*self.handle).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use super::*;
    use crate::Handle;

    #[test]
    fn a_borrowed_file_reads_and_leaves_the_handle_open() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"sparkly!").unwrap();
        file.rewind().unwrap();
        let mut bytes = [0; 4];
        (&*HandleRef::<File>::new(file.as_handle())).read_exact(&mut bytes).unwrap();
        (&file).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"kly!");
    }
}
