//! Frames that break the rules of the protocol.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use syshandle_types::Limits;
use syshandle_wire::{Body, Fault, FrameKind, Greeting, Header, Releases, Status};

use crate::raw_connection::{
    NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response, encode_header, ignore_disconnect,
};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const TRUNCATED: Scenario = Scenario {
    name: "truncated",
    description: "frames that are truncated at each of their bytes",
    accepted: true,
    method: None,
    run: run_truncated,
};

fn run_truncated(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let hello = target.hello().write();
    let header =
        Header { body: Body::Inline { len: hello.len() as u32 }, ..Header::new(FrameKind::Hello) };
    let frame = [encode_header(&header).as_slice(), &hello].concat();
    let mut tally = Tally::new(format!("a hello truncated at each of its {} bytes", frame.len()));
    for len in 0..frame.len() {
        let connection = target.connect_greeted()?;
        connection.send_bytes(&frame[..len], &[])?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());

    let frame = encode_header(&call_header());
    let description = format!("a call truncated at each of its {} bytes", frame.len());
    attempts.push(send_each(target, description, (0..frame.len()).map(|len| frame[..len].into()))?);
    Ok(())
}

pub(super) const OVERSIZED: Scenario = Scenario {
    name: "oversized",
    description: "frames and bodies that are too large, or whose headers declare such sizes",
    accepted: true,
    method: None,
    run: run_oversized,
};

fn run_oversized(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new("frames above the maximum size");
    for len in [Header::FRAME_MAX + 1, 64 * 1024, 150_000] {
        let connection = target.open()?;
        match connection.send_bytes(&vec![FrameKind::Call as u8; len], &[]) {
            Ok(()) => tally.expect_end(&connection),
            // The message exceeds the kernel's size limit.
            Err(error) => tally.add_text(format!("not sent: {error}"), true),
        }
    }
    attempts.push(tally.finish());

    let over = Limits::ARENA_BYTES as u32 + 1;
    let lens = [1, Limits::INLINE_BYTES_MAX as u32, over, u32::MAX];
    let frames = lens.map(|len| with_body(Body::Inline { len }));
    attempts.push(send_each(target, "bodies that are shorter than declared", frames)?);
    let frames = [over, u32::MAX].map(|len| with_body(Body::Shared { offset: 0, len }));
    attempts.push(send_each(target, "bodies in shared memory above the maximum size", frames)?);
    Ok(())
}

pub(super) const HEADERS: Scenario = Scenario {
    name: "headers",
    description: "headers with invalid or contradictory fields",
    accepted: true,
    method: None,
    run: run_headers,
};

/// Offsets of fields in the header.
const KIND: usize = 0;
const RELEASES: usize = 24;
const FLAGS: usize = 25;
const ENTRIES: usize = 26;

fn run_headers(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let call = encode_header(&call_header());
    let changed = |place: usize, bytes: &[u8]| {
        let mut frame = call.clone();
        frame[place..place + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let kinds = (0..=u8::MAX).filter(|kind| !matches!(kind, 1..=23)).step_by(7);
    let frames = kinds.map(|kind| changed(KIND, &[kind]));
    attempts.push(send_each(target, "unknown kinds of frames", frames)?);

    // Flag 1 states that the body is in shared memory, flag 2 is for replies only, and flag 4 marks a
    // one-way call.
    let frames = (1..8).filter(|bit| *bit != 2).map(|bit| changed(FLAGS, &[1 << bit]));
    attempts.push(send_each(target, "unknown flags", frames)?);

    let max = Limits::RELEASES_MAX as u8;
    let frames = [1, max, max + 1, u8::MAX].map(|count| changed(RELEASES, &[count]));
    attempts.push(send_each(target, "more released ranges than the frame has", frames)?);

    let max = Limits::ENTRIES_MAX as u16;
    let frames = [1, max, max + 1, u16::MAX].map(|count| changed(ENTRIES, &count.to_le_bytes()));
    attempts.push(send_each(target, "more entries than the frame has", frames)?);
    let entry = |kind| [&changed(ENTRIES, &[1])[..], &[kind, 0, 0, 0, 0, 0, 0, 0]].concat();
    let frames = [0, 1, 3, 5, u8::MAX].map(entry);
    attempts.push(send_each(target, "a handle that the frame lacks; unknown entries", frames)?);

    attempts.push(send_each(target, "bytes after the body", [[&call[..], b"more"].concat()])?);

    attempts.push(send_surplus(target)?);

    let mut tally = Tally::new("a call before the hello; two hellos");
    let connection = target.connect_greeted()?;
    connection.send_bytes(&call, &[])?;
    tally.expect_end(&connection);
    let connection = target.open()?;
    connection.send_frame(&Header::new(FrameKind::Hello), &target.hello().write(), &[])?;
    tally.expect_end(&connection);
    attempts.push(tally.finish());
    Ok(())
}

/// Sends frames with a body or a handle that their kind must not have.
fn send_surplus(target: &TargetServer) -> io::Result<Attempt> {
    let mut tally = Tally::new("a body or a handle that a kind of frame must not have");
    let null = File::open("/dev/null")?;
    let of = Header::new;
    let (cancel, release, bye) = (FrameKind::Cancel, FrameKind::Release, FrameKind::Bye);
    let shared = Header { body: Body::Shared { offset: 0, len: 1 }, ..of(release) };
    let connection = target.open()?;
    connection.send_bytes(&encode_header(&shared), &[])?;
    tally.expect_end(&connection);
    for kind in [cancel, release, bye] {
        let connection = target.open()?;
        connection.send_frame(&of(kind), &[], &[null.as_fd()])?;
        tally.expect_end(&connection);
        let connection = target.open()?;
        connection.send_frame(&of(kind), b"body", &[])?;
        tally.expect_end(&connection);
    }
    let connection = target.open()?;
    connection.send_frame(&call_header(), &[0; Limits::INLINE_BYTES_MAX + 1], &[])?;
    tally.expect_end(&connection);
    Ok(tally.finish())
}

pub(super) const FRAGMENTS: Scenario = Scenario {
    name: "fragments",
    description: "frames byte by byte, each byte as a separate message",
    accepted: true,
    method: None,
    run: run_fragments,
};

fn run_fragments(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let hello = target.hello().write();
    for (description, open) in [("a hello byte by byte", false), ("a call byte by byte", true)] {
        let mut tally = Tally::new(description);
        for _ in 0..20 {
            let connection = if open { target.open()? } else { target.connect_greeted()? };
            let kind = if open { FrameKind::Call } else { FrameKind::Hello };
            for byte in [[kind as u8].as_slice(), &hello].concat() {
                // The server ends the connection after the first byte, so sending may fail.
                if connection.send_bytes(&[byte], &[]).is_err() {
                    break;
                }
            }
            tally.expect_end(&connection);
        }
        attempts.push(tally.finish());
    }
    Ok(())
}

pub(super) const UNSOLICITED: Scenario = Scenario {
    name: "unsolicited",
    description: "frames that only a server sends, and answers without a request",
    accepted: true,
    method: None,
    run: run_unsolicited,
};

fn run_unsolicited(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let greeting = Greeting::new(Limits::default(), Vec::new()).write();
    let fault = Fault::Draining.write();
    let mut tally = Tally::new("frames that only servers and doors receive");
    for (kind, body) in [
        (FrameKind::Reply, &b""[..]),
        (FrameKind::Greeting, &greeting),
        (FrameKind::Refused, &fault),
        (FrameKind::Attach, b""),
    ] {
        for call in [0, 7, u32::MAX] {
            let connection = target.open()?;
            let header = Header { call, code: Status::Done as u32, ..Header::new(kind) };
            connection.send_frame(&header, body, &[])?;
            tally.expect_end(&connection);
        }
    }
    attempts.push(tally.finish());

    let frames = [0, 4096, u32::MAX].map(|offset| {
        let releases = Releases::take_from(&mut vec![offset]);
        encode_header(&Header { releases, ..Header::new(FrameKind::Release) })
    });
    attempts.push(send_each(target, "released ranges that were never used", frames)?);

    for (description, kind) in [
        ("10,000 cancellations of calls that don't run, and then a call", FrameKind::Cancel),
        ("10,000 frames that release nothing, and then a call", FrameKind::Release),
    ] {
        let mut tally = Tally::new(description);
        let connection = target.open()?;
        for number in 0..10_000 {
            let call = if kind == FrameKind::Cancel { number } else { 0 };
            connection.send_frame(&Header { call, ..Header::new(kind) }, &[], &[])?;
        }
        connection.call(1, NO_METHOD, &[], &[])?;
        let response = connection.receive(RESPONSE_TIMEOUT);
        tally.add(&response, matches!(response, Response::Reply { call: 1, .. }));
        attempts.push(tally.finish());
    }

    let mut tally = Tally::new("a call after the bye");
    let connection = target.open()?;
    connection.send_frame(&Header::new(FrameKind::Bye), &[], &[])?;
    // Sending fails if the server has already ended the connection.
    let _ = connection.call(1, NO_METHOD, &[], &[]);
    tally.expect_end(&connection);
    attempts.push(tally.finish());
    Ok(())
}

/// A server may receive several of these frames with one system call. It must treat each frame as
/// if it had arrived alone: respond to the frames before the invalid one, and ignore the frames
/// after it.
pub(super) const BATCH: Scenario = Scenario {
    name: "batch",
    description: "many frames at once, with an invalid one in the middle",
    accepted: true,
    method: None,
    run: run_batch,
};

/// Number of repetitions of each attempt.
const REPETITIONS: u32 = 10;

/// Number of sequential calls after which the server dedicates a thread to this client.
const SEQUENTIAL_CALLS: u32 = 80;

/// Number of calls before and after the invalid frame. Their sum must not exceed the limit of calls
/// in flight.
const CALLS: u32 = 12;

fn run_batch(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let call = |handles| encode_header(&Header { call: 5_000, handles, ..call_header() });
    let many = vec![null.as_fd(); Limits::HANDLES_MAX.into()];
    let invalid: [(&str, Vec<u8>, &[BorrowedFd<'_>]); 6] = [
        ("a truncated one", call(0)[..9].to_vec(), &[]),
        ("an oversized one", vec![4; Header::FRAME_MAX + 1], &[]),
        ("an empty one", Vec::new(), &[]),
        ("one with more handles than declared", call(1), &many),
        ("one with fewer handles than declared", call(2), &many[..1]),
        ("one of an unknown kind", vec![0xee; Header::LEN], &many[..3]),
    ];
    for (what, bytes, handles) in invalid {
        let mut tally = Tally::new(format!("{CALLS} calls, {what}, and {CALLS} calls"));
        for _ in 0..REPETITIONS {
            let connection = open_dedicated(target)?;
            send_calls(&connection, 0, &many[..1])?;
            ignore_disconnect(connection.send_bytes(&bytes, handles))?;
            send_calls(&connection, CALLS, &many[..40])?;
            let (replies, last) = receive_replies(&connection);
            let correct = matches!(last, Response::Closed | Response::Refused(_));
            let text = format!("{replies} answered, then {last}");
            tally.add_text(text, correct && replies == CALLS);
        }
        attempts.push(tally.finish());
    }
    let mut tally = Tally::new(format!("{CALLS} calls with handles at once, and a disconnect"));
    for _ in 0..REPETITIONS {
        let connection = open_dedicated(target)?;
        send_calls(&connection, 0, &many[..100])?;
    }
    // The resource usage after the scenario shows whether the server leaked anything.
    tally.add_text(format!("{REPETITIONS} times"), true);
    attempts.push(tally.finish());
    Ok(())
}

/// Opens a connection and makes sequential calls, so that the server dedicates a thread to it.
fn open_dedicated(target: &TargetServer) -> io::Result<RawConnection> {
    let connection = target.open()?;
    for number in 0..SEQUENTIAL_CALLS {
        connection.call(1_000 + number, NO_METHOD, &[], &[])?;
        match connection.receive(RESPONSE_TIMEOUT) {
            Response::Reply { .. } => {}
            other => return Err(io::Error::other(format!("a sequential call got: {other}"))),
        }
    }
    Ok(connection)
}

/// Sends calls without waiting for replies. Every third call contains handles.
fn send_calls(
    connection: &RawConnection,
    first: u32,
    handles: &[BorrowedFd<'_>],
) -> io::Result<()> {
    for number in first..first + CALLS {
        let handles = if number % 3 == 0 { handles } else { &[] };
        ignore_disconnect(connection.call(number, NO_METHOD, &[], handles))?;
    }
    Ok(())
}

/// Counts the replies until another response arrives, and returns that response.
fn receive_replies(connection: &RawConnection) -> (u32, Response) {
    let mut replies = 0;
    loop {
        match connection.receive(RESPONSE_TIMEOUT) {
            Response::Reply { .. } => replies += 1,
            last => return (replies, last),
        }
    }
}

/// Sends each message on a separate connection, which the server must end.
fn send_each(
    target: &TargetServer,
    description: impl Into<String>,
    messages: impl IntoIterator<Item = Vec<u8>>,
) -> io::Result<Attempt> {
    let mut tally = Tally::new(description);
    for message in messages {
        let connection = target.open()?;
        connection.send_bytes(&message, &[])?;
        tally.expect_end(&connection);
    }
    Ok(tally.finish())
}

/// Returns the header of a call to a method that no interface has.
fn call_header() -> Header {
    Header { code: NO_METHOD, ..Header::new(FrameKind::Call) }
}

fn with_body(body: Body) -> Vec<u8> {
    encode_header(&Header { body, ..call_header() })
}
