//! Sends frames byte by byte, each byte as a separate message.

use std::io;

use syshandle_wire::{FrameKind, Hello};

use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "dribble", what: "one byte at a time", accepted: true, run };

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let hello = Hello { clsid: target.clsid, iid: target.iid }.write();
    for (tried, open) in [("a hello byte by byte", false), ("a call byte by byte", true)] {
        let mut tally = Tally::new(tried);
        for _ in 0..20 {
            let line = if open { target.open()? } else { target.greeted()? };
            let kind = if open { FrameKind::Call } else { FrameKind::Hello };
            for byte in [[kind as u8].as_slice(), &hello].concat() {
                // The server cuts off the connection after the first byte, so sending may fail.
                if line.bytes(&[byte], &[]).is_err() {
                    break;
                }
            }
            tally.cut_off(&line);
        }
        acts.push(tally.act());
    }
    Ok(())
}
