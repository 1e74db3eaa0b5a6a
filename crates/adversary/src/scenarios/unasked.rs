//! Sends frames that a client must not send: the server's frames, and answers without a request.

use std::io;

use syshandle_types::Limits;
use syshandle_wire::{Fault, FrameKind, Greeting, Header, Status};

use crate::line::{Answer, PATIENCE, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "unasked",
    what: "unrequested replies, greetings and refusals",
    accepted: true,
    run,
};

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let greeting = Greeting { limits: Limits::default(), offers: Vec::new() }.write();
    let fault = Fault::Draining.write();
    let mut tally = Tally::new("frames that only servers and doors take");
    for (kind, body) in [
        (FrameKind::Reply, &b""[..]),
        (FrameKind::Greeting, &greeting),
        (FrameKind::Refused, &fault),
        (FrameKind::Attach, b""),
    ] {
        for call in [0, 7, u32::MAX] {
            let line = target.open()?;
            let header = Header { call, code: Status::Done as u32, ..Header::new(kind) };
            line.frame(&header, body, &[])?;
            tally.cut_off(&line);
        }
    }
    acts.push(tally.act());

    let mut tally = Tally::new("ranges given back that were never taken");
    for offset in [0, 4096, u32::MAX] {
        let line = target.open()?;
        let releases = syshandle_wire::Releases::take_from(&mut vec![offset]);
        line.bytes(&written(&Header { releases, ..Header::new(FrameKind::Release) }), &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let mut tally = Tally::new("10,000 cancels of calls that don't run, and then a call");
    let line = target.open()?;
    for call in 0..10_000 {
        line.frame(&Header { call, ..Header::new(FrameKind::Cancel) }, &[], &[])?;
    }
    line.call(1, super::NO_METHOD, &[], &[])?;
    let answer = line.answer(PATIENCE);
    tally.add(&answer, matches!(answer, Answer::Reply { call: 1, .. }));
    acts.push(tally.act());

    let mut tally = Tally::new("10,000 requests for unused shared memory");
    let line = target.open()?;
    for _ in 0..10_000 {
        line.frame(&Header::new(FrameKind::Release), &[], &[])?;
    }
    line.call(1, super::NO_METHOD, &[], &[])?;
    let answer = line.answer(PATIENCE);
    tally.add(&answer, matches!(answer, Answer::Reply { call: 1, .. }));
    acts.push(tally.act());

    let mut tally = Tally::new("a call after the good-bye");
    let line = target.open()?;
    line.frame(&Header::new(FrameKind::Bye), &[], &[])?;
    let _ = line.call(1, super::NO_METHOD, &[], &[]);
    tally.cut_off(&line);
    acts.push(tally.act());
    Ok(())
}
