//! Recognizes a process that was made by `fork`, so that it does not use its parent's resources.
#![expect(unsafe_code, reason = "a page of memory that the kernel clears in the copy")]

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Returns the generation of this process. A forked copy has a different generation than its
/// parent.
///
/// A process that shares its parent's memory (`vfork`, `posix_spawn`, `clone` with `CLONE_VM`) has
/// the parent's generation, because it uses the parent's objects and not copies.
///
/// Returns `None` if the kernel can't clear memory on fork. Then no value may be cached that a copy
/// must not use.
#[inline]
pub(crate) fn epoch() -> Option<u32> {
    let page = (*PAGE.get_or_init(Page::new)).as_ref()?.word();
    match page.load(Ordering::Relaxed) {
        0 => Some(begin(page)),
        epoch => Some(epoch),
    }
}

/// Assigns a generation to this process on its first call.
#[cold]
fn begin(page: &AtomicU32) -> u32 {
    // If several threads call this at once, the first one sets the generation.
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let swapped = page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
    swapped.map_or_else(|current| current, |_| next)
}

/// The process that made a value. A forked copy of that process is a different process.
///
/// Objects that share a kernel object with their copy after `fork`, such as a connection, keep a
/// mark and compare it before they act. The comparison reads one word of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessMark(u32);

impl ProcessMark {
    /// Returns the mark of this process.
    #[inline]
    pub fn current() -> Self {
        // Without a generation, the process id is used, which costs a system call.
        Self(epoch().unwrap_or_else(std::process::id))
    }

    /// Returns whether this process is the one that made the mark.
    #[inline]
    pub fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// A value that exists once per process. A forked copy starts without a value, so it finds neither
/// a lock that a thread of its parent held nor descriptors that describe its parent.
pub struct PerProcess<T: 'static>(AtomicPtr<Entry<T>>);

struct Entry<T> {
    epoch: u32,
    value: T,
}

impl<T: Send + Sync + Default> PerProcess<T> {
    /// Makes a place without a value.
    #[expect(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the value of this process. It is made on first use.
    ///
    /// Returns `None` if the kernel can't clear memory on fork.
    pub fn get(&'static self) -> Option<&'static T> {
        let epoch = epoch()?;
        let mut current = self.0.load(Ordering::Acquire);
        loop {
            // SAFETY: the pointer is null, or was leaked from a box below and is never freed. A
            // forked copy has a copy of the memory to which it points.
            if let Some(entry) = unsafe { current.as_ref() }
                && entry.epoch == epoch
            {
                return Some(&entry.value);
            }
            let made = Box::into_raw(Box::new(Entry { epoch, value: T::default() }));
            match self.0.compare_exchange(current, made, Ordering::AcqRel, Ordering::Acquire) {
                // The entry of the parent stays in memory, because its lock may be held for ever.
                Ok(_) => current = made,
                Err(quicker) => {
                    // SAFETY: the box was made above, and no other thread has seen the pointer.
                    drop(unsafe { Box::from_raw(made) });
                    current = quicker;
                }
            }
        }
    }

    /// Returns whether an ancestor from which this process was forked had a value, while this
    /// process has none.
    pub(crate) fn is_inherited(&self) -> bool {
        // SAFETY: as in `get`.
        let entry = unsafe { self.0.load(Ordering::Acquire).as_ref() };
        entry.is_some_and(|entry| Some(entry.epoch) != epoch())
    }
}

/// A page whose content is zero in a child after `fork`.
struct Page(NonNull<AtomicU32>);

// SAFETY: the page is never unmapped, and is only used as an atomic.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

/// The last assigned generation. This is ordinary memory, which a copy keeps, so the copy's
/// generation differs from all earlier ones.
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
        // SAFETY: the range is that mapping, whose content is not used yet.
        unsafe { rustix::mm::madvise(start, len, Advice::LinuxWipeOnFork) }.ok()?;
        NonNull::new(start.cast()).map(Self)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the page lives as long as the process, is aligned, and starts as zeros.
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

    /// Runs a step in a child that `make` creates; returns whether the step returned `true` there.
    fn in_child(make: impl FnOnce() -> libc::c_long, step: impl FnOnce() -> bool) -> bool {
        let child = make() as libc::pid_t;
        if child == 0 {
            let passed = step();
            // SAFETY: ends the child without running any other code of the test.
            unsafe { libc::_exit(i32::from(!passed)) }
        }
        let mut status = -1;
        // SAFETY: the call writes the status of the child made above.
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
        // The lock is held as if by another thread while this one forks.
        let held = VALUE.get().unwrap().lock().unwrap();
        // SAFETY: as above; the child also allocates, which glibc and musl allow after fork.
        let fork = || libc::c_long::from(unsafe { libc::fork() });
        assert!(in_child(fork, || {
            VALUE.is_inherited() && VALUE.get().is_some_and(|own| *own.try_lock().unwrap() == 0)
        }));
        assert_eq!(*held, 7);
        assert!(!VALUE.is_inherited());
    }
}
