//! The body of the frame that gives numbers of objects back.

use syshandle_types::Limits;

use crate::{Body, FrameKind, Header, Violation};

/// The numbers that a client gives back, each with how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedObjects<'f>(&'f [u8]);

impl<'f> ReleasedObjects<'f> {
    /// Maximum count of numbers in a frame.
    pub const MAX: usize = Limits::INLINE_BYTES_MAX / ITEM_LEN;

    /// Returns the frame that gives these numbers back, each with how often.
    pub fn write(released: &[(u32, u32)]) -> (Header, Vec<u8>) {
        let mut body = Vec::with_capacity(ITEM_LEN * released.len());
        for (number, count) in released {
            body.extend(number.to_le_bytes());
            body.extend(count.to_le_bytes());
        }
        let inline = Body::Inline { len: body.len() as u32 };
        (Header { body: inline, ..Header::new(FrameKind::ReleaseObjects) }, body)
    }

    /// Parses the body of the frame.
    ///
    /// # Errors
    /// [`Violation::WrongLength`].
    pub fn read(body: &'f [u8]) -> Result<Self, Violation> {
        match body.len() % ITEM_LEN {
            0 => Ok(Self(body)),
            _ => Err(Violation::WrongLength),
        }
    }

    /// Returns the numbers, each with how often it is given back.
    pub fn iter(self) -> impl Iterator<Item = (u32, u32)> + use<'f> {
        let items = self.0.chunks_exact(ITEM_LEN).filter_map(<[u8]>::first_chunk::<ITEM_LEN>);
        items.map(|&[n0, n1, n2, n3, c0, c1, c2, c3]| {
            (u32::from_le_bytes([n0, n1, n2, n3]), u32::from_le_bytes([c0, c1, c2, c3]))
        })
    }
}

/// Size of an item, in bytes: the number and the count.
const ITEM_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_counts_round_trip() {
        let released = [(1, 1), (7, 300), (u32::MAX, u32::MAX)];
        let (header, body) = ReleasedObjects::write(&released);
        assert_eq!(header.body, Body::Inline { len: 24 });
        assert!(ReleasedObjects::read(&body).unwrap().iter().eq(released));
        assert_eq!(ReleasedObjects::read(&body[..23]), Err(Violation::WrongLength));
    }
}
