//! The measuring client and its server, which are the same program.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use syshandle::{Result, Server, class, interface};
use syshandle_testkit::Fixture;

/// Number of clients whose methods block at the same time.
const BLOCKED: usize = 180;

/// Maximum number of concurrent methods in the server. All calls here come from one process, for
/// which the server runs at most five eighths of this number. That is more than the number of
/// blocking methods.
const THREADS_MAX: usize = 320;

/// The goal for the 99th percentile of the other client's latency.
const P99_MAX: Duration = Duration::from_millis(2);

/// Time for which a method blocks, in milliseconds.
const BLOCKS_MS: u32 = 1000;

class! {
    WORKSHOP: Workshop = "c3f6b6d2-5b7e-4f43-9a39-0c8f2d4c7e11";
}

#[interface(iid = "c3f6b6d2-5b7e-4f43-9a39-0c8f2d4c7e12")]
trait Workshop {
    fn null(&self) -> Result<()>;
    /// Returns immediately, or blocks for this time if it is not zero.
    fn work(&self, ms: u32) -> Result<()>;
    /// Blocks for this time. Declared as blocking.
    #[blocking]
    fn block(&self, ms: u32) -> Result<()>;
}

#[derive(Default)]
struct Bench;

impl Workshop for Bench {
    fn null(&self) -> Result<()> {
        Ok(())
    }

    fn work(&self, ms: u32) -> Result<()> {
        self.block(ms)
    }

    fn block(&self, ms: u32) -> Result<()> {
        if ms > 0 {
            std::thread::sleep(Duration::from_millis(ms.into()));
        }
        Ok(())
    }
}

/// Runs the server if the argument requests it, and otherwise the measurement.
pub(crate) fn main() -> ExitCode {
    let done = match std::env::args().nth(1) {
        Some(argument) if argument == SERVE => {
            let server = Server::new().class(WORKSHOP, Bench::default);
            server.max_concurrent_calls(THREADS_MAX).run().map(|()| true).map_err(Into::into)
        }
        _ => measure(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the measurement failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures each way in which methods can block. Returns whether all results meet the goal.
fn measure() -> Result<bool, Box<dyn Error>> {
    let fixture = Fixture::new();
    let mut registration = fixture.registration(&std::env::current_exe()?, WORKSHOP);
    registration.arguments = vec![SERVE.into()];
    fixture.register_as(&registration);
    let activate = || fixture.activation().activate::<WorkshopClient>(WORKSHOP.clsid());
    let clients = (0..BLOCKED).map(|_| activate()).collect::<Result<Vec<_>>>()?;
    let other = activate()?;
    let (mut good, mut quiet_p99) = (true, None);
    let none: Call = |_, _| Ok(());
    let usually_quick: Call = |client, round| {
        (0..20).try_for_each(|_| client.work(0))?;
        client.work(BLOCKS_MS + round % 7)
    };
    let declared: Call = |client, round| client.block(BLOCKS_MS + round % 7);
    for (name, call) in [
        ("no method blocks", none),
        ("a method that is usually quick", usually_quick),
        ("a method with #[blocking]", declared),
    ] {
        let mut times = call_beside(&clients, &other, call)?;
        times.sort_unstable();
        let part = |percent: usize| times[(times.len() - 1) * percent / 100];
        let (p50, p99, max) = (part(50), part(99), part(100));
        println!("{name}: {} null calls, p50 {p50:?}, p99 {p99:?}, max {max:?}", times.len());
        good &= p99 <= P99_MAX;
        quiet_p99.get_or_insert(p99);
    }
    println!(
        "{}",
        match quiet_p99 {
            _ if good => "within the goal",
            Some(quiet) if quiet > P99_MAX / 4 => "this machine is too busy to tell",
            _ => "p99 is above the goal of 2 ms",
        }
    );
    Ok(good)
}

type Call = fn(&WorkshopClient, u32) -> Result<()>;

/// Makes all clients call at the same time, several times. During that time, another client makes
/// calls that do no work. Returns the latencies of these calls.
fn call_beside(
    clients: &[WorkshopClient],
    other: &WorkshopClient,
    call: Call,
) -> Result<Vec<Duration>> {
    let (done, together) = (AtomicBool::new(false), Barrier::new(clients.len()));
    std::thread::scope(|scope| {
        let calls: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        together.wait();
                        call(client, round)?;
                    }
                    Ok(())
                })
            })
            .collect();
        let nulls = scope.spawn(|| {
            let (mut times, start) = (Vec::new(), Instant::now());
            while !done.load(Ordering::SeqCst) || start.elapsed() < Duration::from_secs(1) {
                let call = Instant::now();
                other.null()?;
                times.push(call.elapsed());
                // The pause makes this a client that calls occasionally, so that its latencies show
                // the effect of the other calls.
                std::thread::sleep(Duration::from_micros(500));
            }
            Ok(times)
        });
        let called: Vec<Result<()>> =
            calls.into_iter().map(|call| call.join().unwrap_or(Ok(()))).collect();
        done.store(true, Ordering::SeqCst);
        let times = nulls.join().unwrap_or_else(|_| Ok(Vec::new()));
        called.into_iter().collect::<Result<()>>()?;
        times
    })
}

/// The argument that makes this program the server.
const SERVE: &str = "serve-blocked";

/// Number of times that all clients call at the same time.
const ROUNDS: u32 = 4;
