//! The handles and objects of a message.

use std::any::Any;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::{BorrowedHandle, OwnedHandle};

/// The handles that arrived with a message. Up to four handles need no heap allocation.
pub type Handles = SmallVec<[OwnedHandle; FEW]>;

/// An object to which a message refers by its number. The driver of the connection knows its type.
pub type MessageObject = Arc<dyn Any + Send + Sync>;

/// The entries of a message that has objects, by index; `None` for a handle.
pub type MessageObjects = Vec<Option<MessageObject>>;

/// The handles and objects of an outgoing message, in the order of their slots.
#[derive(Debug, Default)]
pub struct OutgoingHandles<'a> {
    lent: SmallVec<[BorrowedHandle<'a>; FEW]>,
    owned: Option<Box<OwnedEntries>>,
}

/// Handles and objects that a message owns. `OutgoingHandles` holds only a pointer to them, because
/// few messages own any and each message is moved several times.
#[derive(Debug, Default)]
struct OwnedEntries {
    /// The handles, each with its place among all handles.
    handles: Vec<(usize, Box<dyn MessageHandle>)>,
    /// The objects, each with its slot.
    objects: Vec<(usize, MessageObject)>,
}

/// A handle that is created for one message.
pub trait MessageHandle: std::fmt::Debug + Send {
    /// Borrows the handle.
    fn lend(&self) -> BorrowedHandle<'_>;
}

impl<'a> OutgoingHandles<'a> {
    /// Returns the number of handles and objects.
    #[inline]
    pub fn len(&self) -> usize {
        let owned = |owned: &OwnedEntries| owned.handles.len() + owned.objects.len();
        self.lent.len() + self.owned.as_deref().map_or(0, owned)
    }

    /// Returns the number of handles.
    #[inline]
    pub(crate) fn handles(&self) -> usize {
        self.lent.len() + self.owned.as_ref().map_or(0, |owned| owned.handles.len())
    }

    /// Returns whether there are no handles and objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn push(&mut self, handle: BorrowedHandle<'a>) {
        self.lent.push(handle);
    }

    pub(crate) fn give(&mut self, handle: Box<dyn MessageHandle>) {
        let place = self.handles();
        self.owned.get_or_insert_default().handles.push((place, handle));
    }

    pub(crate) fn push_object(&mut self, object: MessageObject) {
        let slot = self.len();
        self.owned.get_or_insert_default().objects.push((slot, object));
    }

    /// Returns the entries of the message. The list is empty if there are no objects.
    #[inline]
    pub fn objects(&self) -> MessageObjects {
        match &self.owned {
            Some(owned) if !owned.objects.is_empty() => {
                let mut entries = vec![None; self.len()];
                for (slot, object) in &owned.objects {
                    entries[*slot] = Some(object.clone());
                }
                entries
            }
            _ => MessageObjects::new(),
        }
    }

    /// Calls `send` with all handles in the order of their slots.
    #[inline]
    pub fn with<R>(&self, send: impl FnOnce(&[BorrowedHandle<'_>]) -> R) -> R {
        let Some(owned) = &self.owned else { return send(&self.lent) };
        let mut all: Vec<BorrowedHandle<'_>> = self.lent.to_vec();
        for (place, handle) in &owned.handles {
            all.insert(*place, handle.lend());
        }
        send(&all)
    }

    /// Returns the lent handles, or `None` if the message owns any handle or object.
    pub(crate) fn into_lent(self) -> Option<Vec<BorrowedHandle<'a>>> {
        self.owned.is_none().then(|| self.lent.into_vec())
    }
}

/// Number of handles that are stored inline. On Linux they take as much space as the pointer and
/// length of a heap allocation.
const FEW: usize = 4;
