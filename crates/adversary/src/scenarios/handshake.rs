//! Connections that break the rules of the handshake.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use syshandle_types::Guid;
use syshandle_wire::{Fault, FrameKind, Header, Hello, Versions};

use crate::raw_connection::{NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const VERSIONS: Scenario = Scenario {
    name: "versions",
    description: "hellos of other versions, protocols and classes",
    accepted: true,
    method: None,
    run: run_versions,
};

fn run_versions(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let hello = target.hello().write();
    let mut tally = Tally::new("ranges of versions without a common one");
    for (lowest, highest) in [(0, 1), (3, 3), (255, u16::MAX), (3, 0), (u16::MAX, 0)] {
        let versions = Versions { highest, lowest };
        let other = Hello { versions, ..target.hello() }.write();
        let connection = target.connect_greeted()?;
        connection.send_frame(&Header::new(FrameKind::Hello), &other, &[])?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("a hello with each bit of its magic number changed");
    for bit in 0..64 {
        let mut other = hello.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let connection = target.connect_greeted()?;
        connection.send_frame(&Header::new(FrameKind::Hello), &other, &[])?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());

    let other = Guid::from_bytes([0xa5; 16]);
    let unknown = [(other, target.iid), (target.clsid, other), (Guid::NIL, target.iid)];
    let mut tally = Tally::new("unknown classes and interfaces");
    for (clsid, iid) in unknown {
        let connection = target.connect_greeted()?;
        connection.send_frame(
            &Header::new(FrameKind::Hello),
            &Hello::new(clsid, iid).write(),
            &[],
        )?;
        let response = connection.receive_end();
        let text = match &response {
            Response::Refused(_) => "refused by name".to_owned(),
            other => other.to_string(),
        };
        tally.add_text(text, matches!(response, Response::Refused(_)));
    }
    attempts.push(tally.finish());
    Ok(())
}

pub(super) const EARLY_HANDLES: Scenario = Scenario {
    name: "early-handles",
    description: "handles before the server has accepted the client",
    accepted: true,
    method: None,
    run: run_early_handles,
};

const EARLY_CONNECTIONS: usize = 100;

fn run_early_handles(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let hello = target.hello().write();
    let mut tally = Tally::new("a handle directly after connecting");
    for _ in 0..EARLY_CONNECTIONS {
        let connection = RawConnection::connect(&target.address)?;
        match connection.send_frame(&Header::new(FrameKind::Hello), &hello, &[null.as_fd()]) {
            // The server had already accepted the connection, so sending succeeds. A hello must not
            // contain a handle.
            Ok(()) => tally.expect_end(&connection),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tally.add_text("refused by the kernel", true);
            }
            Err(error) => tally.add_text(error.to_string(), false),
        }
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("a handle with the hello");
    for _ in 0..EARLY_CONNECTIONS {
        let connection = target.connect_greeted()?;
        connection.send_frame(&Header::new(FrameKind::Hello), &hello, &[null.as_fd()])?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());
    Ok(())
}

pub(super) const SILENCE: Scenario = Scenario {
    name: "silence",
    description: "ten thousand connections that send no hello",
    accepted: true,
    method: None,
    run: run_silence,
};

const SILENT_CONNECTIONS: usize = 10_000;

/// Maximum time for the server to disconnect a client that sends no hello. The server waits ten
/// seconds, but the machine may be busy.
const HELLO_TIMEOUT_MAX: Duration = Duration::from_secs(60);

fn run_silence(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally =
        Tally::new(format!("{SILENT_CONNECTIONS} connections, as far as this process may"));
    let mut connections = Vec::new();
    for _ in 0..SILENT_CONNECTIONS {
        match RawConnection::connect(&target.address) {
            Ok(connection) => connections.push(connection),
            Err(error) => {
                tally.add_text(format!("limited by the system: {error}"), true);
                break;
            }
        }
    }
    let mut greeted = Vec::new();
    for connection in connections {
        let response = connection.receive(RESPONSE_TIMEOUT);
        let correct =
            matches!(response, Response::Greeting(..) | Response::Refused(Fault::Busy { .. }));
        if matches!(response, Response::Greeting(..)) {
            greeted.push(connection);
        }
        tally.add(&response, correct);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("no hello until the server disconnects");
    let start = Instant::now();
    for connection in greeted {
        let response = connection.receive(HELLO_TIMEOUT_MAX.saturating_sub(start.elapsed()));
        tally.add(&response, matches!(response, Response::Closed | Response::Refused(_)));
    }
    attempts.push(tally.finish());
    Ok(())
}

pub(super) const REFUSED_USER: Scenario = Scenario {
    name: "refused-user",
    description: "a user whom the server doesn't accept",
    accepted: false,
    method: None,
    run: run_refused_user,
};

const REFUSED_CONNECTIONS: usize = 2_000;

fn run_refused_user(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let hello = target.hello().write();
    let mut tally =
        Tally::new(format!("{REFUSED_CONNECTIONS} connections that send a hello and a call"));
    let mut handles = Tally::new("a handle with each hello");
    for _ in 0..REFUSED_CONNECTIONS {
        let connection = RawConnection::connect(&target.address)?;
        match connection.send_frame(&Header::new(FrameKind::Hello), &hello, &[null.as_fd()]) {
            Ok(()) => handles.add_text("delivered", is_before_passrights()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                handles.add_text("refused by the kernel", true);
            }
            Err(_) => handles.add_text("the connection has ended", true),
        }
        // Sending fails if the server has already ended the connection.
        let _ = connection.call(1, NO_METHOD, &[], &[]);
        let response = connection.receive_end();
        tally.add(&response, matches!(response, Response::Refused(Fault::NotAllowed { .. })));
    }
    attempts.push(tally.finish());
    attempts.push(handles.finish());
    Ok(())
}

/// Returns whether the kernel is older than Linux 6.16, which introduced `SO_PASSRIGHTS`.
fn is_before_passrights() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 16),
        _ => true,
    }
}
