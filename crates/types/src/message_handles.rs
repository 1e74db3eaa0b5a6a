//! The handles of a message.

use smallvec::SmallVec;

use crate::{BorrowedHandle, OwnedHandle};

/// The handles that arrived with a message. Up to four handles need no heap allocation.
pub type Handles = SmallVec<[OwnedHandle; FEW]>;

/// The handles of an outgoing message, in the order of their slots.
#[derive(Debug, Default)]
pub struct OutgoingHandles<'a> {
    lent: SmallVec<[BorrowedHandle<'a>; FEW]>,
    owned: Option<Box<MessageHandles>>,
}

/// Handles that a message owns, each with its slot. `OutgoingHandles` holds only a pointer to them,
/// because few messages own handles and each message is moved several times.
#[derive(Debug, Default)]
struct MessageHandles(Vec<(usize, Box<dyn MessageHandle>)>);

/// A handle that is created for one message.
pub trait MessageHandle: std::fmt::Debug + Send {
    /// Borrows the handle.
    fn lend(&self) -> BorrowedHandle<'_>;
}

impl<'a> OutgoingHandles<'a> {
    /// Returns the number of handles.
    #[inline]
    pub fn len(&self) -> usize {
        self.lent.len() + self.owned.as_ref().map_or(0, |owned| owned.0.len())
    }

    /// Returns whether there are no handles.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn push(&mut self, handle: BorrowedHandle<'a>) {
        self.lent.push(handle);
    }

    pub(crate) fn give(&mut self, handle: Box<dyn MessageHandle>) {
        let slot = self.len();
        self.owned.get_or_insert_default().0.push((slot, handle));
    }

    /// Calls `send` with all handles in the order of their slots.
    #[inline]
    pub fn with<R>(&self, send: impl FnOnce(&[BorrowedHandle<'_>]) -> R) -> R {
        let Some(owned) = &self.owned else { return send(&self.lent) };
        let mut all: Vec<BorrowedHandle<'_>> = self.lent.to_vec();
        for (slot, handle) in &owned.0 {
            all.insert(*slot, handle.lend());
        }
        send(&all)
    }

    /// Returns the lent handles, or `None` if the message owns any handle.
    pub(crate) fn into_lent(self) -> Option<Vec<BorrowedHandle<'a>>> {
        self.owned.is_none().then(|| self.lent.into_vec())
    }
}

/// Number of handles that are stored inline. On Linux they take as much space as the pointer and
/// length of a heap allocation.
const FEW: usize = 4;
