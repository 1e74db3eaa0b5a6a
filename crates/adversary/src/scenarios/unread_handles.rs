//! Leaves replies with handles unread, on open and on ended connections.

use std::io;

use syshandle_types::Limits;
use syshandle_wire::{FrameKind, Header};

use crate::line::{PATIENCE, unless_cut_off};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "unread-handles",
    what: "replies with handles that are never received",
    accepted: true,
    run,
};

const CONNECTIONS: usize = 16;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new(format!("{CONNECTIONS} connections with unread handles"));
    let mut lines = Vec::new();
    for place in 0..CONNECTIONS {
        let line = target.open()?;
        for call in 0..u32::from(Limits::CALLS_MAX) {
            unless_cut_off(line.call(call, super::DOOR, &[], &[]))?;
        }
        // The server ends half of the connections because of this frame. Their receive queues
        // remain.
        if place % 2 == 0 {
            unless_cut_off(line.frame(&Header::new(FrameKind::Greeting), &[], &[]))?;
        }
        lines.push(line);
        tally.add_text("left", true);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("a reply with a handle at that time, to the same client");
    let line = target.open()?;
    line.call(0, super::DOOR, &[], &[])?;
    let answer = line.answer(PATIENCE);
    tally.add(&answer, super::is_reply_within_limits(&answer));
    acts.push(tally.act());
    Ok(())
}
