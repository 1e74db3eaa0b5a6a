//! Opens ten thousand connections and sends nothing.

use std::io;
use std::time::Instant;

use syshandle_wire::Fault;

use crate::line::{Answer, Line, PATIENCE};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "silence",
    what: "ten thousand connections that say nothing",
    accepted: true,
    run,
};

const CONNECTIONS: usize = 10_000;

/// Time limit for the server to cut off a client that doesn't send its hello. The server does this
/// after ten seconds; the limit is longer because the machine may be busy.
const ENOUGH: std::time::Duration = std::time::Duration::from_secs(60);

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new(format!("{CONNECTIONS} connections, as far as this process may"));
    let mut lines = Vec::new();
    for _ in 0..CONNECTIONS {
        match Line::connect(&target.address) {
            Ok(line) => lines.push(line),
            Err(error) => {
                tally.add_text(format!("this process has no more: {error}"), true);
                break;
            }
        }
    }
    let mut held = Vec::new();
    for line in lines {
        let answer = line.answer(PATIENCE);
        let right = matches!(answer, Answer::Greeting(..) | Answer::Refused(Fault::Busy { .. }));
        if matches!(answer, Answer::Greeting(..)) {
            held.push(line);
        }
        tally.add(&answer, right);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("and wait until the server lets go");
    let began = Instant::now();
    for line in held {
        let answer = line.answer(ENOUGH.saturating_sub(began.elapsed()));
        tally.add(&answer, matches!(answer, Answer::CutOff | Answer::Refused(_)));
    }
    acts.push(tally.act());
    Ok(())
}
