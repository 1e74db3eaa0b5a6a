//! Numbers of objects that the client does not have.

use std::io;

use syshandle_wire::{Entry, Fault, Features, FrameKind, Header, Hello, ReleasedObjects};

use crate::raw_connection::{
    NO_METHOD, RESPONSE_TIMEOUT, Response, encode_header, ignore_disconnect,
};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const NUMBERS: Scenario = Scenario {
    name: "numbers",
    description: "numbers of objects that were never given, or are given back too often",
    accepted: true,
    method: None,
    run: run_numbers,
};

/// Numbers that no server gives first.
const INVENTED: [u32; 5] = [100, 4096, 1 << 24, u32::MAX - 1, u32::MAX];

fn run_numbers(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new("calls of objects with invented numbers");
    let connection = target.open()?;
    for (call, object) in (1..).zip(INVENTED) {
        let header = Header { call, code: NO_METHOD, object, ..Header::new(FrameKind::Call) };
        let header = Header { timeout_ms: 60_000, ..header };
        connection.send_frame(&header, &[], &[])?;
        let response = connection.receive(RESPONSE_TIMEOUT);
        let is_refused =
            matches!(&response, Response::Reply { fault: Some(Fault::NoObject { .. }), .. });
        tally.add(&response, is_refused);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("calls with invented numbers in their arguments");
    let connection = target.open()?;
    for (call, number) in (1..).zip(INVENTED) {
        let entries = [Entry::Object(number); 3].into_iter().collect();
        let header = Header { call, code: NO_METHOD, entries, ..Header::new(FrameKind::Call) };
        let header = Header { timeout_ms: 60_000, ..header };
        connection.send_frame(&header, &[0, 0, 1, 0, 2, 0], &[])?;
        let response = connection.receive(RESPONSE_TIMEOUT);
        let is_refused =
            matches!(&response, Response::Reply { fault: Some(Fault::NoObject { .. }), .. });
        tally.add(&response, is_refused);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("numbers given back that were never received");
    for number in [0, 1, 2].into_iter().chain(INVENTED) {
        for count in [0, 1, u32::MAX] {
            let connection = target.open()?;
            let (header, body) = ReleasedObjects::write(&[(number, count)]);
            connection.send_frame(&header, &body, &[])?;
            tally.expect_end(&connection);
        }
    }
    let connection = target.open()?;
    connection.send_frame(&Header::new(FrameKind::ReleaseObjects), &[0; 7], &[])?;
    tally.expect_end(&connection);
    let connection = target.open()?;
    let (header, body) = ReleasedObjects::write(&vec![(1, 1); ReleasedObjects::MAX]);
    ignore_disconnect(connection.send_frame(&header, &body, &[]))?;
    tally.expect_end(&connection);
    attempts.push(tally.finish());

    let mut tally = Tally::new("numbers although the client has not announced them");
    let object = Header { object: 1, ..Header::new(FrameKind::Call) };
    let entries = [Entry::Object(1)].into_iter().collect();
    let argument = Header { entries, ..Header::new(FrameKind::Call) };
    for header in [object, argument, Header::new(FrameKind::ReleaseObjects)] {
        let connection = target.connect_greeted()?;
        let hello = Hello { features: Features::NONE, ..target.hello() };
        connection.send_frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
        ignore_disconnect(connection.send_bytes(&encode_header(&header), &[]))?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());
    Ok(())
}
