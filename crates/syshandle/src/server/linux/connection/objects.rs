//! The objects that a client refers to by numbers.
//!
//! A number belongs to one connection and one interface of an object, and stays the same while the
//! client has it. The server counts how often it has sent a number, and the client says how often it
//! gives the number back. The reference ends when both are equal, so a number that the server sends
//! while the client gives it back stays valid.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::sync::{Arc, PoisonError};

use syshandle_types::MessageObject;
use syshandle_wire::{Entries, Entry, Violation};

use crate::quota::{OBJECT_BYTES, Quota, QuotaGuard, Resource};
use crate::server::linux::arguments::MissingObject;
use crate::server::linux::doors::PassedObject;
use crate::server::linux::holders::Holder;
use crate::server::linux::object::ClientObject;
use crate::server::linux::reactor::Reactor;
use crate::server::linux::reactor::key_hasher::KeyHasher;
use crate::sync::{Mutex, MutexGuard};
use crate::untyped_object::AnyInterface;

/// The numbers of a connection.
#[derive(Debug, Default)]
pub(super) struct Objects {
    numbered: HashMap<u32, NumberedObject, BuildHasherDefault<KeyHasher>>,
    /// The number of each interface of an object, by the address of the interface.
    numbers: HashMap<usize, u32, BuildHasherDefault<KeyHasher>>,
    /// The number that was given last.
    last: u32,
}

/// An object with a number.
#[derive(Debug)]
struct NumberedObject {
    slot: Arc<NumberSlot>,
    /// The address of the interface.
    address: usize,
    /// Counts the number, even after its object was withdrawn.
    _quota_guard: Arc<QuotaGuard>,
    /// How often the number was sent and not given back.
    sent: u64,
}

/// The object of a number; `None` after the object was withdrawn.
#[derive(Debug)]
struct NumberSlot(Mutex<Option<Arc<ClientObject>>>);

impl NumberSlot {
    fn object(&self) -> MutexGuard<'_, Option<Arc<ClientObject>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder for NumberSlot {
    /// Lets the object go. The client keeps its number until it gives the number back.
    fn withdraw(&self, _: &Arc<Reactor>) {
        let object = self.object().take();
        // Unless a method uses the object, a worker thread drops it.
        drop(object);
    }
}

impl Objects {
    /// Returns the object with this number. An object that was withdrawn has none.
    pub(super) fn get(&self, number: u32) -> Result<Arc<ClientObject>, MissingObject> {
        let numbered = self.numbered.get(&number).ok_or(MissingObject::Unknown(number))?;
        numbered.slot.object().clone().ok_or(MissingObject::Withdrawn)
    }

    /// Returns the table of a message that passes these objects, and counts that their numbers are
    /// sent. `streams` has the ID of each entry that is a stream.
    ///
    /// # Errors
    /// Returns the name of the limit that the client has reached.
    pub(super) fn pass(
        &mut self,
        reactor: &Arc<Reactor>,
        quota: &Arc<Quota>,
        passed: &[Option<MessageObject>],
        streams: &[Option<u32>],
    ) -> Result<Entries, &'static str> {
        let mut table = Vec::with_capacity(passed.len());
        for (index, entry) in passed.iter().enumerate() {
            if let Some(Some(id)) = streams.get(index) {
                table.push(Entry::Stream(*id));
                continue;
            }
            let passed = entry.as_ref().and_then(|object| object.downcast_ref::<PassedObject>());
            let entry = match passed {
                None => Ok(Entry::Handle),
                Some(passed) => self.pass_one(reactor, quota, passed).map(Entry::Object),
            };
            match entry {
                Ok(entry) => table.push(entry),
                Err(limit) => {
                    self.take_back(&table.into_iter().collect());
                    return Err(limit);
                }
            }
        }
        Ok(table.into_iter().collect())
    }

    fn pass_one(
        &mut self,
        reactor: &Arc<Reactor>,
        quota: &Arc<Quota>,
        PassedObject { object, holders, iid }: &PassedObject,
    ) -> Result<u32, &'static str> {
        // The encoder has found the interface.
        let Some(interface) = object.interface(*iid) else { return Ok(u32::MAX) };
        let address = address_of(&interface);
        if let Some(number) = self.numbers.get(&address) {
            // A new interface may have the address of an object that was withdrawn.
            let numbered = self.numbered.get_mut(number);
            if let Some(numbered) = numbered.filter(|it| it.slot.object().is_some()) {
                numbered.sent += 1;
                return Ok(*number);
            }
        }
        let quota_guard = quota.take(Resource::Memory(OBJECT_BYTES), 0)?;
        let object = (Some(object.clone()), holders.clone());
        let object = ClientObject::new(reactor, quota, object, quota_guard);
        object.set_interface(interface, reactor);
        let _quota_guard = object.quota_guard().clone();
        let slot = Arc::new(NumberSlot(Mutex::new(Some(Arc::new(object)))));
        if let Some(holders) = holders {
            holders.add(reactor, &slot);
        }
        let number = self.next_number();
        self.numbers.insert(address, number);
        self.numbered.insert(number, NumberedObject { slot, address, _quota_guard, sent: 1 });
        Ok(number)
    }

    /// Returns a number that no object has. A number is used again after all others.
    fn next_number(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != 0 && !self.numbered.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    /// Takes back the numbers of a message that was not sent. Returns the objects that the client
    /// no longer refers to.
    pub(super) fn take_back(&mut self, table: &Entries) -> Vec<Arc<ClientObject>> {
        let numbers = table.iter().filter_map(|entry| match entry {
            Entry::Object(number) => Some(number),
            Entry::Handle | Entry::HandleToKeep(_) | Entry::Slot(_) | Entry::Stream(_) => None,
        });
        numbers.filter_map(|number| self.release(number, 1).ok()?).collect()
    }

    /// Records that the client gives a number back that it has received `count` times. Returns the
    /// object if the client no longer refers to it.
    ///
    /// # Errors
    /// The client has not received the number that often.
    pub(super) fn release(
        &mut self,
        number: u32,
        count: u32,
    ) -> Result<Option<Arc<ClientObject>>, Violation> {
        let unknown = Violation::UnknownObject(number);
        let numbered = self.numbered.get_mut(&number).ok_or(unknown)?;
        numbered.sent = numbered.sent.checked_sub(count.into()).ok_or(unknown)?;
        if numbered.sent > 0 {
            return Ok(None);
        }
        let Some(NumberedObject { slot, address, .. }) = self.numbered.remove(&number) else {
            return Ok(None);
        };
        if self.numbers.get(&address) == Some(&number) {
            self.numbers.remove(&address);
        }
        shrink(&mut self.numbered);
        shrink(&mut self.numbers);
        let object = slot.object().take();
        Ok(object)
    }

    /// Takes all objects, because the connection has ended. They may be millions, so the caller
    /// iterates in batches.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Arc<ClientObject>> + Send + use<> {
        let Self { numbered, .. } = std::mem::take(self);
        numbered.into_values().filter_map(|numbered| numbered.slot.object().take())
    }
}

/// Frees the unused memory of a table after most of its items were removed. The memory does not
/// count in the client's quota, so it must not stay after a peak.
fn shrink<K: Eq + Hash, V>(table: &mut HashMap<K, V, impl BuildHasher>) {
    if table.capacity() > UNSHRUNK_MAX && table.len() < table.capacity() / 8 {
        // The next removals or insertions need no other allocation.
        table.shrink_to(2 * table.len());
    }
}

/// Capacity of a table that is not worth shrinking.
const UNSHRUNK_MAX: usize = 1024;

/// Identifies an interface of an object as long as the object exists.
fn address_of(interface: &Arc<dyn AnyInterface>) -> usize {
    Arc::as_ptr(interface).cast::<()>() as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    #[test]
    fn a_table_frees_its_memory_when_most_of_its_items_were_removed() {
        let mut table: HashMap<u32, u64> = (0..100_000).map(|key| (key, 0)).collect();
        let full = table.capacity();
        for key in 0..99_999 {
            table.remove(&key);
            shrink(&mut table);
        }
        assert!(table.capacity() <= UNSHRUNK_MAX.max(full / 64), "{}", table.capacity());
        assert_eq!(table.get(&99_999), Some(&0));
    }

    #[test]
    fn the_counted_memory_of_an_object_covers_its_tables_and_its_references() {
        // A hash table has one more byte for each place, and may be full to seven sixteenths.
        let place = |size: usize| (size + 1) * 16 / 7;
        // A shared value has two counters. The locks of these tests are larger than the usual ones.
        type Lock<T> = std::sync::Mutex<T>;
        let shared = |size: usize| size + 2 * size_of::<usize>();
        let bytes = [
            place(size_of::<(u32, NumberedObject)>()),
            place(size_of::<(usize, u32)>()),
            shared(size_of::<Lock<Option<Arc<ClientObject>>>>()),
            shared(size_of::<ClientObject>()),
            shared(size_of::<QuotaGuard>()),
            shared(size_of::<(Weak<Reactor>, bool, Lock<Vec<Weak<dyn Holder>>>)>()),
            // The first allocation of the list of holders.
            4 * size_of::<Weak<dyn Holder>>(),
            // What the list keeps of the method's own reference.
            shared(2 * size_of::<usize>()),
        ];
        let sum = bytes.iter().sum::<usize>();
        assert!((OBJECT_BYTES / 2..=OBJECT_BYTES).contains(&sum), "{bytes:?}: {sum}");
    }
}
