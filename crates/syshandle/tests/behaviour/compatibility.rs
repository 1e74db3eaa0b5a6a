//! Clients whose server has another version of their interface, and descriptions on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use syshandle::describe::owned::Description;
use syshandle::direct::{Connector, from_door, from_socket, make_door, socket_pair};
use syshandle::object::{Interface, Proxy};
use syshandle::serving::RunningServer;
use syshandle::{CallError, Decode, Encode, Error, ErrorKind, Guid, Server, class, interface};
use syshandle_os::Seqpacket;
use syshandle_types::Limits;
use syshandle_wire::{Entry, FrameKind, Greeting, Header, Offer, Status};

use self::old::PrinterClient as OldClient;
use crate::support::bench::NamedClient;
use crate::support::raw::Raw;
use crate::support::world::{World, door};
use crate::support::{LONG, bench, eventually};

/// The version of the client.
mod old {
    use syshandle::{CallError, Decode, Encode, Result, interface};

    #[interface(iid = "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a01")]
    pub(super) trait Printer {
        fn count(&self, add: u32) -> Result<u32>;
        fn swapped(&self, size: Size) -> Result<u32>;
        fn added(&self, jobs: Vec<Job>) -> Result<()>;
        fn result(&self) -> Result<Option<Size>>;
        fn failing(&self) -> Result<(), CallError<Wrong>>;
        fn renamed(&self, number: u64) -> Result<usize>;
        fn only_new(&self) -> Result<()>;
    }

    #[derive(Debug, Encode, Decode)]
    pub(super) struct Size {
        pub(super) width: u32,
        pub(super) height: u32,
    }

    #[derive(Debug, Encode, Decode)]
    pub(super) struct Job {
        pub(super) name: String,
    }

    #[derive(Debug, Encode, Decode)]
    pub(super) enum Wrong {
        NoPaper,
    }
}

/// The version of the server.
mod new {
    use syshandle::{CallError, Decode, Encode, Result, interface};

    #[interface(iid = "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a01")]
    pub(super) trait Printer {
        /// Counts.
        fn count(&self, add: u32) -> Result<u32>;
        fn swapped(&self, size: Size) -> Result<u32>;
        fn added(&self, jobs: Vec<Job>) -> Result<()>;
        fn result(&self) -> Result<Option<Size>>;
        fn failing(&self) -> Result<(), CallError<Wrong>>;
        fn renamed(&self, value: usize) -> Result<u64>;
    }

    #[derive(Debug, Encode, Decode)]
    pub(super) struct Size {
        pub(super) height: u32,
        pub(super) width: u32,
    }

    #[derive(Debug, Encode, Decode)]
    pub(super) struct Job {
        pub(super) name: String,
        pub(super) copies: Option<u32>,
    }

    #[derive(Debug, Encode, Decode)]
    pub(super) enum Wrong {
        NoPaper,
        NoInk,
    }
}

/// Counts the runs of its methods.
#[derive(Default)]
struct Device(Arc<AtomicU32>);

impl Device {
    fn run(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

impl new::Printer for Device {
    fn count(&self, add: u32) -> syshandle::Result<u32> {
        Ok(add + 1)
    }

    fn swapped(&self, size: new::Size) -> syshandle::Result<u32> {
        self.run();
        Ok(size.height)
    }

    fn added(&self, jobs: Vec<new::Job>) -> syshandle::Result<()> {
        self.run();
        assert!(jobs.iter().all(|job| job.copies.is_none() && !job.name.is_empty()));
        Ok(())
    }

    fn result(&self) -> syshandle::Result<Option<new::Size>> {
        self.run();
        Ok(Some(new::Size { height: 1, width: 2 }))
    }

    fn failing(&self) -> Result<(), CallError<new::Wrong>> {
        self.run();
        Err(CallError::Method(new::Wrong::NoInk))
    }

    fn renamed(&self, value: usize) -> syshandle::Result<u64> {
        Ok(value as u64 + 1)
    }
}

class! {
    PRINTER: new::Printer = "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a02";
}

/// Serves a device to one client.
fn serve() -> (OldClient, RunningServer, Arc<AtomicU32>) {
    let runs = Arc::new(AtomicU32::new(0));
    let (ours, theirs) = socket_pair().unwrap();
    let counted = runs.clone();
    let server = Server::new().class(PRINTER, move || Device(counted.clone())).socket(theirs);
    let server = server.start().unwrap();
    (from_socket(ours).unwrap(), server, runs)
}

#[track_caller]
fn is_refused<T: std::fmt::Debug>(called: Result<T, Error>, text: &str) {
    let error = called.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Incompatible, false), "{error}");
    assert_eq!(error.to_string(), text);
}

/// Checks each method of the client.
fn check(client: &OldClient) {
    assert_eq!(client.count(1).unwrap(), 2);
    assert_eq!(client.renamed(1).unwrap(), 2);
    is_refused(
        client.swapped(&old::Size { width: 1, height: 2 }),
        "Printer::swapped: parameter `size`: client and server differ: the client has the field \
         `width` in place 1, the server the field `height` in place 1",
    );
    is_refused(
        client.added(&[old::Job { name: "a".into() }]),
        "Printer::added: parameter `jobs[]`: client and server differ: the client has 1 field, the \
         server 2 fields, such as `copies`",
    );
    is_refused(
        client.result(),
        "Printer::result: result: client and server differ: the client has the field `width` in \
         place 1, the server the field `height` in place 1",
    );
    let Err(CallError::Call(error)) = client.failing() else { panic!("the error is unknown") };
    is_refused(
        Err::<(), _>(error),
        "Printer::failing: error: client and server differ: the client has 1 variant, the server \
         2, such as `NoInk`",
    );
    let error = client.only_new().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::NoSuchMethod, false));
}

#[test]
fn methods_that_the_server_would_misread_are_refused_one_by_one() {
    let (client, server, runs) = serve();
    check(&client);
    check(&client);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    drop(client);
    server.join().unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let door = make_door::<dyn new::Printer, _>(Device(runs.clone())).unwrap();
    check(&from_door(door).unwrap());
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

/// Waits until the server has counted this number of calls. It counts a call after its reply.
fn has_answered(server: &RunningServer, calls: u64) {
    eventually("the calls are counted", || server.stats().calls.done >= calls);
    assert_eq!(server.stats().calls.done, calls);
}

/// Declares two versions of an interface. The process remembers which descriptions it has compared,
/// so each test that counts has an interface of its own.
macro_rules! versions {
    ($module:ident, $iid:literal, $clsid:literal) => {
        mod $module {
            pub(super) mod one {
                #[syshandle::interface(iid = $iid)]
                pub(in super::super) trait Scanner {
                    fn add(&self, one: u32, two: u32) -> syshandle::Result<u32>;
                    fn subtract(&self, from: u32, number: u32) -> syshandle::Result<u32>;
                }
            }

            pub(super) mod two {
                #[syshandle::interface(iid = $iid)]
                pub(in super::super) trait Scanner {
                    fn add(&self, one: u32, two: u32) -> syshandle::Result<u32>;
                    fn subtract(&self, number: u32, from: u32) -> syshandle::Result<u32>;
                }
            }

            pub(super) struct Device;

            impl two::Scanner for Device {
                fn add(&self, one: u32, two: u32) -> syshandle::Result<u32> {
                    Ok(one + two)
                }

                fn subtract(&self, number: u32, from: u32) -> syshandle::Result<u32> {
                    Ok(from - number)
                }
            }

            syshandle::class! { SCANNER: two::Scanner = $clsid; }

            /// Serves one client of each version.
            pub(super) fn serve<P: syshandle::object::Proxy>()
            -> (P, syshandle::serving::RunningServer) {
                let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
                let server = syshandle::Server::new().class(SCANNER, || Device).socket(theirs);
                let server = server.start().unwrap();
                (syshandle::direct::from_socket(ours).unwrap(), server)
            }
        }
    };
}

versions! {
    counted,
    "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a10", "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a11"
}
versions! {
    dispatched,
    "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a12", "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a13"
}
#[cfg(feature = "tokio")]
versions! {
    awaited,
    "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a14", "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a15"
}

#[test]
fn a_client_requests_the_servers_description_once_and_an_equal_client_never() {
    let (client, server): (counted::one::ScannerClient, _) = counted::serve();
    has_answered(&server, 0);
    for add in 0..3 {
        assert_eq!(client.add(add, 1).unwrap(), add + 1);
    }
    has_answered(&server, 4);
    // Another reference on the connection, and another connection to the same server, have the same
    // pair of descriptions.
    let cast: counted::one::ScannerClient = client.cast().unwrap();
    let other: counted::one::ScannerClient = from_door(door(&client)).unwrap();
    for (other, calls) in [(cast, 5), (other, 6)] {
        other.add(1, 2).unwrap();
        is_refused(other.subtract(2, 1), &client.subtract(2, 1).unwrap_err().to_string());
        has_answered(&server, calls);
    }

    let (client, server): (counted::two::ScannerClient, _) = counted::serve();
    assert_eq!(client.subtract(1, 2).unwrap(), 1);
    has_answered(&server, 1);
}

versions! {
    numbered,
    "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a16", "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a17"
}

/// An interface that returns references to scanners of each version.
mod offices {
    use syshandle::{Context, Result, Server, interface};

    use super::numbered;

    pub(super) mod one {
        #[syshandle::interface(iid = "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a18")]
        pub(in super::super) trait Office {
            fn scanner(&self) -> syshandle::Result<super::numbered::one::ScannerClient>;
        }
    }

    #[interface(iid = "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a18")]
    pub(super) trait Office {
        fn scanner(&self, context: &Context) -> Result<numbered::two::ScannerClient>;
    }

    struct Floor;

    impl Office for Floor {
        fn scanner(&self, context: &Context) -> Result<numbered::two::ScannerClient> {
            context.serve::<dyn numbered::two::Scanner, _>(numbered::Device)
        }
    }

    syshandle::class! { OFFICE: Office = "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a19"; }

    /// Serves one client of each version.
    pub(super) fn serve<P: syshandle::object::Proxy>() -> (P, syshandle::serving::RunningServer) {
        let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
        let server = Server::new().class(OFFICE, || Floor).socket(theirs).start().unwrap();
        (syshandle::direct::from_socket(ours).unwrap(), server)
    }
}

#[test]
fn references_with_numbers_are_compared_once_for_each_interface_and_connection() {
    let (office, server): (offices::one::OfficeClient, _) = offices::serve();
    let first = office.scanner().unwrap();
    has_answered(&server, 2);
    assert_eq!(first.add(1, 2).unwrap(), 3);
    has_answered(&server, 4);
    let error = first.subtract(2, 1).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Incompatible, false));
    let second = numbered::one::ScannerAsyncClient::from(office.scanner().unwrap());
    let refused = second.subtract(2, 1).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Incompatible);
    assert_eq!(second.add(2, 3).wait().unwrap(), 5);
    has_answered(&server, 6);

    #[cfg(feature = "tokio")]
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (office, server): (offices::one::OfficeClient, _) = offices::serve();
        let scanner = numbered::one::ScannerAsyncClient::from(office.scanner().unwrap());
        has_answered(&server, 1);
        runtime.block_on(async {
            let (call, refused) = (scanner.add(1, 2), scanner.subtract(2, 1));
            has_answered(&server, 1);
            assert_eq!(call.await.unwrap(), 3);
            assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Incompatible);
        });
        has_answered(&server, 3);
    }

    // A client with the same description makes no other call.
    let (scanner, server): (numbered::two::ScannerClient, _) = numbered::serve();
    assert_eq!(scanner.subtract(1, 2).unwrap(), 1);
    has_answered(&server, 1);
    // If the hashes of the first interface are equal, so are those of the references.
    let (office, server): (offices::OfficeClient, _) = offices::serve();
    assert_eq!(office.scanner().unwrap().subtract(1, 2).unwrap(), 1);
    has_answered(&server, 2);
}

#[test]
fn begun_calls_and_event_sources_compare_too() {
    let (client, _server, runs) = serve();
    let client = old::PrinterAsyncClient::from(client);
    let (good, bad) = (client.count(1), client.result());
    assert_eq!(good.wait().unwrap(), 2);
    assert_eq!(bad.wait().unwrap_err().kind(), ErrorKind::Incompatible);
    assert_eq!(runs.load(Ordering::SeqCst), 0);

    let (client, server): (dispatched::one::ScannerClient, _) = dispatched::serve();
    let _source = client.as_client().event_source().unwrap();
    // The calls of an event loop don't wait, so the comparison comes first.
    has_answered(&server, 1);
    let client = dispatched::one::ScannerAsyncClient::from(client);
    assert_eq!(client.subtract(2, 1).wait().unwrap_err().kind(), ErrorKind::Incompatible);
    has_answered(&server, 1);
}

#[cfg(feature = "tokio")]
#[test]
fn awaited_calls_compare_without_blocking_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, server): (awaited::one::ScannerClient, _) = awaited::serve();
    let client = awaited::one::ScannerAsyncClient::from(client);
    runtime.block_on(async {
        let (call, refused) = (client.add(1, 2), client.subtract(2, 1));
        // The thread of the runtime has not made any call yet.
        has_answered(&server, 0);
        assert_eq!(call.await.unwrap(), 3);
        let error = refused.await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Incompatible, false));
        assert!(error.to_string().starts_with("Scanner::subtract: client"), "{error}");
        assert_eq!(client.add(2, 2).await.unwrap(), 4);
        assert_eq!(client.subtract(2, 1).await.unwrap_err().kind(), ErrorKind::Incompatible);
    });
    has_answered(&server, 3);
    // A call that was begun in the runtime can be waited for outside of it.
    let (client, _server): (awaited::one::ScannerClient, _) = awaited::serve();
    let client = awaited::one::ScannerAsyncClient::from(client);
    let entered = runtime.enter();
    let call = client.subtract(2, 1);
    drop(entered);
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Incompatible);
}

const METHOD: u32 = u32::MAX - 1;

/// Returns the descriptions in a reply.
fn descriptions(raw: &Raw) -> Vec<Description> {
    let reply = raw.receive().unwrap();
    assert_eq!((reply.header.kind, reply.header.code), (FrameKind::Reply, Status::Done as u32));
    let (count, mut rest) = reply.body.split_at(4);
    let all = (0..u32::from_le_bytes(count.try_into().unwrap())).map(|_| {
        let (len, after) = rest.split_at(4);
        let (bytes, after) = after.split_at(u32::from_le_bytes(len.try_into().unwrap()) as usize);
        rest = after;
        Description::from_bytes(bytes).unwrap()
    });
    all.collect()
}

#[test]
fn every_object_describes_its_interface_with_documentation_on_request() {
    let world = World::new();
    let keep = world.bench();
    keep.nothing().unwrap();
    let described = <dyn bench::Bench as Interface>::DESCRIPTION;
    let raw = Raw::open(&world.socket(), bench::DOUBLE.clsid(), described.iid);
    raw.call(1, METHOD, &0_u32.to_le_bytes(), &[]);
    let own = Description::of(described).0;
    assert_eq!(descriptions(&raw), std::slice::from_ref(&own));
    assert!(own.methods.iter().any(|method| !method.docs.is_empty()));
    // Unknown options are ignored.
    raw.call(2, METHOD, &0xffff_fffe_u32.to_le_bytes(), &[]);
    assert_eq!(descriptions(&raw), [own]);
    raw.call(3, METHOD, &1_u32.to_le_bytes(), &[]);
    let all: Vec<_> = descriptions(&raw).into_iter().map(|it| it.iid).collect();
    let named = <NamedClient as Proxy>::Interface::DESCRIPTION.iid;
    assert!(all.contains(&described.iid) && all.contains(&named), "{all:?}");
    for body in [&[][..], &[0; 3], &[0; 5]] {
        raw.call(4, METHOD, body, &[]);
        let reply = raw.receive().unwrap();
        assert_eq!(reply.header.code, Status::Fault as u32, "{body:?}");
    }
    let null = std::fs::File::open("/dev/null").unwrap();
    raw.call(5, METHOD, &[0; 4], &[std::os::fd::AsFd::as_fd(&null)]);
    assert_eq!(raw.receive().unwrap().header.code, Status::Fault as u32);
    // An object with a number describes its own interface.
    let counters = described.methods.iter().position(|method| method.name == "counters").unwrap();
    raw.call(6, counters as u32, &1_u32.to_le_bytes(), &[]);
    let table = raw.receive().unwrap().header.entries;
    let Some(Entry::Object(object)) = table.iter().next() else { panic!("no number") };
    let header = Header { call: 7, code: METHOD, object, ..Header::new(FrameKind::Call) };
    raw.send(&Header { timeout_ms: 60_000, ..header }, &0_u32.to_le_bytes(), &[]);
    let counter = Description::of(<dyn bench::Counter as Interface>::DESCRIPTION).0;
    assert_eq!(descriptions(&raw), [counter]);
    // Before its hello, a client gets nothing.
    let early = Raw::greeted(&world.socket());
    early.call(1, METHOD, &0_u32.to_le_bytes(), &[]);
    early.ends();
}

/// Makes a client of a server that announces another description, and whose answer is `answer`.
fn described_by(answer: impl FnOnce(&Raw, &Header) + Send + 'static) -> OldClient {
    let (ours, theirs) = socket_pair().unwrap();
    std::thread::spawn(move || {
        let raw = Raw(Seqpacket::from(theirs));
        let iid = <dyn old::Printer as Interface>::DESCRIPTION.iid;
        let offer = Offer { description: 7, ..Offer::new(Guid::NIL, iid) };
        let greeting = Greeting::new(Limits::default(), vec![offer]);
        raw.send(&Header::new(FrameKind::Greeting), &greeting.write(), &[]);
        assert_eq!(raw.receive().unwrap().header.kind, FrameKind::Hello);
        let call = raw.receive().unwrap();
        assert_eq!((call.header.code, &call.body[..]), (METHOD, &[0; 4][..]));
        answer(&raw, &call.header);
        // No other call comes.
        assert!(raw.receive().is_none_or(|frame| frame.header.kind != FrameKind::Call));
    });
    Connector::new().timeout(LONG).from_socket(ours).unwrap()
}

#[test]
fn a_hostile_description_makes_calls_fail_and_nothing_else() {
    let reply = |raw: &Raw, call: &Header, body: &[u8]| {
        raw.send(&Header { call: call.call, ..Header::new(FrameKind::Reply) }, body, &[]);
    };
    // A description of another interface, without methods.
    let empty = [&[1, 0, 0, 0, 32, 0, 0, 0][..], &[0; 32]].concat();
    for body in [
        Vec::new(),
        empty,
        vec![0, 0, 0, 0],
        vec![1, 0, 0, 0, 0, 0, 0, 0],
        vec![1, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4],
        vec![0xff; 64],
        vec![0xff, 0xff, 0xff, 0x7f],
    ] {
        let client = described_by(move |raw, call| reply(raw, call, &body));
        let error = client.count(1).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Malformed, false), "{error}");
        assert!(error.to_string().starts_with("Printer::count: comparison with the"), "{error}");
    }
    let client = described_by(|raw, _| raw.ends());
    let error = client.with_timeout(Duration::from_millis(50)).count(1).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, false));
}

/// An interface that a test declares but no server has.
#[interface(iid = "3b0f5f5e-25bb-4f7c-9f0e-6b1c6d6d2a03")]
trait Unused {
    fn unused(&self, value: Unit) -> syshandle::Result<()>;
}

#[derive(Debug, Encode, Decode)]
struct Unit;

#[test]
fn a_description_of_a_struct_without_fields_arrives() {
    let (description, hash) = Description::of(<dyn Unused as Interface>::DESCRIPTION);
    assert_ne!(hash, 0);
    let bytes = description.to_bytes().unwrap();
    assert_eq!(Description::from_bytes(&bytes), Ok(description));
}
