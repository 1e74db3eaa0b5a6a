//! The table of the entries to which the body of a message refers.

use syshandle_types::Limits;

use crate::{Features, Violation};

/// The entries of a message, in the order of their indices.
///
/// A message without a table has only handles, and the index of each is its place among the handles
/// of the frame. A table lists everything that a receiver must release, so a receiver can do that
/// although it does not understand the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(Vec<[u8; ENTRY_LEN]>);

/// What a message refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageEntries {
    /// Number of handles.
    pub handles: u16,
    /// The table of the entries. It is empty if all entries are handles.
    pub table: Entries,
}

impl From<u16> for MessageEntries {
    fn from(handles: u16) -> Self {
        Self { handles, table: Entries::default() }
    }
}

/// An entry of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A handle of the frame.
    Handle,
    /// A handle of the frame that its receiver is asked to keep in a slot. The token names it in the
    /// answer, and is not 0.
    HandleToKeep(u16),
    /// The number of an object of the server.
    Object(u32),
    /// The ID of a stream that the sender of the message writes.
    Stream(u32),
    /// A handle that the receiver has kept.
    Slot(SlotId),
}

/// The slot of a registered handle. The receiver of the handle chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId {
    /// Index of the slot.
    pub slot: u16,
    /// How often the slot was used, so that an old name of the slot means nothing.
    pub generation: u32,
}

impl Entries {
    /// Size of an entry, in bytes: its type, a reserved byte, a half and a whole value.
    pub const ENTRY_LEN: usize = 8;

    /// Returns the number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no table.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the entries.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry> {
        self.0.iter().map(|bytes| {
            let [kind, _, h0, h1, value @ ..] = bytes;
            let (half, value) = (u16::from_le_bytes([*h0, *h1]), u32::from_le_bytes(*value));
            match *kind {
                OBJECT => Entry::Object(value),
                STREAM => Entry::Stream(value),
                SLOT => Entry::Slot(SlotId { slot: half, generation: value }),
                _ if half != 0 => Entry::HandleToKeep(half),
                _ => Entry::Handle,
            }
        })
    }

    /// Returns the table without the requests to keep handles.
    #[must_use]
    pub fn without_requests(&self) -> Self {
        let plain = |entry| match entry {
            Entry::HandleToKeep(_) => Entry::Handle,
            other => other,
        };
        self.iter().map(plain).collect()
    }

    /// Returns the bytes of the table, which follow the released ranges in the frame.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// Returns the features that the entries need.
    #[inline]
    pub(crate) fn features(&self) -> Features {
        let feature = |entry: &[u8; ENTRY_LEN]| match entry[0] {
            OBJECT => Features::OBJECTS,
            STREAM => Features::STREAMS,
            SLOT => Features::REGISTERED_HANDLES,
            _ => Features::NONE,
        };
        self.0.iter().map(feature).fold(Features::NONE, Features::or)
    }

    /// Reads a table from the start of `bytes`, and checks that it lists each of the frame's
    /// handles once and in order. Returns the table and the bytes that follow it.
    #[cold]
    pub(crate) fn read(bytes: &[u8], len: usize, handles: u16) -> Result<(Self, &[u8]), Violation> {
        if len > Limits::ENTRIES_MAX {
            return Err(Violation::BadEntries);
        }
        let (table, rest) = bytes.split_at_checked(ENTRY_LEN * len).ok_or(Violation::TooShort)?;
        let mut entries = Vec::with_capacity(len);
        let mut next_handle = 0;
        for entry in table.chunks_exact(ENTRY_LEN).filter_map(<[u8]>::first_chunk::<ENTRY_LEN>) {
            let [kind, _, _, _, value @ ..] = entry;
            match *kind {
                HANDLE if u32::from_le_bytes(*value) == next_handle => next_handle += 1,
                OBJECT | STREAM | SLOT => {}
                _ => return Err(Violation::BadEntries),
            }
            entries.push(*entry);
        }
        match next_handle == handles.into() {
            true => Ok((Self(entries), rest)),
            false => Err(Violation::BadEntries),
        }
    }
}

/// Collects a table. The result is empty if all entries are handles, because such a message needs
/// no table.
impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut handles = 0..;
        let mut has_others = false;
        let entries = entries.into_iter().map(|entry| {
            let mut handle = || handles.next().unwrap_or(u32::MAX);
            let (kind, half, value) = match entry {
                Entry::Handle => (HANDLE, 0, handle()),
                Entry::HandleToKeep(token) => (HANDLE, token, handle()),
                Entry::Object(number) => (OBJECT, 0, number),
                Entry::Stream(id) => (STREAM, 0, id),
                Entry::Slot(SlotId { slot, generation }) => (SLOT, slot, generation),
            };
            has_others |= entry != Entry::Handle;
            let ([h0, h1], [v0, v1, v2, v3]) = (half.to_le_bytes(), value.to_le_bytes());
            [kind, 0, h0, h1, v0, v1, v2, v3]
        });
        let entries = entries.collect();
        if has_others { Self(entries) } else { Self::default() }
    }
}

const ENTRY_LEN: usize = Entries::ENTRY_LEN;

/// Type of a handle. The value is its place among the handles of the frame, and the token of a
/// handle to keep comes before it.
const HANDLE: u8 = 1;

/// Type of an object. The value is its number.
const OBJECT: u8 = 2;

/// Type of a stream. The value is its ID.
const STREAM: u8 = 3;

/// Type of a registered handle. The value is the generation, and the slot comes before it.
const SLOT: u8 = 4;

const _: () = assert!(ENTRY_LEN * Limits::ENTRIES_MAX <= Limits::INLINE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(u8, u32)]) -> Vec<u8> {
        let entry =
            |(kind, value): &(u8, u32)| [&[*kind, 0xff, 0, 0], &value.to_le_bytes()[..]].concat();
        entries.iter().flat_map(entry).collect()
    }

    #[test]
    fn a_table_round_trips() {
        let entries = [Entry::Object(7), Entry::Handle, Entry::Object(9), Entry::Handle];
        let table: Entries = entries.into_iter().collect();
        let bytes = [table.as_bytes(), b"body"].concat();
        assert_eq!(Entries::read(&bytes, 4, 2), Ok((table.clone(), &b"body"[..])));
        assert!(table.iter().eq(entries));
        assert_eq!(table.features(), Features::OBJECTS);
        let table: Entries = [Entry::Handle, Entry::Stream(7)].into_iter().collect();
        let (read, _) = Entries::read(table.as_bytes(), 2, 1).unwrap();
        assert!(read.iter().eq([Entry::Handle, Entry::Stream(7)]));
        assert_eq!(read.features(), Features::STREAMS);
    }

    #[test]
    fn registered_handles_round_trip() {
        let slot = |slot, generation| Entry::Slot(SlotId { slot, generation });
        let entries =
            [slot(7, 1), Entry::HandleToKeep(300), slot(u16::MAX, u32::MAX), Entry::Object(2)];
        let table: Entries = entries.into_iter().collect();
        assert_eq!(Entries::read(table.as_bytes(), 4, 1), Ok((table.clone(), &[][..])));
        assert!(table.iter().eq(entries));
        assert_eq!(table.features(), Features::REGISTERED_HANDLES.or(Features::OBJECTS));
        let handle: Entries = [Entry::HandleToKeep(1)].into_iter().collect();
        assert_eq!(handle.len(), 1, "a request needs a table");
        assert!(handle.without_requests().is_empty());
        assert_eq!(handle.features(), Features::NONE, "a token is ignored without the feature");
        let plain = [slot(7, 1), Entry::Handle, slot(u16::MAX, u32::MAX), Entry::Object(2)];
        assert!(table.without_requests().iter().eq(plain));
    }

    #[test]
    fn handles_alone_need_no_table() {
        assert_eq!([Entry::Handle; 3].into_iter().collect::<Entries>(), Entries::default());
        let bytes = table(&[(1, 0), (1, 1)]);
        let (read, _) = Entries::read(&bytes, 2, 2).unwrap();
        assert!(read.iter().eq([Entry::Handle; 2]));
        assert_eq!(read.features(), Features::NONE);
    }

    #[test]
    fn a_table_that_does_not_list_each_handle_once_in_order_is_a_violation() {
        for (entries, handles) in [
            (&[(1, 0)][..], 0),
            (&[(1, 0)], 2),
            (&[(1, 1)], 1),
            (&[(1, 0), (1, 0)], 2),
            (&[(1, 1), (1, 0)], 2),
            (&[(2, 0)], 1),
            (&[(0, 0), (1, 0)], 1),
            (&[(5, 0), (1, 0)], 1),
            (&[(6, 0), (1, 0)], 1),
            (&[(4, 0)], 1),
            (&[(5, 0)], 0),
        ] {
            let bytes = table(entries);
            let read = Entries::read(&bytes, entries.len(), handles);
            assert_eq!(read, Err(Violation::BadEntries), "{entries:?}");
        }
        let bytes = table(&[(2, 0)]);
        assert_eq!(Entries::read(&bytes[..7], 1, 0), Err(Violation::TooShort));
        let many = Limits::ENTRIES_MAX + 1;
        assert_eq!(Entries::read(&[], many, 0), Err(Violation::BadEntries));
    }
}
