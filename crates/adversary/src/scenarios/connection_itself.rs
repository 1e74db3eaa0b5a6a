//! Sends a connection over itself, and doors over doors. Such reference cycles are visible only to
//! the kernel.

use std::io;
use std::os::fd::AsFd;

use syshandle_os::Seqpacket;
use syshandle_wire::{FrameKind, Header};

use crate::line::{Answer, PATIENCE, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "itself",
    what: "a handle to the connection itself, and to its doors",
    accepted: true,
    run,
};

const TIMES: u32 = 50;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new("a handle to the connection itself, in a call");
    for _ in 0..TIMES {
        let line = target.open()?;
        line.call(1, super::NO_METHOD, &[], &[line.0.as_fd(); 10])?;
        let answer = line.answer(PATIENCE);
        tally.add(&answer, matches!(answer, Answer::Reply { call: 1, fault: Some(_), .. }));
    }
    acts.push(tally.act());

    let mut tally = Tally::new("the same, left unread in the socket of a client that is gone");
    for _ in 0..TIMES {
        let line = target.open()?;
        for call in 0..20 {
            line.call(call, super::NO_METHOD, &[], &[line.0.as_fd()])?;
        }
        tally.add_text("gone", true);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("a door attached to itself, and to its own connection");
    let mut held = Vec::new();
    for _ in 0..TIMES {
        let line = target.open()?;
        line.call(1, super::DOOR, &[], &[])?;
        let door = match line.answer(PATIENCE) {
            Answer::Reply { fault: None, mut handles, .. } if !handles.is_empty() => {
                Seqpacket::from(handles.swap_remove(0))
            }
            answer => {
                tally.add(&answer, false);
                continue;
            }
        };
        let attach = written(&Header { handles: 1, ..Header::new(FrameKind::Attach) });
        for end in [door.as_fd(), line.0.as_fd()] {
            // The server then receives its own greeting, and treats it as an invalid frame of a
            // client.
            let sent = door.send(&[io::IoSlice::new(&attach)], &[end]);
            let text = if sent.is_ok() { "taken" } else { "the connection has ended" };
            tally.add_text(text, true);
        }
        held.push((door, line));
    }
    acts.push(tally.act());
    Ok(())
}
