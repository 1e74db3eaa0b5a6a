//! Sends handles before the server's greeting, and with the client's hello.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syshandle_wire::{FrameKind, Header, Hello};

use crate::line::Line;
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "early",
    what: "handles before the server has accepted the connection",
    accepted: true,
    run,
};

const TIMES: usize = 100;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let hello = Hello { clsid: target.clsid, iid: target.iid }.write();
    let mut tally = Tally::new("a handle at once after connecting");
    for _ in 0..TIMES {
        let line = Line::connect(&target.address)?;
        match line.frame(&Header::new(FrameKind::Hello), &hello, &[null.as_fd()]) {
            // The server had already accepted the connection. A hello must not have a handle.
            Ok(()) => tally.cut_off(&line),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tally.add_text("the kernel refuses it", true);
            }
            Err(error) => tally.add_text(error.to_string(), false),
        }
    }
    acts.push(tally.act());

    let mut tally = Tally::new("a handle with the hello");
    for _ in 0..TIMES {
        let line = target.greeted()?;
        line.frame(&Header::new(FrameKind::Hello), &hello, &[null.as_fd()])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());
    Ok(())
}
