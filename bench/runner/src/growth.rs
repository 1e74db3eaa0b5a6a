//! Measures the growth of time and memory with the number of clients, handles per call, waiting
//! background tasks, registered classes, and methods of an interface. Checks that the growth is not
//! worse than expected.

use bench_harness::{Placement, Report, Result, Work, descriptors_max};

use crate::contenders::{self, Entry};
use crate::goals::OURS;
use crate::interrupt;
use crate::linear::{self, Expected};
use crate::machine::Folder;
use crate::options::Options;
use crate::pace::Pace;
use crate::plan::Task;
use crate::process::{Done, Process};
use crate::results::{Curve, Results};

/// A quantity that is increased step by step, and what is measured at each step.
struct Along {
    /// Name of the quantity.
    with: &'static str,
    counts: Vec<usize>,
    contenders: &'static [&'static str],
    placement: Placement,
    measures: Vec<Measure>,
    /// Whether the count is part of the contender's name instead of the work, as in
    /// `syshandle-classes-10`.
    by_name: bool,
    /// Typical total time in seconds.
    seconds: u64,
}

/// A number that is measured for each count.
struct Measure {
    what: &'static str,
    work: fn(usize) -> Work,
    number: fn(usize, &Report) -> Option<f64>,
    expected: Expected,
}

/// Returns the measured contenders.
///
/// # Errors
/// None, because all of them are known.
pub(crate) fn entries() -> Result<Vec<&'static Entry>> {
    ["epoll", "seqpacket", "syshandle"].into_iter().map(contenders::named).collect()
}

/// Returns the estimated time of each step.
pub(crate) fn estimates(options: &Options) -> Vec<std::time::Duration> {
    let seconds = |along: &Along| std::time::Duration::from_secs(along.seconds);
    all(options.quick).iter().map(seconds).collect()
}

/// Measures all curves and checks them.
///
/// # Errors
/// The run was interrupted, or syshandle's own program failed.
pub(crate) fn grow(
    options: &Options,
    folder: &Folder,
    results: &mut Results,
    pace: &mut Pace,
) -> Result<()> {
    for along in all(options.quick) {
        pace.begin(&format!("along {}", along.with));
        if pace.is_over() {
            eprintln!("is left out: the time limit has passed");
            continue;
        }
        for name in along.contenders {
            let mut curves = measure(&along, name, options, folder)?;
            let ours = *name == OURS;
            if ours && !pace.is_late() && curves.iter().any(|curve| fault(curve).is_some()) {
                // Another program may have disturbed the measurement, so only a curve that fails
                // twice counts as a failure.
                eprint!(" once more");
                for (curve, again) in curves.iter_mut().zip(measure(&along, name, options, folder)?)
                {
                    for (point, again) in curve.points.iter_mut().zip(again.points) {
                        point.1 = point.1.min(again.1);
                    }
                }
            }
            results.growth.extend(curves);
        }
        pace.end();
    }
    Ok(())
}

/// Returns how a curve deviates from its expected growth, if it does.
pub(crate) fn fault(curve: &Curve) -> Option<String> {
    linear::fault(&curve.points, curve.expected)
}

/// Returns a line for each curve with its verdict, and whether all curves of syshandle are as
/// expected.
pub(crate) fn verdicts(results: &Results) -> (String, bool) {
    let (mut text, mut fine) = (String::new(), true);
    for curve in &results.growth {
        let should = match curve.expected {
            Expected::Flat => "stays the same",
            Expected::Linear => "grows no worse than in proportion",
        };
        let verdict = match fault(curve) {
            None => format!("{should}: yes"),
            // A floor is not judged: its code does the same work at any count, so a deviation comes
            // from the machine.
            Some(fault) if !curve.what.starts_with(OURS) => format!("{should}: no, {fault}"),
            Some(fault) => {
                fine = false;
                format!("**{should}: NO**, {fault}")
            }
        };
        text += &format!("- with {}, {}: {verdict}\n", curve.with, curve.what);
    }
    (text, fine)
}

/// Measures all curves of one contender for one quantity.
fn measure(
    along: &Along,
    name: &'static str,
    options: &Options,
    folder: &Folder,
) -> Result<Vec<Curve>> {
    let entry = contenders::named(name)?;
    let mut curves: Vec<Curve> = Vec::new();
    for measure in &along.measures {
        curves.push(Curve {
            with: along.with.into(),
            what: format!("{name}: {}", measure.what),
            points: Vec::new(),
            expected: measure.expected,
        });
    }
    for &count in &along.counts {
        eprint!(".");
        // Each count uses a new process, because a used process would reuse its memory.
        let full_name = if along.by_name { format!("{name}-classes-{count}") } else { name.into() };
        let mut process = Process::ready(entry, &full_name, folder.path())?;
        let mut done: Option<(Work, Vec<Report>)> = None;
        for (measure, curve) in along.measures.iter().zip(&mut curves) {
            let work = (measure.work)(count);
            if done.as_ref().is_none_or(|(same, _)| *same != work) {
                done = Some((work, turns(&mut process, work, along.placement, options)?));
            }
            // A disturbance can only make a turn slower, so the fastest turn is used.
            let reports = done.iter().flat_map(|(_, reports)| reports);
            let numbers = reports.filter_map(|report| (measure.number)(count, report));
            let best = numbers.filter(|number| number.is_finite()).min_by(f64::total_cmp);
            curve.points.extend(best.map(|number| (count as f64, round(number))));
        }
    }
    curves.retain(|curve| !curve.points.is_empty());
    Ok(curves)
}

/// Runs several turns, or one turn if each would need a new set-up. Returns no reports if the
/// contender can't do the work.
fn turns(
    process: &mut Process,
    work: Work,
    placement: Placement,
    options: &Options,
) -> Result<Vec<Report>> {
    let set_up = matches!(
        work,
        Work::Idle(_)
            | Work::BackgroundTasks(_)
            | Work::Timers(_)
            | Work::Objects(_)
            | Work::NewObject(_)
    );
    let (ms, turns) = match (set_up, options.quick) {
        (true, true) => (60, 1),
        (true, false) => (200, 1),
        (false, true) => (25, 2),
        (false, false) => (80, 3),
    };
    let mut reports = Vec::new();
    // A lap of this work takes several milliseconds.
    let ms = if work == Work::Cold { ms * 4 } else { ms };
    for _ in 0..turns {
        interrupt::check()?;
        match process.order(&Task { work, placement, ms, rounds: 1 })? {
            Done::Report(report) => reports.push(report),
            Done::Cannot(_) => break,
        }
    }
    Ok(reports)
}

fn all(quick: bool) -> Vec<Along> {
    let large = if quick { 1_000 } else { 10_000 };
    let counts = |max: usize| -> Vec<usize> {
        let usual = [1, 10, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];
        usual.into_iter().filter(|count| *count <= max).collect()
    };
    // One process may use five eighths of a server's descriptors. Connections take some of them.
    let descriptors = (descriptors_max().saturating_mul(5) / 8).saturating_sub(64);
    // A task that waits for an argument of its call takes two: one for the argument, and one for the
    // wait.
    let tasks_max = descriptors / 2;
    let mut background_tasks = counts(large.min(tasks_max));
    if !quick && !background_tasks.contains(&tasks_max.min(BACKGROUND_TASKS_MAX)) {
        background_tasks.push(tasks_max.min(BACKGROUND_TASKS_MAX));
    }
    vec![
        Along {
            with: "idle clients",
            counts: counts(large.min(descriptors)),
            contenders: &["syshandle", "epoll"],
            placement: Placement::Free,
            measures: beside(Work::Idle, "µs to connect each"),
            by_name: false,
            seconds: if quick { 4 } else { 16 },
        },
        Along {
            with: "clients that call at once",
            counts: vec![1, 2, 4, 8, 16, 32, 64, 128, 256],
            contenders: &["syshandle", "epoll"],
            placement: Placement::Free,
            measures: vec![Measure {
                what: "µs of the machine's time a call",
                work: Work::Clients,
                number: |_, report| Some(report.seconds * 1e6 / report.calls as f64),
                expected: Expected::Flat,
            }],
            by_name: false,
            seconds: if quick { 2 } else { 7 },
        },
        Along {
            with: "handles in one call",
            counts: vec![0, 1, 2, 4, 8, 16, 32, 64, 128, 253, 506, 1_012, 2_530],
            contenders: &["syshandle", "seqpacket"],
            placement: Placement::Same,
            // On one core, the CPU time is the time of the call, and other programs on the core
            // don't affect it.
            measures: vec![Measure {
                what: "µs of CPU a call",
                work: Work::ManyHandles,
                number: |_, report| Some(report.cpu_ns / 1e3),
                expected: Expected::Linear,
            }],
            by_name: false,
            seconds: if quick { 3 } else { 9 },
        },
        Along {
            with: "background tasks that wait for events",
            counts: background_tasks,
            contenders: &["syshandle"],
            placement: Placement::Free,
            measures: beside(Work::BackgroundTasks, "µs to start each"),
            by_name: false,
            seconds: if quick { 1 } else { 5 },
        },
        Along {
            with: "background tasks that wait for their time",
            counts: counts(if quick { 10_000 } else { 100_000 }),
            contenders: &["syshandle"],
            placement: Placement::Free,
            measures: beside(Work::Timers, "µs to start each"),
            by_name: false,
            seconds: if quick { 2 } else { 8 },
        },
        Along {
            with: "objects of one connection",
            counts: counts(if quick { 10_000 } else { 100_000 }),
            contenders: &["syshandle"],
            placement: Placement::Same,
            measures: objects(),
            by_name: false,
            seconds: if quick { 3 } else { 16 },
        },
        Along {
            with: "registered classes",
            // The smallest count is a hundred classes. With ten classes per program, these are more
            // registrations than the eight that a client caches.
            counts: counts(large).into_iter().filter(|count| *count >= 100).collect(),
            contenders: &["syshandle"],
            placement: Placement::Same,
            measures: vec![
                call(Work::LookUp, "µs to find one", Expected::Flat),
                call(|_| Work::Connect, "µs to connect and call", Expected::Flat),
                call(|_| Work::Cold, "µs to start, connect and call", Expected::Flat),
            ],
            by_name: true,
            seconds: if quick { 2 } else { 6 },
        },
        Along {
            with: "methods of the interface",
            counts: vec![1, 10, 100, 300],
            contenders: &["syshandle"],
            placement: Placement::Same,
            measures: vec![
                call(Work::Methods, "µs a call of the last one", Expected::Flat),
                call(Work::ConnectMethods, "µs to connect and call", Expected::Flat),
            ],
            by_name: false,
            seconds: if quick { 1 } else { 3 },
        },
    ]
}

/// Returns the measurements beside many idle clients or waiting background tasks.
fn beside(work: fn(usize) -> Work, set_up: &'static str) -> Vec<Measure> {
    vec![
        call(work, "µs a call beside them", Expected::Flat),
        Measure {
            what: set_up,
            work,
            number: |_, report| Some(report.set_up_ns? / 1e3),
            expected: Expected::Flat,
        },
        Measure {
            what: "KiB of the server",
            work,
            number: |count, report| Some(report.memory? * count as f64 / 1024.0),
            expected: Expected::Linear,
        },
    ]
}

/// Returns the measurements of objects to which a client refers by numbers.
fn objects() -> Vec<Measure> {
    let mut measures = beside(Work::Objects, "µs to create each");
    measures[0].what = "µs a call of one of them";
    measures.push(call(Work::NewObject, "µs to create, call and release another", Expected::Flat));
    measures
}

/// Returns the measurement of the time of a call.
fn call(work: fn(usize) -> Work, what: &'static str, expected: Expected) -> Measure {
    Measure { what, work, number: |_, report| Some(report.median_ns / 1e3), expected }
}

fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Maximum number of background tasks that each wait for an event. More would show nothing new.
const BACKGROUND_TASKS_MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_that_grows_too_fast_is_told_and_fails() {
        let curve = |points: Vec<(f64, f64)>| Curve {
            with: "things".into(),
            what: format!("{OURS}: µs"),
            points,
            expected: Expected::Linear,
        };
        let points = |power| [1.0, 10.0, 100.0, 1e3].map(|n: f64| (n, n.powi(power))).into();
        let mut results = Results { growth: vec![curve(points(1))], ..Results::default() };
        let (text, fine) = verdicts(&results);
        assert!(fine && text.contains("yes"), "{text}");
        results.growth.push(curve(points(2)));
        let (text, fine) = verdicts(&results);
        assert!(!fine && text.contains("NO"), "{text}");
    }

    #[test]
    fn every_count_is_larger_than_the_one_before() {
        for along in all(false).into_iter().chain(all(true)) {
            assert!(along.counts.is_sorted_by(|a, b| a < b), "{}: {:?}", along.with, along.counts);
            assert!(!along.measures.is_empty() && along.seconds > 0);
        }
    }
}
