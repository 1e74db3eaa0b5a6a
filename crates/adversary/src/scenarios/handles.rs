//! Calls and replies whose handles break the rules or reach the limits.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syshandle_types::Limits;
use syshandle_wire::{Fault, FrameKind, Header};

use crate::raw_connection::{
    DOOR, NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response, encode_header, ignore_disconnect,
};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const SLOTS: Scenario = Scenario {
    name: "slots",
    description: "arguments that refer to missing handles",
    accepted: true,
    method: None,
    run: run_slots,
};

/// Number of methods to call, starting with method 0. No method runs, because each call has one
/// handle more than its arguments refer to.
const METHODS: u32 = 8;

fn run_slots(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let slots: [&[u16]; 6] = [&[], &[1], &[0, 0], &[1, 0], &[253], &[u16::MAX, u16::MAX]];
    let mut tally =
        Tally::new(format!("slots out of order, repeated, missing, in {METHODS} methods"));
    let connection = target.open()?;
    let mut call = 0;
    for method in 0..METHODS {
        for slots in slots {
            let body: Vec<u8> = slots.iter().flat_map(|slot| slot.to_le_bytes()).collect();
            let handles = vec![null.as_fd(); slots.len() + 1];
            connection.call(call, method, &body, &handles)?;
            expect_refusal(&connection, &mut tally);
            call += 1;
        }
    }
    attempts.push(tally.finish());
    Ok(())
}

/// Receives the response to a call that must be refused and must not run.
fn expect_refusal(connection: &RawConnection, tally: &mut Tally) {
    let response = connection.receive(RESPONSE_TIMEOUT);
    let correct = matches!(
        &response,
        Response::Reply { fault: Some(fault), .. } if !fault.may_have_run()
    );
    let text = match correct {
        true => "refused, did not run".to_owned(),
        false => response.to_string(),
    };
    tally.add_text(text, correct);
}

pub(super) const GROWTH: Scenario = Scenario {
    name: "growth",
    description: "values of types that grow, whose headers don't match their content",
    accepted: true,
    method: None,
    run: run_growth,
};

fn run_growth(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let header = |size: u32, handles: u16, required: u16| {
        let (size, handles) = (size.to_le_bytes(), handles.to_le_bytes());
        [&size[..], &handles, &required.to_le_bytes()].concat()
    };
    // As many nested values as fit into a frame, each of which has the rest of the message.
    let sizes = (1..4000).rev().map(|left| header(left * HEADER_BYTES, 0, 0));
    let nested: Vec<u8> = sizes.flatten().collect();
    let mut tally = Tally::new(format!("false headers of growable values, in {METHODS} methods"));
    let connection = target.open()?;
    let mut call = 0;
    for method in 0..METHODS {
        for body in [
            header(0, 0, 0),
            header(1, 0, 0),
            header(u32::MAX, 0, 0),
            header(0, 1, 0),
            header(0, u16::MAX, 0),
            header(0, 0, u16::MAX),
            [header(3, 0, 0), vec![0; 64]].concat(),
            [header(64, 2, 0), vec![0; 64]].concat(),
            [header(32, 0, 0), header(32, 1, 0), vec![0; 24]].concat(),
            nested.clone(),
        ] {
            // A handle that no value refers to, so that no method runs.
            connection.call(call, method, &body, &[null.as_fd()])?;
            expect_refusal(&connection, &mut tally);
            call += 1;
        }
    }
    attempts.push(tally.finish());
    Ok(())
}

/// Number of bytes in the header of a growable value.
const HEADER_BYTES: u32 = 8;

pub(super) const COUNTS: Scenario = Scenario {
    name: "handles",
    description: "more and fewer handles than the header declares",
    accepted: true,
    method: None,
    run: run_counts,
};

fn run_counts(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let max = Limits::HANDLES_MAX;
    for (description, counts) in [
        ("more handles than declared", [(0, 1), (1, 2), (0, max), (max - 1, max)]),
        ("fewer handles than declared", [(1, 0), (2, 1), (max, max - 1), (u16::MAX, 1)]),
    ] {
        let mut tally = Tally::new(description);
        for kind in [FrameKind::Call, FrameKind::Cancel, FrameKind::Release, FrameKind::Hello] {
            for (declared, sent) in counts {
                let connection = match kind {
                    FrameKind::Hello => target.connect_greeted()?,
                    _ => target.open()?,
                };
                let header = Header {
                    code: if kind == FrameKind::Call { NO_METHOD } else { 0 },
                    handles: declared,
                    ..Header::new(kind)
                };
                let handles = vec![null.as_fd(); sent.into()];
                ignore_disconnect(connection.send_bytes(&encode_header(&header), &handles))?;
                tally.expect_end(&connection);
            }
        }
        attempts.push(tally.finish());
    }
    Ok(())
}

pub(super) const FLOOD: Scenario = Scenario {
    name: "handle-flood",
    description: "the maximum of handles in the maximum of calls on many connections",
    accepted: true,
    method: None,
    run: run_flood,
};

const CONNECTIONS: usize = 16;

fn run_flood(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let handles = vec![null.as_fd(); Limits::HANDLES_MAX.into()];
    let calls = u32::from(Limits::CALLS_MAX);
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(target.open()?);
    }
    let mut tally = Tally::new(format!(
        "{CONNECTIONS} connections x {calls} calls x {} handles",
        handles.len()
    ));
    let mut in_flight = vec![0; CONNECTIONS];
    for call in 0..2 * calls {
        for (connection, in_flight) in connections.iter().zip(&mut in_flight) {
            // Exceeding the limit of calls in flight would end the connection.
            if *in_flight == calls {
                receive_reply(connection, &mut tally);
                *in_flight -= 1;
            }
            match connection.call(call, NO_METHOD, &[], &handles) {
                Ok(()) => *in_flight += 1,
                // The kernel also limits the number of handles in flight.
                Err(error) if error.raw_os_error() == Some(ETOOMANYREFS) => {
                    tally.add_text("the kernel's limit of handles in flight", true);
                }
                // If the server has ended the connection, `receive_reply` receives the reason.
                result => ignore_disconnect(result)?,
            }
        }
    }
    for (connection, in_flight) in connections.iter().zip(in_flight) {
        (0..in_flight).for_each(|_| receive_reply(connection, &mut tally));
    }
    attempts.push(tally.finish());
    Ok(())
}

fn receive_reply(connection: &RawConnection, tally: &mut Tally) {
    let response = connection.receive(RESPONSE_TIMEOUT);
    let correct = matches!(
        &response,
        Response::Reply {
            fault: Some(Fault::NoSuchMethod(_) | Fault::HandlesLost | Fault::Busy { .. }),
            ..
        }
        // The server can't receive more handles until it has closed earlier ones.
        | Response::Refused(Fault::Busy { .. })
        | Response::Closed
    );
    tally.add(&response, correct);
}

/// From `asm-generic/errno.h`.
const ETOOMANYREFS: i32 = 109;

pub(super) const UNREAD: Scenario = Scenario {
    name: "unread-handles",
    description: "replies with handles that are never received, also on ended connections",
    accepted: true,
    method: None,
    run: run_unread,
};

fn run_unread(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new(format!("{CONNECTIONS} connections with unread handles"));
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let connection = target.open()?;
        for call in 0..u32::from(Limits::CALLS_MAX) {
            ignore_disconnect(connection.call(call, DOOR, &[], &[]))?;
        }
        // This frame makes the server end half of the connections. Their receive queues remain.
        if number % 2 == 0 {
            let greeting = Header::new(FrameKind::Greeting);
            ignore_disconnect(connection.send_frame(&greeting, &[], &[]))?;
        }
        connections.push(connection);
        tally.add_text("left", true);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("a reply with a handle to the same client");
    let connection = target.open()?;
    connection.call(0, DOOR, &[], &[])?;
    let response = connection.receive(RESPONSE_TIMEOUT);
    tally.add(&response, response.is_reply_within_limits());
    attempts.push(tally.finish());
    Ok(())
}
