//! Clients that disconnect at any time, or don't receive replies.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use syshandle_wire::{Fault, FrameKind, Header};

use crate::raw_connection::{
    DOOR, NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response, encode_header, ignore_disconnect,
};
use crate::scenario::{Attempt, MethodShape, Scenario, Tally, TargetServer};

pub(super) const CHURN: Scenario = Scenario {
    name: "churn",
    description: "connections that are opened and closed by several threads",
    accepted: true,
    method: None,
    run: run_churn,
};

const THREADS: usize = 4;
const CHURN_TIME: Duration = Duration::from_secs(2);

fn run_churn(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let end = Instant::now() + CHURN_TIME;
    let counts: Vec<io::Result<u32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(move || {
                    let mut count = 0;
                    while Instant::now() < end {
                        drop(RawConnection::connect(&target.address)?);
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        let failed = || Err(io::Error::other("a thread of the scenario failed"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| failed())).collect()
    });
    let mut sum = 0;
    for count in counts {
        sum += count?;
    }
    let description = format!("{THREADS} threads connect and disconnect for {CHURN_TIME:?}");
    let mut tally = Tally::new(description);
    tally.add_text(format!("{sum} connections"), true);
    attempts.push(tally.finish());
    Ok(())
}

pub(super) const NEVER_READS: Scenario = Scenario {
    name: "never-reads",
    description: "calls whose replies are never received",
    accepted: true,
    method: None,
    run: run_never_reads,
};

/// Maximum number of calls to send. A server must stop receiving them earlier.
const CALLS: u32 = 200_000;

/// Time without progress after which the server is considered to have stopped receiving.
const STALL_TIME: Duration = Duration::from_secs(2);

fn run_never_reads(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new(format!("up to {CALLS} calls on each of 4 connections"));
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(target.open()?);
    }
    for connection in &connections {
        let mut call = 0;
        let mut last_sent = Instant::now();
        let (result, correct) = loop {
            let code = NO_METHOD;
            let header = Header { call, code, timeout_ms: 60_000, ..Header::new(FrameKind::Call) };
            match connection.try_send_bytes(&encode_header(&header), &[]) {
                Ok(()) => (call, last_sent) = (call + 1, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if last_sent.elapsed() > STALL_TIME {
                        break ("not received any more", true);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => break ("closed", true),
            }
            if call == CALLS {
                break ("all received", false);
            }
        };
        tally.add_text(result, correct);
    }
    attempts.push(tally.finish());
    Ok(())
}

pub(super) const UNREAD_EVENTS: Scenario = Scenario {
    name: "unread-events",
    description: "replies with many new events each, on many connections that never receive them",
    accepted: true,
    method: Some(MethodShape::ReturnsEvents),
    run: run_unread_events,
};

/// Number of connections that receive no replies.
const DEAF_CONNECTIONS: usize = 300;
/// Number of calls on each of these connections.
const DEAF_CALLS: u32 = 4;
/// Number of events in each reply, about as many as a message may contain.
const EVENTS: u32 = 250;
/// How long the connections stay open after the last call, while an honest client makes calls.
const DEAF_TIME: Duration = Duration::from_secs(1);

fn run_unread_events(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let Some(method) = target.method(MethodShape::ReturnsEvents) else { return Ok(()) };
    let mut tally = Tally::new(format!(
        "{DEAF_CALLS} calls on each of {DEAF_CONNECTIONS} connections, for {EVENTS} events each"
    ));
    let mut connections = Vec::new();
    for _ in 0..DEAF_CONNECTIONS {
        let connection = RawConnection::connect(&target.address)?;
        let response = connection.receive(RESPONSE_TIMEOUT);
        if !matches!(response, Response::Greeting(..)) {
            // The quota of this client is used up.
            tally.add(&response, matches!(response, Response::Refused(Fault::Busy { .. })));
            continue;
        }
        let hello = target.hello().write();
        ignore_disconnect(connection.send_frame(&Header::new(FrameKind::Hello), &hello, &[]))?;
        for call in 0..DEAF_CALLS {
            ignore_disconnect(connection.call(call, method, &EVENTS.to_le_bytes(), &[]))?;
        }
        tally.add_text("left unread", true);
        connections.push(connection);
    }
    std::thread::sleep(DEAF_TIME);
    attempts.push(tally.finish());
    Ok(())
}

pub(super) const DEATH: Scenario = Scenario {
    name: "death",
    description: "a disconnect without a bye, after each step of a call",
    accepted: true,
    method: None,
    run: run_death,
};

const REPETITIONS: u32 = 50;

fn run_death(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let hello = target.hello().write();
    // The client disconnects after the step with the index `last`.
    let steps = [
        "connecting",
        "the greeting",
        "the hello",
        "a call",
        "a call with handles",
        "a call for a door",
        "receiving the door",
    ];
    for (last, step) in steps.iter().enumerate() {
        let mut tally = Tally::new(format!("a disconnect after {step}"));
        for _ in 0..REPETITIONS {
            let connection = RawConnection::connect(&target.address)?;
            if last >= 1 {
                connection.receive(RESPONSE_TIMEOUT);
            }
            if last >= 2 {
                let header = Header::new(FrameKind::Hello);
                ignore_disconnect(connection.send_frame(&header, &hello, &[]))?;
            }
            if last >= 3 {
                ignore_disconnect(connection.call(1, NO_METHOD, &[], &[]))?;
            }
            if last >= 4 {
                ignore_disconnect(connection.call(2, NO_METHOD, &[], &[null.as_fd(); 100]))?;
            }
            if last >= 5 {
                ignore_disconnect(connection.call(3, DOOR, &[], &[]))?;
            }
            if last >= 6 {
                for _ in 0..3 {
                    connection.receive(RESPONSE_TIMEOUT);
                }
            }
        }
        // The resource usage after the scenario shows whether the server leaked anything.
        tally.add_text(format!("{REPETITIONS} times"), true);
        attempts.push(tally.finish());
    }
    Ok(())
}
