//! Handles whose close blocks, events on which a write blocks, and background tasks that never end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_setfl};
use syshandle_os::Seqpacket;
use syshandle_wire::{Fault, FrameKind, Header};

use crate::lingering_socket::LingeringSocket;
use crate::poll::poll;
use crate::raw_connection::{
    NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response, ignore_disconnect,
};
use crate::scenario::{Attempt, MethodShape, Scenario, Tally, TargetServer};

/// Sends handles whose close blocks: inside other sockets, in messages that the server does not
/// read, and in invalid frames.
pub(super) const CLOSE: Scenario = Scenario {
    name: "blocking",
    description: "handles whose close blocks, also in other sockets and on ended connections",
    accepted: true,
    method: None,
    run: run_close,
};

/// Number of connections that follow the rules, and make calls between the attempts to check the
/// server.
const WITNESSES: usize = 8;
const ENDED_CONNECTIONS: usize = 128;

/// Number of methods to call with arguments that can't be decoded.
const METHODS: u32 = 8;
const CONCURRENT_CALLS: usize = 16;

fn run_close(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let witnesses = open_all(target, WITNESSES)?;
    // The sockets live until the end of the scenario, because dropping one would unblock the
    // server's close.
    let mut sockets = Vec::new();
    let null = File::open("/dev/null")?;
    let mut blocking_handle = |nested: bool| {
        let mut socket = LingeringSocket::new()?;
        let handle = if nested { socket.take_nested() } else { socket.take() };
        sockets.push(socket);
        handle.map(|handle| BackgroundClose(Some(handle)))
    };

    let mut tally = Tally::new("a handle in a call that takes none");
    let connection = target.open()?;
    for call in 0..8 {
        connection.call(call, NO_METHOD, &[], &[blocking_handle(call % 2 == 0)?.lend()?])?;
        tally.expect_fault(&connection);
    }
    attempts.push(tally.finish());
    attempts.push(call_witnesses(&witnesses, 0));

    let mut tally = Tally::new("a handle in arguments whose later bytes are invalid");
    let connection = target.open()?;
    for method in 0..METHODS {
        // This process closes its own handles before the server processes the last of these calls.
        let handles: io::Result<Vec<_>> =
            (0..CONCURRENT_CALLS).map(|_| blocking_handle(false)).collect();
        for (call, handle) in (0..).zip(&handles?) {
            // If the method's first parameter is a handle, the handle is decoded before decoding
            // fails. It always fails: there is no slot 65535, and the second handle is left over.
            let body = [&[0; 2][..], &[0xff; 16]].concat();
            connection.call(call, method, &body, &[handle.lend()?, null.as_fd()])?;
        }
        for _ in 0..CONCURRENT_CALLS {
            tally.expect_fault(&connection);
        }
    }
    attempts.push(tally.finish());
    attempts.push(call_witnesses(&witnesses, 1));

    let mut tally = Tally::new("a handle in a frame that breaks the rules");
    for nested in [true, false, true, false] {
        let connection = target.open()?;
        let greeting = Header::new(FrameKind::Greeting);
        connection.send_frame(&greeting, &[], &[blocking_handle(nested)?.lend()?])?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());
    attempts.push(call_witnesses(&witnesses, 2));

    let mut tally = Tally::new("a listener whose pending connections contain handles");
    let connection = target.open()?;
    let path = std::env::temp_dir().join(format!("syshandle-adversary-{}", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let pending = UnixStream::connect(&path);
    std::fs::remove_file(&path)?;
    let pending = Seqpacket::from(OwnedFd::from(pending?));
    pending.send(&[io::IoSlice::new(b"x")], &[blocking_handle(true)?.lend()?])?;
    let listener = BackgroundClose(Some(listener.into()));
    connection.call(1, NO_METHOD, &[], &[listener.lend()?])?;
    drop((listener, pending));
    tally.expect_fault(&connection);
    attempts.push(tally.finish());
    attempts.push(call_witnesses(&witnesses, 3));

    let mut tally = Tally::new("connections that end with unread handles");
    for _ in 0..ENDED_CONNECTIONS {
        match target.open() {
            Ok(connection) => {
                // A client must not send this frame. The server reads nothing after it.
                let greeting = Header::new(FrameKind::Greeting);
                ignore_disconnect(connection.send_frame(&greeting, &[], &[]))?;
                let handle = blocking_handle(false)?;
                ignore_disconnect(connection.call(1, NO_METHOD, &[], &[handle.lend()?]))?;
                tally.add_text("ended", true);
            }
            Err(error) => tally.add_text(error.to_string(), true),
        }
    }
    attempts.push(tally.finish());
    attempts.push(call_witnesses(&witnesses, 4));
    Ok(())
}

/// A handle that is closed on a separate thread. If the server has already closed its duplicate,
/// this is the last close, which blocks.
struct BackgroundClose(Option<OwnedFd>);

impl BackgroundClose {
    fn lend(&self) -> io::Result<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for BackgroundClose {
    fn drop(&mut self) {
        let handle = self.0.take();
        std::thread::spawn(move || drop(handle));
    }
}

/// Passes an event whose counter is full and that is in blocking mode, so that a write to it
/// blocks.
pub(super) const FULL_EVENT: Scenario = Scenario {
    name: "full-event",
    description: "an event that is full and blocking, which a method sets",
    accepted: true,
    method: Some(MethodShape::SetsEvent),
    run: run_full_event,
};

const SETTING_CONNECTIONS: usize = 8;
const CALLS_PER_CONNECTION: u32 = 8;

fn run_full_event(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let method = method_of(target, MethodShape::SetsEvent)?;
    let witnesses = open_all(target, WITNESSES)?;
    let connections = open_all(target, SETTING_CONNECTIONS)?;
    let event = eventfd(0, EventfdFlags::CLOEXEC)?;
    rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes())?;

    let mut tally = Tally::new("calls that set a full, blocking event");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // All holders share the mode, so this also undoes the nonblocking mode that a server sets.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = fcntl_setfl(&event, OFlags::RDWR);
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        for connection in &connections {
            for call in 0..CALLS_PER_CONNECTION {
                // If the server has ended the connection, the response shows it.
                let _ = connection.call(call, method, SLOT_0, &[event.as_fd()]);
            }
        }
        attempts.push(call_witnesses(&witnesses, 0));
        for connection in &connections {
            for _ in 0..CALLS_PER_CONNECTION {
                let response = connection.receive(RESPONSE_TIMEOUT);
                tally.add(&response, matches!(response, Response::Reply { .. }));
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    attempts.push(tally.finish());
    // Empties the counter, which unblocks a server whose write is blocked.
    rustix::io::read(&event, &mut [0; 8])?;
    Ok(())
}

/// Starts background tasks that wait for an event that is never set, until the server refuses to
/// start more.
pub(super) const ENDLESS_TASKS: Scenario = Scenario {
    name: "endless-tasks",
    description: "background tasks that never end, until the server refuses",
    accepted: true,
    method: Some(MethodShape::WaitsForEvent),
    run: run_endless_tasks,
};

/// Maximum number of tasks to start. A server must refuse earlier.
const TASKS_MAX: u32 = 200_000;

/// Time for which the client keeps all its tasks running.
const TASKS_TIME: Duration = Duration::from_secs(2);

fn run_endless_tasks(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let method = method_of(target, MethodShape::WaitsForEvent)?;
    let event = eventfd(0, EventfdFlags::CLOEXEC)?;
    let start_task = |connection: &RawConnection, call| {
        connection.call(call, method, SLOT_0, &[event.as_fd()])?;
        io::Result::Ok(connection.receive(RESPONSE_TIMEOUT))
    };

    let mut tally = Tally::new(format!("up to {TASKS_MAX} tasks that wait for the same event"));
    let connection = target.open()?;
    let mut started = 0;
    let refusal = loop {
        match start_task(&connection, started)? {
            Response::Reply { fault: None, .. } if started < TASKS_MAX => started += 1,
            response => break response,
        }
    };
    tally.add_text(format!("{started} started"), started > 0);
    // The fault may come from the server, or from the method if starting the task fails there.
    tally.add(&refusal, matches!(refusal, Response::Reply { fault: Some(_), .. }));
    attempts.push(tally.finish());

    let mut tally = Tally::new("calls of the same client, which keeps its tasks");
    let end = Instant::now() + TASKS_TIME;
    while Instant::now() < end {
        connection.call(0, NO_METHOD, &[], &[])?;
        tally.expect_fault(&connection);
        std::thread::sleep(Duration::from_millis(10));
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("a task of the next connection, after the end of this one");
    drop(connection);
    let is_refused =
        |response: &Response| matches!(response, Response::Reply { fault: Some(_), .. });
    let start = || start_task(&target.open()?, 0);
    let response = poll(RESPONSE_TIMEOUT, start, |response| !is_refused(response))?;
    tally.add(&response, matches!(response, Response::Reply { fault: None, .. }));
    attempts.push(tally.finish());
    Ok(())
}

/// Encoded arguments of a method whose only parameter is a handle.
const SLOT_0: &[u8] = &[0; 2];

fn method_of(target: &TargetServer, shape: MethodShape) -> io::Result<u32> {
    target.method(shape).ok_or_else(|| io::Error::other(format!("no {shape}")))
}

fn open_all(target: &TargetServer, count: usize) -> io::Result<Vec<RawConnection>> {
    (0..count).map(|_| target.open()).collect()
}

/// Checks that the server serves the connections that follow the rules.
fn call_witnesses(witnesses: &[RawConnection], call: u32) -> Attempt {
    let mut tally = Tally::new("calls on other connections");
    for connection in witnesses {
        // If the server has ended the connection, the response shows it.
        let _ = connection.call(call, NO_METHOD, &[], &[]);
        let response = connection.receive(RESPONSE_TIMEOUT);
        let correct =
            matches!(response, Response::Reply { fault: Some(Fault::NoSuchMethod(_)), .. });
        tally.add(&response, correct);
    }
    tally.finish()
}
