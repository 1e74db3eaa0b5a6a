//! Numbers of objects that the client does not have.

use std::io;

use syshandle_wire::{Entry, Fault, Features, FrameKind, Header, Hello, ReleasedObjects};

use crate::raw_connection::{
    CAST, NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response, encode_header, ignore_disconnect,
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

    run_owned_numbers(target, attempts)?;

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

/// How often a client requests a number that it gives back at the end of its connection.
const MANY: u32 = 2000;

/// Misuses numbers that the client has received for the object of its connection.
fn run_owned_numbers(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new("a number of another connection");
    let (owner, other) = (target.open()?, target.open()?);
    let number = request_number(target, &owner)?;
    expect_no_object(&mut tally, &other, number)?;
    attempts.push(tally.finish());

    let mut tally = Tally::new("a number that was given back, in the next call");
    give_back(&owner, number, 1)?;
    expect_no_object(&mut tally, &owner, number)?;
    attempts.push(tally.finish());

    let mut tally = Tally::new("a number given back more often than it was received");
    for (received, released) in [(1, 2), (3, 4), (3, u32::MAX)] {
        let connection = target.open()?;
        let mut number = 0;
        for _ in 0..received {
            number = request_number(target, &connection)?;
        }
        give_back(&connection, number, released)?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new(format!("a number requested {MANY} times, and the end"));
    let connection = target.open()?;
    for _ in 0..MANY {
        request_number(target, &connection)?;
    }
    tally.add_text("served", true);
    attempts.push(tally.finish());
    Ok(())
}

/// Returns the number of the object of the connection.
fn request_number(target: &TargetServer, connection: &RawConnection) -> io::Result<u32> {
    connection.call(1, CAST, &target.iid.to_bytes(), &[])?;
    match connection.receive(RESPONSE_TIMEOUT) {
        Response::Reply { fault: None, numbers, .. } if numbers.len() == 1 => Ok(numbers[0]),
        other => Err(io::Error::other(format!("the server gives no number: {other}"))),
    }
}

fn give_back(connection: &RawConnection, number: u32, count: u32) -> io::Result<()> {
    let (header, body) = ReleasedObjects::write(&[(number, count)]);
    connection.send_frame(&header, &body, &[])
}

fn expect_no_object(tally: &mut Tally, connection: &RawConnection, object: u32) -> io::Result<()> {
    let header = Header { call: 2, code: NO_METHOD, object, ..Header::new(FrameKind::Call) };
    connection.send_frame(&Header { timeout_ms: 60_000, ..header }, &[], &[])?;
    let response = connection.receive(RESPONSE_TIMEOUT);
    let is_refused =
        matches!(&response, Response::Reply { fault: Some(Fault::NoObject { .. }), .. });
    tally.add(&response, is_refused);
    Ok(())
}
