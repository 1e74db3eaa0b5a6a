//! Sends invalid shared memory, and bodies outside of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use syshandle_types::Limits;
use syshandle_wire::{Body, FrameKind, Header};

use crate::line::{Answer, PATIENCE, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "arena",
    what: "shared memory that isn't what it must be",
    accepted: true,
    run,
};

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let size = Limits::ARENA_BYTES as u64;
    let shrink_only = SealFlags::SHRINK | SealFlags::SEAL;
    let (pipe, _writer) = io::pipe()?;
    let wrong: Vec<(&str, OwnedFd)> = vec![
        ("unsealed", memory(size, SealFlags::empty())?),
        ("able to grow", memory(size, shrink_only)?),
        ("able to shrink", memory(size, SealFlags::GROW | SealFlags::SEAL)?),
        ("that its reader can't free", memory(size, SEALS | SealFlags::FUTURE_WRITE)?),
        ("too large", memory(size + 1, SEALS)?),
        ("empty", memory(0, SEALS)?),
        ("a device", File::open("/dev/zero")?.into()),
        ("a pipe", pipe.into()),
    ];
    for (what, memory) in wrong {
        let mut tally = Tally::new(format!("shared memory: {what}"));
        let line = target.open()?;
        line.frame(&Header::new(FrameKind::Arena), &[], &[memory.as_fd()])?;
        tally.cut_off(&line);
        acts.push(tally.act());
    }

    let mut tally = Tally::new("bodies outside of the memory, or without any");
    let last = Limits::ARENA_BYTES as u32;
    for (offset, len, with_memory) in [
        (last, 40_000, true),
        (last - 1, 40_000, true),
        (u32::MAX, 40_000, true),
        (0, 40_000, false),
    ] {
        let line = target.open()?;
        if with_memory {
            let memory = memory(size, SEALS)?;
            line.frame(&Header::new(FrameKind::Arena), &[], &[memory.as_fd()])?;
        }
        let body = Body::Shared { offset, len };
        let header =
            Header { call: 1, code: super::NO_METHOD, body, ..Header::new(FrameKind::Call) };
        line.bytes(&written(&header), &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("100 memories one after the other, of which one is used");
    let line = target.open()?;
    for _ in 0..100 {
        let memory = memory(size, SEALS)?;
        line.frame(&Header::new(FrameKind::Arena), &[], &[memory.as_fd()])?;
    }
    line.call(1, super::NO_METHOD, &[], &[])?;
    let answer = line.answer(PATIENCE);
    tally.add(&answer, matches!(answer, Answer::Reply { call: 1, .. }));
    acts.push(tally.act());
    Ok(())
}

pub(super) fn memory(size: u64, seals: SealFlags) -> io::Result<OwnedFd> {
    let memory = memfd_create(c"hostile", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, size)?;
    if !seals.is_empty() {
        fcntl_add_seals(&memory, seals)?;
    }
    Ok(memory)
}

pub(super) const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
