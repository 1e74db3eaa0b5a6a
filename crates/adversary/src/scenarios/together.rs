//! Sends many frames at once, of which one in the middle breaks a rule.
//!
//! A server may receive them with one system call. It must treat each frame as if it had arrived
//! alone: it answers the frames before the invalid one, and ignores the frames after it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use syshandle_types::Limits;
use syshandle_wire::{FrameKind, Header};

use crate::line::{Answer, Line, PATIENCE, unless_cut_off, written};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "together",
    what: "many frames at once, with a wrong one in the middle",
    accepted: true,
    run,
};

/// Number of repetitions of each attempt.
const TIMES: u32 = 10;

/// Number of sequential calls after which the server dedicates a thread to this client.
const CALLS_ALONE: u32 = 80;

/// Number of calls before the invalid frame and after it. Their sum must not exceed the limit of
/// concurrent calls.
const CALLS: u32 = 12;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    let call = |handles| Header {
        call: 5_000,
        code: super::NO_METHOD,
        handles,
        ..Header::new(FrameKind::Call)
    };
    let cut = written(&call(0))[..9].to_vec();
    let many = vec![null.as_fd(); Limits::HANDLES_MAX.into()];
    let wrong: [(&str, Vec<u8>, &[BorrowedFd<'_>]); 6] = [
        ("one that ends too early", cut, &[]),
        ("one that is too long", vec![4; Header::FRAME_MAX + 1], &[]),
        ("one without bytes", Vec::new(), &[]),
        ("one with more handles than declared", written(&call(1)), &many),
        ("one with fewer handles than declared", written(&call(2)), &many[..1]),
        ("one of no kind", vec![0xee; Header::LEN], &many[..3]),
    ];
    for (what, bytes, handles) in wrong {
        let mut tally = Tally::new(format!("{CALLS} calls, {what}, and {CALLS} calls"));
        for _ in 0..TIMES {
            let line = open(target)?;
            calls(&line, 0, &many[..1])?;
            unless_cut_off(line.bytes(&bytes, handles))?;
            calls(&line, CALLS, &many[..40])?;
            let (answered, last) = answers(&line);
            let right = matches!(last, Answer::CutOff | Answer::Refused(_));
            tally.add_text(format!("{answered} answered, then {last}"), right && answered == CALLS);
        }
        acts.push(tally.act());
    }
    let mut tally = Tally::new(format!("{CALLS} calls with handles at once, and gone"));
    for _ in 0..TIMES {
        let line = open(target)?;
        calls(&line, 0, &many[..100])?;
    }
    // The census after the scenario detects resources that the server has kept.
    tally.add_text(format!("{TIMES} times"), true);
    acts.push(tally.act());
    Ok(())
}

/// Opens a connection and makes sequential calls, so that the server dedicates a thread to it.
fn open(target: &Target) -> io::Result<Line> {
    let line = target.open()?;
    for number in 0..CALLS_ALONE {
        line.call(1_000 + number, super::NO_METHOD, &[], &[])?;
        match line.answer(PATIENCE) {
            Answer::Reply { .. } => {}
            other => return Err(io::Error::other(format!("a call alone got: {other}"))),
        }
    }
    Ok(line)
}

/// Sends calls without waiting for replies. Every third call has handles.
fn calls(line: &Line, first: u32, handles: &[BorrowedFd<'_>]) -> io::Result<()> {
    for number in first..first + CALLS {
        let handles = if number % 3 == 0 { handles } else { &[] };
        unless_cut_off(line.call(number, super::NO_METHOD, &[], handles))?;
    }
    Ok(())
}

/// Counts the replies until another answer arrives, and returns that answer.
fn answers(line: &Line) -> (u32, Answer) {
    let mut answered = 0;
    loop {
        match line.answer(PATIENCE) {
            Answer::Reply { .. } => answered += 1,
            last => return (answered, last),
        }
    }
}
