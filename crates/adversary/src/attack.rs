//! Runs scenarios one after the other while an honest client makes calls.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::honest_client::{HonestClient, Latencies};
use crate::report::{Report, ScenarioResult};
use crate::resources::ResourceUsage;
use crate::scenario::{Attempt, Scenario, TargetServer};

/// Runs scenarios one after the other, each in its own process, while an honest client makes calls.
pub struct Attack<'a> {
    /// The server to attack.
    pub target: TargetServer,
    /// The scenarios to run.
    pub scenarios: Vec<&'static Scenario>,
    /// Creates the command that runs one scenario. The command must print one line per attempt
    /// ([`Attempt::write`]).
    pub command: &'a dyn Fn(&Scenario) -> io::Result<Command>,
    /// Maximum ratio of the honest client's median call latency during an attack to that without an
    /// attack. Time that a thread waits for a CPU is excluded, because the scenario and other
    /// programs use the CPUs too.
    pub slower_max: f64,
}

impl Attack<'_> {
    /// Runs all scenarios.
    ///
    /// # Errors
    /// Returns an error if the server can't be reached before the first scenario, or if its process
    /// can't be inspected.
    pub fn run(&self) -> io::Result<Report> {
        let (mut honest, pid) = HonestClient::new(self.target.clone())?;
        let server = || {
            let text = format!("process {pid}, the server's, can't be examined");
            ResourceUsage::of_process(pid).ok_or_else(|| io::Error::other(text))
        };
        honest.call_for(WARM_UP)?;
        let idle = honest.call_for(IDLE_RUN)?;
        let before = server()?;
        let mut results = Vec::new();
        for scenario in &self.scenarios {
            results.push(match self.run_scenario(scenario, &mut honest, pid, &before) {
                Ok(result) => result,
                Err(error) => {
                    // The server may have disconnected the honest client, so a new one replaces it.
                    honest = HonestClient::new(self.target.clone())?.0;
                    ScenarioResult::failed(scenario, &error)
                }
            });
        }
        let after = server()?;
        Ok(Report { idle, before, after, results, slower_max: self.slower_max })
    }

    fn run_scenario(
        &self,
        scenario: &'static Scenario,
        honest: &mut HonestClient,
        pid: u32,
        before: &ResourceUsage,
    ) -> io::Result<ScenarioResult> {
        let mut child = (self.command)(scenario)?.stdout(Stdio::piped()).spawn()?;
        let Some(mut output) = child.stdout.take() else { return Err(io::ErrorKind::Other.into()) };
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).map(|_| text)
        });
        let mut latencies = Latencies::default();
        let deadline = Instant::now() + SCENARIO_TIMEOUT;
        let status = loop {
            let served = (0..16).try_for_each(|_| honest.call(&mut latencies));
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
        let mut attempts: Vec<_> = text.lines().filter_map(Attempt::parse).collect();
        if !status.success() {
            let description = "the scenario itself".into();
            let responses = format!("ended early: {status}");
            attempts.push(Attempt { description, responses, passed: false });
        }
        let ended = || io::Error::other("the server has ended");
        let after = ResourceUsage::after_release(pid, before, RELEASE_TIMEOUT).ok_or_else(ended)?;
        let leaked = after.descriptor_count().saturating_sub(before.descriptor_count());
        Ok(ScenarioResult { scenario, attempts, latencies, leaked, after: Some(after) })
    }
}

impl std::fmt::Debug for Attack<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attack").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Time in which the server starts its threads and allocates its memory before the first
/// measurement.
const WARM_UP: Duration = Duration::from_millis(300);

/// Duration of the measurement without an attack.
const IDLE_RUN: Duration = Duration::from_millis(700);

/// Maximum duration of a scenario.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(180);

/// Maximum time for the server to release the resources of a scenario.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(30);
