//! Clients that misuse doors and the sockets sent to them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use syshandle_os::Seqpacket;
use syshandle_types::Guid;
use syshandle_wire::{Fault, FrameKind, Header, Hello};

use crate::raw_connection::{
    DOOR, NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response, encode_header,
};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const FLOOD: Scenario = Scenario {
    name: "door-flood",
    description: "references to the object, until the server refuses",
    accepted: true,
    method: None,
    run: run_flood,
};

const DOORS_MAX: u32 = 20_000;

fn run_flood(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new(format!("up to {DOORS_MAX} references"));
    let connection = target.open()?;
    let mut doors = Vec::new();
    for call in 0..DOORS_MAX {
        connection.call(call, DOOR, &[], &[])?;
        match connection.receive(RESPONSE_TIMEOUT) {
            Response::Reply { fault: None, mut handles, .. } => match handles.pop() {
                Some(door) => doors.push(door),
                // The kernel discarded the handle, because this process can't open more file
                // descriptors.
                None => break,
            },
            response => {
                let correct =
                    matches!(&response, Response::Reply { fault: Some(Fault::Busy { .. }), .. });
                tally.add(&response, correct);
                break;
            }
        }
    }
    tally.add_text(format!("{} references", doors.len()), true);
    // Sends invalid frames to some of the doors.
    for door in doors.iter().take(100) {
        let door = Seqpacket::from(door.try_clone()?);
        for _ in 0..10 {
            let _ = door.send(&[io::IoSlice::new(b"invalid")], &[]);
        }
    }
    attempts.push(tally.finish());
    Ok(())
}

/// Sends a connection over itself, and doors over doors. Only the kernel can detect such reference
/// cycles.
pub(super) const CYCLES: Scenario = Scenario {
    name: "cycles",
    description: "a handle to the connection itself, and to its doors",
    accepted: true,
    method: None,
    run: run_cycles,
};

const REPETITIONS: u32 = 50;

fn run_cycles(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new("a handle to the connection itself, in a call");
    for _ in 0..REPETITIONS {
        let connection = target.open()?;
        connection.call(1, NO_METHOD, &[], &[connection.0.as_fd(); 10])?;
        tally.expect_fault(&connection);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("such handles, unread in the socket of a client that disconnects");
    for _ in 0..REPETITIONS {
        let connection = target.open()?;
        for call in 0..20 {
            connection.call(call, NO_METHOD, &[], &[connection.0.as_fd()])?;
        }
        tally.add_text("disconnected", true);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("a door attached to itself, and to its own connection");
    let mut kept = Vec::new();
    for _ in 0..REPETITIONS {
        let connection = target.open()?;
        let door = match call_for_door(&connection, 1)? {
            Ok(door) => door,
            Err(response) => {
                tally.add(&response, false);
                continue;
            }
        };
        for end in [door.as_fd(), connection.0.as_fd()] {
            // The server then receives its own greeting, which is an invalid frame from a client.
            let text = match send_attach(&door, end) {
                Ok(()) => "sent",
                Err(_) => "the connection has ended",
            };
            tally.add_text(text, true);
        }
        kept.push((door, connection));
    }
    attempts.push(tally.finish());
    Ok(())
}

/// A client keeps a duplicate of the socket that it sends to a door, changes the socket's options,
/// and shuts down its own doors.
pub(super) const SHARED_ENDS: Scenario = Scenario {
    name: "shared-ends",
    description: "a client that keeps the socket that it attaches, and shuts down its doors",
    accepted: true,
    method: None,
    run: run_shared_ends,
};

const CALLS: u32 = 1_000;

fn run_shared_ends(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let opener = target.open()?;
    let mut doors = Vec::new();
    for call in 0..3 {
        doors.push(call_for_door(&opener, call)?.map_err(no_door)?);
    }
    let [first, second, third] = &doors[..] else { return Err(io::ErrorKind::Other.into()) };

    let mut tally = Tally::new(format!("{CALLS} calls with options set on the kept socket"));
    let (connection, kept) = RawConnection::attach_keeping_end(first, RESPONSE_TIMEOUT)?;
    let hello = Hello::new(Guid::NIL, target.iid);
    connection.send_frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
    for end in [&kept, &connection.0] {
        // Fails on older kernels, which lack this option.
        let _ = end.pass_sender_processes();
        end.name_senders()?;
    }
    for call in 0..CALLS {
        if call == CALLS / 2 {
            kept.shut_down();
        }
        connection.call(call, NO_METHOD, &[], &[])?;
        let response = loop {
            match connection.receive(RESPONSE_TIMEOUT) {
                Response::Greeting(..) => {}
                response => break response,
            }
        };
        let correct =
            matches!(response, Response::Reply { fault: Some(Fault::NoSuchMethod(_)), .. });
        tally.add(&response, correct);
    }
    attempts.push(tally.finish());

    // The server created these sockets for itself, so it must not accept them from a client.
    for (description, end) in [
        ("a door attached to itself", second.as_fd()),
        ("a socket of the server, attached to a door", connection.0.as_fd()),
    ] {
        let mut tally = Tally::new(description);
        match send_attach(second, end) {
            Ok(()) => tally.add_text("sent", true),
            Err(error) => tally.add_text(error.to_string(), true),
        }
        attempts.push(tally.finish());
    }
    second.shut_down();

    let mut tally = Tally::new("another door to the same object");
    match RawConnection::attach(third, RESPONSE_TIMEOUT) {
        Ok(_) => tally.add_text("open", true),
        Err(error) => tally.add_text(error.to_string(), false),
    }
    attempts.push(tally.finish());
    Ok(())
}

/// A client connects through doors and does not receive the responses, which contain handles. It
/// keeps the return channels, and uses some of the connections.
pub(super) const UNREAD_ANSWERS: Scenario = Scenario {
    name: "unread-answers",
    description: "responses of doors that are never received, also on ended connections",
    accepted: true,
    method: None,
    run: run_unread_answers,
};

/// More than the usual limit on the number of handles that a user may have in flight.
const ATTACHES: usize = 1_500;

fn run_unread_answers(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let opener = target.open()?;
    let door = call_for_door(&opener, 0)?.map_err(no_door)?;
    let mut channels = Vec::new();
    let mut tally = Tally::new(format!("{ATTACHES} connections through a door, responses unread"));
    let mut refusals = 0;
    for _ in 0..ATTACHES {
        let Ok(channel) = RawConnection::request_attach(&door) else { break };
        match channel.peek_handle(RESPONSE_TIMEOUT)? {
            Some(end) => {
                let connection = RawConnection(Seqpacket::from(end));
                let hello = Hello::new(Guid::NIL, target.iid);
                connection.send_frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
                connection.send_frame(&Header::new(FrameKind::Bye), &[], &[])?;
                tally.add_text("attached", true);
            }
            None => {
                let response = channel.receive(RESPONSE_TIMEOUT);
                let correct = matches!(response, Response::Refused(Fault::Busy { .. }));
                tally.add(&response, correct);
                refusals += 1;
            }
        }
        channels.push(channel);
        if refusals == 10 {
            break;
        }
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("a reply with a handle to the same client");
    opener.call(1, DOOR, &[], &[])?;
    let response = opener.receive(RESPONSE_TIMEOUT);
    tally.add(&response, response.is_reply_within_limits());
    attempts.push(tally.finish());
    Ok(())
}

/// Calls the method that returns a door to the object. If the response contains no handle, returns
/// the response.
fn call_for_door(connection: &RawConnection, call: u32) -> io::Result<Result<Seqpacket, Response>> {
    connection.call(call, DOOR, &[], &[])?;
    Ok(match connection.receive(RESPONSE_TIMEOUT) {
        Response::Reply { fault: None, mut handles, .. } if handles.len() == 1 => {
            Ok(Seqpacket::from(handles.swap_remove(0)))
        }
        response => Err(response),
    })
}

fn no_door(response: Response) -> io::Error {
    io::Error::other(format!("no door: {response}"))
}

fn send_attach(door: &Seqpacket, end: BorrowedFd<'_>) -> io::Result<()> {
    let attach = encode_header(&Header { handles: 1, ..Header::new(FrameKind::Attach) });
    door.send(&[io::IoSlice::new(&attach)], &[end])
}
