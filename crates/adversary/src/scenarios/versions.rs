//! Sends hellos for other versions, protocols and classes.

use std::io;

use syshandle_types::Guid;
use syshandle_wire::{FrameKind, Header, Hello};

use crate::line::Answer;
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "versions",
    what: "hellos of other versions, protocols and classes",
    accepted: true,
    run,
};

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let hello = Hello { clsid: target.clsid, iid: target.iid }.write();
    let mut tally = Tally::new("versions that there aren't");
    for version in [0_u16, 2, 255, u16::MAX] {
        let mut other = hello;
        other[8..10].copy_from_slice(&version.to_le_bytes());
        let line = target.greeted()?;
        line.frame(&Header::new(FrameKind::Hello), &other, &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("a hello with each bit of its mark changed");
    for bit in 0..64 {
        let mut other = hello;
        other[bit / 8] ^= 1 << (bit % 8);
        let line = target.greeted()?;
        line.frame(&Header::new(FrameKind::Hello), &other, &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let other = Guid::from_bytes([0xa5; 16]);
    let nobodys = [(other, target.iid), (target.clsid, other), (Guid::NIL, target.iid)];
    let mut tally = Tally::new("classes and interfaces that the server does not offer");
    for (clsid, iid) in nobodys {
        let line = target.greeted()?;
        line.frame(&Header::new(FrameKind::Hello), &Hello { clsid, iid }.write(), &[])?;
        let ending = line.ending();
        let text = match &ending {
            Answer::Refused(_) => "refused by name".to_owned(),
            other => other.to_string(),
        };
        tally.add_text(text, matches!(ending, Answer::Refused(_)));
    }
    acts.push(tally.act());
    Ok(())
}
