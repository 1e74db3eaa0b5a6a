//! Sends arguments that are small on the wire and large in memory, if a method has such types.

use std::io;
use std::os::fd::AsFd;

use syshandle_types::Limits;
use syshandle_wire::{Body, FrameKind, Header};

use super::broken_arena::{SEALS, memory};
use crate::line::{Answer, PATIENCE, unless_cut_off, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "amplification",
    what: "arguments of 16 MiB of small items, in several calls at once",
    accepted: true,
    run,
};

/// Number of methods that are called, beginning with method 0.
const METHODS: u32 = 16;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new(format!("16 MiB of empty items to each of {METHODS} methods"));
    let items = memory(Limits::ARENA_BYTES as u64, SEALS)?;
    // A list whose count equals the number of bytes that follow. The bytes are zero, which means
    // `None`, `false` or an empty text.
    let count = Limits::ARENA_BYTES as u32 - 4;
    rustix::io::pwrite(&items, &count.to_le_bytes(), 0)?;
    let line = target.open()?;
    line.frame(&Header::new(FrameKind::Arena), &[], &[items.as_fd()])?;
    let body = Body::Shared { offset: 0, len: Limits::ARENA_BYTES as u32 };
    for call in 0..METHODS {
        let header =
            Header { call, code: call, timeout_ms: 60_000, body, ..Header::new(FrameKind::Call) };
        unless_cut_off(line.bytes(&written(&header), &[]))?;
    }
    let mut replies = 0;
    while replies < METHODS {
        match line.answer(PATIENCE) {
            Answer::Reply { .. } => replies += 1,
            Answer::Frame(_) => {}
            Answer::CutOff | Answer::Refused(_) => break,
            other => {
                tally.add(&other, false);
                break;
            }
        }
    }
    tally.add_text("answered or cut off", true);
    acts.push(tally.act());
    Ok(())
}
