//! Sends as many handles as a call may have, in as many concurrent calls as allowed, on many
//! connections.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syshandle_types::Limits;
use syshandle_wire::Fault;

use crate::line::{Answer, PATIENCE, unless_cut_off};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "handle-flood",
    what: "the most handles in the most calls on many connections",
    accepted: true,
    run,
};

const CONNECTIONS: usize = 16;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let handles = vec![null.as_fd(); Limits::HANDLES_MAX.into()];
    let calls = u32::from(Limits::CALLS_MAX);
    let mut lines = Vec::new();
    for _ in 0..CONNECTIONS {
        lines.push(target.open()?);
    }
    let mut tally = Tally::new(format!(
        "{CONNECTIONS} connections x {calls} calls x {} handles",
        handles.len()
    ));
    let mut sent = vec![0; CONNECTIONS];
    for call in 0..2 * calls {
        for (line, sent) in lines.iter().zip(&mut sent) {
            // One call more than the limit would end the connection.
            if *sent == calls {
                wait_for_one(line, &mut tally);
                *sent -= 1;
            }
            match line.call(call, super::NO_METHOD, &[], &handles) {
                Ok(()) => *sent += 1,
                // The kernel also counts handles in flight.
                Err(error) if error.raw_os_error() == Some(ETOOMANYREFS) => {
                    tally.add_text("the kernel refuses more under way", true);
                }
                // If the server has cut off the connection, `wait_for_one` receives the reason.
                sent_or_cut_off => unless_cut_off(sent_or_cut_off)?,
            }
        }
    }
    for (line, sent) in lines.iter().zip(sent) {
        (0..sent).for_each(|_| wait_for_one(line, &mut tally));
    }
    acts.push(tally.act());
    Ok(())
}

fn wait_for_one(line: &crate::Line, tally: &mut Tally) {
    let answer = line.answer(PATIENCE);
    let right = matches!(
        &answer,
        Answer::Reply {
            fault: Some(Fault::NoSuchMethod(_) | Fault::HandlesLost | Fault::Busy { .. }),
            ..
        }
        // The server can't accept more handles until it has closed earlier ones.
        | Answer::Refused(Fault::Busy { .. })
        | Answer::CutOff
    );
    tally.add(&answer, right);
}

/// From `asm-generic/errno.h`.
const ETOOMANYREFS: i32 = 109;
