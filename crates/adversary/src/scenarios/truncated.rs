//! Sends frames that are truncated at each of their bytes.

use std::io;

use syshandle_wire::{Body, FrameKind, Header, Hello};

use crate::line::written;
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "truncated",
    what: "frames that end too early, at every byte",
    accepted: true,
    run,
};

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let hello = Hello { clsid: target.clsid, iid: target.iid }.write();
    let header =
        Header { body: Body::Inline { len: hello.len() as u32 }, ..Header::new(FrameKind::Hello) };
    let whole = [written(&header).as_slice(), &hello].concat();
    let mut tally = Tally::new(format!("hello cut at each of its {} bytes", whole.len()));
    for len in 0..whole.len() {
        let line = target.greeted()?;
        line.bytes(&whole[..len], &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());

    let header = Header { code: super::NO_METHOD, ..Header::new(FrameKind::Call) };
    let whole = written(&header);
    let mut tally = Tally::new(format!("a call cut at each of its {} bytes", whole.len()));
    for len in 0..whole.len() {
        let line = target.open()?;
        line.bytes(&whole[..len], &[])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());
    Ok(())
}
