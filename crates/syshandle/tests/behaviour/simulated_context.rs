//! Contexts that a test makes to call a method directly.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use syshandle::handle::Event;
use syshandle::testing::ContextBuilder;
use syshandle::wait::{Outcome, TimerOutcome};
use syshandle::{Cancel, Context, Credentials, Result, interface};

use crate::support::{LONG, eventually};

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b61")]
trait Greeter {
    fn greet(&self) -> Result<String>;
}

struct Polite;

impl Greeter for Polite {
    fn greet(&self) -> Result<String> {
        Ok("good morning".into())
    }
}

fn context() -> Context {
    ContextBuilder::new().build().unwrap()
}

#[test]
fn a_context_has_the_client_the_deadline_and_the_cancellation_of_the_test() {
    let (plain, now) = (context(), Instant::now());
    assert_eq!(plain.client().pid, std::process::id());
    assert!(!plain.is_cancelled() && !plain.is_stopping());
    assert!(plain.deadline() > now && plain.deadline() <= now + Duration::from_secs(30));
    assert_eq!(plain.client_process().unwrap().id().unwrap(), Some(std::process::id()));

    let mut client = Credentials::current();
    client.pid = 1;
    let (cancel, deadline) = (Cancel::new().unwrap(), now + Duration::from_secs(3600));
    let builder = ContextBuilder::new().client(client).deadline(deadline).cancelled_by(&cancel);
    let built = builder.stopping().build().unwrap();
    assert_eq!((built.client(), built.deadline()), (client, deadline));
    assert!(built.is_stopping() && !built.is_cancelled());
    cancel.cancel();
    assert!(built.is_cancelled() && built.clone().is_cancelled());

    let late = ContextBuilder::new().deadline(now).build().unwrap();
    assert!(late.is_cancelled());
}

#[test]
fn background_tasks_of_a_context_run_even_after_it_was_dropped() {
    let (outcomes, received) = mpsc::channel();
    let (event, other) = (Event::new().unwrap(), outcomes.clone());
    let (context, signal) = (context(), event.try_clone().unwrap());
    context
        .on_signal(event, Duration::MAX, move |outcome| {
            outcomes.send(outcome == Outcome::Fired).unwrap();
        })
        .unwrap();
    context
        .on_timer(Duration::from_millis(10), move |outcome| {
            other.send(outcome == TimerOutcome::Elapsed).unwrap();
        })
        .unwrap();
    assert_eq!(context.server().stats().background_tasks, 2);
    drop(context);
    assert_eq!(received.recv_timeout(LONG), Ok(true));
    signal.set().unwrap();
    assert_eq!(received.recv_timeout(LONG), Ok(true));
}

#[test]
fn a_context_serves_objects_and_can_be_aborted() {
    let context = context();
    let greeter: GreeterClient = context.serve::<dyn Greeter, _>(Polite).unwrap();
    assert_eq!(greeter.greet().unwrap(), "good morning");
    context.abort("no more");
    eventually("the connection has ended", || context.is_cancelled());
}
