//! A contender's process: told what to do, listened to for so long, and ended by its number.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bench_harness::{Report, Result};
use rustix::process::{Pid, Signal};

use crate::contenders::Entry;
use crate::plan::Task;

/// A contender's process, and what it has started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
    /// The processes on its other side.
    servers: Vec<i32>,
    /// Whatever the contender's program is, its servers are of one of these names.
    program: String,
}

impl Process {
    /// Starts the client of a contender.
    pub(crate) fn start(entry: &Entry, name: &str, folder: &Path) -> Result<Self> {
        let mut child = Command::new(crate::build::program(entry)?)
            .args(["client", name])
            .env("BENCH_FOLDER", folder)
            .env("XDG_RUNTIME_DIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let output = child.stdout.take().ok_or("no output")?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, orders, answers, servers: Vec::new(), program: entry.package.into() })
    }

    /// The same, once it is ready to take orders.
    pub(crate) fn ready(entry: &Entry, name: &str, folder: &Path) -> Result<Self> {
        let mut process = Self::start(entry, name, folder)?;
        let ready = process.answer(START_TIME)?;
        let servers = ready.strip_prefix("ready").ok_or("it didn't say that it is ready")?;
        process.servers = servers.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        Ok(process)
    }

    /// Has it do something; `None` when that is no work of its.
    pub(crate) fn order(&mut self, task: &Task) -> Result<Option<Report>> {
        let orders = self.orders.as_mut().ok_or("it has ended")?;
        writeln!(orders, "{} {} {}", task.work, task.placement, task.ms)?;
        let answer = self.answer(Duration::from_millis(task.ms) + PATIENCE)?;
        match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("ok", report) => Ok(Some(Report::read(report).ok_or("not a report")?)),
            ("none", _) => Ok(None),
            (_, why) => Err(why.to_owned().into()),
        }
    }

    /// All lines that it prints until it ends by itself.
    pub(crate) fn lines(self) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let left = || end.saturating_duration_since(Instant::now());
        std::iter::from_fn(|| self.answers.recv_timeout(left()).ok()).collect()
    }

    fn answer(&self, patience: Duration) -> Result<String> {
        Ok(self.answers.recv_timeout(patience).map_err(|_| "it doesn't answer")?)
    }

    fn ended(&mut self) -> bool {
        let deadline = Instant::now() + END_TIME;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// Whether this is still a process of the contender's: numbers come again.
    fn is_its(&self, pid: i32) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        // The kernel keeps 15 bytes of a name.
        !name.is_empty() && self.program.starts_with(name.trim_end())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without orders it comes to its end by itself, and its servers with it.
        drop(self.orders.take());
        if !self.ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let deadline = Instant::now() + END_TIME;
        for &pid in &self.servers {
            while self.is_its(pid) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            if let Some(number) = Pid::from_raw(pid).filter(|_| self.is_its(pid)) {
                let _ = rustix::process::kill_process(number, Signal::KILL);
            }
        }
    }
}

/// Until a contender's server runs.
const START_TIME: Duration = Duration::from_secs(20);

/// Beyond the turn itself: ten thousand clients take a while to connect.
const PATIENCE: Duration = Duration::from_secs(60);

/// For an end in order; a server that waits for its clients goes within two seconds.
const END_TIME: Duration = Duration::from_secs(5);
