//! Detects that this process was created by `fork`, so that it does not use its parent's resources.
#![expect(unsafe_code, reason = "a page of memory that the kernel clears in a forked child")]

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Returns a number that identifies this process among its ancestors and forked children, called
/// its epoch.
///
/// A process that shares its parent's memory (`vfork`, `posix_spawn`, `clone` with `CLONE_VM`) has
/// the parent's epoch, because it uses the parent's objects and not copies of them.
///
/// Returns `None` if the kernel can't clear memory on fork. In that case, don't cache a value that
/// a forked child must not use.
#[inline]
pub(crate) fn epoch() -> Option<u32> {
    let page = (*PAGE.get_or_init(Page::new)).as_ref()?.word();
    match page.load(Ordering::Relaxed) {
        0 => Some(begin(page)),
        epoch => Some(epoch),
    }
}

/// Assigns an epoch to this process on its first call.
#[cold]
fn begin(page: &AtomicU32) -> u32 {
    // If several threads call this at once, the first one sets the epoch.
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let swapped = page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
    swapped.map_or_else(|current| current, |_| next)
}

/// Identifies the process that created a value. A forked child is a different process.
///
/// Objects that share a kernel object with their copy after `fork`, such as a connection, store a
/// mark and compare it before they act. The comparison reads one word of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessMark(u32);

impl ProcessMark {
    /// Returns the mark that identifies this process.
    #[inline]
    pub fn current() -> Self {
        // Without an epoch, the process ID is used, which needs a system call.
        Self(epoch().unwrap_or_else(std::process::id))
    }

    /// Returns whether this process created the mark.
    #[inline]
    pub fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// A static value of which every process has its own. A forked child starts without a value, so it
/// doesn't inherit a lock that another thread held, nor descriptors that describe its parent.
pub struct PerProcess<T: 'static>(AtomicPtr<Entry<T>>);

struct Entry<T> {
    epoch: u32,
    value: T,
}

impl<T: Send + Sync + Default> PerProcess<T> {
    /// Creates an empty static.
    #[expect(clippy::new_without_default, reason = "a value is only useful as a static")]
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the value of this process, which is created on first use.
    ///
    /// Returns `None` if the kernel can't clear memory on fork.
    pub fn get(&'static self) -> Option<&'static T> {
        let epoch = epoch()?;
        let mut current = self.0.load(Ordering::Acquire);
        loop {
            // SAFETY: the pointer is null or was leaked from a box below, and the box is never
            // freed. A forked child has a copy of the memory to which it points.
            let entry = unsafe { current.as_ref() };
            if let Some(entry) = entry.filter(|entry| entry.epoch == epoch) {
                return Some(&entry.value);
            }
            let made = Box::into_raw(Box::new(Entry { epoch, value: T::default() }));
            match self.0.compare_exchange(current, made, Ordering::AcqRel, Ordering::Acquire) {
                // The parent's entry is never freed, because its lock may be held for ever.
                Ok(_) => current = made,
                Err(quicker) => {
                    // SAFETY: the box was created above, and no other thread has seen the pointer.
                    drop(unsafe { Box::from_raw(made) });
                    current = quicker;
                }
            }
        }
    }

    /// Returns whether this process has no value but a process from which it was forked had one.
    pub(crate) fn is_inherited(&self) -> bool {
        // SAFETY: as in `get`.
        let entry = unsafe { self.0.load(Ordering::Acquire).as_ref() };
        entry.is_some_and(|entry| Some(entry.epoch) != epoch())
    }
}

/// A page of memory that the kernel clears in a child on `fork`.
struct Page(NonNull<AtomicU32>);

// SAFETY: the page is never unmapped, and is only accessed atomically.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

/// The last assigned epoch. This is ordinary memory that a forked child inherits, so the child's
/// epoch differs from all earlier ones.
static LAST: AtomicU32 = AtomicU32::new(0);
static PAGE: OnceLock<Option<Page>> = OnceLock::new();

impl Page {
    fn new() -> Option<Self> {
        let len = rustix::param::page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address chosen by the kernel overlaps no memory in use.
        let start = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), len, protection, MapFlags::PRIVATE)
        }
        .ok()?;
        // SAFETY: the range is that new mapping, whose content is not used yet.
        unsafe { rustix::mm::madvise(start, len, Advice::LinuxWipeOnFork) }.ok()?;
        NonNull::new(start.cast()).map(Self)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the page is never unmapped, is aligned for the type, and is initially zero.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Send + Default> PerProcess<Mutex<T>> {
    /// Locks the value of this process. Returns `None` if the kernel can't clear memory on fork.
    pub fn lock(&'static self) -> Option<MutexGuard<'static, T>> {
        Some(self.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_number() {
        assert_eq!(epoch(), epoch());
        assert!(epoch().is_some());
    }

    /// Runs a step in a child that `make` creates. Returns whether the step returned `true` in the
    /// child.
    fn in_child(make: impl FnOnce() -> libc::c_long, step: impl FnOnce() -> bool) -> bool {
        let child = make() as libc::pid_t;
        if child == 0 {
            let passed = step();
            // SAFETY: ends the child without running any other code of the test.
            unsafe { libc::_exit(i32::from(!passed)) }
        }
        let mut status = -1;
        // SAFETY: the call waits for the child created above, and writes its status.
        unsafe { libc::waitpid(child, &mut status, 0) };
        status == 0
    }

    #[test]
    fn a_copy_has_another_number() {
        let (here, mark) = (epoch(), ProcessMark::current());
        assert!(mark.is_current());
        // SAFETY: the child only reads memory and exits.
        let fork = || libc::c_long::from(unsafe { libc::fork() });
        assert!(in_child(fork, || epoch().is_some() && epoch() != here && !mark.is_current()));
        assert!(mark.is_current());
    }

    #[test]
    fn each_process_has_its_own_value() {
        static VALUE: PerProcess<Mutex<u32>> = PerProcess::new();
        *VALUE.get().unwrap().lock().unwrap() = 7;
        // Simulates another thread that holds the lock while this one forks.
        let held = VALUE.get().unwrap().lock().unwrap();
        // SAFETY: as above. The child also allocates memory, which glibc and musl allow after
        // `fork`.
        let fork = || libc::c_long::from(unsafe { libc::fork() });
        assert!(in_child(fork, || {
            VALUE.is_inherited() && VALUE.get().is_some_and(|own| *own.try_lock().unwrap() == 0)
        }));
        assert_eq!(*held, 7);
        assert!(!VALUE.is_inherited());
    }
}
