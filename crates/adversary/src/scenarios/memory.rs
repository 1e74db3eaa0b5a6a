//! Shared memory and large arguments that break the rules or reach the limits.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use syshandle_types::Limits;
use syshandle_wire::{Body, FrameKind, Header};

use crate::poll::poll;
use crate::raw_connection::{
    NO_METHOD, RESPONSE_TIMEOUT, Response, encode_header, ignore_disconnect,
};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const ARENA: Scenario = Scenario {
    name: "arena",
    description: "invalid shared memory, and bodies outside of it",
    accepted: true,
    method: None,
    run: run_arena,
};

fn run_arena(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let size = Limits::ARENA_BYTES as u64;
    let shrink_only = SealFlags::SHRINK | SealFlags::SEAL;
    let (pipe, _writer) = rustix::pipe::pipe()?;
    let invalid: Vec<(&str, OwnedFd)> = vec![
        ("unsealed", memory(size, SealFlags::empty())?),
        ("that can grow", memory(size, shrink_only)?),
        ("that can shrink", memory(size, SealFlags::GROW | SealFlags::SEAL)?),
        ("that its reader can't free", memory(size, SEALS | SealFlags::FUTURE_WRITE)?),
        ("too large", memory(size + 1, SEALS)?),
        ("empty", memory(0, SEALS)?),
        ("a device", File::open("/dev/zero")?.into()),
        ("a pipe", pipe),
    ];
    for (what, memory) in invalid {
        let mut tally = Tally::new(format!("shared memory: {what}"));
        let connection = target.open()?;
        connection.send_frame(&Header::new(FrameKind::Arena), &[], &[memory.as_fd()])?;
        tally.expect_end(&connection);
        attempts.push(tally.finish());
    }

    let mut tally = Tally::new("bodies outside of the shared memory, or without any");
    let last = Limits::ARENA_BYTES as u32;
    for (offset, len, with_memory) in [
        (last, 40_000, true),
        (last - 1, 40_000, true),
        (u32::MAX, 40_000, true),
        (0, 40_000, false),
    ] {
        let connection = target.open()?;
        if with_memory {
            let memory = memory(size, SEALS)?;
            connection.send_frame(&Header::new(FrameKind::Arena), &[], &[memory.as_fd()])?;
        }
        let body = Body::Shared { offset, len };
        let header = Header { call: 1, code: NO_METHOD, body, ..Header::new(FrameKind::Call) };
        connection.send_bytes(&encode_header(&header), &[])?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("100 shared memories one after the other, and then a call");
    let connection = target.open()?;
    for _ in 0..100 {
        let memory = memory(size, SEALS)?;
        connection.send_frame(&Header::new(FrameKind::Arena), &[], &[memory.as_fd()])?;
    }
    connection.call(1, NO_METHOD, &[], &[])?;
    let response = connection.receive(RESPONSE_TIMEOUT);
    tally.add(&response, matches!(response, Response::Reply { call: 1, .. }));
    attempts.push(tally.finish());
    Ok(())
}

/// Sends sparse shared memory, and keeps it open after the connection has ended. When the server
/// reads a hole, the kernel allocates memory and charges it to the server. The charge remains until
/// every process has closed the file, unless the server frees the memory.
pub(super) const SPARSE: Scenario = Scenario {
    name: "sparse-memory",
    description: "sparse shared memory, kept after the connection",
    accepted: true,
    method: None,
    run: run_sparse,
};

const CONNECTIONS: usize = 64;

/// Number of methods to call with sparse arguments, starting with method 0.
const SPARSE_METHODS: u32 = 8;

/// Size in bytes of the arguments of one call, which is half of the shared memory.
const ARGUMENTS: u32 = Limits::ARENA_BYTES as u32 / 2;

fn run_sparse(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new(format!("{CONNECTIONS} sparse memories, kept after the connection"));
    let mut kept = Vec::new();
    let handle = eventfd(0, EventfdFlags::CLOEXEC)?;
    for _ in 0..CONNECTIONS {
        let sparse = memory(Limits::ARENA_BYTES as u64, SEALS)?;
        // A text or list of zeros, as the first parameter or after a parameter that is a handle.
        let first = (ARGUMENTS - 4).to_le_bytes();
        let second = [&[0, 0], &(ARGUMENTS - 6).to_le_bytes()[..]].concat();
        rustix::io::pwrite(&sparse, &first, 0)?;
        rustix::io::pwrite(&sparse, &second, ARGUMENTS.into())?;
        let connection = target.open()?;
        connection.send_frame(&Header::new(FrameKind::Arena), &[], &[sparse.as_fd()])?;
        for call in 0..2 * SPARSE_METHODS {
            let (code, handle_count) = (call / 2, call % 2);
            let body = Body::Shared { offset: handle_count * ARGUMENTS, len: ARGUMENTS };
            let lent = &[handle.as_fd()][..handle_count as usize];
            let handles = handle_count as u16;
            let header = Header { call, code, body, handles, ..Header::new(FrameKind::Call) };
            ignore_disconnect(connection.send_bytes(&encode_header(&header), lent))?;
        }
        connection.receive(RESPONSE_TIMEOUT);
        kept.push(sparse);
    }
    match poll(RESPONSE_TIMEOUT, || allocated_bytes(&kept), |&bytes| bytes == 0)? {
        0 => tally.add_text("no memory stays allocated", true),
        bytes => tally.add_text(format!("{bytes} bytes stay allocated"), false),
    }
    attempts.push(tally.finish());
    Ok(())
}

fn allocated_bytes(files: &[OwnedFd]) -> io::Result<i64> {
    files.iter().map(|file| Ok(rustix::fs::fstat(file)?.st_blocks * 512)).sum()
}

pub(super) const AMPLIFICATION: Scenario = Scenario {
    name: "amplification",
    description: "arguments that are small on the wire and large in memory",
    accepted: true,
    method: None,
    run: run_amplification,
};

/// Number of methods to call with many small items, starting with method 0.
const ITEM_METHODS: u32 = 16;

fn run_amplification(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new(format!("16 MiB of empty items to each of {ITEM_METHODS} methods"));
    let items = memory(Limits::ARENA_BYTES as u64, SEALS)?;
    // A list with as many items as bytes follow. Each byte is zero, which encodes `None`, `false`
    // or an empty text.
    let count = Limits::ARENA_BYTES as u32 - 4;
    rustix::io::pwrite(&items, &count.to_le_bytes(), 0)?;
    let connection = target.open()?;
    connection.send_frame(&Header::new(FrameKind::Arena), &[], &[items.as_fd()])?;
    let body = Body::Shared { offset: 0, len: Limits::ARENA_BYTES as u32 };
    for call in 0..ITEM_METHODS {
        let header =
            Header { call, code: call, timeout_ms: 60_000, body, ..Header::new(FrameKind::Call) };
        ignore_disconnect(connection.send_bytes(&encode_header(&header), &[]))?;
    }
    let mut replies = 0;
    while replies < ITEM_METHODS {
        match connection.receive(RESPONSE_TIMEOUT) {
            Response::Reply { .. } => replies += 1,
            Response::Frame(_) => {}
            Response::Closed | Response::Refused(_) => break,
            other => {
                tally.add(&other, false);
                break;
            }
        }
    }
    tally.add_text("answered or closed", true);
    attempts.push(tally.finish());
    Ok(())
}

fn memory(size: u64, seals: SealFlags) -> io::Result<OwnedFd> {
    let memory = memfd_create(c"adversary", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, size)?;
    if !seals.is_empty() {
        fcntl_add_seals(&memory, seals)?;
    }
    Ok(memory)
}

/// The seals that valid shared memory has.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
