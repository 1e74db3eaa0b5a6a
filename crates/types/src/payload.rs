//! The bytes of a message, which are copied as rarely as possible.
//!
//! An outgoing message borrows large slices until it is sent. Incoming bytes in the sender's memory
//! are copied once, directly to their destination. The sender may change them at any time, so they
//! are never accessed as a slice, and no byte is read twice.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use smallvec::SmallVec;

/// The bytes of an outgoing message, some of which are lent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload<'a> {
    own: Vec<u8>,
    /// Lent slices, each with its position in `own`, in order.
    lent: SmallVec<[(usize, &'a [u8]); 1]>,
    lent_len: usize,
}

impl<'a> Payload<'a> {
    /// Returns the total number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.own.len() + self.lent_len
    }

    /// Returns the total number of bytes, and the number of bytes before the first lent slice.
    #[inline]
    pub fn size(&self) -> BodySize {
        BodySize { len: self.len(), ahead: self.lent.first().map_or(0, |(place, _)| *place) }
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Passes all bytes to `write` in order, one piece at a time. Stops and returns `false` as soon
    /// as `write` returns `false`.
    pub fn write(&self, mut write: impl FnMut(&[u8]) -> bool) -> bool {
        let mut start = 0;
        for (place, bytes) in &self.lent {
            if !write(&self.own[start..*place]) || !write(bytes) {
                return false;
            }
            start = *place;
        }
        write(&self.own[start..])
    }

    /// Returns all bytes as one slice, copied if some of them are lent.
    #[inline]
    pub fn as_slice(&self) -> Cow<'_, [u8]> {
        match self.lent.is_empty() {
            true => self.own.as_slice().into(),
            false => self.copied().into(),
        }
    }

    /// Converts all bytes into one vector.
    pub fn into_vec(self) -> Vec<u8> {
        match self.lent.is_empty() {
            true => self.own,
            false => self.copied(),
        }
    }

    fn copied(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        self.write(|part| {
            all.extend_from_slice(part);
            true
        });
        all
    }

    /// Returns the buffer of the bytes that were not lent, so that the caller can reuse its
    /// allocation.
    #[inline]
    pub fn into_room(self) -> Vec<u8> {
        self.own
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// Returns the current end of the payload.
    #[inline]
    pub(crate) fn end(&self) -> PayloadPosition {
        PayloadPosition { own: self.own.len(), lent: self.lent.len() }
    }

    /// Replaces the bytes that were put at a position. Does nothing if they were not put there,
    /// because the message is too large.
    pub(crate) fn replace(&mut self, at: PayloadPosition, bytes: &[u8]) {
        if let Some(place) = self.own.get_mut(at.own..at.own + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Returns whether the bytes from a position to the end are equal to `bytes`.
    pub(crate) fn ends_with(&self, from: PayloadPosition, mut bytes: &[u8]) -> bool {
        let mut start = from.own;
        for (place, lent) in &self.lent[from.lent..] {
            let rest = bytes.strip_prefix(&self.own[start..*place]);
            let Some(rest) = rest.and_then(|rest| rest.strip_prefix(*lent)) else { return false };
            (bytes, start) = (rest, *place);
        }
        bytes == &self.own[start..]
    }

    /// Appends bytes. Borrows them instead of copying if there are at least [`LENT_MIN`].
    pub(crate) fn lend(&mut self, bytes: &'a [u8]) {
        match bytes.len() {
            0..LENT_MIN => self.put(bytes),
            len => {
                self.lent.push((self.own.len(), bytes));
                self.lent_len += len;
            }
        }
    }
}

/// A position in a payload: the numbers of own bytes and of lent slices before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadPosition {
    own: usize,
    lent: usize,
}

/// The size of a message's body, and the position that decides its alignment in shared memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodySize {
    /// Length in bytes.
    pub len: usize,
    /// Number of bytes before the first slice that is copied in one piece.
    pub ahead: usize,
}

impl From<usize> for BodySize {
    fn from(len: usize) -> Self {
        Self { len, ahead: 0 }
    }
}

/// Creates a payload without lent bytes.
impl From<Vec<u8>> for Payload<'_> {
    #[inline]
    fn from(own: Vec<u8>) -> Self {
        Self { own, lent: SmallVec::new(), lent_len: 0 }
    }
}

/// Memory that the sender of a message may still change.
pub trait ByteSource {
    /// Copies bytes from offset `at` to `out`. Returns `false` if the source is too short.
    fn copy(&self, at: usize, out: &mut [u8]) -> bool;

    /// Appends `len` bytes from offset `at` to `out`. Returns `false` if the source is too short.
    fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) -> bool;
}

/// The bytes of a received message, in memory that the sender may still change.
pub struct SharedBytes<'s> {
    source: &'s dyn ByteSource,
    len: usize,
    /// A copy of the bytes that the decoder needs as a slice.
    copy: OnceCell<Vec<u8>>,
}

impl<'s> SharedBytes<'s> {
    /// Refers to the first `len` bytes of `source`.
    pub fn new(source: &'s dyn ByteSource, len: usize) -> Self {
        Self { source, len, copy: OnceCell::new() }
    }

    /// Returns all bytes of the message as unread.
    pub(crate) fn rest(&self) -> UnreadBytes<'_> {
        UnreadBytes { shared: self, at: 0, end: self.len, singles: 0 }
    }
}

impl fmt::Debug for SharedBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The bytes of a message that the decoder has not read yet. Inside a growable value, they end with
/// that value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnreadBytes<'a> {
    shared: &'a SharedBytes<'a>,
    at: usize,
    end: usize,
    /// Number of small values copied one by one since the last large one.
    singles: u32,
}

impl<'a> UnreadBytes<'a> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end - self.at
    }

    /// Returns the offset of the next byte in the message.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Returns the number of unread bytes in the whole message.
    pub(crate) fn len_of_message(&self) -> usize {
        self.shared.len - self.at
    }

    /// Ends the unread bytes after the next `len` bytes, which must be there. Returns the previous
    /// end.
    pub(crate) fn end_after(&mut self, len: usize) -> usize {
        std::mem::replace(&mut self.end, self.at + len)
    }

    /// Skips the bytes that are left, and continues until `end`.
    pub(crate) fn continue_until(&mut self, end: usize) {
        self.at = self.end;
        self.end = end;
    }

    /// Copies the next `N` bytes. Returns `None` if fewer are left, or if [`SINGLES_MAX`] values in
    /// a row were copied one by one. In the second case it is faster to copy all remaining bytes at
    /// once.
    pub(crate) fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut out = [0; N];
        if N > self.len() || self.singles == SINGLES_MAX {
            return None;
        }
        self.singles += 1;
        self.shared.source.copy(self.at, &mut out).then(|| self.at += N)?;
        Some(out)
    }

    /// Appends the next `len` bytes to `out`. Returns `None` if fewer are left.
    pub(crate) fn take_vec(&mut self, len: usize, out: &mut Vec<u8>) -> Option<()> {
        if len > self.len() {
            return None;
        }
        self.singles = 0;
        self.shared.source.append(self.at, len, out).then(|| self.at += len)
    }

    /// Copies all unread bytes of the message into `copy`, which must have capacity for them, and
    /// returns them as a slice.
    pub(crate) fn copy(self, mut copy: Vec<u8>) -> Option<&'a [u8]> {
        self.shared.source.append(self.at, self.len_of_message(), &mut copy).then_some(())?;
        self.shared.copy.set(copy).ok()?;
        self.shared.copy.get().map(Vec::as_slice)
    }
}

/// Minimum size of a slice that is lent. Copying a smaller slice is as fast as recording it.
const LENT_MIN: usize = 8 * 1024;

/// Number of consecutive small values after which all remaining bytes are copied at once, because
/// many more small values probably follow.
const SINGLES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that counts the reads of each byte.
    struct CountingSource {
        bytes: Vec<u8>,
        reads: std::cell::RefCell<Vec<u32>>,
    }

    impl ByteSource for CountingSource {
        fn copy(&self, at: usize, out: &mut [u8]) -> bool {
            let mut bytes = Vec::new();
            let all = self.append(at, out.len(), &mut bytes);
            out.copy_from_slice(&bytes);
            all
        }

        fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(&self.bytes[at..at + len]);
            self.reads.borrow_mut()[at..at + len].iter_mut().for_each(|reads| *reads += 1);
            true
        }
    }

    struct AnyHandle;

    impl crate::Prove for AnyHandle {
        fn prove(
            &self,
            _: crate::BorrowedHandle<'_>,
            _: &crate::Declaration,
        ) -> Result<Option<crate::OwnedHandle>, crate::ProofError> {
            Ok(None)
        }

        fn refuse(&self, _: crate::OwnedHandle) {}
    }

    #[test]
    fn every_byte_of_the_senders_memory_is_read_once() {
        type Message = (Vec<u8>, (u64, Vec<u8>), (Vec<u32>, String), Option<Vec<u8>>);
        let message: Message = (
            vec![1; 30_000],
            (2, vec![3; 9]),
            ((0..1000).collect(), "text".repeat(5000)),
            Some(vec![4; 20_000]),
        );
        let mut out = crate::Encoder::new(Vec::new(), crate::Limits::default());
        crate::Encode::encode(&message, &mut out);
        let (bytes, _) = out.finish().unwrap();
        let reads = std::cell::RefCell::new(vec![0; bytes.len()]);
        let source = CountingSource { bytes, reads };
        let shared = SharedBytes::new(&source, source.bytes.len());
        let mut input = crate::Decoder::shared(&shared, Vec::new(), &AnyHandle);
        assert_eq!(input.parameter::<Message>(0, None).unwrap(), message);
        input.finish().unwrap();
        assert!(source.reads.borrow().iter().all(|reads| *reads == 1));
        // Decoding a truncated message fails and reads no byte beyond its end.
        for len in (0..source.bytes.len()).step_by(997) {
            let shared = SharedBytes::new(&source, len);
            let mut input = crate::Decoder::shared(&shared, Vec::new(), &AnyHandle);
            assert!(input.parameter::<Message>(0, None).is_err());
        }
    }

    /// A growable struct. The receiver knows its first fields.
    #[derive(Debug, PartialEq)]
    struct Growing(Vec<u8>, u32, Vec<u32>, Option<Box<Growing>>);

    impl Growing {
        fn new(inner: Option<Self>) -> Self {
            Self(vec![1; 9000], 7, (0..40).collect(), inner.map(Box::new))
        }
    }

    impl crate::Encode for Growing {
        fn encode<'a>(&'a self, out: &mut crate::Encoder<'a>) {
            out.growable(|out| {
                out.named_field("0", &self.0);
                out.named_field("1", &self.1);
                out.named_field("2", &self.2);
                out.named_field("3", &self.3);
                // A field that the receiver doesn't know, lent and not.
                out.named_field("4", &self.0);
                out.named_field("5", &self.1);
            });
        }
    }

    impl crate::Decode for Growing {
        fn decode(input: &mut crate::Decoder<'_>) -> Result<Self, crate::DecodeError> {
            let of = crate::GrowableType::Struct { name: "Growing", fields: 4 };
            input.growable(of, |input| {
                Ok(Self(
                    input.named_field("0", None)?,
                    input.named_field("1", None)?,
                    input.added_field("2", None, Vec::new)?,
                    input.added_field("3", None, || None)?,
                ))
            })
        }
    }

    #[test]
    fn growable_values_are_read_from_the_senders_memory() {
        let message = || {
            let growing = || Growing::new(Some(Growing::new(None)));
            (7_u8, growing(), vec![Growing::new(None), growing()], "end".to_owned())
        };
        let sent = message();
        let mut out = crate::Encoder::new(Vec::new(), crate::Limits::default());
        crate::Encode::encode(&sent, &mut out);
        let (bytes, _) = out.finish().unwrap();
        // From memory of this process.
        let mut input = crate::Decoder::new(&bytes, Vec::new(), &AnyHandle);
        let read = input.parameter::<(u8, Growing, Vec<Growing>, String)>(0, None);
        assert_eq!(read.unwrap(), message());
        input.finish().unwrap();
        drop(input);
        // From shared memory. The decoder copies the rest of it after a number of small values,
        // which may be within a growable value.
        let reads = std::cell::RefCell::new(vec![0; bytes.len()]);
        let source = CountingSource { bytes, reads };
        let shared = SharedBytes::new(&source, source.bytes.len());
        let mut input = crate::Decoder::shared(&shared, Vec::new(), &AnyHandle);
        let read = input.parameter::<(u8, Growing, Vec<Growing>, String)>(0, None);
        assert_eq!(read.unwrap(), message());
        input.finish().unwrap();
        assert!(source.reads.borrow().iter().all(|reads| *reads <= 1));
        for len in (0..source.bytes.len()).step_by(997) {
            let shared = SharedBytes::new(&source, len);
            let mut input = crate::Decoder::shared(&shared, Vec::new(), &AnyHandle);
            let read = input.parameter::<(u8, Growing, Vec<Growing>, String)>(0, None);
            assert!(read.is_err());
        }
    }

    #[test]
    fn bytes_since_a_position_are_compared() {
        let (long, part) = (vec![7; LENT_MIN], vec![7; LENT_MIN - 1]);
        let mut payload = Payload::default();
        payload.put(b"before");
        let start = payload.end();
        payload.put(b"ab");
        payload.lend(&long);
        payload.put(b"c");
        assert!(payload.ends_with(start, &[b"ab", &long[..], b"c"].concat()));
        for other in [&[b"ab", &part[..], b"c"].concat()[..], b"ab", b"", &long] {
            assert!(!payload.ends_with(start, other));
        }
        assert!(payload.ends_with(payload.end(), b""));
        payload.replace(start, b"xy");
        assert!(payload.ends_with(start, &[b"xy", &long[..], b"c"].concat()));
        // Bytes that were never put are not replaced.
        payload.replace(payload.end(), b"too long");
        assert!(payload.ends_with(payload.end(), b""));
    }

    #[test]
    fn lent_bytes_arrive_at_their_offset() {
        let (long, longer) = (vec![7; LENT_MIN], vec![8; LENT_MIN + 1]);
        let mut payload = Payload::default();
        payload.lend(&long);
        payload.put(b"between");
        payload.lend(&longer);
        payload.lend(b"short");
        let all = [&long, &b"between"[..], &longer, b"short"].concat();
        assert_eq!(payload.len(), all.len());
        assert_eq!(payload.lent.len(), 2);
        assert_eq!(*payload.as_slice(), all);
        assert_eq!(payload.into_vec(), all);
    }
}
