//! References to objects, bounds and the places of errors.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use syshandle::object::{Interface, Proxy};
use syshandle::serving::RunningServer;
use syshandle::{Context, Decode, Encode, ErrorKind, Guid, Result, Server, class, interface};
use syshandle_dynamic::{DynamicClient, Error, Value};

/// Makes counters.
#[interface(iid = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c30")]
trait Counters {
    /// Makes a counter.
    fn make(&self, context: &Context, #[range(0..=10)] start: u32) -> Result<CounterClient>;
    /// Adds to a counter, which may be an object of any process.
    fn add_to(&self, counter: CounterClient, number: u32) -> Result<u32>;
    fn set(&self, job: Job, #[range(0..=1)] level: Option<Level>) -> Result<Job>;
}

#[interface(iid = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c31")]
trait Counter {
    fn add(&self, number: u32) -> Result<u32>;
}

#[interface(iid = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c32")]
trait Named {
    fn name(&self) -> Result<String>;
}

#[derive(Debug, Encode, Decode)]
struct Job {
    /// The title.
    #[range(1..=5)]
    title: String,
    #[range(1..=2)]
    pages: Vec<u8>,
    parts: Vec<Part>,
}

#[derive(Debug, Encode, Decode)]
struct Part {
    #[range(-3..=3)]
    offset: i8,
}

#[derive(Debug, Encode, Decode)]
enum Level {
    Low,
    High,
    Highest,
}

struct Office;

impl Counters for Office {
    fn make(&self, context: &Context, start: u32) -> Result<CounterClient> {
        context.serve::<dyn Counter, _>(From(start))
    }

    fn add_to(&self, counter: CounterClient, number: u32) -> Result<u32> {
        counter.add(number)
    }

    fn set(&self, job: Job, _: Option<Level>) -> Result<Job> {
        // This server does not keep to its own bounds.
        match job.title.as_str() {
            "bad" => Ok(Job { parts: vec![Part { offset: 0 }, Part { offset: 4 }], ..job }),
            _ => Ok(job),
        }
    }
}

impl Named for Office {
    fn name(&self) -> Result<String> {
        Ok("office".to_owned())
    }
}

struct From(u32);

impl Counter for From {
    fn add(&self, number: u32) -> Result<u32> {
        Ok(self.0 + number)
    }
}

class! {
    OFFICE: Counters + Named = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c33";
}

fn iid<T: Interface + ?Sized>() -> Guid {
    T::DESCRIPTION.iid
}

/// Returns a client of the server, which ends when it is dropped.
fn office() -> (DynamicClient, RunningServer) {
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let server = Server::new().class(OFFICE, || Office).socket(theirs).start().unwrap();
    let client = DynamicClient::from_socket(ours, Some(iid::<dyn Counters>()));
    (client.unwrap(), server)
}

fn object(value: Value) -> DynamicClient {
    match value {
        Value::Object(object) => object,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_refused(called: std::result::Result<Value, Error>, text: &str) {
    match called {
        Err(Error::Argument(found)) => assert_eq!(found, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_casts_to_the_other_interfaces_of_the_object() {
    let (office, _server) = office();
    let all = office.interfaces().unwrap();
    let names: Vec<_> = all.iter().map(|description| description.name.as_str()).collect();
    assert_eq!(names, ["Counters", "Named"]);
    let named = office.cast(all[1].iid).unwrap();
    assert_eq!(named.call("name", &[]).unwrap(), "office".into());
    assert_eq!(named.description().unwrap(), &all[1]);
    // Back again, and to an interface that the object does not have.
    let again = named.cast(all[0].iid).unwrap();
    let counter = object(again.call("make", &[3_u8.into()]).unwrap());
    assert_eq!(counter.call("add", &[4_u8.into()]).unwrap(), Value::Unsigned(7));
    match counter.cast(all[1].iid) {
        Err(Error::Call(error)) => assert_eq!(error.kind(), ErrorKind::NoSuchInterface, "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn references_go_both_ways_between_dynamic_and_typed_clients() {
    let (office, _server) = office();
    let add =
        |counter: Value, number: u8| office.call("add_to", &[counter, number.into()]).unwrap();
    // An object of the server, an object of this process, and an object behind a door.
    let theirs = object(office.call("make", &[1_u8.into()]).unwrap());
    assert_eq!(add(theirs.clone().into(), 5), Value::Unsigned(6));
    let ours = CounterClient::in_process(From(2)).unwrap();
    let dynamic = DynamicClient::from_typed(&ours).unwrap();
    assert_eq!(add(dynamic.clone().into(), 5), Value::Unsigned(7));
    assert_eq!(dynamic.call("add", &[1_u8.into()]).unwrap(), Value::Unsigned(3));
    let door = syshandle::direct::make_door::<dyn Counter, _>(From(3)).unwrap();
    let behind = DynamicClient::from_door(door, None).unwrap();
    assert_eq!(add(behind.clone().into(), 5), Value::Unsigned(8));
    // And typed clients of all of them.
    for (counter, sum) in [(theirs, 11), (dynamic, 12), (behind, 13)] {
        let typed: CounterClient = counter.to_typed().unwrap();
        assert_eq!(typed.add(10).unwrap(), sum);
        let again = DynamicClient::from_typed(&typed).unwrap();
        assert_eq!(again.call("add", &[10_u8.into()]).unwrap(), Value::Unsigned(sum.into()));
        let error = counter.to_typed::<NamedClient>().unwrap_err();
        assert!(matches!(&error, Error::Call(it) if it.kind() == ErrorKind::NoSuchInterface));
    }
    // A reference by another interface is not converted silently.
    is_refused(
        office.call("add_to", &[office.clone().into(), 1_u8.into()]),
        "Counters::add_to: parameter `counter`: expected an object with the interface `Counter`, \
         got an object with Counters: cast it first",
    );
}

#[test]
fn bounds_are_checked_before_the_call_and_in_its_result() {
    let (office, _server) = office();
    is_refused(
        office.call("make", &[11_u8.into()]),
        "Counters::make: parameter `start`: expected 0 to 10, got 11",
    );
    let job = |title: &str, pages: usize, offset: i8| {
        let part = Value::fields([("offset", offset.into())]);
        Value::fields([
            ("title", title.into()),
            ("pages", vec![0_u8; pages].into()),
            ("parts", Value::List(vec![Value::fields([("offset", 0_i8.into())]), part])),
        ])
    };
    let set = |job: Value, level: Value| office.call("set", &[job, level]);
    for (wrong, place, got) in [
        (job("", 1, 0), "title`: expected 1 to 5 UTF-16 units", 0),
        (job("longer", 1, 0), "title`: expected 1 to 5 UTF-16 units", 6),
        // In UTF-16 units.
        (job("\u{1f600}\u{1f600}\u{1f600}", 1, 0), "title`: expected 1 to 5 UTF-16 units", 6),
        (job("ok", 3, 0), "pages`: expected 1 to 2 items", 3),
        (job("ok", 1, -4), "parts[1].offset`: expected -3 to 3", -4),
    ] {
        let text = format!("Counters::set: parameter `job.{place}, got {got}");
        is_refused(set(wrong, Value::Option(None)), &text);
    }
    is_refused(
        set(job("ok", 1, 0), "Highest".into()),
        "Counters::set: parameter `level`: expected 0 to 1, got 2",
    );
    is_refused(
        set(job("ok", 1, 0), Value::some("Highest")),
        "Counters::set: parameter `level`: expected 0 to 1, got 2",
    );
    assert!(set(job("ok", 2, 3), "High".into()).is_ok());
    let error = set(job("bad", 1, 0), Value::Option(None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Counters::set: result `parts[1].offset`: expected -3 to 3, got 4"
    );
}

#[test]
fn an_object_that_cannot_be_passed_is_named_with_its_place() {
    let (office, _server) = office();
    let client = CounterClient::in_process(From(u32::MAX)).unwrap();
    let counter = DynamicClient::from_typed(&client).unwrap();
    client.as_client().withdrawal().unwrap().withdraw();
    let error = office.call("add_to", &[counter.into(), 1_u8.into()]).unwrap_err();
    assert!(error.to_string().starts_with("Counters::add_to: parameter `counter`: "), "{error}");
    let error = office.call("add_to", &[Value::Unit, 1_u8.into()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Counters::add_to: parameter `counter`: expected CounterClient, got no value"
    );
}

#[cfg(feature = "tokio")]
#[test]
fn a_tokio_program_awaits_calls_casts_and_references() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (office, _server) = office();
    runtime.block_on(async {
        let counter = object(office.call_async("make", &[3_u8.into()]).await.unwrap());
        // The description of the new object is requested in the task.
        assert_eq!(counter.call_async("add", &[4_u8.into()]).await.unwrap(), Value::Unsigned(7));
        let door = syshandle::direct::make_door::<dyn Counter, _>(From(3)).unwrap();
        let behind = syshandle::direct::from_door::<CounterClient>(door).unwrap();
        let behind = DynamicClient::from_typed(&behind).unwrap();
        assert_eq!(behind.description_async().await.unwrap().name, "Counter");
        let arguments = [behind.into(), 5_u8.into()];
        let sum = office.call_async("add_to", &arguments).await.unwrap();
        assert_eq!(sum, Value::Unsigned(8));
        is_refused(
            office.call_async("make", &[11_u8.into()]).await,
            "Counters::make: parameter `start`: expected 0 to 10, got 11",
        );
        let job = Value::fields([
            ("title", "bad".into()),
            ("pages", vec![0_u8].into()),
            ("parts", Value::List(vec![])),
        ]);
        let error = office.call_async("set", &[job, Value::Option(None)]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Counters::set: result `parts[1].offset`: expected -3 to 3, got 4"
        );
    });
}
