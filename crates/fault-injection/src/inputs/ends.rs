//! Passes an arbitrary sequence of frames to either end of a connection. The worst permitted
//! outcome is a protocol violation.

use syshandle_types::Limits;
use syshandle_wire::{
    ClientEnd, ClientEndEvent, Entry, Features, Greeting, Header, MessageEntries, ReleasedObjects,
    ServerEnd, ServerEndEvent, SlotNotes, Status,
};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((&[choice, handles], data)) = data.split_first_chunk::<2>() else { return };
    // The input contains the lengths into which it is split.
    let mut frames = Vec::new();
    let mut rest = data;
    while let Some((&len, tail)) = rest.split_first() {
        let (frame, tail) = tail.split_at(tail.len().min(len.into()));
        frames.push(frame);
        rest = tail;
    }
    let features = Features::from_bits(u64::from(choice >> 1));
    match choice % 2 {
        0 => server(&frames, handles, features),
        _ => client(&frames, handles, features),
    }
}

fn server(frames: &[&[u8]], handles: u8, features: Features) {
    let mut end = ServerEnd::new(Limits { calls_max: 4, ..Limits::default() }, features);
    for frame in frames {
        let event = end.receive(frame, usize::from(handles % 4), handles & 0x80 != 0);
        let Ok((event, inline)) = event else { return };
        match event {
            ServerEndEvent::Call { call, method, one_way: true, .. } => {
                let number = end.started_one_way(());
                if handles & 0x20 != 0 {
                    end.end_one_way(number);
                    let _ = match method % 2 {
                        0 => end.acknowledgement(false),
                        _ => Some(end.one_way_failed(call, method, 1)),
                    };
                }
            }
            ServerEndEvent::Call { call, entries, .. } => {
                end.started(call, ());
                if handles & 0x40 != 0 {
                    // The reply refers to the objects of the call.
                    let objects = entries.iter().filter(|entry| matches!(entry, Entry::Object(_)));
                    let entries = MessageEntries { handles: 0, table: objects.collect() };
                    let _ = end.reply(call, Status::Done, entries, frame.len() * 1000);
                }
            }
            ServerEndEvent::ReleaseObjects => {
                let Ok(released) = ReleasedObjects::read(inline) else { return };
                assert!(released.iter().count() <= ReleasedObjects::MAX);
            }
            ServerEndEvent::Slots => read_notes(inline),
            _ => {}
        }
    }
}

fn client(frames: &[&[u8]], handles: u8, features: Features) {
    let greeting = Greeting { features, ..Greeting::new(Limits::default(), Vec::new()) };
    let (header, body) = ServerEnd::<()>::greeting(&greeting);
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    let opened = ClientEnd::open(&[&head[..len], &body].concat(), 0, features);
    let (mut end, _) = opened.expect("a generated greeting opens a connection");
    for (i, frame) in frames.iter().enumerate() {
        let _ = end.start(0, 0, i * 40_000, 0, i);
        if handles & 0x20 != 0 && features.contains(Features::ONE_WAY) {
            let _ = end.start_one_way((i as u32, 0), 0, 0, 0);
        }
        match end.receive(frame, usize::from(handles % 4), handles & 0x80 != 0) {
            Ok((ClientEndEvent::Slots, body)) => read_notes(body),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// Reads notes about slots, and writes them again.
fn read_notes(body: &[u8]) {
    let Ok(notes) = SlotNotes::read(body) else { return };
    let Ok(notes) = notes.iter().collect::<Result<Vec<_>, _>>() else { return };
    let (_, written) = SlotNotes::write(&notes);
    let again = SlotNotes::read(&written).expect("notes that were written");
    assert!(again.iter().eq(notes.into_iter().map(Ok)));
}
