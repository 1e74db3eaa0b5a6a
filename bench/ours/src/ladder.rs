//! Measures the cost of each layer. Each rung of the ladder is a call that uses one layer more. The
//! rungs take turns on one core.

use std::time::{Duration, Instant};

use bench_harness::sparkle::Dishes;
use bench_harness::{Contender, Placement, Result};
use syshandle::handle::Event;
use syshandle_dynamic::DynamicClient;

use crate::client::Contestant;
use crate::interface::{HandlesClient, NumbersClient, older};
use crate::layers::{self, Layers, Proof};
use crate::probes;
use crate::server::Bench;

/// A timed operation and its name.
pub(crate) type Rung<'r> = (&'static str, Box<dyn FnMut() -> Result<()> + 'r>);

/// Prints one line for each rung and each probe: its group, its name, and nanoseconds.
pub(crate) fn climb() -> Result<()> {
    let contestant = Contestant::start("syshandle")?;
    let inside = NumbersClient::in_process(Bench)?;
    let inside_handles = HandlesClient::in_process(Bench)?;
    Placement::Same.apply(&contestant.pids())?;
    let (numbers, handles) = (contestant.numbers(), contestant.handles());
    let hurried = numbers.with_timeout(Duration::from_secs(2));
    let dishes = Dishes::new();
    let (file, event) = (dishes.open()?, Event::new()?);
    let dynamic = DynamicClient::from_typed(&inside)?;
    let remote = DynamicClient::from_typed(numbers)?;
    let mut in_memory = Layers::in_memory()?;
    let mut sockets = Layers::over_sockets()?;
    let mut handle = Layers::over_sockets()?.with_file(&file, Proof::None);
    let mut proof = Layers::over_sockets()?.with_file(&file, Proof::Kernel);
    let mut deadline = Layers::over_sockets()?.with_file(&file, Proof::Kernel).with_deadline(LONG);
    let object = handles.object()?;
    let rungs: Vec<Rung<'_>> = vec![
        rung("encode: the values of a null call, there and back", layers::values),
        rung("+ frames, and the two ends, in memory", || in_memory.call()),
        rung("+ a socket: four system calls, no thread has to wake", || sockets.call()),
        rung("+ one handle: a file, sent, received, closed", || handle.call()),
        rung("+ the probe: it is proven to be a file", || proof.call()),
        rung("+ a deadline, at both sides", || deadline.call()),
        rung("a null call to an object in this process, on a thread of its own", || inside.null(1)),
        rung("… with one file", || inside_handles.file(&file)),
        rung("a null call to another process", || numbers.null(1)),
        rung("… with a shorter deadline", || hurried.null(1)),
        rung("… of an interface that has handles", || handles.number(1)),
        rung("… of that one, with one file", || handles.file(&file)),
        rung("… of that one, with a file and an event in, the event out", || {
            handles.exchange(&file, &event)
        }),
        rung("a null call of an object by its number", || object.null(1)),
        rung("… of a new object, which is released then", || handles.object()?.null(1)),
        rung("a new connection to an object in this process, and its first call", || {
            inside.cast::<NumbersClient>()?.null(1)
        }),
        // The process remembers the differences, so the description is requested only once.
        rung("… of a client with another version of the interface", || {
            inside.cast::<older::NumbersClient>()?.null(1)
        }),
        rung("… of a dynamic client, which requests and decodes the description", || {
            DynamicClient::from_typed(&inside)?.call("null", &[1_u64.into()])
        }),
        rung("a null call of a dynamic client to an object in this process", || {
            dynamic.call("null", &[1_u64.into()])
        }),
        rung("… to another process", || remote.call("null", &[1_u64.into()])),
    ];
    print("ladder", rungs)?;
    print("probe", probes::all()?)
}

fn rung<'r, T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    name: &'static str,
    mut climb: impl FnMut() -> Result<T, E> + 'r,
) -> Rung<'r> {
    (name, Box::new(move || climb().map(drop).map_err(Into::into)))
}

fn print(what: &str, mut rungs: Vec<Rung<'_>>) -> Result<()> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); rungs.len()];
    for _ in 0..ROUNDS {
        for ((_, rung), times) in rungs.iter_mut().zip(&mut times) {
            times.push(time(rung)?);
        }
    }
    for ((name, _), mut times) in rungs.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let (len, median) = (times.len(), times[times.len() / 2]);
        // Two standard errors of the median, relative to the median. They are estimated from the
        // interquartile range.
        let span = times[len * 3 / 4] - times[len / 4];
        let noise = 2.0 * 1.2533 * span / 1.349 / (len as f64).sqrt() / median;
        println!("{what}\t{name}\t{median:.1}\t{noise:.4}");
    }
    Ok(())
}

/// Returns the time of one call in nanoseconds: the median over small batches.
fn time(rung: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
    let end = Instant::now() + TURN;
    let mut batches = Vec::new();
    while batches.len() < 3 || Instant::now() < end {
        let start = Instant::now();
        for _ in 0..BATCH {
            rung()?;
        }
        batches.push(start.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
    batches.sort_by(f64::total_cmp);
    Ok(batches[batches.len() / 2])
}

/// The default timeout of a client.
const LONG: Duration = Duration::from_secs(30);

const ROUNDS: usize = 9;

const TURN: Duration = Duration::from_millis(30);

/// Calls per clock read. Reading the clock costs as much as the smallest rung.
const BATCH: u32 = 32;
