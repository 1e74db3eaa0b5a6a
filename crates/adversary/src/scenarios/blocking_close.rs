//! Sends handles whose close blocks: inside other sockets, in unread messages, and in frames that
//! break the rules.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use syshandle_wire::{Fault, FrameKind, Header};

use crate::Hostage;
use crate::line::{Answer, Line, PATIENCE, unless_cut_off};
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "blocking",
    what: "handles whose close blocks, also inside other sockets and in connections left unread",
    accepted: true,
    run,
};

/// Number of connections that follow the rules and make calls between the attempts.
const WITNESSES: usize = 8;
const CONNECTIONS: usize = 128;

/// Number of methods that are called with arguments that can't be decoded.
const METHODS: u32 = 8;
const AT_ONCE: usize = 16;

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut witnesses = Vec::new();
    for _ in 0..WITNESSES {
        witnesses.push(target.open()?);
    }
    // The hostages live until the end of the scenario, because dropping one would unblock the
    // server's close.
    let mut hostages = Vec::new();
    let null = File::open("/dev/null")?;
    let mut hostage = |nested: bool| {
        let mut hostage = Hostage::new()?;
        let handle = if nested { hostage.take_nested() } else { hostage.take() };
        hostages.push(hostage);
        handle.map(|handle| Sent(Some(handle)))
    };

    let mut tally = Tally::new("a handle in a call that takes none");
    let line = target.open()?;
    for call in 0..8 {
        line.call(call, super::NO_METHOD, &[], &[hostage(call % 2 == 0)?.lend()?])?;
        let answer = line.answer(PATIENCE);
        tally.add(&answer, matches!(answer, Answer::Reply { fault: Some(_), .. }));
    }
    acts.push(tally.act());
    acts.push(calls(&witnesses, 0));

    let mut tally = Tally::new("a handle in arguments whose later bytes are wrong");
    let line = target.open()?;
    for method in 0..METHODS {
        // This process closes its handles before the server handles the last of these calls.
        let handles = (0..AT_ONCE).map(|_| hostage(false)).collect::<io::Result<Vec<_>>>()?;
        for (call, handle) in (0..).zip(&handles) {
            // If the first parameter of the method is a handle, it is decoded before decoding
            // fails: there is no slot 65535, and the second handle is left over.
            let body = [&[0; 2][..], &[0xff; 16]].concat();
            line.call(call, method, &body, &[handle.lend()?, null.as_fd()])?;
        }
        drop(handles);
        for _ in 0..AT_ONCE {
            let answer = line.answer(PATIENCE);
            tally.add(&answer, matches!(answer, Answer::Reply { fault: Some(_), .. }));
        }
    }
    acts.push(tally.act());
    acts.push(calls(&witnesses, 1));

    let mut tally = Tally::new("a handle in a frame that breaks the rules");
    for nested in [true, false, true, false] {
        let line = target.open()?;
        line.frame(&Header::new(FrameKind::Greeting), &[], &[hostage(nested)?.lend()?])?;
        tally.cut_off(&line);
    }
    acts.push(tally.act());
    acts.push(calls(&witnesses, 2));

    let mut tally = Tally::new("a listener with handles in the connections that wait in it");
    let line = target.open()?;
    let place = std::env::temp_dir().join(format!("syshandle-adversary-{}", std::process::id()));
    let listener = UnixListener::bind(&place)?;
    let waiting = std::os::unix::net::UnixStream::connect(&place);
    std::fs::remove_file(&place)?;
    let waiting = syshandle_os::Seqpacket::from(OwnedFd::from(waiting?));
    waiting.send(&[io::IoSlice::new(b"x")], &[hostage(true)?.lend()?])?;
    let listener = Sent(Some(listener.into()));
    line.call(1, super::NO_METHOD, &[], &[listener.lend()?])?;
    drop((listener, waiting));
    let answer = line.answer(PATIENCE);
    tally.add(&answer, matches!(answer, Answer::Reply { fault: Some(_), .. }));
    acts.push(tally.act());
    acts.push(calls(&witnesses, 3));

    let mut tally = Tally::new("connections that end with handles unread");
    for _ in 0..CONNECTIONS {
        match target.open() {
            Ok(line) => {
                // A client must not send this frame, so the server doesn't receive anything after
                // it.
                unless_cut_off(line.frame(&Header::new(FrameKind::Greeting), &[], &[]))?;
                unless_cut_off(line.call(1, super::NO_METHOD, &[], &[hostage(false)?.lend()?]))?;
                tally.add_text("left", true);
            }
            Err(error) => tally.add_text(error.to_string(), true),
        }
    }
    acts.push(tally.act());
    acts.push(calls(&witnesses, 4));
    Ok(())
}

/// A sent handle, which a separate thread closes on drop. If the server has already closed its
/// duplicate, this close is the last and blocks.
struct Sent(Option<OwnedFd>);

impl Sent {
    fn lend(&self) -> io::Result<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let handle = self.0.take();
        std::thread::spawn(move || drop(handle));
    }
}

/// Checks that the connections which follow the rules are served.
fn calls(witnesses: &[Line], call: u32) -> Act {
    let mut tally = Tally::new("calls on other connections meanwhile");
    for line in witnesses {
        let sent = line.call(call, super::NO_METHOD, &[], &[]);
        let answer = sent.map_or(Answer::CutOff, |()| line.answer(PATIENCE));
        let is_right = matches!(answer, Answer::Reply { fault: Some(Fault::NoSuchMethod(_)), .. });
        tally.add(&answer, is_right);
    }
    tally.act()
}
