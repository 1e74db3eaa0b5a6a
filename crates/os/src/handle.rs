//! A borrowed form of all types that own a handle.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd};

pub(crate) use syshandle_types::impl_handle;

use crate::{BorrowedHandle, OwnedHandle};

/// A typed handle over a descriptor with another owner. `Borrowed<File>` can be lent as `&File`,
/// and closes nothing when dropped.
pub struct Borrowed<'a, H> {
    handle: ManuallyDrop<H>,
    lender: std::marker::PhantomData<BorrowedHandle<'a>>,
}

impl<'a, H: From<OwnedHandle>> Borrowed<'a, H> {
    /// Wraps a borrowed descriptor.
    #[expect(unsafe_code, reason = "a second owner of a descriptor, which never closes it")]
    pub fn new(handle: BorrowedHandle<'a>) -> Self {
        // SAFETY: the descriptor is open for 'a, which this value can't outlive. The second owner
        // made here is never dropped, so only the first owner closes the descriptor.
        let second = unsafe { OwnedHandle::from_raw_fd(handle.as_raw_fd()) };
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_borrowed_file_reads_and_leaves_the_descriptor_open() {
        let file = File::open("/dev/zero").unwrap();
        let mut bytes = [1; 4];
        (&*Borrowed::<File>::new(file.as_fd())).read_exact(&mut bytes).unwrap();
        (&file).read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [0; 4]);
    }
}
