//! Confined workers receive handles from their broker over an inherited connection.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]
#![expect(clippy::print_stdout, reason = "prints why a test was skipped")]

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use syshandle::{ErrorKind, Result, Server, handle::Event, object::Proxy};
use syshandle_testkit::{
    BROKER, Broker, BrokerClient, BrokerObject, Fixture, WORKER, stop_and_continue, wait_until,
};

/// The report of a worker that has received all handles.
const ALL: &str =
    "event semaphore file directory pipe section process timer bytes set many reference caller";

/// Runs the worker as a child process with a door to the broker, confined in these ways. Returns
/// its report, or `None` if it can't be confined here.
fn run(words: &[&str]) -> Option<String> {
    run_by(Command::new(&*WORKER), words)
}

fn run_by(mut command: Command, words: &[&str]) -> Option<String> {
    let fixture = Fixture::new();
    let root = fixture.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let broker = BrokerObject::default();
    let door = syshandle::direct::make_door::<dyn Broker, _>(broker.clone()).unwrap();
    command.args(words).env("TESTKIT_ROOT", root).stdin(Stdio::from(door)).stderr(Stdio::piped());
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stderr);
    if status.code() == Some(77) {
        println!("skipped: {text}");
        return None;
    }
    assert!(status.success(), "{words:?}: {status}: {text}");
    Some(broker.last_report())
}

/// Runs the worker like [`run`], and asserts that it has received all handles.
fn receives_all(words: &[&str]) {
    if let Some(report) = run(words) {
        assert_eq!(report, ALL, "{words:?}");
    }
}

#[test]
fn a_worker_that_is_not_confined_receives_every_kind_by_the_door_that_it_inherits() {
    receives_all(&[]);
}

#[test]
fn the_documentation_lists_the_system_calls_of_the_filters_and_no_others() {
    // The last argument lists system calls that only the test program makes.
    lists("CLIENT_CALLS", "## The system calls of a client", &["getrandom"]);
    lists("SERVER_CALLS", "## The system calls of a server", &["openat", "lseek"]);
}

/// Checks that a filter allows the system calls in the table below a heading, and those in
/// `others`.
fn lists(filter: &str, heading: &str, others: &[&'static str]) {
    let source = include_str!("../examples/testkit-worker/sandbox.rs");
    let calls = source.split(&format!("const {filter}")).nth(1).unwrap();
    let calls = calls.split("];").next().unwrap().split("libc::SYS_").skip(1);
    let mut filter: Vec<_> = calls.map(|rest| rest.split(',').next().unwrap().trim()).collect();
    filter.extend(others);
    let page = include_str!("../../../docs/sandbox.md");
    let table = page.split(heading).nth(1).unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let mut documented: Vec<_> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    filter.sort_unstable();
    documented.sort_unstable();
    documented.dedup();
    assert_eq!(documented, filter);
}

#[test]
fn a_worker_with_the_documented_system_calls_alone_receives_every_kind() {
    receives_all(&["seccomp"]);
    // The worker calls `prepare` before it is confined, and connects afterwards.
    receives_all(&["late", "seccomp"]);
    // The process is stopped and continues while it waits for a reply.
    receives_all(&["stopped", "seccomp"]);
}

#[test]
fn a_worker_without_access_to_any_file_receives_every_kind() {
    receives_all(&["landlock"]);
    receives_all(&["landlock", "seccomp"]);
}

#[test]
fn a_worker_in_an_empty_root_without_proc_receives_every_kind() {
    receives_all(&["namespaces", "chroot"]);
    receives_all(&["late", "namespaces", "chroot"]);
    receives_all(&["chroot", "seccomp"]);
}

#[test]
fn a_worker_in_namespaces_of_its_own_receives_every_kind() {
    receives_all(&["namespaces"]);
    receives_all(&["namespaces", "landlock", "chroot"]);
}

#[test]
fn a_worker_that_connects_after_it_was_confined_has_to_prepare_before() {
    let words = ["unprepared", "namespaces", "chroot"];
    let door = syshandle::direct::make_door::<dyn Broker, _>(BrokerObject::default()).unwrap();
    let fixture = Fixture::new();
    let mut command = Command::new(&*WORKER);
    command.args(words).env("TESTKIT_ROOT", fixture.path()).stdin(Stdio::from(door));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(77) => println!("skipped: {text}"),
        Some(1) => assert!(text.contains("Unproven") && text.contains("/proc"), "{text}"),
        code => panic!("{code:?}: {text}"),
    }
}

#[test]
fn a_worker_that_bubblewrap_starts_receives_every_kind() {
    let bwrap = Path::new("/usr/bin/bwrap");
    if !bwrap.exists() {
        return println!("skipped: bubblewrap isn't installed");
    }
    let started = |options: &[&str]| {
        let mut command = Command::new(bwrap);
        command.args(["--unshare-all", "--die-with-parent", "--dev", "/dev"]).args(options);
        command
    };
    let usable = started(&["--ro-bind", "/", "/", "--", "/bin/true"]).status().unwrap().success();
    if !usable {
        return println!("skipped: bubblewrap can't make namespaces here");
    }
    let folder = WORKER.parent().unwrap().to_str().unwrap();
    // A typical sandbox: a new pid namespace with its own `/proc`, and no files of the user other
    // than the program.
    let mut command = started(&["--proc", "/proc", "--tmpfs", "/tmp"]);
    for path in ["/usr", "/lib", "/lib64", "/bin", "/etc"] {
        command.args(["--ro-bind-try", path, path]);
    }
    command.args(["--ro-bind", folder, "/app", "--chdir", "/", "--", "/app/testkit-worker"]);
    let report = run_by(command, &[]).unwrap();
    // The worker's process ID in its own namespace differs from the ID that the broker gets.
    assert_eq!(report, ALL.replace("caller", "another caller"));
    // Without `/proc`, an event can't be distinguished from a semaphore. The error states that
    // reason.
    let mut command = started(&["--ro-bind", "/", "/", "--tmpfs", "/proc"]);
    command.args(["--", WORKER.to_str().unwrap()]);
    let door = syshandle::direct::make_door::<dyn Broker, _>(BrokerObject::default()).unwrap();
    let output = command.stdin(Stdio::from(door)).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("/proc"), "{text}");
}

/// Starts the worker as a server for its broker. Returns a client of that server.
fn serving(words: &[&str]) -> Option<(BrokerClient, std::process::Child)> {
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let mut command = Command::new(&*WORKER);
    command.arg("serve").args(words).stdin(Stdio::from(theirs)).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // Dropping the command closes this process's duplicate of the child's end.
    drop(command);
    match syshandle::direct::from_socket::<BrokerClient>(ours) {
        Ok(client) => Some((client, child)),
        Err(error) => {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(77), "{error:#}");
            println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
    }
}

#[test]
fn a_worker_serves_its_broker_at_the_connection_that_it_inherits_and_ends_with_it() {
    for words in [&[][..], &["landlock"], &["namespaces"], &["seccomp-serve"]] {
        let Some((client, mut child)) = serving(words) else { continue };
        // The kernel reports the child as the server, although the broker created the sockets.
        assert_eq!(client.as_client().server().unwrap().pid, child.id());
        // The kernel reports the broker as the caller, because it created the sockets.
        assert_eq!(client.caller().unwrap(), std::process::id());
        let event = Event::new().unwrap();
        client.set(&event).unwrap();
        assert!(event.wait_timeout(Duration::from_secs(60)).unwrap());
        client.event().unwrap();
        client.semaphore().unwrap();
        drop(client);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_server_with_the_documented_system_calls_alone_does_all_its_work() {
    for words in [["seccomp-serve"], ["seccomp-serve-open"]] {
        let Some((client, mut child)) = serving(&words) else { continue };
        for _ in 0..2 {
            use_all(&client);
            // The threads of an idle server have gone to sleep, and unused memory was freed.
            std::thread::sleep(Duration::from_millis(2500));
            stop_and_continue(child.id());
            assert_eq!(client.caller().unwrap(), std::process::id());
            // Now a thread is dedicated to the client.
            (0..100).for_each(|_| drop(client.event().unwrap()));
            stop_and_continue(child.id());
        }
        drop(client);
        let status = child.wait().unwrap();
        assert!(status.success(), "{words:?}: {status}");
    }
}

/// Uses large bodies, background tasks, timers and references to objects.
fn use_all(client: &BrokerClient) {
    for len in [40_000, 16 * 1024 * 1024 - 4] {
        let bytes = vec![7; len];
        assert!(client.bytes(&bytes).unwrap() == bytes);
    }
    let [first, then, later] = [(); 3].map(|()| Event::new().unwrap());
    client.set_after(&first, &then).unwrap();
    client.set_later(&later, 50).unwrap();
    stop_and_continue(client.as_client().server().unwrap().pid);
    first.set().unwrap();
    for event in [then, later] {
        // Ends with an error if the filter has ended the server.
        client.with_timeout(Duration::from_secs(60)).wait(&event).unwrap();
    }
    let own = BrokerClient::in_process(BrokerObject::default()).unwrap();
    assert_eq!(client.caller_of(&own).unwrap(), client.as_client().server().unwrap().pid);
    let another = client.another().unwrap();
    another.event().unwrap();
    assert_eq!(another.bytes(&[1; 100_000]).unwrap().len(), 100_000);
}

#[test]
fn a_worker_that_dies_ends_the_calls_of_its_broker() {
    let (client, mut child) = serving(&[]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(client.caller().unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn a_client_connects_to_a_path_without_a_registration() {
    let fixture = Fixture::new();
    let path = fixture.path().join("socket");
    let server = {
        let path = path.clone();
        std::thread::spawn(move || {
            let server = Server::new().class(BROKER, BrokerObject::default).path(path);
            server.idle_timeout(Duration::from_millis(50)).run()
        })
    };
    // The path of the socket exists before the server listens.
    let mut client: Option<BrokerClient> = None;
    wait_until("the server listens", || {
        client = syshandle::direct::connect(&path).ok();
        client.is_some()
    });
    let client = client.unwrap();
    assert_eq!(client.as_client().server().unwrap().pid, std::process::id());
    client.event().unwrap();
    let second = Server::new().class(BROKER, BrokerObject::default).path(&path).run().unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AlreadyRunning, "{second:#}");
    let wrong =
        syshandle::direct::connect::<syshandle_testkit::TestServiceClient>(&path).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::NoSuchInterface);
    drop(client);
    server.join().unwrap().unwrap();
    assert!(!path.exists(), "it removes its socket");
    let gone = syshandle::direct::connect::<BrokerClient>(&path).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Disconnected);
}

#[test]
fn a_handle_that_is_no_connection_is_refused_by_its_kind() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let error = syshandle::direct::from_socket::<BrokerClient>(reader).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongHandle);
    let text = "the handle can't be used for connections: expected a socket, got a pipe";
    assert_eq!(error.to_string(), text);
    let file = tempfile::tempfile().unwrap();
    let error = syshandle::direct::from_door::<BrokerClient>(file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongHandle);
}

#[test]
fn a_door_serves_each_of_its_copies_until_the_last_copy_and_the_last_connection_are_closed() {
    struct Noted(BrokerObject, Arc<Mutex<bool>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            *self.1.lock().unwrap() = true;
        }
    }
    #[syshandle::interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b43")]
    trait Plain {
        fn event(&self) -> Result<Event>;
    }
    impl Plain for Noted {
        fn event(&self) -> Result<Event> {
            self.0.event()
        }
    }
    let gone = Arc::new(Mutex::new(false));
    let noted = Noted(BrokerObject::default(), gone.clone());
    let door = syshandle::direct::make_door::<dyn Plain, _>(noted).unwrap();
    let second = door.as_fd().try_clone_to_owned().unwrap();
    let client: PlainClient = syshandle::direct::from_door(door).unwrap();
    client.event().unwrap();
    let others: [PlainClient; 3] =
        std::array::from_fn(|_| syshandle::direct::from_door(second.try_clone().unwrap()).unwrap());
    for other in others {
        other.event().unwrap();
        client.event().unwrap();
    }
    let again: PlainClient = syshandle::direct::from_door(second.try_clone().unwrap()).unwrap();
    again.event().unwrap();
    drop((again, second));
    // A client keeps its door open, so that it can pass the door on.
    client.event().unwrap();
    assert!(!*gone.lock().unwrap());
    drop(client);
    wait_until("the object is dropped", || *gone.lock().unwrap());
}
