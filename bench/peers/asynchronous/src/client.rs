//! The client of all peers that use tokio.

use std::sync::Arc;
use std::time::Instant;

use bench_harness::sparkle::{self, Dishes};
use bench_harness::{Contender, Laps, Result, Work, memory};
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

use crate::{Peer, Side, many_threads, one_thread};

/// The client of a peer.
pub struct Client<P: Peer> {
    name: String,
    side: Side,
    /// The connection for large values. It is kept, because its buffers have grown to their size.
    large: Option<(Runtime, P::Connection)>,
}

impl<P: Peer> Client<P> {
    /// Starts the server.
    ///
    /// # Errors
    /// The errors of [`Peer::start`].
    pub fn start(name: &str) -> Result<Self> {
        Ok(Self { name: name.to_owned(), side: P::start(name)?, large: None })
    }

    async fn connect(&self) -> Result<P::Connection> {
        P::connect(&self.side.address).await
    }

    async fn null(&self, laps: &mut Laps) -> Result<()> {
        let mut connection = self.connect().await?;
        while laps.next() {
            check(P::null(&mut connection, 1).await?)?;
        }
        Ok(())
    }

    async fn handles(&self, laps: &mut Laps) -> Result<()> {
        let mut connection = self.connect().await?;
        let dishes = Dishes::new();
        let (file, event) = (dishes.open()?, sparkle::event()?);
        while laps.next() {
            drop(P::exchange(&mut connection, &file, &event).await?);
        }
        Ok(())
    }

    async fn sparkle(&self, laps: &mut Laps) -> Result<()> {
        let mut connection = self.connect().await?;
        let dishes = Dishes::new();
        while laps.next() {
            let (file, ready) = (dishes.open()?, sparkle::polled_event()?);
            let done = P::sparkle(&mut connection, &file, &ready).await?;
            // The client waits for the server's event without tokio. This blocks the thread, which
            // has no other work.
            sparkle::finish(file, ready, done)?;
        }
        Ok(dishes.check()?)
    }

    fn payload(&mut self, len: usize, laps: &mut Laps) -> Result<()> {
        if self.large.is_none() {
            let runtime = one_thread()?;
            let connection = runtime.block_on(P::connect(&self.side.address))?;
            self.large = Some((runtime, connection));
        }
        let Some((runtime, connection)) = &mut self.large else { return Ok(()) };
        let payload = P::payload(vec![7; len]);
        runtime.block_on(async {
            // The first call isn't measured, because it enlarges the buffers of the connection.
            P::echo(connection, &payload).await?;
            while laps.next() {
                if P::echo(connection, &payload).await? < len {
                    return Err("not as many bytes came back".into());
                }
            }
            Ok(())
        })
    }

    async fn connecting(&self, laps: &mut Laps) -> Result<()> {
        while laps.next() {
            let mut connection = self.connect().await?;
            check(P::null(&mut connection, 1).await?)?;
        }
        Ok(())
    }

    async fn cold(&self, laps: &mut Laps) -> Result<()> {
        while laps.is_on() {
            laps.begin_lap();
            let side = P::start(&self.name)?;
            let mut connection = P::connect(&side.address).await?;
            check(P::null(&mut connection, 1).await?)?;
            laps.end_lap();
        }
        Ok(())
    }

    async fn idle(&self, clients: usize, laps: &mut Laps) -> Result<()> {
        let mut connection = self.connect().await?;
        check(P::null(&mut connection, 1).await?)?;
        let (before, mut times) = (memory(&self.side.pids)?, Vec::new());
        let mut idle = Vec::new();
        for _ in 0..clients {
            let start = Instant::now();
            let mut connection = self.connect().await?;
            check(P::null(&mut connection, 1).await?)?;
            idle.push(connection);
            times.push(start.elapsed());
        }
        laps.set_up(times);
        laps.set_memory(before, memory(&self.side.pids)?, clients);
        while laps.next() {
            check(P::null(&mut connection, 1).await?)?;
        }
        Ok(())
    }

    /// Keeps calls in flight from one task. Returns `false` if the peer doesn't support it.
    async fn flight(&self, calls: usize, laps: &mut Laps) -> Result<bool> {
        let mut connection = self.connect().await?;
        if !P::flight(&mut connection, calls).await? {
            return Ok(false);
        }
        laps.set_calls_per_lap(calls);
        while laps.next() {
            P::flight(&mut connection, calls).await?;
        }
        Ok(true)
    }

    /// Runs a task per connection. All start at the same time.
    async fn tasks(connections: Vec<P::Connection>, laps: &mut Laps) -> Result<()> {
        let ready = Arc::new(Barrier::new(connections.len() + 1));
        let tasks: Vec<_> = connections
            .into_iter()
            .map(|mut connection| {
                let (ready, mut laps) = (ready.clone(), laps.fork());
                tokio::spawn(async move {
                    // From here on, all tasks are ready and the time counts.
                    ready.wait().await;
                    ready.wait().await;
                    while laps.next() {
                        check(P::null(&mut connection, 1).await?)?;
                    }
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(laps)
                })
            })
            .collect();
        ready.wait().await;
        laps.start();
        ready.wait().await;
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await??);
        }
        laps.finish();
        laps.merge(done);
        Ok(())
    }
}

impl<P: Peer> Contender for Client<P> {
    fn pids(&self) -> Vec<u32> {
        self.side.pids.clone()
    }

    fn run(&mut self, work: Work, laps: &mut Laps) -> Result<bool> {
        match work {
            Work::Null => one_thread()?.block_on(self.null(laps))?,
            Work::Handles if P::HANDLES => one_thread()?.block_on(self.handles(laps))?,
            Work::Sparkle if P::HANDLES => one_thread()?.block_on(self.sparkle(laps))?,
            Work::Payload(len) => self.payload(len, laps)?,
            Work::Connect => one_thread()?.block_on(self.connecting(laps))?,
            Work::Cold if P::starts_cold() => one_thread()?.block_on(self.cold(laps))?,
            Work::Idle(clients) => one_thread()?.block_on(self.idle(clients, laps))?,
            Work::Clients(1) => one_thread()?.block_on(self.null(laps))?,
            Work::Clients(clients) => many_threads()?.block_on(async {
                let mut connections = Vec::new();
                for _ in 0..clients {
                    connections.push(self.connect().await?);
                }
                Self::tasks(connections, laps).await
            })?,
            Work::Pipelined(calls) => {
                if one_thread()?.block_on(self.flight(calls, laps))? {
                    return Ok(true);
                }
                return many_threads()?.block_on(async {
                    let one = self.connect().await?;
                    let shared: Option<Vec<_>> = (0..calls).map(|_| P::share(&one)).collect();
                    match shared {
                        Some(connections) => {
                            Self::tasks(connections, laps).await?;
                            Ok(true)
                        }
                        None => Ok(false),
                    }
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn why_not(&self, work: Work) -> &'static str {
        match work {
            Work::Handles | Work::Sparkle if !P::HANDLES => "it passes no descriptors",
            Work::Pipelined(_) => "a connection has one caller",
            Work::Cold => "its daemon would have to be started too",
            _ => "",
        }
    }
}

/// Checks the result of a call with the number 1.
///
/// # Errors
/// The result is wrong.
pub fn check(number: u64) -> Result<()> {
    match number {
        2 => Ok(()),
        _ => Err("a wrong number came back".into()),
    }
}

impl<P: Peer> std::fmt::Debug for Client<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("name", &self.name).finish_non_exhaustive()
    }
}
