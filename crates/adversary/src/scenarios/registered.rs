//! Slots of registered handles that the client does not have, and handles that it registers without
//! end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use syshandle_wire::{
    Entry, Fault, Features, FrameKind, Header, Hello, SlotId, SlotNote, SlotNotes,
};

use crate::raw_connection::{
    NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response, encode_header, ignore_disconnect,
};
use crate::scenario::{Attempt, Scenario, Tally, TargetServer};

pub(super) const SLOTS: Scenario = Scenario {
    name: "registered",
    description: "slots that were never given, and handles that are registered without end",
    accepted: true,
    method: None,
    run: run_slots,
};

/// Slots that no server gives first.
const INVENTED: [SlotId; 4] = [
    SlotId { slot: 0, generation: 0 },
    SlotId { slot: 0, generation: 1 },
    SlotId { slot: 4096, generation: 1 },
    SlotId { slot: u16::MAX, generation: u32::MAX },
];

/// Number of handles that one connection registers, more than a server keeps for it.
const MANY: u16 = 5000;

fn run_slots(target: &TargetServer, attempts: &mut Vec<Attempt>) -> io::Result<()> {
    let mut tally = Tally::new("calls with invented slots");
    let connection = target.open()?;
    for (call, slot) in (1..).zip(INVENTED) {
        send_call(&connection, call, &[Entry::Slot(slot); 3], &[])?;
        let response = reply(&connection);
        let is_refused = matches!(&response, Response::Reply { fault: Some(Fault::SlotGone), .. });
        tally.add(&response, is_refused);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("slots released or answered that were never given");
    let invented = INVENTED
        .into_iter()
        .flat_map(|slot| [SlotNote::Released(slot), SlotNote::Kept { token: slot.slot, slot }]);
    for note in invented.chain([SlotNote::Declined { token: 1 }]) {
        let connection = target.open()?;
        let (header, body) = SlotNotes::write(&[note]);
        connection.send_frame(&header, &body, &[])?;
        tally.expect_end(&connection);
    }
    let connection = target.open()?;
    connection.send_frame(&Header::new(FrameKind::Slots), &[0; 13], &[])?;
    tally.expect_end(&connection);
    attempts.push(tally.finish());

    let mut tally = Tally::new("slots that crossing notes may name");
    let connection = target.open()?;
    let (header, body) = SlotNotes::write(&[SlotNote::TakenBack(INVENTED[1]); SlotNotes::MAX]);
    connection.send_frame(&header, &body, &[])?;
    send_call(&connection, 1, &[], &[])?;
    tally.expect_fault(&connection);
    attempts.push(tally.finish());

    let mut tally = Tally::new("slots although the client has not announced them");
    let entries = [Entry::Slot(INVENTED[1])].into_iter().collect();
    let argument = Header { entries, ..Header::new(FrameKind::Call) };
    for header in [argument, Header::new(FrameKind::Slots)] {
        let connection = target.connect_greeted()?;
        let hello = Hello { features: Features::NONE, ..target.hello() };
        connection.send_frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
        ignore_disconnect(connection.send_bytes(&encode_header(&header), &[]))?;
        tally.expect_end(&connection);
    }
    attempts.push(tally.finish());

    let mut tally = Tally::new("handles registered without end, among them the own connection");
    let (connection, file) = (target.open()?, File::open("/dev/null")?);
    for call in 1..=MANY {
        let handle = if call % 2 == 0 { connection.0.as_fd() } else { file.as_fd() };
        send_call(&connection, call.into(), &[Entry::HandleToKeep(call)], &[handle])?;
        let response = reply(&connection);
        let is_within_limits = matches!(
            &response,
            Response::Reply { fault: Some(Fault::NoSuchMethod(_) | Fault::Busy { .. }), .. }
        );
        tally.add(&response, is_within_limits);
    }
    drop(connection);
    attempts.push(tally.finish());
    Ok(())
}

fn send_call(
    connection: &RawConnection,
    call: u32,
    entries: &[Entry],
    handles: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let entries = entries.iter().copied().collect();
    let header = Header { call, code: NO_METHOD, entries, ..Header::new(FrameKind::Call) };
    connection.send_frame(&Header { timeout_ms: 60_000, ..header }, &[], handles)
}

/// Receives the next reply. Skips notes about slots.
fn reply(connection: &RawConnection) -> Response {
    loop {
        match connection.receive(RESPONSE_TIMEOUT) {
            Response::Frame(FrameKind::Slots) => {}
            response => return response,
        }
    }
}
