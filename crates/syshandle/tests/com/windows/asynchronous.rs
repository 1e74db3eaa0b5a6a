//! The asynchronous client, in a tokio runtime.

use std::time::Duration;

use syshandle::{CallError, ErrorKind, handle::Event};
use tokio::runtime::{Builder, Runtime};

use super::Test;
use super::interface::{EverythingAsyncClient, Refusal, SHARED};
use super::place::PATIENCE;
use super::references::{CounterAsyncClient, CounterClient, DESK, DeskAsyncClient};

pub(crate) const TESTS: &[Test] = &[
    ("asynchronous_calls_carry_handles_and_errors", calls),
    ("asynchronous_calls_wait_beside_each_other", beside),
    ("an_asynchronous_wait_ends_with_the_event", wait),
    ("a_call_whose_future_is_dropped_is_given_up", dropped),
    ("asynchronous_calls_carry_references", references),
];

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

async fn client() -> EverythingAsyncClient {
    EverythingAsyncClient::activate(SHARED).await.unwrap()
}

fn calls() {
    runtime().block_on(async {
        let client = client().await;
        let event = Event::new().unwrap();
        let back = client.event(&event).await.unwrap();
        assert!(event.poll().unwrap());
        back.set().unwrap();
        assert!(event.poll().unwrap());
        match client.refuse(&Refusal::Never).await {
            Err(CallError::Method(refusal)) => assert_eq!(refusal, Refusal::Never),
            other => panic!("{other:?}"),
        }
        let error = client.fail("the dishwasher is full").await.unwrap_err();
        assert_eq!(error.to_string(), "Everything::fail: the dishwasher is full");
    });
}

fn beside() {
    runtime().block_on(async {
        let client = client().await;
        let (one, other) = tokio::join!(client.who(), client.who());
        assert_eq!(one.unwrap(), other.unwrap());
    });
}

fn wait() {
    runtime().block_on(async {
        let client = client().await;
        let (set, never) = (Event::new().unwrap(), Event::new().unwrap());
        set.set().unwrap();
        client.wait(&set).await.unwrap();
        assert!(!set.poll().unwrap(), "it was taken");
        let error = client.with_timeout(Duration::ZERO).wait(&never).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

fn dropped() {
    let runtime = runtime();
    runtime.block_on(async {
        let client = client().await;
        let begun = Event::new().unwrap();
        tokio::select! {
            ended = client.rest(&begun) => panic!("it rests until the client is gone: {ended:?}"),
            come = client.wait(&begun) => come.unwrap(),
        }
    });
    // Waits for the threads of the runtime's pool. If dropping the future did not cancel the call,
    // a thread would wait until the call's deadline.
    runtime.shutdown_timeout(PATIENCE);
}

fn references() {
    runtime().block_on(async {
        let desk = DeskAsyncClient::activate(DESK).await.unwrap();
        let counter: CounterAsyncClient = desk.counter().await.unwrap().into();
        assert_eq!(counter.add(2).await.unwrap(), 2);
        let own = CounterClient::in_process(super::references::Count::default()).unwrap();
        assert_eq!(desk.add_to(&own, 3).await.unwrap(), 3);
        assert_eq!(own.add(1).unwrap(), 4);
    });
}
