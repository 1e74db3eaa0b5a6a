//! One-way calls: in order, at most once, with back-pressure, and failures that a flush reports.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use syshandle::direct::{connect, from_door};
use syshandle::handle::{ManualEvent, OwnedHandle};
use syshandle::object::Interface;
use syshandle::pipeline::pipelined;
use syshandle::serving::RunningServer;
#[cfg(feature = "tokio")]
use syshandle::tokio::AsyncObject;
use syshandle::{Context, Error, ErrorKind, Result, Server, class, interface};
use syshandle_types::Limits;
use syshandle_wire::{Fault, Features, FrameKind, Greeting, Header, Hello, Offer, Status};

use crate::support::raw::{Raw, scripted_server};
use crate::support::world::door;
use crate::support::{LONG, drain, eventually, eventually_equal, pipe};

class! { JOURNAL: Journal = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d81"; }
class! { PLAIN: PlainJournal = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d81"; }

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b81")]
trait Journal {
    #[oneway]
    fn append(&self, number: u32);
    /// Returns the numbers of all objects.
    fn numbers(&self) -> Result<Vec<u32>>;
    /// Appends a number when the gate is open.
    #[oneway]
    fn append_later(&self, number: u32) -> Result<()>;
    #[oneway]
    fn fail(&self, text: String) -> Result<()>;
    #[oneway]
    fn panic(&self);
    /// Appends the length of the bytes.
    #[oneway]
    fn append_len(&self, bytes: Vec<u8>);
    /// Writes to the file.
    #[oneway]
    fn write(&self, context: &Context, #[handle(file | pipe, write)] file: OwnedHandle);
    /// Returns another object with the same numbers.
    fn another(&self) -> Result<JournalClient>;
}

/// Another version of the interface, with the other sort of methods.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b81")]
trait PlainJournal {
    fn append(&self, number: u32) -> Result<()>;
    #[oneway]
    fn numbers(&self);
}

#[derive(Clone)]
struct Book {
    numbers: Arc<Mutex<Vec<u32>>>,
    gate: Arc<ManualEvent>,
}

impl Book {
    fn new() -> Self {
        Self { numbers: Arc::default(), gate: Arc::new(ManualEvent::new().unwrap()) }
    }

    fn numbers(&self) -> Vec<u32> {
        self.numbers.lock().unwrap().clone()
    }

    fn open(&self) {
        self.gate.set().unwrap();
    }

    fn push(&self, number: u32) {
        self.numbers.lock().unwrap().push(number);
    }
}

impl Journal for Book {
    fn append(&self, number: u32) {
        self.push(number);
    }

    fn numbers(&self) -> Result<Vec<u32>> {
        Ok(self.numbers())
    }

    fn append_later(&self, number: u32) -> Result<()> {
        assert!(self.gate.wait_timeout(LONG)?, "the gate opens");
        self.push(number);
        Ok(())
    }

    fn fail(&self, text: String) -> Result<()> {
        Err(Error::failed(text))
    }

    fn panic(&self) {
        panic!("the pen broke")
    }

    fn append_len(&self, bytes: Vec<u8>) {
        self.push(bytes.len() as u32);
    }

    fn write(&self, context: &Context, file: OwnedHandle) {
        let (pid, mut file) = (context.client().pid, File::from(file));
        file.write_all(if pid == std::process::id() { b"ours" } else { b"theirs" }).unwrap();
    }

    fn another(&self) -> Result<JournalClient> {
        JournalClient::in_process(self.clone())
    }
}

impl PlainJournal for Book {
    fn append(&self, number: u32) -> Result<()> {
        if number == 0 {
            return Err(Error::failed("zero"));
        }
        self.push(number);
        Ok(())
    }

    fn numbers(&self) {
        self.push(77);
    }
}

#[cfg(feature = "tokio")]
impl JournalAsync for Book {
    async fn append(&self, number: u32) {
        tokio::task::yield_now().await;
        self.push(number);
    }

    async fn numbers(&self) -> Result<Vec<u32>> {
        Ok(self.numbers())
    }

    async fn append_later(&self, number: u32) -> Result<()> {
        syshandle::tokio::wait(&*self.gate).await?;
        self.push(number);
        Ok(())
    }

    async fn fail(&self, text: String) -> Result<()> {
        tokio::task::yield_now().await;
        Err(Error::failed(text))
    }

    async fn panic(&self) {
        panic!("the pen broke")
    }

    async fn append_len(&self, bytes: Vec<u8>) {
        tokio::task::yield_now().await;
        self.push(bytes.len() as u32);
    }

    async fn write(&self, context: &Context, file: OwnedHandle) {
        let (pid, mut file) = (context.client().pid, File::from(file));
        file.write_all(if pid == std::process::id() { b"ours" } else { b"theirs" }).unwrap();
    }

    async fn another(&self) -> Result<JournalClient> {
        JournalClient::in_process(self.clone())
    }
}

/// A server in a folder of its own.
struct Subject {
    book: Book,
    server: Option<RunningServer>,
    folder: tempfile::TempDir,
}

impl Subject {
    fn new(set: impl FnOnce(Server) -> Server) -> Self {
        let (book, folder) = (Book::new(), tempfile::tempdir().unwrap());
        let implementation = book.clone();
        let server = Server::new().class(JOURNAL, move || implementation.clone());
        let server = set(server.path(folder.path().join("socket"))).never_exit();
        Self { book, server: Some(server.start().unwrap()), folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn journal(&self) -> JournalClient {
        connect(self.path()).unwrap()
    }

    fn raw(&self) -> Raw {
        Raw::open(&self.path(), JOURNAL.clsid(), <dyn Journal>::DESCRIPTION.iid)
    }
}

/// Dispatches a server on another thread while a test runs.
fn while_dispatching(path: &Path, book: &Book, test: impl FnOnce()) {
    let implementation = book.clone();
    let server = Server::new().class(JOURNAL, move || implementation.clone()).path(path);
    let mut source = server.never_exit().event_source().unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                let _ = source.dispatch().unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        test();
        is_done.store(true, Ordering::SeqCst);
    });
}

/// Runs a test with objects behind each transport.
fn over_every_transport(test: impl Fn(&JournalClient, &Book)) {
    let book = Book::new();
    let local = JournalClient::in_process(book.clone()).unwrap();
    println!("in the same process");
    test(&local, &book);
    println!("through a door");
    let book = Book::new();
    let local = JournalClient::in_process(book.clone()).unwrap();
    test(&from_door(door(&local)).unwrap(), &book);
    println!("by a number");
    let subject = Subject::new(|server| server);
    test(&subject.journal().another().unwrap(), &subject.book);
    println!("over a socket");
    let subject = Subject::new(|server| server);
    test(&subject.journal(), &subject.book);
    println!("a server with few threads for methods");
    let subject = Subject::new(|server| server.max_concurrent_calls(40));
    test(&subject.journal(), &subject.book);
    #[cfg(feature = "tokio")]
    {
        println!("an asynchronous object");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let book = Book::new();
        let object = AsyncObject::new(runtime.handle(), book.clone());
        test(&JOURNAL.in_process(object).unwrap(), &book);
    }
}

fn order() -> Vec<u32> {
    (0..1000).collect()
}

#[test]
fn a_later_call_starts_after_the_one_way_calls_before_it() {
    over_every_transport(|journal, _| {
        for number in order() {
            journal.append(number).unwrap();
        }
        assert_eq!(journal.numbers().unwrap(), order());
        journal.flush_one_way().unwrap();
    });
}

#[test]
fn a_server_in_an_event_loop_keeps_the_order() {
    let (book, folder) = (Book::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("socket");
    while_dispatching(&path, &book, || {
        let journal: JournalClient = connect(&path).unwrap();
        for number in order() {
            journal.append(number).unwrap();
        }
        assert_eq!(journal.numbers().unwrap(), order());
    });
}

#[test]
fn later_calls_of_the_object_wait_for_a_one_way_call_and_its_caller_does_not() {
    over_every_transport(|journal, book| {
        journal.append_later(1).unwrap();
        journal.append(2).unwrap();
        let later = JournalAsyncClient::from(journal).numbers();
        journal.append(3).unwrap();
        let hasty = journal.with_timeout(Duration::from_millis(50));
        let error = hasty.numbers().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(!later.is_ready());
        assert_eq!(book.numbers(), [0; 0]);
        book.open();
        // The last one-way call does not wait for the call with a reply.
        let numbers = later.wait().unwrap();
        assert!(numbers.starts_with(&[1, 2]), "{numbers:?}");
        assert_eq!(journal.numbers().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn a_one_way_call_does_not_delay_other_objects_or_clients() {
    let subject = Subject::new(|server| server);
    let journal = subject.journal();
    let another = journal.another().unwrap();
    journal.append_later(1).unwrap();
    another.append(2).unwrap();
    assert_eq!(another.numbers().unwrap(), [2]);
    assert_eq!(subject.journal().numbers().unwrap(), [2]);
    another.flush_one_way().unwrap();
    subject.book.open();
    assert_eq!(journal.numbers().unwrap(), [2, 1]);
}

#[test]
fn a_call_with_a_reply_does_not_delay_later_one_way_calls() {
    let subject = Subject::new(|server| server);
    let raw = subject.raw();
    let number = |name| method(name);
    raw.call(1, number("append_later"), &5_u32.to_le_bytes(), &[]);
    send_one_way(&raw, (7, 0), "append", &6_u32.to_le_bytes());
    eventually_equal(&vec![6], || subject.book.numbers());
    subject.book.open();
    let reply = raw.receive().unwrap();
    assert_eq!((reply.header.call, reply.header.ended), (1, 1));
}

#[test]
fn a_flush_reports_the_first_failure_since_the_last_flush() {
    over_every_transport(|journal, _| {
        journal.flush_one_way().unwrap();
        journal.append(1).unwrap();
        journal.fail("ink").unwrap();
        journal.fail("paper").unwrap();
        journal.append(2).unwrap();
        let error = journal.clone().flush_one_way().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Failed, true));
        assert_eq!(error.to_string(), "Journal::fail: ink");
        journal.flush_one_way().unwrap();
        assert_eq!(journal.numbers().unwrap(), [1, 2]);
        journal.panic().unwrap();
        let error = journal.flush_one_way().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert!(error.to_string().starts_with("Journal::panic: "), "{error}");
    });
}

#[test]
fn each_reference_reports_the_failures_of_its_own_calls() {
    let subject = Subject::new(|server| server);
    let journal = subject.journal();
    let another = journal.another().unwrap();
    another.fail("ink").unwrap();
    journal.append(1).unwrap();
    another.numbers().unwrap();
    journal.flush_one_way().unwrap();
    assert_eq!(another.flush_one_way().unwrap_err().to_string(), "Journal::fail: ink");
    // The failure of a reference that was dropped reaches no other one.
    another.fail("ink").unwrap();
    drop(another);
    let next = journal.another().unwrap();
    next.append(2).unwrap();
    next.flush_one_way().unwrap();
    journal.flush_one_way().unwrap();
}

#[test]
fn one_way_calls_take_places_in_flight_and_further_ones_wait_until_their_deadline() {
    over_every_transport(|journal, book| {
        let limit = u32::from(Limits::default().calls_max);
        for number in 0..limit {
            journal.append_later(number).unwrap();
        }
        let error = journal.with_timeout(Duration::from_millis(50)).append(limit).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, false));
        let text = "timed out waiting for a free call slot (limit: 64 calls in flight)";
        assert!(error.to_string().contains(text), "{error}");
        let queued = JournalAsyncClient::from(journal).append(limit + 1);
        assert!(!queued.is_ready());
        drop(queued);
        book.open();
        journal.append(limit + 2).unwrap();
        let expected: Vec<u32> = (0..limit).chain([limit + 2]).collect();
        assert_eq!(journal.numbers().unwrap(), expected);
    });
}

#[test]
fn a_one_way_call_that_waits_past_its_deadline_does_not_run() {
    let subject = Subject::new(|server| server);
    let journal = subject.journal();
    journal.append_later(1).unwrap();
    journal.with_timeout(Duration::from_millis(20)).append(2).unwrap();
    thread::sleep(Duration::from_millis(60));
    subject.book.open();
    let error = journal.flush_one_way().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, false));
    assert_eq!(subject.book.numbers(), [1]);
}

#[test]
fn many_threads_make_one_way_calls_over_one_connection() {
    over_every_transport(|journal, _| {
        thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for number in 0..200 {
                        journal.append(thread * 1000 + number).unwrap();
                    }
                    journal.flush_one_way().unwrap();
                });
            }
        });
        let numbers = journal.numbers().unwrap();
        for thread in 0..4 {
            let own = numbers.iter().filter(|number| *number / 1000 == thread);
            assert!(own.map(|number| number % 1000).eq(0..200), "thread {thread}");
        }
    });
}

#[test]
fn an_asynchronous_client_awaits_that_its_one_way_calls_are_sent() {
    over_every_transport(|journal, _| {
        let client = JournalAsyncClient::from(journal);
        let calls: Vec<_> = order().into_iter().map(|number| client.append(number)).collect();
        let flush = client.flush_one_way();
        calls.into_iter().for_each(|call| call.wait().unwrap());
        flush.wait().unwrap();
        let calls: Vec<_> =
            pipelined(&client, |client| (0..40).map(|number| client.append(number)).collect());
        calls.into_iter().for_each(|call| call.wait().unwrap());
        assert_eq!(client.numbers().wait().unwrap(), [order(), (0..40).collect()].concat());
        client.fail("ink").wait().unwrap();
        let error = client.flush_one_way().wait().unwrap_err();
        assert_eq!(error.to_string(), "Journal::fail: ink");
        client.flush_one_way().wait().unwrap();
    });
}

#[cfg(feature = "tokio")]
#[test]
fn a_task_awaits_one_way_calls_and_their_flush() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    over_every_transport(|journal, _| {
        runtime.block_on(async {
            // This client has not connected yet.
            let client =
                JournalAsyncClient::from(from_door::<JournalClient>(door(journal)).unwrap());
            for number in order() {
                client.append(number).await.unwrap();
            }
            client.flush_one_way().await.unwrap();
            assert_eq!(client.numbers().await.unwrap(), order());
            client.fail("ink").await.unwrap();
            let error = client.flush_one_way().await.unwrap_err();
            assert_eq!(error.to_string(), "Journal::fail: ink");
        });
    });
}

#[test]
fn large_arguments_and_handles_are_passed_in_order() {
    over_every_transport(|journal, _| {
        let lengths: Vec<u32> = (0..60).map(|i| if i % 3 == 0 { 1 << 20 } else { i }).collect();
        for len in &lengths {
            journal.append_len(&vec![0; *len as usize]).unwrap();
        }
        assert_eq!(journal.numbers().unwrap(), lengths);
        let (reader, writer) = pipe();
        journal.write(&writer).unwrap();
        drop(writer);
        assert_eq!(drain(reader), "ours");
        // Without a handle that may be written, the method does not run.
        let null = OwnedHandle::from(File::open("/dev/null").unwrap());
        journal.write(&null).unwrap();
        let error = journal.flush_one_way().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::WrongHandle, false));
        assert!(error.to_string().starts_with("Journal::write: parameter `file`"), "{error}");
    });
}

#[test]
fn calls_that_were_sent_run_after_their_client_was_dropped() {
    over_every_transport(|journal, book| {
        let client: JournalClient = from_door(door(journal)).unwrap();
        client.append_later(1).unwrap();
        for number in 2..50 {
            client.append(number).unwrap();
        }
        drop(client);
        assert_eq!(book.numbers(), [0; 0]);
        book.open();
        eventually_equal(&(1..50).collect(), || book.numbers());
    });
}

/// Returns the number of a method.
fn method(name: &str) -> u32 {
    let methods = <dyn Journal>::DESCRIPTION.methods;
    methods.iter().position(|method| method.name == name).unwrap() as u32
}

fn send_one_way(raw: &Raw, (call, object): (u32, u32), name: &str, body: &[u8]) {
    let call = Header { call, object, code: method(name), ..Header::new(FrameKind::Call) };
    raw.send(&Header { one_way: true, timeout_ms: 60_000, ..call }, body, &[]);
}

#[test]
fn calls_that_wait_do_not_run_if_their_client_ends_without_a_bye() {
    for says_bye in [true, false] {
        let subject = Subject::new(|server| server);
        let raw = subject.raw();
        send_one_way(&raw, (1, 0), "append_later", &1_u32.to_le_bytes());
        send_one_way(&raw, (1, 0), "append", &2_u32.to_le_bytes());
        raw.call(1, method("append_later"), &3_u32.to_le_bytes(), &[]);
        if says_bye {
            raw.send(&Header::new(FrameKind::Bye), &[], &[]);
        }
        drop(raw);
        let clients = || subject.server.as_ref().unwrap().stats().clients;
        eventually("the client has gone", || clients() == 0);
        subject.book.open();
        let expected = if says_bye { vec![1, 2] } else { vec![1] };
        eventually_equal(&expected, || subject.book.numbers());
        // Neither the other call nor one more runs.
        assert_eq!(subject.journal().numbers().unwrap(), expected);
    }
}

#[test]
fn a_server_acknowledges_and_reports_failures_in_frames() {
    let subject = Subject::new(|server| server);
    let raw = subject.raw();
    let limit = u32::from(Limits::default().calls_max);
    for number in 0..limit / 2 {
        send_one_way(&raw, (9, 0), "append", &number.to_le_bytes());
    }
    let frame = raw.receive().unwrap();
    assert_eq!((frame.header.kind, frame.header.ended), (FrameKind::Acknowledge, limit / 2));
    assert_eq!((frame.header.call, frame.header.code, frame.body.len()), (0, 0, 0));
    // A method that does not exist, an object that the client does not have, and bad arguments.
    let call =
        Header { code: 99, one_way: true, timeout_ms: 60_000, ..Header::new(FrameKind::Call) };
    for (call, body, expected) in [
        (Header { call: 3, ..call.clone() }, &[][..], Fault::NoSuchMethod(99)),
        (
            Header { call: 4, object: 5, ..call },
            &[],
            Fault::NoObject { text: "the client has no object 5".into() },
        ),
    ] {
        raw.send(&call, body, &[]);
        let frame = raw.receive().unwrap();
        assert_eq!(frame.header.kind, FrameKind::Acknowledge);
        assert_eq!((frame.header.call, frame.header.code), (call.call, 99));
        assert_eq!(Fault::read(&frame.body).unwrap(), expected);
    }
    send_one_way(&raw, (5, 0), "append", &[]);
    let frame = raw.receive().unwrap();
    assert_eq!((frame.header.call, frame.header.ended), (5, limit / 2 + 3));
    assert!(matches!(Fault::read(&frame.body).unwrap(), Fault::Malformed { .. }));
    raw.call(1, method("numbers"), &[], &[]);
    let reply = raw.receive().unwrap();
    assert_eq!((reply.header.kind, reply.header.ended), (FrameKind::Reply, limit / 2 + 3));
}

#[test]
fn more_one_way_calls_than_permitted_end_the_connection() {
    let subject = Subject::new(|server| server);
    let raw = subject.raw();
    let limit = u32::from(Limits::default().calls_max);
    for number in 0..=limit {
        send_one_way(&raw, (9, 0), "append_later", &number.to_le_bytes());
    }
    raw.ends();
    assert_eq!(subject.journal().numbers().unwrap(), [0; 0]);
}

/// Returns the next frame, which is a call.
fn next_call(server: &Raw) -> Header {
    let frame = server.receive().unwrap();
    assert_eq!(frame.header.kind, FrameKind::Call);
    frame.header
}

#[test]
fn a_lost_connection_is_an_error_of_the_flush_and_the_calls_may_have_run() {
    let (server, journal) = scripted_server::<JournalClient>();
    journal.append(1).unwrap();
    assert!(next_call(&server).one_way);
    drop(server);
    for _ in 0..2 {
        let error = journal.flush_one_way().unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true));
    }
    let error = journal.append(2).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, false));
}

#[test]
fn a_connection_that_ends_after_all_one_way_calls_is_no_failure() {
    let (server, journal) = scripted_server::<JournalClient>();
    journal.append(1).unwrap();
    let acknowledge = Header { ended: 1, ..Header::new(FrameKind::Acknowledge) };
    server.send(&acknowledge, &[], &[]);
    server.send(&Header::new(FrameKind::Bye), &[], &[]);
    drop(server);
    assert_eq!(journal.numbers().unwrap_err().kind(), ErrorKind::Disconnected);
    journal.flush_one_way().unwrap();
}

#[test]
fn a_server_that_acknowledges_too_many_calls_is_disconnected() {
    let fault = Fault::Expired.write();
    let acknowledge = |ended| Header { ended, ..Header::new(FrameKind::Acknowledge) };
    let reply = |call| Header { call, ended: 2, ..Header::new(FrameKind::Reply) };
    for hostile in 0..3 {
        let (server, journal) = scripted_server::<JournalClient>();
        journal.append(1).unwrap();
        let flush = JournalAsyncClient::from(&journal).flush_one_way();
        assert!(next_call(&server).one_way);
        let call = next_call(&server).call;
        match hostile {
            0 => server.send(&acknowledge(2), &[], &[]),
            1 => server.send(&reply(call), &[0], &[]),
            // One call fails twice.
            _ => (0..2).for_each(|_| server.send(&acknowledge(1), &fault, &[])),
        }
        let error = flush.wait().unwrap_err();
        // The first failure is valid, and so is the end of the only call.
        let expected = match hostile {
            0 | 1 => (ErrorKind::Violation, true),
            _ => (ErrorKind::TimedOut, false),
        };
        assert_eq!((error.kind(), error.may_have_run()), expected, "{hostile}");
        assert_eq!(journal.numbers().unwrap_err().kind(), ErrorKind::Violation);
        drop(journal);
        server.ends();
    }
}

#[test]
fn a_failure_that_names_no_reference_is_ignored() {
    let (server, journal) = scripted_server::<JournalClient>();
    journal.append(1).unwrap();
    let flush = JournalAsyncClient::from(&journal).flush_one_way();
    let append = next_call(&server);
    let call = next_call(&server).call;
    let failed = Header { call: append.call + 1, ended: 1, ..Header::new(FrameKind::Acknowledge) };
    server.send(&failed, &Fault::Expired.write(), &[]);
    let reply = Header { call, ended: 1, ..Header::new(FrameKind::Reply) };
    server.send(&reply, &[0], &[]);
    flush.wait().unwrap();
}

#[test]
fn without_the_feature_a_one_way_call_waits_for_its_reply() {
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let server = Raw(syshandle_os::Seqpacket::adopt(theirs).unwrap());
    let offers = vec![Offer::new(syshandle::Guid::NIL, <dyn Journal>::DESCRIPTION.iid)];
    let greeting = Greeting::new(Limits::default(), offers);
    let features = Features::from_bits(Features::OWN.bits() & !Features::ONE_WAY.bits());
    let greeting = Greeting { features, ..greeting };
    server.send(&Header::new(FrameKind::Greeting), &greeting.write(), &[]);
    let journal: JournalClient = syshandle::direct::from_socket(ours).unwrap();
    let hello = server.receive().unwrap();
    assert!(Hello::read(&hello.body).unwrap().features.contains(Features::ONE_WAY));
    let answers = thread::spawn(move || {
        for fault in [None, Some(Fault::Failed { text: "ink".into() })] {
            let call = next_call(&server);
            assert!(!call.one_way);
            let (status, body) = match fault {
                None => (Status::Done, vec![0]),
                Some(fault) => (Status::Fault, fault.write()),
            };
            // The field is reserved without the feature.
            let header = Header { call: call.call, code: status as u32, ended: 9, ..reply() };
            server.send(&header, &body, &[]);
        }
    });
    journal.append(1).unwrap();
    assert_eq!(journal.append(2).unwrap_err().to_string(), "Journal::append: ink");
    journal.flush_one_way().unwrap();
    answers.join().unwrap();
}

fn reply() -> Header {
    Header::new(FrameKind::Reply)
}

#[test]
fn a_method_may_be_one_way_for_only_one_side() {
    let subject = Subject::new(|server| server);
    // Activation by the class of the other version is the same, because both have one CLSID.
    let plain: PlainJournalClient = connect(subject.path()).unwrap();
    plain.append(1).unwrap();
    assert_eq!(subject.book.numbers(), [1], "the server runs it before it replies");

    let (book, folder) = (Book::new(), tempfile::tempdir().unwrap());
    let (path, implementation) = (folder.path().join("socket"), book.clone());
    let server = Server::new().class(PLAIN, move || implementation.clone()).path(&path);
    let _server = server.never_exit().start().unwrap();
    let journal: JournalClient = connect(&path).unwrap();
    journal.append(1).unwrap();
    journal.append(0).unwrap();
    assert_eq!(journal.flush_one_way().unwrap_err().to_string(), "Journal::append: zero");
    assert_eq!(book.numbers(), [1]);
    // The results differ here.
    assert_eq!(journal.numbers().unwrap_err().kind(), ErrorKind::Incompatible);
}

#[test]
fn a_server_that_ends_runs_the_calls_that_were_sent_before_a_bye() {
    let mut subject = Subject::new(|server| server.drain_timeout(LONG));
    let journal = subject.journal();
    journal.append_later(1).unwrap();
    journal.append(2).unwrap();
    drop(journal);
    let other = subject.journal();
    other.append_later(3).unwrap();
    other.append(4).unwrap();
    let server = subject.server.take().unwrap();
    server.shutdown();
    eventually("the server drains", || connect::<JournalClient>(subject.path()).is_err());
    subject.book.open();
    server.join().unwrap();
    let mut numbers = subject.book.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    other.flush_one_way().unwrap();
}
