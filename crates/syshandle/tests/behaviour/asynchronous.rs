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
use syshandle::{Cancel, ErrorKind};
use tokio::runtime::{Builder, Runtime};

use crate::support::bench::{BenchAsyncClient, BenchClient};
use crate::support::process::{THREADS_MAX, alone};
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
    const CONNECTIONS: usize = 100;
    const CALLS: usize = 10_000;
    alone(|| {
        // All calls of the client may wait in the server at once.
        let world = World::with_environment(&[(THREADS_MAX, "4096")]);
        let benches: Vec<BenchClient> = (0..CONNECTIONS).map(|_| world.bench()).collect();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = Pid::from_raw(benches[0].pid().unwrap() as i32).unwrap();
        let clients: Vec<BenchAsyncClient> = benches.iter().map(BenchAsyncClient::from).collect();
        runtime.block_on(clients[0].nothing()).unwrap();
        let before = threads();

        // The stopped server answers no call.
        kill_process(server, Signal::STOP).unwrap();
        let awaited = Arc::new(AtomicUsize::new(0));
        let event = Arc::new(ManualEvent::new().unwrap());
        let tasks: Vec<_> = (0..CALLS)
            .map(|number| {
                let (client, awaited) = (clients[number % CONNECTIONS].clone(), awaited.clone());
                runtime.spawn(async move {
                    let call = client.echo(&(number as u32).to_le_bytes());
                    awaited.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(call.await.unwrap(), (number as u32).to_le_bytes());
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
        eventually("all tasks wait", || awaited.load(Ordering::SeqCst) == CALLS + CONNECTIONS);
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
