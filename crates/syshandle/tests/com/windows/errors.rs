//! Errors that a client gets when a call fails.

use std::time::Duration;

use syshandle::{Activation, CallError, Cancel, ErrorKind, handle::Event};

use super::Test;
use super::interface::{EverythingClient, Refusal, SHARED};
use super::place::PATIENCE;

pub(crate) const TESTS: &[Test] = &[
    ("an_error_of_the_method_s_own_comes_as_it_is", refusal),
    ("a_text_comes_whole", text),
    ("a_panic_is_told_and_the_server_lives", panic),
    ("a_call_ends_by_its_deadline", deadline),
    ("a_call_ends_when_it_is_cancelled", cancel),
    ("a_failure_in_the_background_ends_the_wait", background),
    ("a_class_that_nobody_serves_is_told", unregistered),
];

fn client() -> EverythingClient {
    EverythingClient::activate(SHARED).unwrap()
}

fn refusal() {
    for with in [Refusal::NotToday, Refusal::Never] {
        match client().refuse(&with) {
            Err(CallError::Method(refusal)) => assert_eq!(refusal, with),
            other => panic!("{other:?}"),
        }
    }
}

fn text() {
    let error = client().fail("the dishwasher is full").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(error.to_string(), "Everything::fail: the dishwasher is full");
}

fn panic() {
    let client = client();
    let error = client.panic().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked, "{error:?}");
    assert!(error.to_string().contains("so it was asked"), "{error}");
    assert!(client.who().is_ok());
}

fn deadline() {
    let client = client();
    let begun = Event::new().unwrap();
    let error = client.with_timeout(Duration::from_millis(500)).rest(&begun).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, true));
    assert!(begun.wait_timeout(PATIENCE).unwrap());
    assert!(client.who().is_ok());
}

fn cancel() {
    let client = client();
    let begun = Event::new().unwrap();
    let cancel = Cancel::new().unwrap();
    let resting = client.with_timeout(PATIENCE).with_cancel(&cancel);
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| resting.rest(&begun).unwrap_err());
        assert!(begun.wait_timeout(PATIENCE).unwrap());
        cancel.cancel();
        call.join().unwrap()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(client.who().is_ok());
}

fn background() {
    let client = client();
    let start = Event::new().unwrap();
    let done = client.fail_later(&start).unwrap();
    start.set().unwrap();
    let error = client.wait(&done).unwrap_err();
    assert_eq!(error.to_string(), "it went wrong", "{error:?}");
}

fn unregistered() {
    let nobody = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3fff".parse().unwrap();
    let error = Activation::new().activate::<EverythingClient>(nobody).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::NotRegistered, false));
}
