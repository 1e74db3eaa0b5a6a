//! Doors: references to objects that can be lent, copied and passed on.
//!
//! A door is a socket that takes one kind of frame: *attach*, with one end of a new pair. Whoever
//! holds the door makes the pair, sends that end and talks on the other; the server, at the door's
//! inner end, serves it. Nobody ever reads from the outer end, so any number of holders share it.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use syshandle_os::{Borrowed, BorrowedHandle, Declared, Seqpacket, Sockets};
use syshandle_wire::{FrameKind, Header};

use crate::{Error, ErrorKind, Result};

/// The number of the method that asks a server for a door to the object of the connection.
pub(crate) const METHOD: u32 = u32::MAX;

/// What a door is, as far as the kernel can tell.
pub(crate) const DECLARED: Declared = Declared::socket(Sockets::SEQPACKET);

/// Makes a connection through a door, at the outer end: its greeting is still to come.
pub(crate) fn attach(door: BorrowedHandle<'_>) -> Result<Seqpacket> {
    let unmade = |error| {
        Error::new(ErrorKind::System, "no connection to the object can be made").because(error)
    };
    let (ours, theirs) = Seqpacket::pair().map_err(unmade)?;
    ours.name_senders().map_err(unmade)?;
    let mut head = [0; Header::LEN_MAX];
    let len = Header { handles: 1, ..Header::new(FrameKind::Attach) }.write(&mut head);
    let door = Borrowed::<Seqpacket>::new(door);
    match door.send(&[IoSlice::new(&head[..len])], &[theirs.as_fd()]) {
        Ok(()) => Ok(ours),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let text = "the server doesn't open the door: too many wait before it";
            Err(Error::new(ErrorKind::Busy, text))
        }
        Err(error) => {
            let text = "the object is gone: nobody is behind the door";
            Err(Error::new(ErrorKind::Disconnected, text).because(error))
        }
    }
}
