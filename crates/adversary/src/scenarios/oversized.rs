//! Sends frames and bodies that are too large, or whose headers declare such sizes.

use std::io;

use syshandle_types::Limits;
use syshandle_wire::{Body, FrameKind, Header};

use crate::line::written;
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "oversized",
    what: "frames and bodies that are too large, or say so",
    accepted: true,
    run,
};

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new("frames longer than any may be");
    for len in [Header::FRAME_MAX + 1, 64 * 1024, 150_000] {
        let line = target.open()?;
        match line.bytes(&vec![FrameKind::Call as u8; len], &[]) {
            Ok(()) => tally.cut_off(&line),
            // The message exceeds the kernel's limit.
            Err(error) => tally.add_text(format!("not sent: {error}"), true),
        }
    }
    acts.push(tally.act());

    let mut tally = Tally::new("bodies that are shorter than the header says");
    for len in [1, Limits::INLINE_BYTES_MAX as u32, Limits::ARENA_BYTES as u32 + 1, u32::MAX] {
        let line = target.open()?;
        let header = Header {
            code: super::NO_METHOD,
            body: Body::Inline { len },
            ..Header::new(FrameKind::Call)
        };
        line.bytes(&written(&header), &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("bodies of more bytes than a message may have");
    for len in [Limits::ARENA_BYTES as u32 + 1, u32::MAX] {
        let line = target.open()?;
        let body = Body::Shared { offset: 0, len };
        let header = Header { code: super::NO_METHOD, body, ..Header::new(FrameKind::Call) };
        line.bytes(&written(&header), &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());
    Ok(())
}
