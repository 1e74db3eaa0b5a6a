//! Measures how long the proof of each kind takes, relative to the cheapest system call.
//!
//! `cargo bench -p syshandle-os` prints the median and the minimum of several rounds in
//! nanoseconds, and the ratio of the minimum to the minimum of the cheapest system call in the same
//! run. Absolute times differ between machines and between runs.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]
#![expect(clippy::incompatible_msrv, reason = "benches may need a newer compiler than users")]

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use syshandle_os::{
    Declaration, Directory, Event, Handle, Job, Kind, Kinds, Mutex, Process, RegKey, Rights,
    Section, Semaphore, Seqpacket, Thread, Timer, Token, prove,
};

const ROUNDS: usize = 25;
const STEPS: u32 = 10_000;

fn main() -> io::Result<()> {
    let rows = rows()?;
    let mut floor = Vec::new();
    let mut costs = vec![Vec::new(); rows.len()];
    let null = File::open("/dev/null")?;
    // Each round measures every row, so that a slow phase of the machine affects all rows.
    for _ in 0..ROUNDS {
        floor.push(measure(|| _ = black_box(rustix::fs::fcntl_getfl(&null))));
        for (row, costs) in rows.iter().zip(&mut costs) {
            costs.push(measure(|| _ = black_box(prove(row.handle.as_fd(), &row.declared))));
        }
    }
    floor.sort_by(f64::total_cmp);
    println!("{:<28} {:>6} {:>6}", "", "median", "least");
    let question = "one system call (F_GETFL)";
    println!("{question:<28} {:>6.0} {:>6.0}", floor[ROUNDS / 2], floor[0]);
    for (row, mut costs) in rows.iter().zip(costs) {
        costs.sort_by(f64::total_cmp);
        let (median, least) = (costs[ROUNDS / 2], costs[0]);
        println!("{:<28} {median:>6.0} {least:>6.0} {:>6.2} ×", row.name, least / floor[0]);
    }
    Ok(())
}

struct Row {
    name: &'static str,
    handle: OwnedFd,
    declared: Declaration,
}

fn rows() -> io::Result<Vec<Row>> {
    let file = tempfile::tempfile()?;
    let (pipe, _) = io::pipe()?;
    let (stream, other) = UnixStream::pair()?;
    // Keeps the other end open, because the kernel answers differently once the peer has closed.
    std::mem::forget(other);
    let mut rows = vec![
        row("file", file.try_clone()?, Declaration::kind(Kind::File).at_least(Rights::READ)),
        row("directory", Directory::open("/tmp")?, Directory::DECLARATION),
        row("reg_key", RegKey::open("/tmp")?, RegKey::DECLARATION),
        row("pipe", pipe, io::PipeReader::DECLARATION),
        row("event", Event::new()?, Event::DECLARATION),
        row("semaphore", Semaphore::new(1)?, Semaphore::DECLARATION),
        row("timer", Timer::new()?, Timer::DECLARATION),
        row("section", Section::new(4096)?, Section::DECLARATION),
        row("section, frozen", Section::frozen(b"x")?, Section::DECLARATION),
        row("mutex", Mutex::new()?, Mutex::DECLARATION),
        row("socket", stream.try_clone()?, Declaration::kind(Kind::Socket)),
        row("socket, unix_stream", stream, UnixStream::DECLARATION),
        row("socket, seqpacket", Seqpacket::pair()?.0, Seqpacket::DECLARATION),
        row("socket, tcp_listener", TcpListener::bind("127.0.0.1:0")?, TcpListener::DECLARATION),
        row("process", Process::current()?, Process::DECLARATION),
        row("token", Token::current()?, Token::DECLARATION),
        row("file | pipe", file, Declaration::new(Kinds::of(Kind::File).or(Kind::Pipe))),
    ];
    match Thread::current() {
        Ok(thread) => rows.push(row("thread", thread, Thread::DECLARATION)),
        Err(error) => println!("skipped: thread: {error}"),
    }
    match Job::open("/sys/fs/cgroup/unified").or_else(|_| Job::open("/sys/fs/cgroup")) {
        Ok(job) if prove(job.as_fd(), &Job::DECLARATION).is_ok() => {
            rows.push(row("job", job, Job::DECLARATION));
        }
        _ => println!("skipped: job: no control groups of version 2"),
    }
    Ok(rows)
}

fn row(name: &'static str, handle: impl Into<OwnedFd>, declared: Declaration) -> Row {
    Row { name, handle: handle.into(), declared }
}

/// Returns the mean time of one step in nanoseconds.
fn measure(mut step: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..STEPS {
        step();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(STEPS)
}
