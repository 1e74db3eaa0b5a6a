//! Waits with `ppoll`.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::{Readiness, Waitable};

/// Waits until one of the objects is ready, takes it, and returns its index. Returns `None` if the
/// deadline passes first.
pub(crate) fn any(
    objects: &[&dyn Waitable],
    deadline: Option<Instant>,
) -> io::Result<Option<usize>> {
    let mut polls: Vec<_> = objects.iter().map(|object| object.poll_fd()).collect();
    for (i, object) in objects.iter().enumerate() {
        if object.readiness() == Readiness::Changed && object.take()? {
            return Ok(Some(i));
        }
    }
    loop {
        poll(&mut polls, deadline)?;
        for (i, polled) in polls.iter().enumerate() {
            if !polled.revents().is_empty() && objects[i].take()? {
                return Ok(Some(i));
            }
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}

/// Converts a time to the clock `CLOCK_MONOTONIC`, for system calls with an absolute end.
pub(crate) fn until_timespec(until: Instant) -> Timespec {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    timespec(now.saturating_add(until.saturating_duration_since(Instant::now())))
}

/// Takes an object if it is ready now. Returns whether it did.
pub(crate) fn try_take(object: &dyn Waitable) -> io::Result<bool> {
    match object.readiness() {
        Readiness::Changed => object.take(),
        Readiness::Readable if object.take_finds_out() => object.take(),
        Readiness::Readable => {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            match rustix::event::poll(&mut [object.poll_fd()], Some(&now)) {
                Ok(0) | Err(Errno::INTR) => Ok(false),
                Ok(_) => object.take(),
                Err(error) => Err(error.into()),
            }
        }
    }
}

pub(crate) fn poll_fd(handle: BorrowedFd<'_>, readiness: Readiness) -> PollFd<'_> {
    PollFd::from_borrowed_fd(
        handle,
        match readiness {
            Readiness::Readable => PollFlags::IN,
            Readiness::Changed => PollFlags::PRI,
        },
    )
}

/// Calls `ppoll` until a descriptor is ready or the deadline passes, and repeats the call after a
/// signal. Returns the number of ready descriptors.
pub(crate) fn poll(polls: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<usize> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // The kernel may end a wait late by 0.1 % of its length, or by 0.5 % in a low-priority
        // process. So a long wait is split, and its last hundredth is a separate wait.
        let is_long = left.is_some_and(|left| left > LONG_WAIT);
        let wait = left.map(|left| timespec(if is_long { left - left / 100 } else { left }));
        match rustix::event::poll(polls, wait.as_ref()) {
            Err(Errno::INTR) => continue,
            Ok(0) if is_long => continue,
            result => return Ok(result?),
        }
    }
}

/// Waits longer than this are split. The kernel may end them more than a few milliseconds late.
const LONG_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
