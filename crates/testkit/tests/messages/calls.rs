//! Messages of errors in calls, which concern arguments, results, methods, deadlines and limits.
#![expect(unsafe_code, reason = "fork has no safe wrapper")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process};
use syshandle::handle::{Event, ManualEvent, OwnedHandle};
use syshandle::object::Proxy;
use syshandle::testing::simulated_error;
use syshandle::{
    CallError, Cancel, Client, Context, Decode, Encode, Error, ErrorKind, Result, class, interface,
};
use syshandle_testkit::{
    Fixture, Messages, SERVER, TEST_SERVICE, TestServiceAsyncClient, describe, wait_until,
};

use crate::{OWN_TEXT, group};

#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b51")]
trait Subject {
    fn file(&self, #[handle(file, read | write)] file: File) -> Result<()>;
    fn regular(&self, #[handle(file(regular), read)] file: File) -> Result<()>;
    fn read_only(&self, #[handle(file, read, at_most = read)] file: File) -> Result<()>;
    fn stream(&self, #[handle(socket(unix_stream))] socket: OwnedFd) -> Result<()>;
    fn number(&self, #[range(1..=64)] number: u32) -> Result<()>;
    fn rings(&self, setup: Setup) -> Result<()>;
    fn take(&self, bytes: Vec<u8>) -> Result<()>;
    fn give(&self, len: u32) -> Result<Vec<u8>>;
    fn handles(&self, handles: Vec<OwnedHandle>) -> Result<()>;
    fn nest(&self, nest: Nest) -> Result<()>;
    #[handle(file, read | write)]
    fn wrong_result(&self) -> Result<File>;
    fn panic(&self) -> Result<()>;
    fn open(&self) -> Result<()>;
    fn pass_on(&self) -> Result<()>;
    fn refuse(&self) -> Result<()>;
    fn report_a_runtime_kind(&self) -> Result<()>;
    fn simulate(&self) -> Result<()>;
    fn abort(&self, context: &Context) -> Result<()>;
    fn typed(&self) -> std::result::Result<(), Trouble>;
    fn block(&self, entered: Event, until: ManualEvent) -> Result<()>;
    fn timers(&self, context: &Context, count: u32) -> Result<()>;
    fn references(&self, context: &Context, count: u32) -> Result<Vec<NamedClient>>;
}

/// The second interface of the class.
#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b52")]
trait Named {
    fn name(&self) -> Result<String>;
}

/// A later version of [`Named`].
#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b52")]
trait NamedLater {
    fn name(&self) -> Result<String>;
    fn full_name(&self) -> Result<String>;
}

/// An interface that the class doesn't have.
#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b53")]
trait Missing {
    fn nothing(&self) -> Result<()>;
}

class! {
    SUBJECT: Subject + Named = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b54";
}

#[derive(Debug, Encode, Decode)]
struct Setup {
    rings: Vec<Ring>,
}

#[derive(Debug, Encode, Decode)]
struct Ring {
    #[range(1..=64)]
    size: u32,
}

#[derive(Debug, Encode, Decode)]
enum Nest {
    Empty,
    Inner(Box<Nest>),
}

#[derive(Debug, Encode, Decode)]
enum Trouble {
    PaperJam { tray: u8 },
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::PaperJam { tray } = self;
        write!(f, "{OWN_TEXT} {tray}")
    }
}

impl std::error::Error for Trouble {}

struct Implementation;

impl Named for Implementation {
    fn name(&self) -> Result<String> {
        Ok("the subject".into())
    }
}

impl Subject for Implementation {
    fn file(&self, _: File) -> Result<()> {
        Ok(())
    }

    fn regular(&self, _: File) -> Result<()> {
        Ok(())
    }

    fn read_only(&self, _: File) -> Result<()> {
        Ok(())
    }

    fn stream(&self, _: OwnedFd) -> Result<()> {
        Ok(())
    }

    fn number(&self, _: u32) -> Result<()> {
        Ok(())
    }

    fn rings(&self, _: Setup) -> Result<()> {
        Ok(())
    }

    fn take(&self, _: Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn give(&self, len: u32) -> Result<Vec<u8>> {
        Ok(vec![0; len as usize])
    }

    fn handles(&self, _: Vec<OwnedHandle>) -> Result<()> {
        Ok(())
    }

    fn nest(&self, _: Nest) -> Result<()> {
        Ok(())
    }

    fn wrong_result(&self) -> Result<File> {
        Ok(File::open("/dev/null")?)
    }

    fn panic(&self) -> Result<()> {
        panic!("index out of bounds")
    }

    fn open(&self) -> Result<()> {
        File::open("/no/such/file")?;
        Ok(())
    }

    fn pass_on(&self) -> Result<()> {
        let other = SubjectClient::in_process(Self)?;
        other.refuse()
    }

    fn refuse(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Busy, OWN_TEXT).refused())
    }

    fn report_a_runtime_kind(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Disconnected, OWN_TEXT))
    }

    fn simulate(&self) -> Result<()> {
        Err(simulated_error(ErrorKind::Unproven, OWN_TEXT).refused())
    }

    fn abort(&self, context: &Context) -> Result<()> {
        context.abort(OWN_TEXT);
        Ok(())
    }

    fn typed(&self) -> std::result::Result<(), Trouble> {
        Err(Trouble::PaperJam { tray: 3 })
    }

    fn block(&self, entered: Event, until: ManualEvent) -> Result<()> {
        entered.set()?;
        until.wait_timeout(Duration::from_secs(60))?;
        Ok(())
    }

    fn timers(&self, context: &Context, count: u32) -> Result<()> {
        for _ in 0..count {
            context.on_timer(Duration::from_secs(600), |_| {})?;
        }
        Ok(())
    }

    fn references(&self, context: &Context, count: u32) -> Result<Vec<NamedClient>> {
        Ok(vec![context.serve::<dyn Named, _>(Self)?; count as usize])
    }
}

fn event() -> Event {
    Event::new().unwrap()
}

#[test]
fn the_messages_of_calls() {
    let mut messages = group("calls");
    let subject: SubjectClient = SUBJECT.in_process(Implementation).unwrap();
    let null = || File::open("/dev/null").unwrap();
    let writable = tempfile::tempfile().unwrap();

    let pipe = File::from(rustix::pipe::pipe().unwrap().1);
    messages.add("a handle of the wrong kind", &subject.file(&pipe).unwrap_err());
    messages.add("a handle without a declared right", &subject.file(&null()).unwrap_err());
    messages.add("a handle with a right too many", &subject.read_only(&writable).unwrap_err());
    messages.add("a file of the wrong sort", &subject.regular(&null()).unwrap_err());
    let socket: OwnedFd = UdpSocket::bind("127.0.0.1:0").unwrap().into();
    messages.add("a socket of the wrong sort", &subject.stream(&socket).unwrap_err());
    messages.add("a result of the wrong kind", &subject.wrong_result().unwrap_err());
    messages.add("a number out of range", &subject.number(65).unwrap_err());
    let setup = Setup { rings: vec![Ring { size: 1 }, Ring { size: 65 }] };
    messages.add("a field out of range", &subject.rings(&setup).unwrap_err());
    let large = vec![0; 65 << 20];
    messages.add("an argument that is too large", &subject.take(&large).unwrap_err());
    messages.add("a result that is too large", &subject.give(65 << 20).unwrap_err());
    let handles: Vec<_> = (0..300).map(|_| OwnedHandle::from(event())).collect();
    messages.add("too many handles", &subject.handles(&handles).unwrap_err());
    messages.add("too many references", &subject.references(5_000).unwrap_err());
    let nest = (0..100).fold(Nest::Empty, |nest, _| Nest::Inner(Box::new(nest)));
    messages.add("a value that is nested too deeply", &subject.nest(&nest).unwrap_err());

    messages.add("a panic of a method", &subject.panic().unwrap_err());
    messages.add("a system error of a method", &subject.open().unwrap_err());
    messages.add("an error that a method passes on", &subject.pass_on().unwrap_err());
    messages.add("a refusal by a method", &subject.refuse().unwrap_err());
    let error = subject.report_a_runtime_kind().unwrap_err();
    messages.add("a kind that a method may not report", &error);
    messages.add("a simulated error", &subject.simulate().unwrap_err());
    match subject.typed().unwrap_err() {
        CallError::Method(trouble) => messages.push(
            "an error of a method's own type",
            &format!("display: {}\n", CallError::Method(trouble)),
        ),
        CallError::Call(error) => panic!("{error:?}"),
    }

    deadlines(&mut messages, &subject);
    interfaces(&mut messages, &subject);
    crate::growth::calls(&mut messages);
    limits(&mut messages);
    asynchronous_methods(&mut messages);
    the_end_of_a_server(&mut messages);

    messages.add("a call that aborts its connection", &subject.abort().unwrap_err());
    messages.add("a call on an aborted connection", &subject.number(1).unwrap_err());
    messages.check();
}

fn deadlines(messages: &mut Messages, subject: &SubjectClient) {
    let (entered, until) = (event(), ManualEvent::new().unwrap());
    let hasty = subject.with_timeout(Duration::from_millis(50));
    messages.add("a call that times out", &hasty.block(&entered, &until).unwrap_err());
    let over = subject.with_timeout(Duration::ZERO);
    messages.add("a call without any time", &over.number(1).unwrap_err());
    messages.add("a wait that times out", &hasty.as_client().wait(&event()).unwrap_err());
    let cancel = Cancel::new().unwrap();
    let patient = subject.with_cancel(&cancel);
    let entered = event();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| patient.block(&entered, &until).unwrap_err());
        entered.wait_timeout(Duration::from_secs(60)).unwrap();
        cancel.cancel();
        messages.add("a cancelled call", &call.join().unwrap());
    });
    let error = patient.as_client().wait(&event()).unwrap_err();
    messages.add("a cancelled wait", &error);
    until.set().unwrap();
}

fn interfaces(messages: &mut Messages, subject: &SubjectClient) {
    let error = subject.cast::<MissingClient>().unwrap_err();
    messages.add("an interface that an object lacks", &error);
    let single = SubjectClient::in_process(Implementation).unwrap();
    let error = single.cast::<NamedClient>().unwrap_err();
    messages.add("an object in process that was made from one interface", &error);
    let later: NamedLaterClient = subject.cast().unwrap();
    messages.add("a method of a later version", &later.full_name().unwrap_err());
}

fn limits(messages: &mut Messages) {
    let subject = SubjectClient::in_process(Implementation).unwrap();
    let error = subject.timers(1_000_000).unwrap_err();
    messages.add("too many background tasks", &error);

    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.activate().unwrap();
    let server = Pid::from_raw(client.peer_ids().unwrap().server_pid as i32);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::prlimit(server, Resource::Nofile, none).unwrap();
    let error = client.len(&tempfile::tempfile().unwrap()).unwrap_err();
    messages.add("a server without free descriptors", &error);

    let (mut reader, mut writer) = io::pipe().unwrap();
    // SAFETY: the child writes to a pipe and ends without destructors. Other threads of the parent
    // can only have held allocator locks, which the C library releases in the child.
    if unsafe { libc::fork() } == 0 {
        let error = subject.number(1).unwrap_err();
        writer.write_all(describe(&error).as_bytes()).unwrap();
        // SAFETY: as above.
        unsafe { libc::_exit(0) }
    }
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    messages.push("a client in a forked copy of its process", &text);
}

#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b57")]
trait Waiting {
    /// Sets `entered` and never ends.
    fn stay(&self, entered: Event) -> Result<()>;
}

syshandle::class! {
    WAITING: Waiting = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b58";
}

struct Forever;

impl WaitingAsync for Forever {
    async fn stay(&self, entered: Event) -> Result<()> {
        entered.set()?;
        std::future::pending().await
    }
}

fn asynchronous_methods(messages: &mut Messages) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handle = runtime.handle().clone();
    let make = move || syshandle::tokio::AsyncObject::new(&handle, Forever);
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let server = syshandle::Server::new().class(WAITING, make).socket(theirs).start().unwrap();
    let client: WaitingClient = syshandle::direct::from_socket(ours).unwrap();
    let entered = event();
    let call = WaitingAsyncClient::from(&client).stay(&entered);
    assert!(entered.wait_timeout(Duration::from_secs(60)).unwrap());
    runtime.shutdown_background();
    messages.add("a call whose runtime ends", &call.wait().unwrap_err());
    server.server().shutdown();
    server.join().unwrap();
}

fn the_end_of_a_server(messages: &mut Messages) {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.activate().unwrap();
    let server = Pid::from_raw(client.peer_ids().unwrap().server_pid as i32).unwrap();
    kill_process(server, Signal::STOP).unwrap();
    let caller = TestServiceAsyncClient::from(&client);
    let calls: Vec<_> = (0..64 + 65_536).map(|_| caller.peer_ids()).collect();
    let error = caller.peer_ids().wait().unwrap_err();
    messages.add("a call for which the client has no room", &error);
    drop(calls);
    kill_process(server, Signal::CONT).unwrap();
    messages.add("a server that dies during a call", &client.abort().unwrap_err());
    messages.add("a server that has died", &client.peer_ids().unwrap_err());

    let mut fifo = fixture.fifo("hanging");
    let environment = [("TESTKIT_FIFO", fifo.path().to_str().unwrap()), ("TESTKIT_DRAIN_MS", "1")];
    fixture.register(&SERVER, TEST_SERVICE, &environment);
    let client = fixture.activate().unwrap();
    let pid = client.peer_ids().unwrap().server_pid;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.hang().unwrap_err());
        fifo.line();
        kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::TERM).unwrap();
        messages.add("a server that is stopped during a call", &call.join().unwrap());
    });
    wait_until("the server has ended", || fixture.processes("testkit-server").is_empty());
    messages.add("a server that was stopped", &client.peer_ids().unwrap_err());
    let client: &Client = client.as_client();
    messages.add("a wait for a server that has ended", &client.wait(&event()).unwrap_err());
}

#[test]
fn a_system_error_has_its_number() {
    let subject = SubjectClient::in_process(Implementation).unwrap();
    assert_eq!(subject.open().unwrap_err().io_kind(), Some(io::ErrorKind::NotFound));
}
