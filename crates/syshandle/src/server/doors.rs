//! The inner end of a door: the server's side of a reference that others hold.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use syshandle_os::{Interest, OwnedHandle, Received, Seqpacket};
use syshandle_wire::{FrameKind, Header, Prove};

use super::activity::{Hold, What};
use super::event_loop::Source;
use super::reactor::Reactor;
use super::shares::{Part, Share, Taken};
use crate::arrived::{Arrived, Kernel};
use crate::buffer::FrameBuffer;
use crate::{Object, door};

/// The inner end of a door; it keeps the object, and the server, alive.
#[derive(Debug)]
pub(crate) struct InnerDoor {
    socket: Seqpacket,
    object: Object,
    key: std::sync::OnceLock<u64>,
    _hold: Hold,
    _taken: Taken,
}

impl InnerDoor {
    /// Makes a door to an object, of a client's share; returns its outer end.
    pub(crate) fn open(
        reactor: &Arc<Reactor>,
        share: &Arc<Share>,
        object: &Object,
    ) -> io::Result<OwnedHandle> {
        if reactor.is_full() {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many clients and doors"));
        }
        let taken = share.take(Part::Client, 1);
        let taken = taken.map_err(|limit| io::Error::new(io::ErrorKind::QuotaExceeded, limit))?;
        let (inner, outer) = Seqpacket::pair()?;
        // What has a sender is a message, if only an empty one; the end of file has none.
        inner.name_senders()?;
        let hold = reactor.hold(What::Presence);
        let door = Arc::new(Self {
            socket: inner,
            object: object.clone(),
            key: std::sync::OnceLock::new(),
            _hold: hold,
            _taken: taken,
        });
        reactor.quietest_loop().add(
            |key| {
                let _ = door.key.set(key);
                Source::Door(door.clone())
            },
            |poller, key| poller.add(&door.socket, key, Interest::EachReadable),
        )?;
        Ok(outer.into())
    }

    /// Serves those who come through; when all who could are gone, the door closes.
    pub(crate) fn let_in(&self, reactor: &Arc<Reactor>) {
        let mut frame = FrameBuffer::take();
        for _ in 0..TURNS_MAX {
            let mut handles = Arrived::new();
            match handles.receive(&self.socket, &mut frame) {
                Ok(Received { len, sender: Some(sender), .. }) => {
                    let share = reactor.shares.of(sender);
                    if handles.sent_by(&share).is_err() {
                        // More of them can't be kept out in any other way: nobody knows who sent a
                        // frame before it is received.
                        crate::log::warn!(pid = sender.pid, "a door is misused, and closes");
                        return self.close(reactor);
                    }
                    match Header::read(&frame[..len]) {
                        Ok((header, _))
                            if header.kind == FrameKind::Attach && handles.len() == 1 =>
                        {
                            self.attach(reactor, handles, &share);
                        }
                        // Whoever holds a door may send rubbish; that must not close it for others.
                        _ => crate::log::debug!("a door got a frame that is no attach"),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => return self.close(reactor),
            }
        }
        // Somebody who sends without end has others wait no longer than this.
        if let Some(key) = self.key.get() {
            reactor.watch_again(self.socket.as_fd(), *key, Interest::EachReadable);
        }
    }

    fn close(&self, reactor: &Reactor) {
        if let Some(key) = self.key.get() {
            reactor.remove_source(*key, self.socket.as_fd());
        }
    }

    fn attach(&self, reactor: &Arc<Reactor>, handles: Arrived, share: &Arc<Share>) {
        for handle in handles.into_handles() {
            let kernel = Kernel::usual(Some(share));
            if kernel.prove(handle.as_fd(), &door::DECLARED).is_err() {
                kernel.refuse(handle);
                continue;
            }
            if let Err(error) = reactor.serve(Seqpacket::from(handle), &self.object) {
                crate::log::debug!(%error, "a client at a door can't be served");
            }
        }
    }
}

/// Frames of one door before it is the others' turn.
const TURNS_MAX: usize = 64;
