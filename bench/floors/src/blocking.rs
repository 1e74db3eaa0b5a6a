//! A thread that serves one connection.

use std::fs::File;
use std::os::fd::AsFd;

use bench_harness::sparkle;
use bench_harness::sys::message::Descriptors;
use bench_harness::{Result, sys::map::Map};

use crate::arena;
use crate::protocol::{Message, What};
use crate::socket::Socket;

/// Serves until the client disconnects.
pub(crate) fn serve(socket: &Socket) -> Result<()> {
    let mut handles = Descriptors::new();
    let mut bytes = Vec::new();
    let mut arenas: Option<(Map, Map)> = None;
    loop {
        // Small messages get no buffer for bytes, because it would slow down the smallest call.
        let message = match bytes.is_empty() {
            true => socket.receive(&mut handles)?,
            false => socket.receive_bytes(&mut bytes, &mut handles)?,
        };
        let Some(message) = message else { break };
        let reply = Message { number: message.number + 1, ..message };
        match message.what {
            What::Null => socket.send(reply, &[])?,
            What::Handles => {
                let (file, event) = (handles.take()?, handles.take()?);
                socket.send(reply, &[event.as_fd()])?;
                drop((file, event));
            }
            What::Sparkle => {
                let (file, ready) = (File::from(handles.take()?), handles.take()?);
                let done = socket.event()?;
                socket.send(reply, &[done.as_fd()])?;
                // This thread can wait for the event itself, because the client makes no other call
                // during this time.
                socket.wait_for(&ready)?;
                sparkle::decorate(file, &done)?;
            }
            What::Room => {
                bytes = vec![0; message.number as usize];
                socket.send(reply, &[])?;
            }
            What::Bytes => socket.send_bytes(message, &bytes[..message.number as usize])?,
            What::Arenas => {
                bytes = vec![0; message.number as usize];
                arenas = Some(arena::take(&mut handles, message.number as usize)?);
                socket.send(reply, &[])?;
            }
            What::Arena => {
                let (incoming, outgoing) = arenas.as_mut().ok_or("there is no arena")?;
                incoming.read(&mut bytes);
                outgoing.write(&bytes);
                socket.send(reply, &[])?;
            }
            What::Memory => {
                let file = arena::echo(handles.take()?, &mut bytes)?;
                socket.send(reply, &[file.as_fd()])?;
            }
            What::Many => {
                socket.send(Message { number: handles.len() as u64, ..message }, &[])?;
                handles.clear();
            }
        }
    }
    Ok(())
}
