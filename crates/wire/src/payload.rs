//! The bytes of a message, without copies that aren't needed.
//!
//! On the way out, what is large stays where it is and is lent until it was sent. On the way in,
//! what lies in the sender's memory is copied out once, straight to where it belongs: never seen
//! as a slice, and no byte read twice, since the sender may change it meanwhile.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use smallvec::SmallVec;

use crate::BodySize;

/// The bytes of a message that is to be sent, some of which are lent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload<'a> {
    own: Vec<u8>,
    /// Where in `own` they come, and what they are; in order.
    lent: SmallVec<[(usize, &'a [u8]); 1]>,
    lent_len: usize,
}

impl<'a> Payload<'a> {
    /// How many bytes there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.own.len() + self.lent_len
    }

    /// The same, and how many come before those that are lent.
    #[inline]
    pub fn size(&self) -> BodySize {
        BodySize { len: self.len(), ahead: self.lent.first().map_or(0, |(place, _)| *place) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has all bytes written, in pieces, in order; `false` as soon as one of them wasn't.
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

    /// All bytes, in one piece: a copy where some are lent.
    #[inline]
    pub fn as_slice(&self) -> Cow<'_, [u8]> {
        match self.lent.is_empty() {
            true => self.own.as_slice().into(),
            false => self.copied().into(),
        }
    }

    /// The same, given away.
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

    /// The room of those that aren't lent, to be used again.
    #[inline]
    pub fn into_room(self) -> Vec<u8> {
        self.own
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// Appends bytes that stay where they are, if they are enough to be worth it.
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

/// Without lent ones.
impl From<Vec<u8>> for Payload<'_> {
    #[inline]
    fn from(own: Vec<u8>) -> Self {
        Self { own, lent: SmallVec::new(), lent_len: 0 }
    }
}

/// Memory that the sender of a message may still change.
pub trait Source {
    /// Copies bytes from `at` on to `out`; `false` when they aren't all there.
    fn copy(&self, at: usize, out: &mut [u8]) -> bool;

    /// Appends a copy of `len` bytes from `at` on to `out`; `false` when they aren't all there.
    fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) -> bool;
}

/// The bytes of a message that came, in memory that its sender may still change.
pub struct Shared<'s> {
    source: &'s dyn Source,
    len: usize,
    /// A copy of what couldn't go straight to where it belongs.
    copy: OnceCell<Vec<u8>>,
}

impl<'s> Shared<'s> {
    /// The first `len` bytes of `source`.
    pub fn new(source: &'s dyn Source, len: usize) -> Self {
        Self { source, len, copy: OnceCell::new() }
    }

    /// What hasn't been copied out yet: all.
    pub(crate) fn rest(&self) -> Rest<'_> {
        Rest { shared: self, at: 0, singles: 0 }
    }
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("len", &self.len).finish_non_exhaustive()
    }
}

/// What hasn't been copied out yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest<'a> {
    shared: &'a Shared<'a>,
    at: usize,
    /// How many small values were copied one by one.
    singles: u32,
}

impl<'a> Rest<'a> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.shared.len - self.at
    }

    /// Copies a small value out; `None` when it isn't all there, or when there are so many that all
    /// had better be copied at once.
    pub(crate) fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut out = [0; N];
        if N > self.len() || self.singles == SINGLES_MAX {
            return None;
        }
        self.singles += 1;
        self.shared.source.copy(self.at, &mut out).then(|| self.at += N)?;
        Some(out)
    }

    /// Copies bytes out to where they belong.
    pub(crate) fn take_vec(&mut self, len: usize, out: &mut Vec<u8>) -> Option<()> {
        if len > self.len() {
            return None;
        }
        self.singles = 0;
        self.shared.source.append(self.at, len, out).then(|| self.at += len)
    }

    /// Copies all that is left into a vector that has room for it.
    pub(crate) fn copy(self, mut copy: Vec<u8>) -> Option<&'a [u8]> {
        self.shared.source.append(self.at, self.len(), &mut copy).then_some(())?;
        self.shared.copy.set(copy).ok()?;
        self.shared.copy.get().map(Vec::as_slice)
    }
}

/// Fewer bytes are copied as quickly as they are noted.
const LENT_MIN: usize = 8 * 1024;

/// After so many small values there are probably many more.
const SINGLES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that tells how often each byte was read.
    struct Counted {
        bytes: Vec<u8>,
        reads: std::cell::RefCell<Vec<u32>>,
    }

    impl Source for Counted {
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

    struct Nothing;

    impl crate::Prove for Nothing {
        fn prove(
            &self,
            _: syshandle_os::BorrowedHandle<'_>,
            _: &syshandle_os::Declared,
        ) -> Result<Option<syshandle_os::OwnedHandle>, crate::ProofError> {
            Ok(None)
        }

        fn refuse(&self, _: syshandle_os::OwnedHandle) {}
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
        let source = Counted { bytes, reads };
        let shared = Shared::new(&source, source.bytes.len());
        let mut input = crate::Decoder::shared(&shared, Vec::new(), &Nothing);
        assert_eq!(input.parameter::<Message>(0, None).unwrap(), message);
        input.finish().unwrap();
        assert!(source.reads.borrow().iter().all(|reads| *reads == 1));
        // No shorter message is one, and none reads beyond its end.
        for len in (0..source.bytes.len()).step_by(997) {
            let shared = Shared::new(&source, len);
            let mut input = crate::Decoder::shared(&shared, Vec::new(), &Nothing);
            assert!(input.parameter::<Message>(0, None).is_err());
        }
    }

    #[test]
    fn lent_bytes_come_where_they_were_put() {
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
