//! Connects through doors and doesn't receive the answers, which contain handles. The client keeps
//! the return channels and uses some of the connections.

use std::io;

use syshandle_os::Seqpacket;
use syshandle_types::Guid;
use syshandle_wire::{Fault, FrameKind, Header, Hello};

use crate::line::{Answer, Line, PATIENCE};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "unread-answers",
    what: "answers of doors that are never received, while the client goes on and when it is gone",
    accepted: true,
    run,
};

/// More than the usual limit of handles that a user may have in flight.
const ATTACHES: usize = 1_500;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let opener = target.open()?;
    let door = match ask_for_door(&opener, 0)? {
        Answer::Reply { fault: None, mut handles, .. } if handles.len() == 1 => {
            Seqpacket::from(handles.swap_remove(0))
        }
        other => return Err(io::Error::other(format!("no door: {other}"))),
    };

    let mut channels = Vec::new();
    let mut tally = Tally::new(format!("{ATTACHES} connections through a door, answers unread"));
    let mut refusals = 0;
    for _ in 0..ATTACHES {
        let Ok(channel) = Line::asking(&door) else { break };
        match channel.peek_handle(PATIENCE)? {
            Some(end) => {
                let line = Line(Seqpacket::from(end));
                let hello = Hello { clsid: Guid::NIL, iid: target.iid };
                line.frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
                line.frame(&Header::new(FrameKind::Bye), &[], &[])?;
                tally.add_text("attached", true);
            }
            None => {
                let answer = channel.answer(PATIENCE);
                tally.add(&answer, matches!(answer, Answer::Refused(Fault::Busy { .. })));
                refusals += 1;
            }
        }
        channels.push(channel);
        if refusals == 10 {
            break;
        }
    }
    acts.push(tally.act());

    let mut tally = Tally::new("a reply with a handle at that time, to the same client");
    let answer = ask_for_door(&opener, 1)?;
    tally.add(&answer, super::is_reply_within_limits(&answer));
    acts.push(tally.act());
    Ok(())
}

fn ask_for_door(line: &Line, call: u32) -> io::Result<Answer> {
    line.call(call, super::DOOR, &[], &[])?;
    Ok(line.answer(PATIENCE))
}
