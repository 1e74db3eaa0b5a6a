//! One-way calls whose acknowledgements the client does not read, and other misuse of them.

use std::io;

use syshandle_wire::{Features, FrameKind, Header, Hello};

use crate::raw_connection::{
    NO_METHOD, RESPONSE_TIMEOUT, Response, encode_header, ignore_disconnect,
};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const ONE_WAY: Scenario = Scenario {
    name: "one-way",
    description: "one-way calls of unknown methods, and floods of them without reading",
    accepted: true,
    method: None,
    run: run_one_way,
};

/// Number of calls in a flood. A server must end the connection earlier.
const CALLS: u32 = 20_000;

fn one_way(call: u32) -> Header {
    let header =
        Header { call, code: NO_METHOD, timeout_ms: 60_000, ..Header::new(FrameKind::Call) };
    Header { one_way: true, ..header }
}

fn run_one_way(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new("one-way calls of a method that does not exist");
    let connection = target.open()?;
    for call in 0..200 {
        connection.send_frame(&one_way(call), &[], &[])?;
        let response = connection.receive(RESPONSE_TIMEOUT);
        let is_right = matches!(response, Response::Frame(FrameKind::Acknowledge));
        tally.add(&response, is_right);
    }
    connection.call(1, NO_METHOD, &[], &[])?;
    tally.expect_fault(&connection);
    attempts.push(tally.finish());

    let mut tally = Tally::new(format!("up to {CALLS} one-way calls without reading"));
    for is_one_id in [true, false] {
        let connection = target.open()?;
        for call in 0..CALLS {
            let frame = encode_header(&one_way(if is_one_id { 7 } else { call }));
            if connection.send_bytes(&frame, &[]).is_err() {
                break;
            }
        }
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("one-way calls although the client has not announced them");
    let connection = target.connect_greeted()?;
    let hello = Hello { features: Features::OBJECTS, ..target.hello() };
    connection.send_frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
    ignore_disconnect(connection.send_bytes(&encode_header(&one_way(1)), &[]))?;
    tally.expect_end(&connection);
    attempts.push(tally.finish());

    let mut tally = Tally::new("an acknowledgement of the client");
    let connection = target.open()?;
    let acknowledge = Header { ended: 1, ..Header::new(FrameKind::Acknowledge) };
    ignore_disconnect(connection.send_bytes(&encode_header(&acknowledge), &[]))?;
    tally.expect_end(&connection);
    attempts.push(tally.finish());

    // The resource usage after the scenario shows whether the server leaked anything.
    let mut tally = Tally::new("one-way calls before a disconnect with and without a bye");
    for says_bye in [true, false] {
        for _ in 0..50 {
            let connection = target.open()?;
            for call in 0..30 {
                ignore_disconnect(connection.send_frame(&one_way(call), &[], &[]))?;
            }
            if says_bye {
                let bye = Header::new(FrameKind::Bye);
                ignore_disconnect(connection.send_frame(&bye, &[], &[]))?;
            }
        }
        tally.add_text("disconnected", true);
    }
    attempts.push(tally.finish());
    Ok(())
}
