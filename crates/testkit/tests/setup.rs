//! Servers and objects that can't be set up because a sandbox rejects a system call.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]
#![expect(unsafe_code, reason = "a seccomp filter has no safe wrapper")]

use std::fs::File;
use std::process::Command;
use std::thread;
use std::time::Duration;

use syshandle::{Error, ErrorKind, Result, Server, class, interface};
use syshandle_testkit::{Fixture, wait_until};

/// Environment variable that makes the process run a single test.
const ALONE: &str = "SETUP_ALONE";

#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b41")]
trait Nothing {
    fn nothing(&self) -> Result<()>;
}

class! {
    NOTHING: Nothing = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b42";
}

#[derive(Default)]
struct Idle;

impl Nothing for Idle {
    fn nothing(&self) -> Result<()> {
        Ok(())
    }
}

/// Makes system calls fail in this thread only.
fn forbid(calls: &[libc::c_long]) {
    let mut program = vec![load(0)];
    for call in calls {
        program.push(unless(libc::BPF_JEQ, *call as u32, 1));
        program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    }
    filter(program);
}

/// Makes `epoll_ctl` fail for descriptors from this number on, as if the user's limit of watches
/// were reached. Affects this thread and threads that it starts later.
fn forbid_to_watch_from(number: u32) {
    filter(vec![
        load(0),
        unless(libc::BPF_JEQ, libc::SYS_epoll_ctl as u32, 3),
        // Loads the lower half of the third argument. Assumes a little-endian machine.
        load(32),
        unless(libc::BPF_JGE, number, 1),
        statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | libc::ENOSPC as u32),
    ]);
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Returns an instruction that skips `skip` instructions if the comparison is false.
fn unless(comparison: u32, k: u32, skip: u8) -> libc::sock_filter {
    libc::sock_filter { jf: skip, ..statement(libc::BPF_JMP | comparison | libc::BPF_K, k) }
}

/// Installs a system call filter. It allows every call for which `program` returns no other action.
fn filter(mut program: Vec<libc::sock_filter>) {
    program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    rustix::thread::set_no_new_privs(true).unwrap();
    // SAFETY: the kernel reads the filter, which lives until the call returns.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs a step on a thread in which these system calls fail. Returns the error of the step, which
/// must fail.
#[track_caller]
fn error_without<T: Send>(
    calls: &[libc::c_long],
    step: impl FnOnce() -> Result<T> + Send,
) -> Error {
    let result = thread::scope(|scope| {
        let confined = scope.spawn(|| {
            forbid(calls);
            step().map(drop)
        });
        confined.join().unwrap()
    });
    result.unwrap_err()
}

/// The system calls that create an event loop, with their names.
const LOOP_CALLS: [(libc::c_long, &str); 4] = [
    (libc::SYS_eventfd2, "eventfd2"),
    (libc::SYS_epoll_create1, "epoll_create1"),
    (libc::SYS_epoll_ctl, "epoll_ctl"),
    (libc::SYS_timerfd_create, "timerfd_create"),
];

/// The system calls that start threads and processes.
const CLONE: [libc::c_long; 2] = [libc::SYS_clone, libc::SYS_clone3];

#[track_caller]
fn names(error: &Error, call: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::System, "{error:#}");
    assert!(text.contains(&format!(": {call} failed, because ")), "{text}");
    assert!(text.contains("seccomp"), "{text}");
    assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error:#}");
}

#[test]
fn an_object_that_cannot_be_set_up_names_the_system_call_and_the_remedy() {
    for (call, name) in LOOP_CALLS.into_iter().chain([(libc::SYS_socketpair, "socketpair")]) {
        names(&error_without(&[call], || NothingClient::in_process(Idle)), name);
    }
    let error = error_without(&CLONE, || NothingClient::in_process(Idle));
    let text = format!("{error:#}");
    assert!(text.contains("no thread can be started") && text.contains("seccomp"), "{text}");
    // The filter applied to the other thread only, so this thread can still create objects.
    NothingClient::in_process(Idle).unwrap().nothing().unwrap();
}

#[test]
fn a_server_that_cannot_be_set_up_names_the_system_call_and_leaves_no_socket() {
    let fixture = Fixture::new();
    let path = fixture.path().join("socket");
    let serve = || Server::new().class(NOTHING, Idle::default).path(&path).run();
    for (call, name) in LOOP_CALLS.into_iter().chain([(libc::SYS_socketpair, "socketpair")]) {
        names(&error_without(&[call], serve), name);
        assert!(!path.exists(), "the socket remains after {name} failed");
    }
    let error = error_without(&CLONE, serve);
    let text = error.to_string();
    assert!(text.contains("no thread can be started") && text.contains("seccomp"), "{text}");
    assert!(!path.exists(), "the socket remains although no thread could be started");
}

#[test]
fn a_client_that_the_server_cannot_watch_is_told_so() {
    const FROM: u32 = 600;
    // Runs the test in its own process, because other tests could close descriptors with lower
    // numbers.
    if std::env::var_os(ALONE).is_none() {
        let test = "a_client_that_the_server_cannot_watch_is_told_so";
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    let fixture = Fixture::new();
    let path = fixture.path().join("socket");
    let server = thread::spawn({
        let path = path.clone();
        move || {
            forbid_to_watch_from(FROM);
            let server = Server::new().class(NOTHING, Idle::default).path(path);
            server.idle_timeout(Duration::from_millis(100)).run().unwrap();
        }
    });
    let mut first = None;
    wait_until("the server listens", || {
        first = syshandle::direct::connect::<NothingClient>(&path).ok();
        first.is_some()
    });
    let first = first.unwrap();
    first.nothing().unwrap();
    // All lower numbers are in use, so new descriptors of this process get higher numbers.
    let null = File::open("/dev/null").unwrap();
    let below: Vec<_> =
        (0..FROM).map(|_| rustix::io::fcntl_dupfd_cloexec(&null, 0).unwrap()).collect();
    let error = syshandle::direct::connect::<NothingClient>(&path)
        .and_then(|client| client.nothing())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:#}");
    let text = "the server is busy: it has reached its limit of descriptors that it can watch (epoll_ctl: ";
    assert!(error.to_string().contains(text), "{error}");
    first.nothing().unwrap();
    drop(below);
    syshandle::direct::connect::<NothingClient>(&path).unwrap().nothing().unwrap();
    drop(first);
    server.join().unwrap();
}
