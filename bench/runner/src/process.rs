//! The process of a contender: sends it orders, waits for answers with a timeout, and ends it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bench_harness::{Report, Result};
use rustix::process::{Pid, Signal};

use crate::contenders::Entry;
use crate::interrupt;
use crate::plan::Task;

/// A contender's process and the processes that it has started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
    /// The last line that the contender wrote to standard error.
    last_words: Arc<Mutex<String>>,
    /// The contender's server processes. Each is stored with its start time, because process ids
    /// are reused.
    servers: Vec<(i32, String)>,
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
            .stderr(Stdio::piped())
            // Ctrl-C must reach only the runner, which then ends the contenders in order.
            .process_group(0)
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
        let last_words = Arc::<Mutex<String>>::default();
        let (words, errors) = (last_words.clone(), child.stderr.take().ok_or("no output")?);
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(std::result::Result::ok) {
                eprintln!("\n{line}");
                *words.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
        });
        Ok(Self { child, orders, answers, last_words, servers: Vec::new() })
    }

    /// Starts the client of a contender, and waits until it is ready for orders.
    pub(crate) fn ready(entry: &Entry, name: &str, folder: &Path) -> Result<Self> {
        let mut process = Self::start(entry, name, folder)?;
        let ready = process.answer(START_TIME)?;
        let servers = ready.strip_prefix("ready").ok_or("it didn't say that it is ready")?;
        let servers = servers.split_whitespace().filter_map(|pid| pid.parse().ok());
        process.servers = servers.filter_map(|pid| Some((pid, start_time(pid)?))).collect();
        Ok(process)
    }

    /// Sends an order and waits for the answer.
    pub(crate) fn order(&mut self, task: &Task) -> Result<Done> {
        let orders = self.orders.as_mut().ok_or("it has ended")?;
        writeln!(orders, "{} {} {}", task.work, task.placement, task.ms)?;
        let answer = self.answer(Duration::from_millis(task.ms) + PATIENCE)?;
        match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("ok", report) => Ok(Done::Report(Report::read(report).ok_or("not a report")?)),
            ("none", why) => Ok(Done::Cannot(why.to_owned())),
            (_, why) => Err(why.to_owned().into()),
        }
    }

    /// Returns all lines that the process prints until it ends by itself.
    pub(crate) fn lines(self) -> Vec<String> {
        std::iter::from_fn(|| self.answer(PATIENCE).ok()).collect()
    }

    fn answer(&self, patience: Duration) -> Result<String> {
        let end = Instant::now() + patience;
        loop {
            interrupt::check()?;
            match self.answers.recv_timeout(interrupt::LOOK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(self.why_it_ended().into()),
                Err(RecvTimeoutError::Timeout) if Instant::now() < end => {}
                Err(RecvTimeoutError::Timeout) => return Err("it doesn't answer".into()),
            }
        }
    }

    fn why_it_ended(&self) -> String {
        // Another thread reads the standard error of the process, and may need a moment.
        std::thread::sleep(interrupt::LOOK);
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        match words.trim_start_matches("Error: ").trim_matches('"') {
            "" => "it has ended".into(),
            words => words.to_owned(),
        }
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
}

/// The answer to an order.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    Report(Report),
    /// The contender can't do the work, for this reason. The reason is empty if it is obvious.
    Cannot(String),
}

/// Returns the start time of a process in ticks. The process id and the start time together
/// identify a process.
fn start_time(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The fields follow the program's name in parentheses. The name may contain any character.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

impl Drop for Process {
    fn drop(&mut self) {
        // At the end of its orders, the contender ends by itself, and ends its servers.
        drop(self.orders.take());
        if !self.ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // Remaining processes of the other side are killed, because they have no state that
        // requires an orderly end.
        for (pid, start) in &self.servers {
            let is_its = start_time(*pid).as_ref() == Some(start);
            if let Some(number) = Pid::from_raw(*pid).filter(|_| is_its) {
                let _ = rustix::process::kill_process(number, Signal::KILL);
            }
        }
    }
}

/// Maximum time until a contender's server runs.
const START_TIME: Duration = Duration::from_secs(20);

/// Maximum time for an order in addition to the length of its turn. Connecting ten thousand clients
/// takes a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Maximum time in which a contender must exit after its last order. Closing ten thousand
/// connections takes a while.
const END_TIME: Duration = Duration::from_secs(5);
