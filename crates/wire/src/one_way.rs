//! One-way calls, which have no reply: how many were sent, and how many have ended.
//!
//! The server counts the calls that have ended, in any order, and sends the count with its replies
//! and acknowledgements. Its threads send frames independently, so an older count may arrive after a
//! newer one.

use crate::{FrameKind, Header, Violation};

/// The one-way calls of a client.
#[derive(Debug, Default)]
pub(crate) struct SentCalls {
    sent: u64,
    /// The calls that the server has acknowledged.
    ended: u64,
    /// The calls of which the server has reported the failure.
    failed: u64,
}

impl SentCalls {
    #[inline]
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// Undoes [`SentCalls::sent`].
    pub(crate) fn unsent(&mut self) {
        self.sent -= 1;
    }

    /// Returns the number of calls that the server has not acknowledged.
    #[inline]
    pub(crate) fn unacknowledged(&self) -> usize {
        (self.sent - self.ended) as usize
    }

    /// Records the count of a frame of the server.
    ///
    /// # Errors
    /// [`Violation::TooManyEnded`] if fewer calls were sent.
    #[inline]
    pub(crate) fn acknowledged(&mut self, header: &Header) -> Result<(), Violation> {
        if !matches!(header.kind, FrameKind::Reply | FrameKind::Acknowledge) {
            return Ok(());
        }
        let more = header.ended.wrapping_sub(self.ended as u32);
        match () {
            () if u64::from(more) <= self.sent - self.ended => self.ended += u64::from(more),
            // A newer frame has overtaken this one.
            () if more > u32::MAX / 2 => {}
            () => return Err(Violation::TooManyEnded),
        }
        Ok(())
    }

    /// Records that a call failed. The frame that reports it has a count that includes the call.
    ///
    /// # Errors
    /// [`Violation::TooManyEnded`] if fewer calls have ended.
    pub(crate) fn failed(&mut self) -> Result<(), Violation> {
        if self.failed == self.ended {
            return Err(Violation::TooManyEnded);
        }
        self.failed += 1;
        Ok(())
    }
}

/// The one-way calls that a server has received. `T` is the driver's data for a call.
#[derive(Debug)]
pub(crate) struct ReceivedCalls<T> {
    running: Vec<(u32, T)>,
    received: u32,
    ended: u32,
    /// The count in the last frame to the client.
    acknowledged: u32,
}

impl<T> Default for ReceivedCalls<T> {
    fn default() -> Self {
        Self { running: Vec::new(), received: 0, ended: 0, acknowledged: 0 }
    }
}

impl<T> ReceivedCalls<T> {
    /// Records that a call has started. Returns its number.
    pub(crate) fn started(&mut self, running: T) -> u32 {
        self.received = self.received.wrapping_add(1);
        self.running.push((self.received, running));
        self.received
    }

    /// Records that a call has ended.
    pub(crate) fn ended(&mut self, number: u32) {
        if let Some(place) = self.running.iter().position(|(running, _)| *running == number) {
            self.running.swap_remove(place);
            self.ended = self.ended.wrapping_add(1);
        }
    }

    /// Returns the count for a frame to the client.
    #[inline]
    pub(crate) fn acknowledge(&mut self) -> u32 {
        self.acknowledged = self.ended;
        self.ended
    }

    /// Returns the number of calls that have ended and were not acknowledged.
    #[inline]
    pub(crate) fn unacknowledged(&self) -> usize {
        self.ended.wrapping_sub(self.acknowledged) as usize
    }

    /// Returns the number of calls that were not acknowledged.
    #[inline]
    pub(crate) fn places(&self) -> usize {
        self.received.wrapping_sub(self.acknowledged) as usize
    }

    /// Returns the driver's data of all running calls.
    pub(crate) fn running(&self) -> impl Iterator<Item = &T> {
        self.running.iter().map(|(_, running)| running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ended: u32) -> Header {
        Header { ended, ..Header::new(FrameKind::Acknowledge) }
    }

    fn sent(sent: u64, ended: u64) -> SentCalls {
        SentCalls { sent, ended, failed: 0 }
    }

    #[test]
    fn a_count_acknowledges_no_more_calls_than_were_sent() {
        let mut calls = sent(3, 0);
        assert_eq!(calls.acknowledged(&count(4)), Err(Violation::TooManyEnded));
        assert_eq!(calls.acknowledged(&count(2)), Ok(()));
        assert_eq!(calls.unacknowledged(), 1);
        assert_eq!(calls.acknowledged(&count(u32::MAX / 2)), Err(Violation::TooManyEnded));
    }

    #[test]
    fn a_count_that_was_overtaken_is_ignored() {
        let mut calls = sent(3, 2);
        for old in [0, 1, 2, u32::MAX, u32::MAX / 2 + 3] {
            assert_eq!(calls.acknowledged(&count(old)), Ok(()), "{old}");
            assert_eq!(calls.unacknowledged(), 1);
        }
    }

    #[test]
    fn the_count_wraps_around() {
        let last = u64::from(u32::MAX);
        let mut calls = sent(last + 3, last);
        assert_eq!(calls.acknowledged(&count(1)), Ok(()));
        assert_eq!(calls.unacknowledged(), 1);
        assert_eq!(calls.acknowledged(&count(3)), Err(Violation::TooManyEnded));
        assert_eq!(calls.acknowledged(&count(u32::MAX)), Ok(()), "older");
        let mut received = ReceivedCalls::default();
        (received.received, received.ended, received.acknowledged) = (u32::MAX, u32::MAX, u32::MAX);
        let number = received.started(());
        assert_eq!((number, received.places()), (0, 1));
        received.ended(number);
        assert_eq!((received.unacknowledged(), received.acknowledge()), (1, 0));
        assert_eq!(received.places(), 0);
    }

    #[test]
    fn no_more_calls_fail_than_have_ended() {
        let mut calls = sent(2, 1);
        assert_eq!(calls.failed(), Ok(()));
        assert_eq!(calls.failed(), Err(Violation::TooManyEnded));
    }

    #[test]
    fn a_call_ends_once() {
        let mut calls = ReceivedCalls::default();
        let number = calls.started(());
        calls.ended(number);
        calls.ended(number);
        calls.ended(7);
        assert_eq!(calls.unacknowledged(), 1);
    }
}
