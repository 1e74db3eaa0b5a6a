//! Notices that this process is a copy, made by `fork`, of the one that remembered something.
#![expect(unsafe_code, reason = "a page of memory that the kernel clears in the copy")]

use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Which copy this process is; another number than in the process that it was forked from.
///
/// `None` where the kernel can't clear memory on fork: then nothing may be remembered that a copy
/// must not use.
pub(crate) fn epoch() -> Option<u32> {
    let page = (*PAGE.get_or_init(Page::new)).as_ref()?.word();
    match page.load(Ordering::Relaxed) {
        0 => {
            // Of several threads that notice at once, the first one's number counts.
            let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            let swapped = page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
            Some(swapped.map_or_else(|current| current, |_| next))
        }
        epoch => Some(epoch),
    }
}

/// A page that reads as zeros after `fork`.
struct Page(NonNull<AtomicU32>);

// SAFETY: the page is never unmapped, and only ever used as an atomic.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

/// Ordinary memory, which a copy keeps: so its number differs from all before.
static LAST: AtomicU32 = AtomicU32::new(0);
static PAGE: OnceLock<Option<Page>> = OnceLock::new();

impl Page {
    fn new() -> Option<Self> {
        let len = rustix::param::page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice overlaps nothing.
        let start = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), len, protection, MapFlags::PRIVATE)
        }
        .ok()?;
        // SAFETY: the range is that mapping, whose content nothing depends on yet.
        unsafe { rustix::mm::madvise(start, len, Advice::LinuxWipeOnFork) }.ok()?;
        NonNull::new(start.cast()).map(Self)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the page lives as long as the process, is aligned, and starts as zeros.
        unsafe { self.0.as_ref() }
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

    #[test]
    fn a_copy_has_another_number() {
        let here = epoch();
        // SAFETY: the child only reads memory and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let differs = epoch().is_some() && epoch() != here;
            // SAFETY: ends the child without running anything of the test's.
            unsafe { libc::_exit(i32::from(!differs)) }
        }
        let mut status = -1;
        // SAFETY: writes the status of the child made above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
    }
}
