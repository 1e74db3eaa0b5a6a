//! Sends and receives several messages with one system call.

use std::io::{self, IoSlice};
use std::ops::DerefMut;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::sys::messages;
use crate::{OwnedHandle, ReceivedMessage, Seqpacket};

/// Maximum number of messages that one call sends or receives.
pub const MESSAGES_AT_ONCE_MAX: usize = messages::MESSAGES_MAX;

/// The buffers for one received message.
#[derive(Debug, Default)]
pub struct Slot<B, H> {
    /// The buffer for the bytes of the message.
    pub bytes: B,
    /// The list to which the handles of the message are appended.
    pub handles: H,
    /// The result of receiving the message.
    pub received: ReceivedMessage,
}

impl Seqpacket {
    /// Receives queued messages in order, at most one per slot and at most
    /// [`MESSAGES_AT_ONCE_MAX`], and returns their number, which is at least one. With `timeout`,
    /// waits for the first message at most that long, as [`Seqpacket::receive_within`] does.
    /// Without a timeout, does not wait. Never waits for a second message.
    ///
    /// Each message is received as by a separate call. If the peer has closed the connection and no
    /// message is queued, the call fills every slot with an empty message.
    ///
    /// # Errors
    /// Returns the errors of [`Seqpacket::receive`] or [`Seqpacket::receive_within`] if nothing was
    /// received. If an error occurs after the first message, the next call returns it.
    #[doc(hidden)]
    pub fn receive_several<B, H>(
        &self,
        slots: &mut [Slot<B, H>],
        timeout: Option<Duration>,
    ) -> io::Result<usize>
    where
        B: DerefMut<Target = [u8]>,
        H: Extend<OwnedHandle>,
    {
        match timeout {
            Some(timeout) => {
                self.wait_within(timeout, |wait| messages::receive(self.as_fd(), slots, wait))
            }
            None => messages::receive(self.as_fd(), slots, false),
        }
    }

    /// Sends messages without handles in order, without waiting. Returns the number of messages
    /// sent, which is at least one and at most [`MESSAGES_AT_ONCE_MAX`], and may be less than the
    /// number passed.
    ///
    /// # Errors
    /// Returns the errors of [`Seqpacket::send`] if nothing was sent.
    #[doc(hidden)]
    pub fn send_several(&self, messages: &[IoSlice<'_>]) -> io::Result<usize> {
        messages::send(self.as_fd(), messages)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::HANDLES_PER_MESSAGE_MAX;

    fn slots(count: usize, room: usize) -> Vec<Slot<Vec<u8>, Vec<OwnedHandle>>> {
        let slot = || Slot {
            bytes: vec![0; room],
            handles: Vec::new(),
            received: ReceivedMessage::default(),
        };
        std::iter::repeat_with(slot).take(count).collect()
    }

    #[test]
    fn several_messages_come_in_their_order_each_with_its_own_handles() {
        let (a, b) = Seqpacket::pair().unwrap();
        let files = [(); 2].map(|()| tempfile::tempfile().unwrap());
        a.send(&[IoSlice::new(b"one")], &[files[0].as_fd()]).unwrap();
        a.send(&[IoSlice::new(b"none")], &[]).unwrap();
        a.send(&[IoSlice::new(b"many!")], &[files[1].as_fd(); HANDLES_PER_MESSAGE_MAX]).unwrap();
        let mut slots = slots(4, 16);
        assert_eq!(b.receive_several(&mut slots, None).unwrap(), 3);
        let lens = slots.iter().map(|slot| slot.received.len).collect::<Vec<_>>();
        assert_eq!(lens, [3, 4, 5, 0]);
        let counts = slots.iter().map(|slot| slot.handles.len()).collect::<Vec<_>>();
        assert_eq!(counts, [1, 0, HANDLES_PER_MESSAGE_MAX, 0]);
        for (slot, file) in [(0, &files[0]), (2, &files[1])] {
            let slot = &mut slots[slot];
            let arrived = File::from(slot.handles.pop().unwrap());
            assert_eq!(arrived.metadata().unwrap().ino(), file.metadata().unwrap().ino());
            let flags = rustix::io::fcntl_getfd(&arrived).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[test]
    fn a_wait_is_for_the_first_message_only() {
        let (a, b) = Seqpacket::pair().unwrap();
        let mut slots = slots(3, 16);
        let error = b.receive_several(&mut slots, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let error = b.receive_several(&mut slots, Some(Duration::from_millis(30))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        a.send(&[IoSlice::new(b"x")], &[]).unwrap();
        let long = Some(Duration::from_secs(600));
        assert_eq!(b.receive_several(&mut slots, long).unwrap(), 1);
    }

    #[test]
    fn one_that_is_too_long_or_the_end_says_so_and_not_the_others() {
        let (a, b) = Seqpacket::pair().unwrap();
        for len in [4, 40, 5] {
            a.send(&[IoSlice::new(&[7; 40][..len])], &[]).unwrap();
        }
        drop(a);
        let mut slots = slots(5, 16);
        assert_eq!(b.receive_several(&mut slots, None).unwrap(), 3);
        let truncated = slots.iter().map(|slot| slot.received.bytes_truncated);
        assert_eq!(truncated.collect::<Vec<_>>(), [false, true, false, false, false]);
        assert_eq!(slots[2].received.len, 5);
        assert_eq!(b.receive_several(&mut slots, None).unwrap(), 5);
        assert!(slots.iter().all(|slot| slot.received.len == 0));
    }

    #[test]
    fn messages_after_a_reported_end_are_received_in_order_before_the_end() {
        let (a, b) = Seqpacket::pair().unwrap();
        // An empty message looks like an end that was reported too early.
        for len in [4, 0, 5, 0] {
            a.send(&[IoSlice::new(&[7; 40][..len])], &[]).unwrap();
        }
        let mut slots = slots(5, 16);
        assert_eq!(b.receive_several(&mut slots, None).unwrap(), 2);
        assert_eq!((slots[0].received.len, slots[1].received.len), (4, 5));
    }

    #[test]
    fn batched_frames_arrive_separately_and_unsent_ones_are_kept() {
        let (a, b) = Seqpacket::pair().unwrap();
        let parts = (1..=20).map(|len| IoSlice::new(&[7; 20][..len])).collect::<Vec<_>>();
        assert_eq!(a.send_several(&parts).unwrap(), MESSAGES_AT_ONCE_MAX);
        assert_eq!(a.send_several(&parts[MESSAGES_AT_ONCE_MAX..]).unwrap(), 4);
        for len in 1..=20 {
            assert_eq!(b.receive(&mut [0; 64], &mut Vec::new()).unwrap().len, len);
        }
        // Sends until the socket's buffer is full, which may happen in the middle of a batch.
        let large = [0; 10_000];
        let (mut sent, all) = (0, [IoSlice::new(&large); MESSAGES_AT_ONCE_MAX]);
        let last = loop {
            match a.send_several(&all) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(last.kind(), io::ErrorKind::WouldBlock);
        let mut received = 0;
        while b.receive(&mut [0; 10_001], &mut Vec::new()).is_ok_and(|one| one.len == 10_000) {
            received += 1;
        }
        assert_eq!(received, sent);
        drop(b);
        assert_eq!(a.send_several(&parts).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
