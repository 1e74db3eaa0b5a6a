//! A client that keeps a copy of the socket that it sent to a door, sets socket options on it, and
//! shuts down its own doors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use syshandle_os::Seqpacket;
use syshandle_types::Guid;
use syshandle_wire::{Fault, FrameKind, Header, Hello};

use crate::line::{Answer, Line, PATIENCE, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "shared-ends",
    what: "a client that keeps the end that it attaches, and doors that their holder breaks",
    accepted: true,
    run,
};

const CALLS: u32 = 1_000;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let opener = target.open()?;
    let mut doors = Vec::new();
    for call in 0..3 {
        opener.call(call, super::DOOR, &[], &[])?;
        match opener.answer(PATIENCE) {
            Answer::Reply { fault: None, mut handles, .. } if handles.len() == 1 => {
                doors.push(Seqpacket::from(handles.swap_remove(0)));
            }
            other => return Err(io::Error::other(format!("no door: {other}"))),
        }
    }
    let [first, second, third] = &doors[..] else { return Err(io::ErrorKind::Other.into()) };

    let mut tally = Tally::new(format!("{CALLS} calls with options set on the end that was kept"));
    let (line, kept) = Line::attached_keeping(first, PATIENCE)?;
    let hello = Hello { clsid: Guid::NIL, iid: target.iid };
    line.frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
    for end in [&kept, &line.0] {
        // Older kernels don't have this option.
        let _ = end.pass_sender_processes();
        end.name_senders()?;
    }
    for call in 0..CALLS {
        if call == CALLS / 2 {
            kept.shut_down();
        }
        line.call(call, super::NO_METHOD, &[], &[])?;
        let answer = loop {
            match line.answer(PATIENCE) {
                Answer::Greeting(..) => {}
                answer => break answer,
            }
        };
        let is_right = matches!(answer, Answer::Reply { fault: Some(Fault::NoSuchMethod(_)), .. });
        tally.add(&answer, is_right);
    }
    acts.push(tally.act());

    // The server created this socket, so it must not be attached by another process.
    acts.push(attach("a door attached to itself", second, second.as_fd()));
    acts.push(attach("an end that the server made, attached to a door", second, line.0.as_fd()));
    second.shut_down();

    let mut tally = Tally::new("another door to the same object at that time");
    match Line::attached(third, PATIENCE) {
        Ok(_) => tally.add_text("open", true),
        Err(error) => tally.add_text(error.to_string(), false),
    }
    acts.push(tally.act());
    Ok(())
}

fn attach(what: &str, door: &Seqpacket, end: BorrowedFd<'_>) -> Act {
    let mut tally = Tally::new(what);
    let attach = written(&Header { handles: 1, ..Header::new(FrameKind::Attach) });
    match door.send(&[io::IoSlice::new(&attach)], &[end]) {
        Ok(()) => tally.add_text("taken", true),
        Err(error) => tally.add_text(error.to_string(), true),
    }
    tally.act()
}
