//! Compositions: dma-bufs.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::SeekFrom;

use super::identify::access_rights;
use super::ioctl;
use super::map::Mapping;
use crate::Rights;

pub(crate) fn len(buffer: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::seek(buffer, SeekFrom::End(0))?)
}

pub(crate) fn map(buffer: BorrowedFd<'_>) -> io::Result<Mapping> {
    let access = access_rights(rustix::fs::fcntl_getfl(buffer)?);
    let len = usize::try_from(len(buffer)?).map_err(|_| io::ErrorKind::OutOfMemory)?;
    Mapping::new(buffer, len, access.contains(Rights::WRITE))
}

pub(crate) fn begin_access(buffer: BorrowedFd<'_>) -> io::Result<()> {
    ioctl::sync_buffer(buffer, SYNC_READ_WRITE)
}

pub(crate) fn end_access(buffer: BorrowedFd<'_>) -> io::Result<()> {
    ioctl::sync_buffer(buffer, SYNC_READ_WRITE | SYNC_END)
}

// Constants from `linux/dma-buf.h`.
const SYNC_READ_WRITE: u64 = 3;
const SYNC_END: u64 = 1 << 2;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::super::udmabuf;
    use crate::{Composition, Object, Rights, identify};

    #[test]
    fn a_buffer_of_a_device_is_told_mapped_and_copied() {
        let buffer = match udmabuf::create() {
            Ok(buffer) => buffer,
            Err(error) => return println!("skipped: no dma-buf can be made: {error}"),
        };
        for _ in 0..2 {
            let facts = identify(buffer.as_fd()).unwrap();
            assert_eq!(facts.object, Object::Composition);
            assert!(facts.rights.contains(Rights::READ | Rights::MAP));
        }
        let composition = Composition::from(buffer);
        let map = composition.map().unwrap();
        assert_eq!(map.len() as u64, composition.len().unwrap());
        let mut out = [1; 4];
        composition.access(|| map.read(0, &mut out)).unwrap();
        assert_eq!(out, [0; 4]);
    }
}
