//! Sends headers with contradictory or invalid fields.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syshandle_types::Limits;
use syshandle_wire::{Body, FrameKind, Header};

use crate::line::written;
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "counts",
    what: "headers whose numbers don't fit each other",
    accepted: true,
    run,
};

/// Offsets of the fields of a header.
const FLAGS: usize = 1;
const OFFSET: usize = 20;
const RELEASES: usize = 24;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let call = written(&Header { code: super::NO_METHOD, ..Header::new(FrameKind::Call) });
    let mut tally = Tally::new("kinds that there aren't");
    for kind in (0..=u8::MAX).filter(|kind| !(1..=10).contains(kind)).step_by(7) {
        let line = target.open()?;
        let mut frame = call.clone();
        frame[0] = kind;
        line.bytes(&frame, &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("flags that there aren't");
    // The bits between are the number of the sender's core; every value of them is valid.
    for elsewhere in 0..4 {
        let line = target.open()?;
        let mut frame = call.clone();
        frame[FLAGS] = 0x80 | elsewhere << 1;
        line.bytes(&frame, &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("numbers of ranges that aren't there");
    for releases in [1, Limits::RELEASES_MAX as u32, Limits::RELEASES_MAX as u32 + 1, u32::MAX] {
        let line = target.open()?;
        let mut frame = call.clone();
        frame[RELEASES..].copy_from_slice(&releases.to_le_bytes());
        line.bytes(&frame, &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("a place in shared memory for a body in the frame; bytes behind it");
    let mut offset = call.clone();
    offset[OFFSET..OFFSET + 4].copy_from_slice(&4096_u32.to_le_bytes());
    for frame in [offset, [call.as_slice(), b"more"].concat()] {
        let line = target.open()?;
        line.bytes(&frame, &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    acts.push(surplus(target)?);

    let mut tally = Tally::new("a call before the hello; two hellos");
    let line = target.greeted()?;
    line.bytes(&call, &[])?;
    tally.cut_off(&line);
    let line = target.open()?;
    let hello = syshandle_wire::Hello { clsid: target.clsid, iid: target.iid };
    line.frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
    tally.cut_off(&line);
    acts.push(tally.act());
    Ok(())
}

/// Sends frames with a field, a body or a handle that their kind must not have.
fn surplus(target: &Target) -> io::Result<Act> {
    let mut tally = Tally::new("a field, a body or a handle that a kind of frame does not have");
    let null = File::open("/dev/null")?;
    let of = Header::new;
    let (cancel, release, bye) = (FrameKind::Cancel, FrameKind::Release, FrameKind::Bye);
    let shared = Body::Shared { offset: 0, len: 1 };
    for header in [
        Header { call: 1, code: 1, ..of(cancel) },
        Header { call: 1, timeout_ms: 1, ..of(cancel) },
        Header { call: 1, ..of(release) },
        Header { timeout_ms: 1, ..of(release) },
        Header { body: shared, ..of(release) },
        Header { call: 1, ..of(FrameKind::Arena) },
    ] {
        let line = target.open()?;
        line.bytes(&written(&header), &[])?;
        tally.cut_off(&line);
    }
    for kind in [cancel, release, bye] {
        let line = target.open()?;
        line.frame(&of(kind), &[], &[null.as_fd()])?;
        tally.cut_off(&line);
        let line = target.open()?;
        line.frame(&of(kind), b"body", &[])?;
        tally.cut_off(&line);
    }
    let line = target.greeted()?;
    let hello = syshandle_wire::Hello { clsid: target.clsid, iid: target.iid };
    line.frame(&Header { call: 1, ..of(FrameKind::Hello) }, &hello.write(), &[])?;
    tally.cut_off(&line);
    let line = target.open()?;
    let call = Header { code: super::NO_METHOD, ..of(FrameKind::Call) };
    line.frame(&call, &[0; Limits::INLINE_BYTES_MAX + 1], &[])?;
    tally.cut_off(&line);
    Ok(tally.act())
}
