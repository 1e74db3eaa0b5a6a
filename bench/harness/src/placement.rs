//! Which core each side runs on.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which core each side runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Both on one core: what the work costs.
    Same,
    /// As the scheduler decides.
    Free,
    /// Each on its own core: what waking costs too.
    Split,
}

impl Placement {
    /// Puts all threads of this process, and of the others, where they belong.
    ///
    /// # Errors
    /// Those of `sched_setaffinity(2)` and of reading `/proc`; fewer than two cores.
    pub fn apply(self, others: &[u32]) -> io::Result<()> {
        let cores: Vec<usize> = allowed()?;
        let [first, .., last] = cores.as_slice() else {
            return Err(io::Error::other("this takes two cores"));
        };
        let (ours, theirs) = match self {
            // Interrupts tend to come on the first core.
            Self::Same => (vec![*last], vec![*last]),
            Self::Free => (cores.clone(), cores.clone()),
            Self::Split => (vec![*first], vec![*last]),
        };
        pin(std::process::id(), &ours)?;
        others.iter().try_for_each(|pid| pin(*pid, &theirs))
    }
}

/// The cores that this machine has, as process 1 may use them: this one may be pinned already.
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
            // A thread that has just ended needs no place.
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
