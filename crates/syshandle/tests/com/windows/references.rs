//! References to objects as parameters and results.

use std::io::{PipeWriter, Read};
use std::sync::Mutex;
use std::time::Duration;

use syshandle::{
    Context, Error, Result, class,
    handle::{Event, Process},
    interface,
};

use super::Test;
use super::place::until_ended;

pub(crate) const TESTS: &[Test] = &[
    ("an_object_that_a_method_makes_is_used_by_the_client", made),
    ("an_object_of_the_client_s_is_called_by_the_server", callback),
    ("an_error_of_the_client_s_object_crosses_the_server", crossing),
    ("a_reference_that_comes_back_leads_to_the_object", back),
    ("an_object_is_passed_back_to_its_own_server", home),
    ("a_reference_is_passed_on_to_a_third_process", passed_on),
    ("an_object_is_released_with_its_last_reference", released),
    ("a_server_stays_while_somebody_refers_to_an_object", staying),
    ("references_and_handles_go_beside_each_other", beside),
    ("a_reference_may_be_missing", perhaps),
    ("a_reference_by_another_interface_is_passed_by_that", cast),
];

/// An object that counts.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f40")]
pub(crate) trait Counter {
    /// Adds a number, and returns the sum.
    fn add(&self, number: u32) -> Result<u32>;

    /// Returns the identifier of the process that contains the counter.
    fn pid(&self) -> Result<u32>;
}

/// Creates, receives and keeps counters.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f41")]
pub(crate) trait Desk {
    /// Returns a new counter in the server.
    fn counter(&self, context: &Context) -> Result<CounterClient>;

    /// Returns a new counter that keeps the pipe open until it is released.
    fn counter_with(&self, context: &Context, pipe: PipeWriter) -> Result<CounterClient>;

    /// Adds to a counter in any process.
    fn add_to(&self, counter: CounterClient, number: u32) -> Result<u32>;

    /// Keeps a counter.
    fn keep(&self, counter: CounterClient) -> Result<()>;

    /// Returns the kept counter.
    fn kept(&self) -> Result<CounterClient>;

    /// Adds to a counter, if there is one, and returns it.
    fn add_perhaps(&self, counter: Option<CounterClient>) -> Result<Option<CounterClient>>;

    /// Sets both events, adds to both counters, and returns counters, an event and a number in
    /// another order.
    fn mixed(
        &self,
        first: Event,
        one: CounterClient,
        number: u32,
        two: CounterClient,
        second: Event,
    ) -> Result<(CounterClient, Event, u32, CounterClient)>;
}

/// An object with a name.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f42")]
pub(crate) trait Named {
    /// Returns the name.
    fn name(&self) -> Result<String>;
}

class! {
    /// The class of most tests.
    pub DESK: Desk = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f43";
}

class! {
    /// A class with the same implementation, in another server process.
    pub OTHER_DESK: Desk + Named = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f44";
}

#[derive(Default)]
pub(crate) struct Clerk(Mutex<Option<CounterClient>>);

impl Desk for Clerk {
    fn counter(&self, context: &Context) -> Result<CounterClient> {
        context.serve::<dyn Counter, _>(Count::default())
    }

    fn counter_with(&self, context: &Context, pipe: PipeWriter) -> Result<CounterClient> {
        context.serve::<dyn Counter, _>(Count { sum: Mutex::default(), _pipe: Some(pipe) })
    }

    fn add_to(&self, counter: CounterClient, number: u32) -> Result<u32> {
        counter.add(number)
    }

    fn keep(&self, counter: CounterClient) -> Result<()> {
        *self.0.lock().unwrap() = Some(counter);
        Ok(())
    }

    fn kept(&self) -> Result<CounterClient> {
        self.0.lock().unwrap().clone().ok_or_else(|| Error::failed("none is kept"))
    }

    fn add_perhaps(&self, counter: Option<CounterClient>) -> Result<Option<CounterClient>> {
        if let Some(counter) = &counter {
            counter.add(1)?;
        }
        Ok(counter)
    }

    fn mixed(
        &self,
        first: Event,
        one: CounterClient,
        number: u32,
        two: CounterClient,
        second: Event,
    ) -> Result<(CounterClient, Event, u32, CounterClient)> {
        first.set()?;
        second.set()?;
        let sum = one.add(number)? + two.add(number)?;
        Ok((two, first, sum, one))
    }
}

impl Named for Clerk {
    fn name(&self) -> Result<String> {
        Ok("Ada".to_owned())
    }
}

#[derive(Default)]
pub(crate) struct Count {
    sum: Mutex<u32>,
    _pipe: Option<PipeWriter>,
}

impl Counter for Count {
    #[expect(clippy::panic, reason = "that is what is tried")]
    fn add(&self, number: u32) -> Result<u32> {
        let mut sum = self.sum.lock().unwrap();
        match sum.checked_add(number) {
            Some(more) => *sum = more,
            None => panic!("too much"),
        }
        Ok(*sum)
    }

    fn pid(&self) -> Result<u32> {
        Ok(std::process::id())
    }
}

fn desk() -> DeskClient {
    DeskClient::activate(DESK).unwrap()
}

/// Returns a counter that this process serves.
fn own() -> CounterClient {
    CounterClient::in_process(Count::default()).unwrap()
}

fn made() {
    let desk = desk();
    let (one, other) = (desk.counter().unwrap(), desk.counter().unwrap());
    assert_ne!(one.pid().unwrap(), std::process::id());
    assert_eq!((one.add(1).unwrap(), other.add(5).unwrap()), (1, 5));
    // A counter outlives the reference through which it was created.
    drop(desk);
    assert_eq!((one.add(1).unwrap(), other.add(5).unwrap()), (2, 10));
}

fn callback() {
    let (desk, counter) = (desk(), own());
    for i in 1..5 {
        assert_eq!(desk.add_to(&counter, 1).unwrap(), 2 * i - 1);
        assert_eq!(counter.add(1).unwrap(), 2 * i);
    }
}

fn crossing() {
    let counter = own();
    counter.add(u32::MAX).unwrap();
    let error = desk().add_to(&counter, 1).unwrap_err();
    assert_eq!(error.to_string(), "Desk::add_to: Counter::add: the method panicked: too much");
}

fn back() {
    let (desk, counter) = (desk(), own());
    desk.keep(&counter).unwrap();
    counter.add(3).unwrap();
    drop(counter);
    let back = desk.kept().unwrap();
    assert_eq!(back.pid().unwrap(), std::process::id());
    assert_eq!(back.add(1).unwrap(), 4);
    // A counter that came back can be passed again.
    assert_eq!(desk.add_to(&back, 1).unwrap(), 5);
    drop(desk);
    assert_eq!(back.add(1).unwrap(), 6);
}

fn home() {
    let desk = desk();
    let counter = desk.counter().unwrap();
    assert_eq!(desk.add_to(&counter, 2).unwrap(), 2);
    desk.keep(&counter).unwrap();
    let again = desk.kept().unwrap();
    assert_eq!(again.add(2).unwrap(), 4);
    assert_eq!(again.pid().unwrap(), counter.pid().unwrap());
}

fn passed_on() {
    let (maker, user) = (desk(), DeskClient::activate(OTHER_DESK).unwrap());
    let counter = maker.counter().unwrap();
    let users = user.counter().unwrap();
    assert_ne!(counter.pid().unwrap(), users.pid().unwrap());
    user.keep(&counter).unwrap();
    let again = user.kept().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).map(|_| user.add_to(&counter, 1).unwrap()).max());
        }
        for counter in [&counter, &again] {
            scope.spawn(move || (0..10).map(|_| counter.add(1).unwrap()).max());
        }
    });
    // The counter is independent of the connection through which it was created.
    drop((maker, counter));
    assert_eq!(again.add(1).unwrap(), 61);
}

fn released() {
    let desk = desk();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let counter = desk.counter_with(&writer).unwrap();
    drop(writer);
    counter.add(1).unwrap();
    desk.keep(&counter).unwrap();
    drop(counter);
    // The server still holds its reference.
    assert_eq!(desk.kept().unwrap().add(1).unwrap(), 2);
    desk.keep(&own()).unwrap();
    // The read ends when all copies of the writing end are closed.
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, []);
}

fn staying() {
    let desk = DeskClient::activate(OTHER_DESK).unwrap();
    let counter = desk.counter().unwrap();
    drop(desk);
    let server = Process::open(counter.pid().unwrap()).unwrap();
    // This time is longer than the server's idle timeout.
    assert!(!server.wait_timeout(Duration::from_secs(1)).unwrap());
    assert_eq!(counter.add(1).unwrap(), 1);
    drop(counter);
    until_ended(&server);
}

fn beside() {
    let desk = desk();
    let (first, second) = (Event::new().unwrap(), Event::new().unwrap());
    let (one, two) = (own(), desk.counter().unwrap());
    two.add(10).unwrap();
    let (was_two, was_first, sum, was_one) = desk.mixed(&first, &one, 1, &two, &second).unwrap();
    assert_eq!(sum, 12);
    assert!(first.poll().unwrap() && second.poll().unwrap());
    first.set().unwrap();
    assert!(was_first.poll().unwrap());
    assert_eq!((was_one.add(1).unwrap(), was_two.add(1).unwrap()), (2, 12));
    assert_eq!((one.add(0).unwrap(), two.add(0).unwrap()), (2, 12));
}

fn perhaps() {
    let (desk, counter) = (desk(), own());
    assert!(desk.add_perhaps(None).unwrap().is_none());
    let back = desk.add_perhaps(Some(&counter)).unwrap().unwrap();
    assert_eq!(back.add(1).unwrap(), 2);
}

fn cast() {
    let named: NamedClient = syshandle::Activation::new().activate(OTHER_DESK.clsid()).unwrap();
    let desk: DeskClient = named.cast().unwrap();
    let again: NamedClient = desk.cast().unwrap();
    assert_eq!(again.name().unwrap(), "Ada");
    let counter = own();
    desk.keep(&counter).unwrap();
    assert_eq!(desk.kept().unwrap().pid().unwrap(), std::process::id());
}
