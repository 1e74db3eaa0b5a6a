//! How time and memory grow: with clients, handles in one call, jobs that wait, classes that are
//! registered.

use bench_harness::{Placement, Report, Result, Work};

use crate::contenders;
use crate::machine::Folder;
use crate::options::Options;
use crate::plan::Task;
use crate::process::Process;
use crate::results::{Curve, Results};

/// Measures all curves.
pub(crate) fn grow(options: &Options, folder: &Folder, results: &mut Results) -> Result<()> {
    let entries = ["epoll", "seqpacket", "syshandle"];
    let entries: Vec<_> = entries.into_iter().map(contenders::named).collect::<Result<_>>()?;
    crate::build::build(&entries, results)?;
    let large = if options.quick { 1_000 } else { 10_000 };
    let counts =
        |max: usize| [1, 10, 100, 300, 1_000, 3_000, 10_000].into_iter().filter(move |n| *n <= max);
    let mut growth = Growth { options, folder, results };
    growth.along("idle clients", "syshandle", counts(large), Work::Idle, Placement::Free)?;
    growth.along("idle clients", "epoll", counts(large), Work::Idle, Placement::Free)?;
    let handles = || [0, 1, 2, 4, 8, 16, 32, 64, 128, 253].into_iter();
    growth.along(
        "handles in one call",
        "syshandle",
        handles(),
        Work::ManyHandles,
        Placement::Same,
    )?;
    growth.along(
        "handles in one call",
        "seqpacket",
        handles(),
        Work::ManyHandles,
        Placement::Same,
    )?;
    growth.along("waiting jobs", "syshandle", counts(large), Work::Jobs, Placement::Free)?;
    growth.classes([1, 10, 100, 1_000, 10_000].into_iter().filter(|count| *count <= large))
}

struct Growth<'g> {
    options: &'g Options,
    folder: &'g Folder,
    results: &'g mut Results,
}

impl Growth<'_> {
    /// The time of a call, and the memory of each, along a count.
    fn along(
        &mut self,
        with: &str,
        name: &str,
        counts: impl Iterator<Item = usize>,
        work: impl Fn(usize) -> Work,
        placement: Placement,
    ) -> Result<()> {
        let (mut times, mut memory) = (Vec::new(), Vec::new());
        for count in counts {
            // Anew each time: memory that was used once is used again.
            let mut process = Process::ready(contenders::named(name)?, name, self.folder.path())?;
            let Some(report) = self.order(&mut process, work(count), placement)? else {
                return Ok(());
            };
            times.push((count as f64, report.median_ns / 1e3));
            memory.extend(report.memory.map(|each| (count as f64, each * count as f64 / 1024.0)));
        }
        self.add(with, &format!("{name}: µs a call"), times);
        self.add(with, &format!("{name}: KiB of the server"), memory);
        Ok(())
    }

    /// The time to connect and to start, along the classes that are registered.
    fn classes(&mut self, counts: impl Iterator<Item = usize>) -> Result<()> {
        let entry = contenders::named("syshandle")?;
        let (mut warm, mut cold) = (Vec::new(), Vec::new());
        for count in counts {
            let name = format!("syshandle-classes-{count}");
            let mut process = Process::ready(entry, &name, self.folder.path())?;
            for (work, points) in [(Work::Connect, &mut warm), (Work::Cold, &mut cold)] {
                if let Some(report) = self.order(&mut process, work, Placement::Same)? {
                    points.push((count as f64, report.median_ns / 1e3));
                }
            }
        }
        self.add("registered classes", "syshandle: µs to connect and call", warm);
        self.add("registered classes", "syshandle: µs to start, connect and call", cold);
        Ok(())
    }

    fn order(
        &self,
        process: &mut Process,
        work: Work,
        placement: Placement,
    ) -> Result<Option<Report>> {
        eprintln!("{work}");
        process.order(&Task { work, placement, ms: self.options.ms, rounds: 1 })
    }

    fn add(&mut self, with: &str, what: &str, points: Vec<(f64, f64)>) {
        if !points.is_empty() {
            let (with, what) = (with.to_owned(), what.to_owned());
            self.results.growth.push(Curve { with, what, points });
        }
    }
}
