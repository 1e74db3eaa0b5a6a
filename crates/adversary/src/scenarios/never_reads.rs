//! Sends requests without end and never reads the replies.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "never-reads",
    what: "requests without end whose replies are never read",
    accepted: true,
    run,
};

/// More than any server may queue for one client.
const REQUESTS: u32 = 200_000;

/// Time without progress after which the server has stopped reading.
const STUCK: Duration = Duration::from_secs(2);

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let mut tally = Tally::new(format!("up to {REQUESTS} calls on each of 4 connections"));
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(target.open()?);
    }
    for line in &lines {
        let mut sent = 0;
        let mut moved = Instant::now();
        let ending = loop {
            let header = syshandle_wire::Header {
                call: sent,
                code: super::NO_METHOD,
                timeout_ms: 60_000,
                ..syshandle_wire::Header::new(syshandle_wire::FrameKind::Call)
            };
            match line.bytes_now(&crate::line::written(&header), &[]) {
                Ok(()) => (sent, moved) = (sent + 1, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if moved.elapsed() > STUCK {
                        break "isn't read any more";
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => break "cut off",
            }
            if sent == REQUESTS {
                break "all were taken";
            }
        };
        tally.add_text(ending, ending != "all were taken");
    }
    acts.push(tally.act());
    Ok(())
}
