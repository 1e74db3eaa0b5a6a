//! Runs scenarios one after the other, while an honest client makes calls.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Act, Census, Honest, Report, Row, Scenario, Target, Times};

/// Runs scenarios one after the other, each in a separate process, while an honest client makes
/// calls.
pub struct Attack<'a> {
    /// The server, as the honest client reaches it.
    pub target: Target,
    /// The scenarios to run.
    pub scenarios: Vec<&'static Scenario>,
    /// Returns the command that runs one scenario. The command prints a line for each act
    /// ([`Act::write`]).
    pub command: &'a dyn Fn(&Scenario) -> io::Result<Command>,
    /// The limit for the median duration of the honest client's calls, as a multiple of the median
    /// without an attack. The scenario uses the processor too, so this does not measure the server
    /// alone.
    pub slower_max: f64,
}

impl Attack<'_> {
    /// Runs all scenarios.
    ///
    /// # Errors
    /// Returns an error if the server can't be reached at the beginning, or if its process can't be
    /// inspected.
    pub fn run(&self) -> io::Result<Report> {
        let (mut honest, pid) = Honest::new(self.target.clone())?;
        let server = || {
            let text = format!("process {pid}, the server's, can't be looked at");
            Census::of(pid).ok_or_else(|| io::Error::other(text))
        };
        honest.call_for(WARM_UP)?;
        let idle = honest.call_for(IDLE_RUN)?;
        let before = server()?;
        let mut rows = Vec::new();
        for scenario in &self.scenarios {
            let row = self.scenario(scenario, &mut honest, pid, &before);
            let over = row.is_err();
            rows.push(match row {
                Ok(row) => row,
                Err(error) => Row::failed(scenario, &error),
            });
            if over {
                // The server has cut off the honest client, so a new one replaces it.
                honest = Honest::new(self.target.clone())?.0;
            }
        }
        let after = server()?;
        Ok(Report { idle, before, after, rows, slower_max: self.slower_max })
    }

    fn scenario(
        &self,
        scenario: &'static Scenario,
        honest: &mut Honest,
        pid: u32,
        before: &Census,
    ) -> io::Result<Row> {
        let mut child = (self.command)(scenario)?.stdout(Stdio::piped()).spawn()?;
        let Some(mut output) = child.stdout.take() else { return Err(io::ErrorKind::Other.into()) };
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).map(|_| text)
        });
        let mut times = Times::default();
        let deadline = Instant::now() + SCENARIO_TIME;
        let status = loop {
            let served = (0..16).try_for_each(|_| honest.call(&mut times));
            let ended = child.try_wait()?;
            if served.is_err() || Instant::now() >= deadline {
                // `kill` fails only if the scenario has already ended.
                let _ = child.kill();
                let status = child.wait()?;
                served?;
                break status;
            }
            if let Some(status) = ended {
                break status;
            }
        };
        let text = reader.join().unwrap_or_else(|_| Ok(String::new()))?;
        let mut acts: Vec<_> = text.lines().filter_map(Act::parse).collect();
        if !status.success() {
            let tried = "the scenario itself".into();
            acts.push(Act { tried, answer: format!("ended early: {status}"), right: false });
        }
        let gone = || io::Error::other("the server is gone");
        let after = Census::settled(pid, before, SETTLE).ok_or_else(gone)?;
        let leaked = after.open().saturating_sub(before.open());
        Ok(Row { scenario, acts, times, leaked, after: Some(after) })
    }
}

impl std::fmt::Debug for Attack<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attack").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Time for the server to start its threads and allocate its memory.
const WARM_UP: Duration = Duration::from_millis(300);

/// Duration of the measurement without an attack.
const IDLE_RUN: Duration = Duration::from_millis(700);

/// Time limit for a scenario.
const SCENARIO_TIME: Duration = Duration::from_secs(180);

/// The time limit for the server to release the resources of a scenario.
const SETTLE: Duration = Duration::from_secs(30);
