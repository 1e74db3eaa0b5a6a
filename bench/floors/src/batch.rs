//! Sends and receives several messages of one connection with one system call.

use std::os::fd::AsFd;

use bench_harness::sys::batch::{MESSAGES_MAX, Message, receive_all, send_all};
use bench_harness::{Laps, Result};

use crate::socket::Socket;

/// Keeps `calls` calls in flight: each received reply is followed by another call.
pub(crate) fn call(socket: Socket, calls: usize, laps: &mut Laps) -> Result<()> {
    let calls = calls.clamp(1, MESSAGES_MAX);
    laps.set_calls_per_lap(calls);
    let mut messages = [[0, 7]; MESSAGES_MAX];
    send(&socket, &messages[..calls])?;
    let mut done = 0;
    laps.start();
    while laps.is_on() {
        let received = receive_all(socket.as_fd(), &mut messages[..calls])?;
        done += received;
        if done >= calls {
            done -= calls;
            laps.end_lap();
        }
        send(&socket, &messages[..received])?;
    }
    Ok(())
}

/// Answers all waiting messages at once.
pub(crate) fn serve(socket: &Socket) -> Result<()> {
    let mut messages = [Message::default(); MESSAGES_MAX];
    loop {
        let received = receive_all(socket.as_fd(), &mut messages)?;
        for message in &mut messages[..received] {
            message[1] += 1;
        }
        send(socket, &messages[..received])?;
    }
}

fn send(socket: &Socket, mut messages: &[Message]) -> Result<()> {
    while !messages.is_empty() {
        messages = &messages[send_all(socket.as_fd(), messages)?..];
    }
    Ok(())
}
