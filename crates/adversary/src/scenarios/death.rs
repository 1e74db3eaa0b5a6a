//! Clients that disconnect at each step of a call, without `Bye`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syshandle_wire::{FrameKind, Header, Hello};

use crate::line::{Line, PATIENCE, unless_cut_off};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "death", what: "gone at every step, without a word", accepted: true, run };

const TIMES: u32 = 50;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let hello = Hello { clsid: target.clsid, iid: target.iid }.write();
    // The client disconnects after step number `last`.
    let steps = [
        "connected",
        "greeted",
        "hello said",
        "a call sent",
        "a call with handles sent",
        "a door asked for",
        "a door received",
    ];
    for (last, step) in steps.iter().enumerate() {
        let mut tally = Tally::new(format!("{step}, and gone"));
        for _ in 0..TIMES {
            let line = Line::connect(&target.address)?;
            if last >= 1 {
                line.answer(PATIENCE);
            }
            if last >= 2 {
                unless_cut_off(line.frame(&Header::new(FrameKind::Hello), &hello, &[]))?;
            }
            if last >= 3 {
                unless_cut_off(line.call(1, super::NO_METHOD, &[], &[]))?;
            }
            if last >= 4 {
                unless_cut_off(line.call(2, super::NO_METHOD, &[], &[null.as_fd(); 100]))?;
            }
            if last >= 5 {
                unless_cut_off(line.call(3, super::DOOR, &[], &[]))?;
            }
            if last >= 6 {
                for _ in 0..3 {
                    line.answer(PATIENCE);
                }
            }
        }
        // The census after the scenario detects resources that the server has kept.
        tally.add_text(format!("{TIMES} times"), true);
        acts.push(tally.act());
    }
    Ok(())
}
