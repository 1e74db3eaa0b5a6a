//! The locking protocol for the 64-bit word in the memory of a mutex.
//!
//! ```text
//! bits 63…32                     31        30          29…0
//! stamp of the owner's identity  waiters   owner died  owner's thread number
//! ```
//!
//! The kernel defines the lower half of the word, which is the futex (`FUTEX_LOCK_PI` of
//! [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html)). This module defines the upper
//! half, the stamp. Rust code always accesses both halves together.
//!
//! - No owner: the word is zero. A thread that locks the mutex writes its thread ID and its stamp.
//! - The mutex is owned: a thread that wants it asks the kernel to wait. When the owner unlocks or
//!   ends, the kernel writes the ID of a waiter to the lower half. If the owner ended, the kernel
//!   also sets the owner-died bit.
//! - The owner ended while no thread waited: the kernel reports that no thread has the owner's ID,
//!   or the stamp shows that the ID now belongs to another thread. The thread that detects this
//!   takes the mutex over.
//! - During a handover the stamp is zero, or is not yet the stamp of the new owner. A thread that
//!   unlocks for a waiter clears the stamp first, and a stamp next to the owner-died bit is
//!   ignored.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::futex;

use crate::mutex::Ownership;
use crate::sys::device;
use crate::sys::feature::{Feature, may_use};
use crate::sys::process::THREAD;
use crate::sys::wait::until_timespec;

/// Locks the mutex for this thread. Returns `None` if the deadline passes first.
pub(super) fn lock(word: &AtomicU64, deadline: Option<Instant>) -> io::Result<Option<Ownership>> {
    let me = Owner::this_thread();
    if word.compare_exchange(0, me.word(), Ordering::Acquire, Ordering::Relaxed).is_ok() {
        return Ok(Some(Ownership { is_abandoned: false }));
    }
    loop {
        let seen = word.load(Ordering::Relaxed);
        if is_gone(seen, &me)? {
            if take_over(word, seen, &me) {
                return Ok(Some(Ownership { is_abandoned: true }));
            }
            continue;
        }
        match wait_in_kernel(word, deadline) {
            Ok(()) => return Ok(Some(Ownership { is_abandoned: sign(word, &me) })),
            // No thread has the owner's ID. The kernel may have set the waiters bit since the word
            // was read.
            Err(Errno::SRCH)
                if take_over(word, seen, &me) || take_over(word, seen | WAITERS, &me) =>
            {
                return Ok(Some(Ownership { is_abandoned: true }));
            }
            // `EAGAIN`: the owner is about to end. `ESRCH`: the word has changed since it was read.
            Err(Errno::SRCH | Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
            Err(error) => return Err(error.into()),
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}

/// Unlocks the mutex. Leaves the word unchanged if it names another owner, because this process is
/// a forked child or because a peer has overwritten the word.
pub(super) fn unlock(word: &AtomicU64) {
    let me = this_thread();
    let mut seen = word.load(Ordering::Relaxed);
    while owner(seen) == me {
        let (next, waited_for) = match seen & WAITERS {
            0 => (0, false),
            _ => (seen & FUTEX, true),
        };
        match word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed) {
            Ok(_) if !waited_for => return,
            Ok(_) => return hand_over(word),
            Err(current) => seen = current,
        }
    }
}

/// Makes the kernel choose the next owner.
fn hand_over(word: &AtomicU64) {
    loop {
        match futex::unlock_pi(half(word), futex::Flags::empty()) {
            Ok(()) => return,
            Err(Errno::AGAIN | Errno::INTR) => {}
            // The kernel and the word disagree, because a peer has overwritten the word. The mutex
            // has no owner now. Waiters check it again after [`TURN`].
            Err(_) => {
                word.fetch_and(!OWNER, Ordering::Release);
                return;
            }
        }
    }
}

/// Waits until the kernel writes this thread's ID to the lower half, but at most [`TURN`]. After
/// that the caller checks the owner's identity again.
fn wait_in_kernel(word: &AtomicU64, deadline: Option<Instant>) -> rustix::io::Result<()> {
    let turn = Instant::now() + TURN;
    let end = until_timespec(deadline.map_or(turn, |deadline| deadline.min(turn)));
    futex::lock_pi2(half(word), futex::Flags::empty(), Some(&end))
}

/// Writes this thread's stamp to the word after the kernel has made this thread the owner. Returns
/// whether the previous owner ended without unlocking.
fn sign(word: &AtomicU64, me: &Owner) -> bool {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let signed = me.word() | (seen & WAITERS);
        match word.compare_exchange(seen, signed, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return seen & OWNER_DIED != 0,
            Err(current) => seen = current,
        }
    }
}

/// Replaces an owner that no longer exists. Returns `false` if another thread did so first.
fn take_over(word: &AtomicU64, seen: u64, me: &Owner) -> bool {
    let mine = me.word() | (seen & WAITERS);
    owner(seen) != 0
        && word.compare_exchange(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

/// Returns whether the owner's thread ID now belongs to another thread than the one that wrote the
/// stamp.
fn is_gone(seen: u64, me: &Owner) -> io::Result<bool> {
    let stamp = (seen >> 32) as u32;
    let is_signed = stamp != 0 && seen & OWNER_DIED == 0;
    if owner(seen) == me.number {
        return match is_signed && me.stamp != 0 && stamp != me.stamp {
            true => Ok(true),
            false => Err(io::ErrorKind::Deadlock.into()),
        };
    }
    Ok(is_signed && owner(seen) != 0 && identity(owner(seen)).is_some_and(|now| now != stamp))
}

/// Returns whether a thread is waiting for the mutex.
#[cfg(test)]
pub(super) fn is_waited_for(word: &AtomicU64) -> bool {
    word.load(Ordering::Relaxed) & WAITERS != 0
}

/// A thread as the word identifies it.
#[derive(Clone, Copy)]
struct Owner {
    number: u32,
    /// The thread's stamp; zero if the kernel does not provide an identity.
    stamp: u32,
}

impl Owner {
    fn this_thread() -> Self {
        thread_local! {
            static STAMPED: Cell<Owner> = const { Cell::new(Owner { number: 0, stamp: 0 }) };
        }
        let number = this_thread();
        if !may_use(Feature::Pidfs) {
            return Self { number, stamp: 0 };
        }
        // In a forked child, the thread has another ID and thus another stamp.
        if STAMPED.get().number != number {
            STAMPED.set(Self { number, stamp: identity(number).unwrap_or(0) });
        }
        STAMPED.get()
    }

    const fn word(&self) -> u64 {
        (self.stamp as u64) << 32 | self.number as u64
    }
}

fn this_thread() -> u32 {
    rustix::thread::gettid().as_raw_pid().unsigned_abs()
}

/// Returns a number that distinguishes the thread from all earlier threads with the same thread ID:
/// the inode number of its pidfd, which is never reused. Returns `None` before Linux 6.9, and if
/// there is no such thread.
fn identity(number: u32) -> Option<u32> {
    if !may_use(Feature::Pidfs) {
        return None;
    }
    let number = i32::try_from(number).ok().and_then(Pid::from_raw)?;
    let pidfd = rustix::process::pidfd_open(number, THREAD).ok()?;
    let stat = device::stat(&pidfd).ok()?;
    // Uses 1 in place of 0, because a stamp of zero means that there is none.
    device::is_pidfd(&stat).then_some((stat.inode as u32).max(1))
}

const fn owner(word: u64) -> u32 {
    (word & OWNER) as u32
}

/// Returns the lower half of the word. Only system calls may access it.
fn half(word: &AtomicU64) -> &AtomicU32 {
    crate::sys::map::lower_half(word)
}

const FUTEX: u64 = u32::MAX as u64;
const WAITERS: u64 = libc::FUTEX_WAITERS as u64;
const OWNER_DIED: u64 = libc::FUTEX_OWNER_DIED as u64;
const OWNER: u64 = libc::FUTEX_TID_MASK as u64;

/// Time after which a waiter checks the owner's identity again. The check matters only if the
/// owner's ID was reused between the previous check and the wait.
const TURN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::feature::seam::without;

    #[test]
    fn a_number_that_went_to_another_thread_is_told_by_its_stamp() {
        if identity(this_thread()).is_none() {
            return println!("skipped: threads have no identity here (Linux 6.9)");
        }
        // The ID of a running thread: the main thread of this process.
        let number = std::process::id();
        let stale = Owner { number, stamp: identity(number).unwrap() ^ 1 };
        let word = AtomicU64::new(stale.word());
        assert!(lock(&word, Some(Instant::now())).unwrap().unwrap().is_abandoned);
        unlock(&word);
        assert_eq!(word.into_inner(), 0);
        let word = AtomicU64::new(stale.word());
        let kept = without(Feature::Pidfs, || lock(&word, Some(Instant::now())).unwrap());
        assert!(kept.is_none());
    }

    #[test]
    fn an_owner_that_has_not_signed_yet_is_waited_for() {
        let unsigned = Owner { number: std::process::id(), stamp: 0 };
        let word = AtomicU64::new(unsigned.word());
        assert!(lock(&word, Some(Instant::now())).unwrap().is_none());
    }
}
