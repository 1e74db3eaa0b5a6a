//! Assigns each side to a core.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The core on which each side runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Both sides on one core: measures the cost of the work.
    Same,
    /// As the scheduler decides.
    Free,
    /// Each side on its own core: includes the cost of waking.
    Split,
}

impl Placement {
    /// Pins all threads of this process and of the other processes to the cores of this placement.
    ///
    /// # Errors
    /// The errors of `sched_setaffinity(2)` and of reading `/proc`, or fewer than two cores.
    pub fn apply(self, others: &[u32]) -> io::Result<()> {
        let cores: Vec<usize> = allowed()?;
        let [first, .., last] = cores.as_slice() else {
            return Err(io::Error::other("this takes two cores"));
        };
        let (ours, theirs) = match self {
            // Interrupts tend to be handled on the first core, so the last one is used.
            Self::Same => (vec![*last], vec![*last]),
            Self::Free => (cores.clone(), cores.clone()),
            Self::Split => (vec![*first], vec![*last]),
        };
        pin(std::process::id(), &ours)?;
        others.iter().try_for_each(|pid| pin(*pid, &theirs))
    }
}

/// Returns the cores of this machine that process 1 may use, because this process may already be
/// pinned.
fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(1))?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

fn pin(pid: u32, cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = thread?.file_name();
        let id = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        match sched_setaffinity(id, &set) {
            // The thread has just ended.
            Err(rustix::io::Errno::SRCH) => {}
            result => result?,
        }
    }
    Ok(())
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Free => "free",
            Self::Split => "split",
        })
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "same" => Ok(Self::Same),
            "free" => Ok(Self::Free),
            "split" => Ok(Self::Split),
            _ => Err(format!("no placement is called `{text}`")),
        }
    }
}
