//! Requests for descriptions, of which there are too many or which are malformed.

use std::io;

use syshandle_wire::{Fault, FrameKind, Header};

use crate::raw_connection::{RESPONSE_TIMEOUT, Response, ignore_disconnect};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const REQUESTS: Scenario = Scenario {
    name: "descriptions",
    description: "endless and malformed requests for descriptions",
    accepted: true,
    method: None,
    run: run_requests,
};

/// The number of the method that every object has, which describes the object.
const DESCRIBE: u32 = u32::MAX - 1;

/// Requests of one client, each sent after the reply to the one before.
const REQUESTS_IN_TURN: u32 = 2_000;

/// Requests of one client that receives no reply.
const UNREAD_REQUESTS: u32 = 10_000;

fn run_requests(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new("requests for all descriptions in a loop");
    let connection = target.open()?;
    for call in 0..REQUESTS_IN_TURN {
        // Unknown bits are ignored.
        connection.call(call, DESCRIBE, &u32::MAX.to_le_bytes(), &[])?;
        let response = connection.receive(RESPONSE_TIMEOUT);
        // A large description is passed through shared memory.
        let is_described = matches!(
            &response,
            Response::Reply { fault: None, .. } | Response::Frame(FrameKind::Arena)
        );
        tally.add(&response, is_described);
        if !is_described {
            break;
        }
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("requests for descriptions, without reading a reply");
    let connection = target.open()?;
    for call in 0..UNREAD_REQUESTS {
        let body = &1_u32.to_le_bytes();
        let header = Header { call, code: DESCRIBE, ..Header::new(FrameKind::Call) };
        let header = Header { timeout_ms: 60_000, ..header };
        // The server ends the connection after as many calls as it has announced.
        if connection.send_frame(&header, body, &[]).is_err() {
            break;
        }
    }
    tally.expect_end(&connection);
    attempts.push(tally.finish());

    let mut tally = Tally::new("malformed requests for descriptions");
    let connection = target.open()?;
    for (call, body) in [&[][..], &[0], &[0; 3], &[0; 5], &[0xff; 1000]].into_iter().enumerate() {
        connection.call(call as u32, DESCRIBE, body, &[])?;
        tally.expect_fault(&connection);
    }
    attempts.push(tally.finish());

    let mut tally =
        Tally::new("requests for descriptions of objects that the client does not have");
    let connection = target.open()?;
    for (call, object) in [1, 100, u32::MAX].into_iter().enumerate() {
        let header = Header {
            call: call as u32,
            code: DESCRIBE,
            object,
            timeout_ms: 60_000,
            ..Header::new(FrameKind::Call)
        };
        ignore_disconnect(connection.send_frame(&header, &[0; 4], &[]))?;
        let response = connection.receive(RESPONSE_TIMEOUT);
        let is_refused =
            matches!(&response, Response::Reply { fault: Some(Fault::NoObject { .. }), .. });
        tally.add(&response, is_refused);
    }
    attempts.push(tally.finish());
    Ok(())
}
