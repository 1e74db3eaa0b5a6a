//! The memory that one side holds for the other: which side it is charged to, and when it is freed.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use syshandle::{ErrorKind, object::Interface};
use syshandle_types::Limits;
use syshandle_wire::{Body, Entry, FrameKind, Header, Releases, SlotId, Status};

use crate::support::bench::{BENCH, Bench, pattern};
use crate::support::process::alone;
use crate::support::raw::{Frame, Raw};
use crate::support::world::World;
use crate::support::{eventually, eventually_equal};

const MEGABYTE: u32 = 1024 * 1024;

fn method(name: &str) -> u32 {
    let methods = <dyn Bench as Interface>::DESCRIPTION.methods;
    methods.iter().position(|method| method.name == name).unwrap() as u32
}

fn open(world: &World) -> Raw {
    Raw::open(&world.socket(), BENCH.clsid(), <dyn Bench as Interface>::DESCRIPTION.iid)
}

/// Returns the size of the pages that are allocated to a memory file, in bytes.
fn charged(file: &OwnedFd) -> i64 {
    rustix::fs::fstat(file).unwrap().st_blocks * 512
}

/// Makes the server send a megabyte. Returns the shared memory of its replies, and the reply.
fn large_reply(raw: &Raw) -> (OwnedFd, Frame) {
    raw.call(1, method("bytes"), &MEGABYTE.to_le_bytes(), &[]);
    let mut arena = raw.receive().unwrap();
    assert_eq!(arena.header.kind, FrameKind::Arena);
    (arena.handles.pop().unwrap(), raw.receive().unwrap())
}

fn give_back(raw: &Raw, reply: &Frame) {
    let Body::Shared { offset, .. } = reply.header.body else { panic!("it isn't shared") };
    let releases = Releases::take_from(&mut vec![offset]);
    raw.send(&Header { releases, ..Header::new(FrameKind::Release) }, &[], &[]);
}

#[test]
fn an_idle_connection_holds_no_shared_memory_for_replies() {
    let world = World::new();
    let _other = world.bench();
    let raw = open(&world);
    let (memory, reply) = large_reply(&raw);
    let size = charged(&memory);
    assert!((i64::from(MEGABYTE)..i64::from(2 * MEGABYTE)).contains(&size), "{size} bytes");
    give_back(&raw, &reply);
    eventually_equal(&0, || charged(&memory));
    // The next large reply reuses the same memory.
    raw.call(2, method("bytes"), &MEGABYTE.to_le_bytes(), &[]);
    let reply = raw.receive().unwrap();
    assert!(matches!(reply.header.body, Body::Shared { len, .. } if len > MEGABYTE));
    assert!(charged(&memory) >= i64::from(MEGABYTE));
}

#[test]
fn the_end_of_a_connection_frees_its_shared_memory_though_the_client_keeps_the_handle() {
    let world = World::new();
    let _other = world.bench();
    let raw = open(&world);
    let (memory, _reply) = large_reply(&raw);
    assert!(charged(&memory) >= i64::from(MEGABYTE));
    drop(raw);
    eventually_equal(&0, || charged(&memory));
}

/// Sends shared memory without pages, and returns it.
fn send_sparse_memory(raw: &Raw) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let sparse = memfd_create(c"sparse", flags).unwrap();
    ftruncate(&sparse, Limits::ARENA_BYTES as u64).unwrap();
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&sparse, seals).unwrap();
    raw.send_as_it_is(
        &Header { handles: 1, ..Header::new(FrameKind::Arena) },
        &[],
        &[sparse.as_fd()],
    )
    .unwrap();
    sparse
}

#[test]
fn a_body_in_shared_memory_may_have_no_bytes_and_is_released() {
    let world = World::new();
    let _other = world.bench();
    let raw = open(&world);
    send_sparse_memory(&raw);
    // The last range is at the end of the memory.
    for (call, offset) in [(1, 0), (2, 77), (3, Limits::ARENA_BYTES as u32)] {
        let call = Header {
            call,
            code: method("nothing"),
            timeout_ms: 60_000,
            body: Body::Shared { offset, len: 0 },
            ..Header::new(FrameKind::Call)
        };
        raw.send_as_it_is(&call, &[], &[]).unwrap();
        let reply = raw.receive().unwrap().header;
        assert_eq!((reply.kind, reply.call), (FrameKind::Reply, call.call));
        assert_eq!(reply.code, Status::Done as u32);
        assert_eq!(reply.releases, Releases::take_from(&mut vec![offset]));
    }
    // Behind the end there is no range, not even an empty one.
    let body = Body::Shared { offset: Limits::ARENA_BYTES as u32 + 1, len: 0 };
    let call = Header { call: 4, code: method("nothing"), body, ..Header::new(FrameKind::Call) };
    raw.send_as_it_is(&call, &[], &[]).unwrap();
    raw.ends();
}

#[test]
fn a_body_in_shared_memory_of_a_refused_call_is_released() {
    let world = World::new();
    let _other = world.bench();
    let raw = open(&world);
    send_sparse_memory(&raw);
    let gone = [Entry::Slot(SlotId { slot: 3, generation: 1 })];
    // The client has no such object, and no such registered handle.
    for (object, entries) in [(77, &gone[..0]), (0, &gone), (77, &gone)] {
        let call = Header {
            call: 1,
            object,
            code: method("nothing"),
            timeout_ms: 60_000,
            body: Body::Shared { offset: 0, len: 0 },
            entries: entries.iter().copied().collect(),
            ..Header::new(FrameKind::Call)
        };
        raw.send_as_it_is(&call, &[], &[]).unwrap();
        let reply = raw.receive().unwrap().header;
        assert_eq!((reply.kind, reply.code), (FrameKind::Reply, Status::Fault as u32));
        assert_eq!(reply.releases, Releases::take_from(&mut vec![0]));
    }
}

#[test]
fn holes_of_a_clients_memory_that_the_server_reads_do_not_stay_charged() {
    let world = World::new();
    let _other = world.bench();
    let raw = open(&world);
    let sparse = send_sparse_memory(&raw);
    // The argument is a megabyte of zeros, of which only the length was written; the rest is a
    // hole.
    rustix::io::pwrite(&sparse, &MEGABYTE.to_le_bytes(), 0).unwrap();
    let body = Body::Shared { offset: 0, len: 4 + MEGABYTE };
    let call = Header {
        call: 1,
        code: method("echo"),
        timeout_ms: 60_000,
        body,
        ..Header::new(FrameKind::Call)
    };
    raw.send_as_it_is(&call, &[], &[]).unwrap();
    while raw.receive().unwrap().header.kind != FrameKind::Reply {}
    assert!(charged(&sparse) >= i64::from(MEGABYTE), "it was read through a mapping");
    drop(raw);
    eventually_equal(&0, || charged(&sparse));
}

#[test]
fn a_client_with_a_limit_of_file_sizes_is_told_so_and_neither_side_dies() {
    alone(|| {
        let limit = 1_000_000;
        let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: Some(limit), maximum }).unwrap();
        let world = World::new();
        // The server inherits the limit from this process.
        let bench = world.bench();
        let large = pattern(900_000);
        assert!(bench.echo(&large).unwrap() == large);
        let error = bench.echo(&pattern(1_000_001)).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, false), "{error:?}");
        let text = format!("{error:#}");
        assert!(text.contains("at most 1000000 bytes (RLIMIT_FSIZE)"), "{text}");
        let error = bench.bytes(2_000_000).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, true), "{error:?}");
        assert!(error.to_string().contains("at most 1000000 bytes (RLIMIT_FSIZE)"), "{error}");
        assert!(bench.echo(&large).unwrap() == large);
    });
}

#[test]
fn a_client_that_may_write_no_files_connects_and_calls() {
    alone(|| {
        let world = World::new();
        let first = world.bench();
        let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: Some(0), maximum }).unwrap();
        let bench = world.bench();
        bench.nothing().unwrap();
        // The server's file size limit determines the size of the memory for results.
        assert!(bench.bytes(100_000).unwrap() == pattern(100_000));
        let error = bench.echo(&pattern(100_000)).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, false), "{error:?}");
        drop((first, bench));
        eventually("the server has ended", || !world.is_running());
        // A client with such a limit must not be killed when it has to start a server.
        match world.try_bench() {
            Ok(bench) => bench.nothing().unwrap(),
            Err(error) => println!("not started: {error:#}"),
        }
    });
}
