//! Asks for references to the object until the server refuses.

use std::io;

use syshandle_wire::Fault;

use crate::line::{Answer, PATIENCE};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "door-flood",
    what: "references to the object, until the server says no",
    accepted: true,
    run,
};

const DOORS: u32 = 20_000;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new(format!("up to {DOORS} references"));
    let line = target.open()?;
    let mut held = Vec::new();
    for call in 0..DOORS {
        line.call(call, super::DOOR, &[], &[])?;
        match line.answer(PATIENCE) {
            Answer::Reply { fault: None, mut handles, .. } => match handles.pop() {
                Some(door) => held.push(door),
                // The kernel discarded the handle, because this process can't open more
                // descriptors.
                None => break,
            },
            answer => {
                let right =
                    matches!(&answer, Answer::Reply { fault: Some(Fault::Busy { .. }), .. });
                tally.add(&answer, right);
                break;
            }
        }
    }
    tally.add_text(format!("{} given", held.len()), true);
    // Sends invalid frames to some of the doors.
    for door in held.iter().take(100) {
        let door = syshandle_os::Seqpacket::from(door.try_clone()?);
        for _ in 0..10 {
            let _ = door.send(&[io::IoSlice::new(b"rubbish")], &[]);
        }
    }
    acts.push(tally.act());
    Ok(())
}
