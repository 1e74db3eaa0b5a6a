//! Calls that are awaited in a tokio runtime: they take no threads, and do not depend on one
//! runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use syshandle::handle::{Event, ManualEvent};
use syshandle::{Activation, Cancel, Client, ErrorKind};
use syshandle_wire::FrameKind;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::bench::{BENCH, BenchAsyncClient, BenchClient, CounterAsyncClient};
use crate::support::process::{THREADS_MAX, alone};
use crate::support::raw::scripted_server;
use crate::support::world::{World, over_every_transport};
use crate::support::{LONG, eventually, threads};

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Polls a future once.
fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn ten_thousand_awaited_calls_on_a_hundred_connections_take_no_thread() {
    /// Half of the connections are made by activation, and half through received references.
    const HALF: usize = 50;
    const CALLS: usize = 10_000;
    alone(|| {
        // All calls of the client may wait in the server at once.
        let world = World::with_environment(&[(THREADS_MAX, "4096")]);
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let before = threads();

        // The first activation starts the server.
        let activations: Vec<_> = (0..HALF)
            .map(|_| {
                let activation = Activation::new().registry(world.registry());
                runtime.spawn(Client::activate_async::<BenchClient>(activation, BENCH.clsid()))
            })
            .collect();
        let activated = |activation: JoinHandle<syshandle::Result<BenchClient>>| {
            runtime.block_on(activation).unwrap().unwrap()
        };
        let benches: Vec<BenchClient> = activations.into_iter().map(activated).collect();
        assert_eq!(threads(), before, "activation");
        let clients: Vec<BenchAsyncClient> = benches.iter().map(BenchAsyncClient::from).collect();
        let counters = runtime.block_on(clients[0].counters(HALF as u32)).unwrap();
        let counters: Vec<CounterAsyncClient> =
            counters.into_iter().map(CounterAsyncClient::from).collect();
        let server = Pid::from_raw(benches[0].pid().unwrap() as i32).unwrap();

        // The stopped server answers no call, and greets no client.
        kill_process(server, Signal::STOP).unwrap();
        let awaited = Arc::new(AtomicUsize::new(0));
        let event = Arc::new(ManualEvent::new().unwrap());
        let tasks: Vec<_> = (0..CALLS)
            .map(|number| {
                let index = number / 2 % HALF;
                let (client, counter) = (clients[index].clone(), counters[index].clone());
                let awaited = awaited.clone();
                runtime.spawn(async move {
                    awaited.fetch_add(1, Ordering::SeqCst);
                    if number % 2 == 0 {
                        let sent = (number as u32).to_le_bytes();
                        assert_eq!(client.echo(&sent).await.unwrap(), sent);
                    } else {
                        counter.add(1).await.unwrap();
                    }
                })
            })
            .collect();
        // Waits for an event take no thread either.
        let waits = clients.iter().map(|client| {
            let (client, event, awaited) = (client.clone(), event.clone(), awaited.clone());
            runtime.spawn(async move {
                awaited.fetch_add(1, Ordering::SeqCst);
                client.wait(&*event).await.unwrap();
            })
        });
        let waits: Vec<_> = waits.collect();
        eventually("all tasks wait", || awaited.load(Ordering::SeqCst) == CALLS + HALF);
        assert_eq!(threads(), before);

        event.set().unwrap();
        kill_process(server, Signal::CONT).unwrap();
        runtime.block_on(async {
            for task in tasks.into_iter().chain(waits) {
                task.await.unwrap();
            }
        });
        assert_eq!(threads(), before);
    });
}

#[test]
fn awaited_calls_that_wait_for_room_in_the_socket_are_sent_without_a_timer() {
    const CALLS: usize = 64;
    let (server, client) = scripted_server::<BenchClient>();
    let client = BenchAsyncClient::from(client);
    // The clock of the runtime stands still while the server's thread runs, so no timer ends.
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // Together, the arguments are several times as large as the socket's buffer.
        let calls: Vec<_> = (0..CALLS).map(|_| client.echo(&[7; 30_000])).collect();
        let reader = tokio::task::spawn_blocking(move || {
            for _ in 0..CALLS {
                assert_eq!(server.receive().unwrap().header.kind, FrameKind::Call);
            }
        });
        let mut tasks = JoinSet::new();
        for call in calls {
            tasks.spawn(call);
        }
        reader.await.unwrap();
        // The server has ended without a reply.
        while let Some(task) = tasks.join_next().await {
            assert_eq!(task.unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
        }
    });
}

#[test]
fn a_call_continues_in_another_runtime_after_its_first_one_has_ended() {
    over_every_transport(|bench| {
        let client = BenchAsyncClient::from(bench);
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let mut call = pin!(client.block(&entered, &until, 2));
        let first = one_thread();
        let late = first.block_on(async {
            tokio::time::timeout(Duration::from_millis(1), call.as_mut()).await.is_err()
        });
        assert!(late);
        let second = one_thread();
        let (result, ()) = second.block_on(async {
            tokio::join!(call, async {
                tokio::task::yield_now().await;
                drop(tokio::task::spawn_blocking(move || drop(first)).await);
                until.set().unwrap();
            })
        });
        assert_eq!(result.unwrap().len(), 2);
    });
}

#[test]
fn a_runtime_that_nobody_runs_delays_no_call_of_another_one() {
    over_every_transport(|bench| {
        let client = BenchAsyncClient::from(bench);
        let (idle, running) = (one_thread(), one_thread());
        idle.block_on(client.nothing()).unwrap();
        for len in 0..50 {
            assert_eq!(running.block_on(client.bytes(len)).unwrap().len(), len as usize);
        }
        bench.nothing().unwrap();
        idle.block_on(client.nothing()).unwrap();
    });
}

#[test]
fn threads_and_tasks_share_a_client() {
    over_every_transport(|bench| {
        let client = BenchAsyncClient::from(bench);
        thread::scope(|scope| {
            for seed in 0..4_u8 {
                let client = &client;
                scope.spawn(move || {
                    let runtime = one_thread();
                    for round in 0..100_usize {
                        let sent = vec![seed; round];
                        assert_eq!(runtime.block_on(client.echo(&sent)).unwrap(), sent);
                    }
                });
                scope.spawn(move || {
                    for round in 0..100_usize {
                        let sent = vec![seed; round];
                        assert_eq!(bench.echo(&sent).unwrap(), sent);
                    }
                });
            }
        });
    });
}

#[test]
fn the_servers_death_ends_awaited_calls_and_waits() {
    let world = World::new();
    let bench = world.bench();
    let server = Pid::from_raw(bench.pid().unwrap() as i32).unwrap();
    let client = BenchAsyncClient::from(&bench);
    one_thread().block_on(async {
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let (never, killed) = (Event::new().unwrap(), async {
            tokio::task::yield_now().await;
            assert!(entered.wait_timeout(LONG).unwrap());
            kill_process(server, Signal::KILL).unwrap();
        });
        let (call, wait, ()) =
            tokio::join!(client.block(&entered, &until, 0), client.wait(&never), killed);
        let error = call.unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true));
        assert_eq!(wait.unwrap_err().kind(), ErrorKind::Disconnected);
    });
    let error = one_thread().block_on(client.nothing()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, false));
}

#[test]
fn a_cancel_ends_awaited_waits() {
    over_every_transport(|bench| {
        let cancel = Cancel::new().unwrap();
        let client = BenchAsyncClient::from(&bench.with_cancel(&cancel));
        let never = Event::new().unwrap();
        one_thread().block_on(async {
            let (wait, ()) = tokio::join!(client.wait(&never), async { cancel.cancel() });
            assert_eq!(wait.unwrap_err().kind(), ErrorKind::Cancelled);
        });
    });
}

#[test]
fn an_awaited_call_that_nothing_drives_is_an_error() {
    over_every_transport(|bench| {
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let client = BenchAsyncClient::from(bench);
        let Poll::Ready(Err(error)) = poll_once(client.block(&entered, &until, 0)) else {
            panic!("the call waits");
        };
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Failed, true), "{error}");
        until.set().unwrap();
    });
}
