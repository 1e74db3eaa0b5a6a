//! Connects as a user whom the server doesn't accept.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syshandle_wire::{Fault, FrameKind, Header, Hello};

use crate::line::{Answer, Line};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "stranger", what: "a user whom the server isn't for", accepted: false, run };

const TIMES: usize = 2_000;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let hello = Hello { clsid: target.clsid, iid: target.iid }.write();
    let mut tally = Tally::new(format!("{TIMES} connections that insist"));
    let mut handles = Tally::new("a handle with each");
    for _ in 0..TIMES {
        let line = Line::connect(&target.address)?;
        match line.frame(&Header::new(FrameKind::Hello), &hello, &[null.as_fd()]) {
            Ok(()) => handles.add_text("let through", before_passrights()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                handles.add_text("the kernel refuses it", true);
            }
            Err(_) => handles.add_text("the connection has ended", true),
        }
        let _ = line.call(1, super::NO_METHOD, &[], &[]);
        let ending = line.ending();
        tally.add(&ending, matches!(ending, Answer::Refused(Fault::NotAllowed { .. })));
    }
    acts.push(tally.act());
    acts.push(handles.act());
    Ok(())
}

/// Whether the kernel is older than Linux 6.16, which introduced `SO_PASSRIGHTS`.
fn before_passrights() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 16),
        _ => true,
    }
}
