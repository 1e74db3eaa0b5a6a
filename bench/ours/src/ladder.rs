//! What each layer costs: rungs that are climbed in turn, over and over, on one core.

use std::hint::black_box;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use bench_harness::sparkle::Dishes;
use bench_harness::{Contender, Placement, Result};
use syshandle::{Encode, Event};
use syshandle_os::{BorrowedHandle, Declared, OwnedHandle, Seqpacket};
use syshandle_wire::{Body, Decoder, Encoder, FrameKind, Header, Limits, ProofError, Prove};

use crate::client::Contestant;
use crate::interface::{HandlesClient, NumbersClient};
use crate::probes;
use crate::server::Bench;

/// One thing that is timed.
pub(crate) type Rung<'r> = (&'static str, Box<dyn FnMut() -> Result<()> + 'r>);

/// Prints one line for each rung and each probe: which, its name, nanoseconds.
pub(crate) fn climb() -> Result<()> {
    let contestant = Contestant::start("syshandle")?;
    let inside = NumbersClient::in_process(Bench)?;
    let inside_handles = HandlesClient::in_process(Bench)?;
    Placement::Same.apply(&contestant.pids())?;
    let (numbers, handles) = (contestant.numbers(), contestant.handles());
    let hurried = numbers.with_timeout(Duration::from_millis(50));
    let dishes = Dishes::new();
    let (file, event) = (dishes.open()?, Event::new()?);
    let ends = Seqpacket::pair()?;
    let rungs: Vec<Rung<'_>> = vec![
        rung("values and frames of a null call, there and back, without I/O", frames),
        rung("the same through a socket to itself: four system calls", move || to_itself(&ends)),
        rung("a null call to an object in this process", || inside.null(1)),
        rung("… in this process, with one file", || inside_handles.file(&file)),
        rung("a null call to another process", || numbers.null(1)),
        rung("… with a shorter deadline", || hurried.null(1)),
        rung("… of an interface that has handles", || handles.number(1)),
        rung("… of that one, with one file", || handles.file(&file)),
        rung("… of that one, with a file and an event in, the event out", || {
            handles.exchange(&file, &event)
        }),
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
        println!("{what}\t{name}\t{}", times[times.len() / 2]);
    }
    Ok(())
}

/// The time of one call of many, in nanoseconds; the median of small batches.
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

/// What both sides do with the bytes of a null call and its reply.
fn frames() -> Result<()> {
    let mut buffer = [0; 256];
    for kind in [FrameKind::Call, FrameKind::Reply] {
        let len = frame(kind, &mut buffer)?;
        black_box(read(&buffer[..len])?);
    }
    Ok(())
}

/// The same, with a message each way that nobody has to be woken for.
fn to_itself((a, b): &(Seqpacket, Seqpacket)) -> Result<()> {
    let (mut buffer, mut handles) = ([0; 256], Vec::new());
    for (kind, from, to) in [(FrameKind::Call, a, b), (FrameKind::Reply, b, a)] {
        let len = frame(kind, &mut buffer)?;
        from.send(&[IoSlice::new(&buffer[..len])], &[])?;
        let received = to.receive(&mut buffer, &mut handles)?;
        black_box(read(&buffer[..received.len])?);
    }
    Ok(())
}

fn frame(kind: FrameKind, buffer: &mut [u8; 256]) -> Result<usize> {
    let mut out = Encoder::new(Vec::new(), Limits::default());
    let number = black_box(1_u64);
    number.encode(&mut out);
    let (body, _) = out.finish()?;
    let header = Header { body: Body::Inline { len: body.len() as u32 }, ..Header::new(kind) };
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    buffer[..len].copy_from_slice(&head[..len]);
    buffer[len..len + body.len()].copy_from_slice(&body);
    Ok(len + body.len())
}

fn read(frame: &[u8]) -> Result<u64> {
    let (_, body) = Header::read(frame)?;
    let mut input = Decoder::new(body, Vec::new(), &Nothing);
    let number = input.parameter(0, None)?;
    input.finish()?;
    Ok(number)
}

/// There are no handles to prove.
struct Nothing;

impl Prove for Nothing {
    fn prove(&self, _: BorrowedHandle<'_>, _: &Declared) -> Result<(), ProofError> {
        Ok(())
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }
}

const ROUNDS: usize = 7;

const TURN: Duration = Duration::from_millis(30);

/// Reading the clock costs as much as the smallest rung.
const BATCH: u32 = 32;
