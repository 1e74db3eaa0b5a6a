//! Sends arguments that refer to wrong handle slots.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use crate::line::{Answer, PATIENCE};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "slots",
    what: "arguments that refer to handles that aren't there",
    accepted: true,
    run,
};

/// Number of methods that are called, beginning with method 0. No method runs, because each call
/// has one handle more than its bytes can refer to.
const METHODS: u32 = 8;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let slots: [&[u16]; 6] = [&[], &[1], &[0, 0], &[1, 0], &[253], &[u16::MAX, u16::MAX]];
    let mut tally = Tally::new(format!("slots out of order, twice, absent, in {METHODS} methods"));
    let line = target.open()?;
    let mut call = 0;
    for method in 0..METHODS {
        for slots in slots {
            let body: Vec<u8> = slots.iter().flat_map(|slot| slot.to_le_bytes()).collect();
            let handles = vec![null.as_fd(); slots.len() + 1];
            line.call(call, method, &body, &handles)?;
            let answer = line.answer(PATIENCE);
            let right = matches!(
                &answer,
                Answer::Reply { fault: Some(fault), .. } if fault.ran() == syshandle_wire::Ran::No
            );
            let text = match right {
                true => "refused, did not run".to_owned(),
                false => answer.to_string(),
            };
            tally.add_text(text, right);
            call += 1;
        }
    }
    acts.push(tally.act());
    Ok(())
}
