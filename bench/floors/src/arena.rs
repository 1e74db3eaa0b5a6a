//! Large values through shared memory: mapped once per connection, or one memory file per value.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bench_harness::sys::map::{Map, memory_file};
use bench_harness::sys::message::Descriptors;
use bench_harness::{Laps, Result};

use crate::protocol::{Message, What};
use crate::socket::Socket;

/// Makes calls whose bytes travel through two arenas, one per direction. The arenas are shared when
/// the connection starts. The receiver copies the bytes out before it uses them.
pub(crate) fn shared(socket: Socket, len: usize, laps: &mut Laps) -> Result<()> {
    let files = [memory_file(len)?, memory_file(len)?];
    let mut outgoing = Map::new(&files[0], len, true)?;
    let incoming = Map::new(&files[1], len, false)?;
    let mut handles = Descriptors::new();
    let mut call = |what, lent: &[BorrowedFd<'_>]| -> Result<()> {
        socket.send(Message { what, number: len as u64 }, lent)?;
        socket.receive(&mut handles)?.ok_or("the server is gone")?;
        Ok(())
    };
    call(What::Arenas, &[files[0].as_fd(), files[1].as_fd()])?;
    let (payload, mut result) = (vec![7; len], vec![0; len]);
    while laps.next() {
        outgoing.write(&payload);
        call(What::Arena, &[])?;
        incoming.read(&mut result);
    }
    check(result == payload)
}

/// Makes calls whose bytes travel in a memory file of their own, which the message carries.
pub(crate) fn each_time(socket: Socket, len: usize, laps: &mut Laps) -> Result<()> {
    let mut handles = Descriptors::new();
    let (payload, mut result) = (vec![7; len], vec![0; len]);
    socket.send(Message { what: What::Room, number: len as u64 }, &[])?;
    socket.receive(&mut handles)?;
    while laps.next() {
        let file = filled(&payload)?;
        socket.send(Message { what: What::Memory, number: len as u64 }, &[file.as_fd()])?;
        socket.receive(&mut handles)?;
        read(&handles.take()?, &mut result)?;
    }
    check(result == payload)
}

/// Reads a memory file, and returns a new one with the same bytes.
pub(crate) fn echo(file: OwnedFd, bytes: &mut [u8]) -> Result<OwnedFd> {
    read(&file, bytes)?;
    filled(bytes)
}

/// Maps the arenas that a client has sent: the one to read and the one to write.
pub(crate) fn take(handles: &mut Descriptors, len: usize) -> Result<(Map, Map)> {
    let (incoming, outgoing) = (handles.take()?, handles.take()?);
    Ok((Map::new(incoming, len, false)?, Map::new(outgoing, len, true)?))
}

fn filled(bytes: &[u8]) -> Result<OwnedFd> {
    let file = memory_file(0)?;
    rustix::io::pwrite(&file, bytes, 0)?;
    Ok(file)
}

fn read(file: &OwnedFd, bytes: &mut [u8]) -> Result<()> {
    rustix::io::pread(file, bytes, 0)?;
    Ok(())
}

fn check(right: bool) -> Result<()> {
    match right {
        true => Ok(()),
        false => Err("other bytes came back".into()),
    }
}
