//! Sends sparse shared memory, and keeps it open after the connection has ended. Reading a hole
//! allocates memory that is charged to the reader until every process has closed the file, unless
//! the reader frees it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use syshandle_types::Limits;
use syshandle_wire::{Body, FrameKind, Header};

use super::broken_arena::{SEALS, memory};
use crate::line::{PATIENCE, unless_cut_off, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "sparse-memory",
    what: "shared memory of holes, kept after the connection",
    accepted: true,
    run,
};

const CONNECTIONS: usize = 64;

/// Number of methods that are called, beginning with method 0.
const METHODS: u32 = 8;

/// Size of the arguments of one call: half of the shared memory.
const ARGUMENTS: u32 = Limits::ARENA_BYTES as u32 / 2;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new(format!("{CONNECTIONS} sparse memories, kept after the connection"));
    let mut kept = Vec::new();
    let handle = eventfd(0, EventfdFlags::CLOEXEC)?;
    for _ in 0..CONNECTIONS {
        let sparse = memory(Limits::ARENA_BYTES as u64, SEALS)?;
        // A text or a list of zeros: as the first parameter, or after a parameter that is a handle.
        let first = (ARGUMENTS - 4).to_le_bytes();
        let second = [&[0, 0], &(ARGUMENTS - 6).to_le_bytes()[..]].concat();
        rustix::io::pwrite(&sparse, &first, 0)?;
        rustix::io::pwrite(&sparse, &second, ARGUMENTS.into())?;
        let line = target.open()?;
        line.frame(&Header::new(FrameKind::Arena), &[], &[sparse.as_fd()])?;
        for call in 0..2 * METHODS {
            let (code, has_handle) = (call / 2, call % 2);
            let body = Body::Shared { offset: has_handle * ARGUMENTS, len: ARGUMENTS };
            let handles = &[handle.as_fd()][..has_handle as usize];
            let handles_len = has_handle as u16;
            let header =
                Header { call, code, body, handles: handles_len, ..Header::new(FrameKind::Call) };
            unless_cut_off(line.bytes(&written(&header), handles))?;
        }
        let _ = line.answer(PATIENCE);
        kept.push(sparse);
    }
    let deadline = Instant::now() + PATIENCE;
    while charged(&kept)? > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    match charged(&kept)? {
        0 => tally.add_text("nothing stays charged", true),
        bytes => tally.add_text(format!("{bytes} bytes stay charged"), false),
    }
    acts.push(tally.act());
    Ok(())
}

/// The number of bytes that are allocated for these files.
fn charged(files: &[OwnedFd]) -> io::Result<i64> {
    files.iter().map(|file| Ok(rustix::fs::fstat(file)?.st_blocks * 512)).sum()
}
