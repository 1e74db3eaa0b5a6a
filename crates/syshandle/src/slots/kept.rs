//! The handles that this process keeps for a peer.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use syshandle_os::{BorrowedHandle, Declaration, Facts, Filesystems, Kind, Kinds, OwnedHandle};
use syshandle_os::{descriptor_limit, identify_with};
use syshandle_types::{SharedHandle, SharedType};
use syshandle_wire::{SlotId, Violation};

use crate::quota::{Quota, QuotaGuard};

/// The slots of a connection.
#[derive(Debug, Default)]
pub(super) struct KeptSlots {
    slots: Vec<KeptSlot>,
    /// The slots that hold no handle and whose last handle was released.
    free: Vec<u16>,
}

#[derive(Debug)]
struct KeptSlot {
    generation: u32,
    state: SlotState,
}

#[derive(Debug)]
enum SlotState {
    Free,
    Used(Arc<KeptHandle>),
    /// The handle was taken back, and the peer has not confirmed that.
    TakenBack,
}

/// A handle that is kept for its sender.
///
/// The last reference closes the handle, in the background if that may block. If the handle was
/// shared with a method that still has it, the method closes it.
#[derive(Debug)]
pub(crate) struct KeptHandle {
    /// `None` only during `drop`.
    form: RwLock<Option<Form>>,
    facts: Facts,
    /// Address of the policy by which the facts were determined.
    filesystems: usize,
    sender: Arc<Quota>,
    _guard: KeptGuard,
}

#[derive(Debug)]
enum Form {
    /// No message has requested a shared value yet.
    Handle(OwnedHandle),
    Shared(SharedHandle, SharedType),
}

/// The part of a limit that a kept handle takes.
#[derive(Debug)]
#[expect(dead_code, reason = "only its drop matters")]
pub(crate) enum KeptGuard {
    /// A part of the quota of a client.
    OfQuota(QuotaGuard),
    /// A part of the descriptors of this process.
    OfProcess(KeptResult),
}

/// A handle of a result that a client keeps.
#[derive(Debug)]
pub(crate) struct KeptResult(());

/// Number of handles that the clients of this process keep.
static KEPT_RESULTS: AtomicUsize = AtomicUsize::new(0);

impl KeptGuard {
    /// Reserves a descriptor for the handle of a result. The clients of a process keep at most a
    /// quarter of its descriptors.
    pub(crate) fn of_result() -> Option<Self> {
        let max = descriptor_limit().map_or(usize::MAX, |limit| limit as usize / RESULTS_PART);
        let more = |kept: usize| (kept < max).then_some(kept + 1);
        let kept = KEPT_RESULTS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        kept.is_ok().then_some(Self::OfProcess(KeptResult(())))
    }
}

impl Drop for KeptResult {
    fn drop(&mut self) {
        KEPT_RESULTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Determines the facts of a handle that is to be kept. Returns the handle if it can't be kept.
pub(super) fn examine(
    handle: OwnedHandle,
    (filesystems, sender): (&Filesystems, &Arc<Quota>),
    notices_death: impl FnOnce() -> bool,
    reserve: impl FnOnce() -> Option<KeptGuard>,
) -> Result<KeptHandle, OwnedHandle> {
    let facts = match identify_with(handle.as_fd(), filesystems) {
        Ok(facts) if facts.object.is_one_of(Kinds::ANY) => facts,
        _ => return Err(handle),
    };
    // A kept socket may be the peer's end of this connection, which then never ends by itself.
    if facts.object.is(Kind::Socket) && !notices_death() {
        return Err(handle);
    }
    let Some(guard) = reserve() else { return Err(handle) };
    Ok(KeptHandle {
        form: RwLock::new(Some(Form::Handle(handle))),
        facts,
        filesystems: address_of(filesystems),
        sender: sender.clone(),
        _guard: guard,
    })
}

impl KeptHandle {
    /// Returns whether the handle certainly matches a declaration. Otherwise the kernel has to be
    /// asked again.
    #[inline]
    pub(crate) fn settled(&self, declared: &Declaration, filesystems: &Filesystems) -> bool {
        self.filesystems == address_of(filesystems)
            && declared.check(&self.facts).is_ok()
            && declared.is_settled_by(&self.facts)
    }

    /// Calls `with` with the handle.
    pub(crate) fn with<R>(&self, with: impl FnOnce(BorrowedHandle<'_>) -> R) -> io::Result<R> {
        let form = self.form.read().unwrap_or_else(PoisonError::into_inner);
        let handle = form.as_ref().and_then(Form::lend);
        handle.map(with).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns the value that the users of the handle share. The first call determines its type.
    pub(crate) fn share(&self, of: SharedType) -> io::Result<SharedHandle> {
        if let Some(Form::Shared(value, _)) =
            &*self.form.read().unwrap_or_else(PoisonError::into_inner)
        {
            return Ok(value.clone());
        }
        let mut form = self.form.write().unwrap_or_else(PoisonError::into_inner);
        let value = match form.take() {
            Some(Form::Handle(handle)) => of.make(handle),
            Some(Form::Shared(value, of)) => {
                *form = Some(Form::Shared(value.clone(), of));
                return Ok(value);
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        *form = Some(Form::Shared(value.clone(), of));
        Ok(value)
    }

    /// Returns the handle, unless others share it.
    fn take(&mut self) -> Option<OwnedHandle> {
        let form = self.form.get_mut().unwrap_or_else(PoisonError::into_inner);
        match form.take()? {
            Form::Handle(handle) => Some(handle),
            Form::Shared(value, of) => of.take(value),
        }
    }
}

impl Form {
    fn lend(&self) -> Option<BorrowedHandle<'_>> {
        match self {
            Self::Handle(handle) => Some(handle.as_fd()),
            Self::Shared(value, of) => of.lend(value),
        }
    }
}

impl Drop for KeptHandle {
    fn drop(&mut self) {
        match self.take() {
            Some(handle) if self.facts.object.close_may_block() => self.sender.close(handle),
            handle => drop(handle),
        }
    }
}

impl KeptSlots {
    /// Returns whether there is a slot for one more handle.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < SLOTS_MAX
    }

    /// Puts a handle into a slot. The caller has checked that there is one.
    pub(super) fn put(&mut self, handle: Arc<KeptHandle>) -> SlotId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(KeptSlot { generation: 0, state: SlotState::Free });
            (self.slots.len() - 1) as u16
        });
        let place = &mut self.slots[usize::from(slot)];
        // The generation 0 is never used.
        place.generation = place.generation.checked_add(1).unwrap_or(1);
        place.state = SlotState::Used(handle);
        SlotId { slot, generation: place.generation }
    }

    /// Returns the handle of a slot.
    #[inline]
    pub(super) fn get(&self, id: SlotId) -> Option<Arc<KeptHandle>> {
        match self.slots.get(usize::from(id.slot))? {
            KeptSlot { generation, state: SlotState::Used(handle) }
                if *generation == id.generation =>
            {
                Some(handle.clone())
            }
            _ => None,
        }
    }

    /// Releases a slot that its sender no longer names. Returns its handle, unless the handle was
    /// taken back.
    ///
    /// # Errors
    /// The slot holds no handle of this generation.
    pub(super) fn release(&mut self, id: SlotId) -> Result<Option<Arc<KeptHandle>>, Violation> {
        let unknown = Violation::UnknownSlot(id);
        let slot = self.slots.get_mut(usize::from(id.slot)).ok_or(unknown)?;
        if slot.generation != id.generation {
            return Err(unknown);
        }
        let released = match std::mem::replace(&mut slot.state, SlotState::Free) {
            SlotState::Used(handle) => Some(handle),
            SlotState::TakenBack => None,
            SlotState::Free => return Err(unknown),
        };
        self.free.push(id.slot);
        Ok(released)
    }

    /// Takes all handles. Their slots are not used again before the sender releases them.
    pub(super) fn take_back(&mut self) -> (Vec<SlotId>, Vec<Arc<KeptHandle>>) {
        let used = (0..).zip(&mut self.slots).filter_map(|(index, slot)| {
            let id = SlotId { slot: index, generation: slot.generation };
            match std::mem::replace(&mut slot.state, SlotState::TakenBack) {
                SlotState::Used(handle) => Some((id, handle)),
                other => {
                    slot.state = other;
                    None
                }
            }
        });
        used.unzip()
    }
}

fn address_of(filesystems: &Filesystems) -> usize {
    std::ptr::from_ref(filesystems) as usize
}

/// Maximum number of slots of a connection, also of those whose handles were taken back. A program
/// that passes more handles in turn passes the others as before.
const SLOTS_MAX: usize = 4096;

/// Divisor of `RLIMIT_NOFILE` for the handles of results that all clients of a process keep.
const RESULTS_PART: usize = 4;
