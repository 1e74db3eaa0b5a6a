//! More and fewer handles than the header declares.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syshandle_types::Limits;
use syshandle_wire::{FrameKind, Header};

use crate::line::{unless_cut_off, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "handles",
    what: "more and fewer handles than the header declares",
    accepted: true,
    run,
};

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let max = Limits::HANDLES_MAX;
    for (tried, pairs) in [
        ("more handles than declared", [(0, 1), (1, 2), (0, max), (max - 1, max)]),
        ("fewer handles than declared", [(1, 0), (2, 1), (max, max - 1), (u16::MAX, 1)]),
    ] {
        let mut tally = Tally::new(tried);
        for kind in [FrameKind::Call, FrameKind::Cancel, FrameKind::Release, FrameKind::Hello] {
            for (declared, sent) in pairs {
                let line = match kind {
                    FrameKind::Hello => target.greeted()?,
                    _ => target.open()?,
                };
                let header = Header {
                    code: if kind == FrameKind::Call { super::NO_METHOD } else { 0 },
                    handles: declared,
                    ..Header::new(kind)
                };
                unless_cut_off(line.bytes(&written(&header), &vec![null.as_fd(); sent.into()]))?;
                tally.cut_off(&line);
            }
        }
        acts.push(tally.act());
    }
    Ok(())
}
