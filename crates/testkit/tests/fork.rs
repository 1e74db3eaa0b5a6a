//! Clients and servers in a process that forks without `exec`.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]
#![expect(unsafe_code, reason = "fork has no safe wrapper")]

use std::fs::File;
use std::time::Duration;

use syshandle::{
    Cancel, Context, ErrorKind, Result,
    handle::{Event, Section, SectionMap},
    interface,
    pipeline::pipelined,
};
use syshandle_testkit::{Fixture, SERVER, TEST_SERVICE, wait_until};

/// Runs a step in a forked child, in which only this thread exists. Returns the exit status of the
/// child.
fn in_copy(step: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child runs the step and ends without destructors. Other threads of the parent can
    // only have held allocator locks, which the C library releases in the child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)) {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(_) => 2,
        };
        // SAFETY: as above.
        unsafe { libc::_exit(code) }
    }
    assert!(child > 0);
    let mut status = -1;
    // SAFETY: waits for the child created above, and writes to a local integer.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b31")]
trait Adder {
    fn add(&self, a: u64, b: u64) -> Result<u64>;
    /// Forks, and returns a different number in each of the two processes.
    fn fork(&self, context: &Context) -> Result<u32>;
    fn bytes(&self, bytes: Vec<u8>) -> Result<u64>;
}

struct Calculator;

impl Adder for Calculator {
    fn add(&self, a: u64, b: u64) -> Result<u64> {
        Ok(a + b)
    }

    fn fork(&self, context: &Context) -> Result<u32> {
        // SAFETY: the child only does what the comment below says, and then the library ends it.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // The child uses objects that belong to the parent. None of these uses may affect the
            // parent.
            let refused = context.on_timer(Duration::ZERO, |_| {}).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::OtherProcess);
            context.abort("from the copy");
            return Ok(0);
        }
        let mut status = 0;
        // SAFETY: waits for the child created above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        Ok(status as u32)
    }

    fn bytes(&self, bytes: Vec<u8>) -> Result<u64> {
        Ok(bytes.len() as u64)
    }
}

#[test]
fn a_client_in_a_forked_copy_is_an_error_and_the_parent_goes_on() {
    let adder = AdderClient::in_process(Calculator).unwrap();
    assert_eq!(adder.add(1, 1).unwrap(), 2);
    // Large values travel through shared memory, which the child shares with this process.
    assert_eq!(adder.bytes(&[7; 300_000]).unwrap(), 300_000);
    let status = in_copy(|| {
        let error = adder.add(1000, 1).unwrap_err();
        let large = adder.bytes(&[1; 300_000]).unwrap_err();
        let wait = adder.wait(&Event::new().unwrap()).unwrap_err();
        let cast = adder.cast::<AdderClient>().unwrap_err();
        [error, large, wait, cast].iter().all(|error| {
            error.kind() == ErrorKind::OtherProcess
                && !error.may_have_run()
                && error.to_string().contains("the process that this one was forked from")
        })
    });
    assert_eq!(status, 0);
    for number in 0..100 {
        assert_eq!(adder.add(number, 1).unwrap(), number + 1);
    }
    assert_eq!(adder.bytes(&[7; 300_000]).unwrap(), 300_000);
}

#[test]
fn calls_of_both_processes_at_once_do_not_mix() {
    let adder = AdderClient::in_process(Calculator).unwrap();
    for round in 0..20 {
        let starter = AdderAsyncClient::from(&adder);
        let pending: Vec<_> =
            pipelined(&starter, |starter| (0..8).map(|i| starter.add(round, i)).collect());
        let status = in_copy(|| (0..8).all(|_| adder.add(1000, 1).is_err()));
        assert_eq!(status, 0);
        for (i, call) in pending.into_iter().enumerate() {
            assert_eq!(call.wait().unwrap(), round + i as u64);
        }
    }
}

#[test]
fn a_forked_copy_that_drops_its_clients_does_not_disturb_the_parent() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.activate().unwrap();
    let path = fixture.path().join("outcome");
    let file = File::create(&path).unwrap();
    let event = Event::new().unwrap();
    client.write_outcome(&file, &event).unwrap();
    let second = client.clone();
    assert_eq!(
        in_copy(|| {
            // These are the last references in the child, so dropping them must not send `Bye`.
            // SAFETY: the originals are not used afterwards, because the child ends without
            // destructors.
            drop(unsafe { std::ptr::read(&client) });
            // SAFETY: as above.
            drop(unsafe { std::ptr::read(&second) });
            true
        }),
        0
    );
    drop(second);
    assert!(client.peer_ids().is_ok());
    event.set().unwrap();
    let outcome = || std::fs::read_to_string(&path).unwrap();
    wait_until("the work ends", || !outcome().is_empty());
    assert!(outcome().to_lowercase().contains("fired"), "{}", outcome());
}

#[test]
fn a_pending_call_dropped_in_a_copy_is_not_cancelled() {
    let adder = AdderClient::in_process(Calculator).unwrap();
    let call = AdderAsyncClient::from(&adder).add(20, 22);
    let drop_copy = || {
        // SAFETY: the original is not used afterwards, because the child ends without destructors.
        drop(unsafe { std::ptr::read(&call) });
        true
    };
    assert_eq!(in_copy(drop_copy), 0);
    assert_eq!(call.wait().unwrap(), 42);
}

#[test]
fn a_cancel_in_a_copy_cancels_nothing_in_the_parent() {
    let cancel = Cancel::new().unwrap();
    let adder = AdderClient::in_process(Calculator).unwrap().with_cancel(&cancel);
    assert_eq!(
        in_copy(|| {
            cancel.cancel();
            true
        }),
        0
    );
    assert!(!cancel.is_cancelled());
    assert_eq!(adder.add(2, 2).unwrap(), 4);
}

#[test]
fn a_copy_makes_clients_of_its_own() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.activate().unwrap();
    let server = client.peer_ids().unwrap();
    let copy_is_served = || {
        let ids = fixture.activate().unwrap().peer_ids().unwrap();
        ids.server_pid == server.server_pid && ids.client_pid == std::process::id()
    };
    assert_eq!(in_copy(copy_is_served), 0);
    assert_eq!(client.peer_ids().unwrap(), server);
}

#[test]
fn a_forked_copy_that_returns_from_a_method_is_ended_without_a_reply() {
    let adder = AdderClient::in_process(Calculator).unwrap();
    for _ in 0..3 {
        let status = adder.fork().unwrap() as i32;
        assert!(libc::WIFSIGNALED(status), "the child continued or ended by itself: {status}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGABRT);
        assert_eq!(adder.add(1, 1).unwrap(), 2);
    }
}

#[test]
fn programs_that_are_started_do_not_count_as_copies() {
    let adder = AdderClient::in_process(Calculator).unwrap();
    for _ in 0..3 {
        assert!(std::process::Command::new("true").status().unwrap().success());
        assert_eq!(adder.add(1, 1).unwrap(), 2);
    }
}

#[test]
fn handles_are_examined_in_a_copy_by_a_file_of_its_own() {
    // The parent examines an event, and from then on keeps a file for examining handles open.
    let event = Event::new().unwrap();
    let prove = |event: &Event| {
        use std::os::fd::AsFd;
        syshandle::handle::identify(event.as_fd()).unwrap().object
            == syshandle::handle::KernelObject::Event
    };
    assert!(prove(&event));
    let (reader, _writer) = std::io::pipe().unwrap();
    assert_eq!(
        in_copy(|| {
            use std::os::fd::AsFd;
            // The new event in the child has a descriptor number that refers to a pipe in the
            // parent.
            let pipe = syshandle::handle::identify(reader.as_fd()).unwrap().object;
            prove(&Event::new().unwrap()) && pipe == syshandle::handle::KernelObject::Pipe
        }),
        0
    );
}

#[test]
fn shared_memory_of_a_section_stays_shared() {
    // Sections are meant to share memory, so a mapping stays shared with a forked child.
    let section = Section::new(4096).unwrap();
    let map: SectionMap = section.map().unwrap();
    assert_eq!(in_copy(|| map.write(0, &[7]).is_ok()), 0);
    let mut byte = [0];
    map.read(0, &mut byte).unwrap();
    assert_eq!(byte, [7]);
}
