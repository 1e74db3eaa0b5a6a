//! References to objects of a server by their numbers on a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use syshandle_os::Filesystems;
use syshandle_types::{MessageObject, MessageObjects};

use super::connection::ClientConnection;
use super::released_numbers::{ReceivedEntry, ReceivedNumber};

/// A reference to an object by its number.
pub(super) struct NumberedReference {
    number: Option<Arc<ReceivedNumber>>,
    connection: Arc<ClientConnection>,
    /// Whether both sides have the same hash of the interface by which the number was received.
    is_covered: bool,
}

impl NumberedReference {
    /// Makes references of the numbers that a reply has brought, and readers of its streams, which
    /// have this timeout and accept files of these file systems.
    pub(super) fn of_reply(
        connection: &Arc<ClientConnection>,
        entries: Vec<Option<ReceivedEntry>>,
        is_covered: bool,
        (timeout, filesystems): (Duration, &Option<Arc<Filesystems>>),
    ) -> MessageObjects {
        let object = |entry| match entry {
            ReceivedEntry::Number(number) => {
                let (number, connection) = (Some(Arc::new(number)), connection.clone());
                Arc::new(Self { number, connection, is_covered }) as MessageObject
            }
            ReceivedEntry::Kept(handle) => handle,
            ReceivedEntry::Stream(stream) => {
                stream.received(connection.stream_host(), timeout, filesystems.clone())
            }
            ReceivedEntry::Missing => Arc::new(()),
        };
        entries.into_iter().map(|entry| entry.map(object)).collect()
    }

    pub(super) fn number(&self) -> u32 {
        self.number.as_ref().map_or(0, |number| number.number())
    }

    /// Returns what keeps the number valid.
    pub(super) fn received(&self) -> Option<Arc<ReceivedNumber>> {
        self.number.clone()
    }

    /// Returns whether both sides have the same hash of the interface by which the number was
    /// received. The hash covers the interfaces of references in results.
    pub(super) fn is_covered(&self) -> bool {
        self.is_covered
    }

    pub(super) fn connection(&self) -> &Arc<ClientConnection> {
        &self.connection
    }
}

impl fmt::Debug for NumberedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NumberedReference").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// Gives the number back at once, unless the connection ends with this reference.
impl Drop for NumberedReference {
    fn drop(&mut self) {
        let number = self.number.take();
        if !self.connection.is_of_this_process() {
            // A thread of the original may have held the lock of the queue at the fork.
            std::mem::forget(number);
            return;
        }
        drop(number);
        if Arc::strong_count(&self.connection) > 1 {
            self.connection.release_objects();
        }
    }
}
