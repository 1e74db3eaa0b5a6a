//! The quota and the turns of a client that has many objects with numbers.

#![expect(
    unreachable_pub,
    dead_code,
    clippy::allow_attributes,
    reason = "an interface is made for a crate's users"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use shuttle::thread::{self, ThreadId};
use syshandle_wire::{Entry, Fault, FrameKind, Header, ReleasedObjects, Status};

use super::turns::{ATTACKER, HONEST, RawClient, run_all, with_limits};
use crate::class::Interface;
use crate::quota::{OBJECT_BYTES, Quota, QuotaLimits};
use crate::server::linux::object::RELEASED_AT_ONCE;
use crate::server::linux::reactor::event_loop::LoopContext;
use crate::untyped_object::Object;
use crate::{Context, Error, ErrorKind, Result, interface};

/// Creates objects.
#[interface(iid = "0c7d5f5e-5d0a-4c1e-9d53-9e7a1f0b6a28")]
pub trait Maker {
    /// Returns new objects.
    fn make(&self, context: &Context, count: u32) -> Result<Vec<ProductClient>>;
    /// Returns one object as often as this.
    fn repeat(&self, context: &Context, count: u32) -> Result<Vec<ProductClient>>;
    /// Returns the number of references.
    fn count(&self, products: Vec<ProductClient>) -> Result<u32>;
}

/// A created object.
#[interface(iid = "0c7d5f5e-5d0a-4c1e-9d53-9e7a1f0b6a29")]
pub trait Product {
    /// Returns nothing.
    fn nothing(&self) -> Result<()>;
}

const MAKE: u32 = 0;
const REPEAT: u32 = 1;
const COUNT: u32 = 2;

struct MakerObject {
    /// The thread of the loop.
    thread: ThreadId,
    counts: Arc<Counts>,
    repeated: Mutex<Option<ProductClient>>,
}

/// The numbers of objects that were dropped.
#[derive(Default)]
struct Counts {
    dropped: AtomicUsize,
    /// Those whose destructor ran on the thread of the loop.
    dropped_in_loop: AtomicUsize,
}

struct ProductObject {
    counts: Arc<Counts>,
    /// The thread of the loop.
    thread: ThreadId,
}

impl Drop for ProductObject {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, Ordering::SeqCst);
        if thread::current().id() == self.thread {
            self.counts.dropped_in_loop.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Product for ProductObject {
    fn nothing(&self) -> Result<()> {
        Ok(())
    }
}

impl MakerObject {
    fn product(&self, context: &Context) -> Result<ProductClient> {
        let (counts, thread) = (self.counts.clone(), self.thread);
        context.serve::<dyn Product, _>(ProductObject { counts, thread })
    }
}

impl Maker for MakerObject {
    fn make(&self, context: &Context, count: u32) -> Result<Vec<ProductClient>> {
        (0..count).map(|_| self.product(context)).collect()
    }

    fn repeat(&self, context: &Context, count: u32) -> Result<Vec<ProductClient>> {
        let mut repeated = self.repeated.lock().unwrap();
        if repeated.is_none() {
            *repeated = Some(self.product(context)?);
        }
        Ok((0..count).filter_map(|_| repeated.clone()).collect())
    }

    fn count(&self, products: Vec<ProductClient>) -> Result<u32> {
        Ok(products.len() as u32)
    }
}

/// A client of a [`MakerObject`], and its quota.
struct Customer {
    raw: RawClient,
    quota: Arc<Quota>,
    counts: Arc<Counts>,
}

impl Customer {
    fn connect(context: LoopContext<'_>, pid: u32) -> Self {
        let (thread, counts) = (thread::current().id(), Arc::<Counts>::default());
        let maker = MakerObject { thread, counts: counts.clone(), repeated: Mutex::default() };
        let maker = Arc::new(maker);
        let object = Object::new().with::<dyn Maker, _>(&maker);
        let iid = <dyn Maker>::DESCRIPTION.iid;
        let raw = RawClient::connect_to(context.reactor, pid, &object, iid);
        run_all(context);
        assert!(raw.receive(), "a greeting");
        let mut all = context.reactor.quotas().all();
        let quota = all.pop().filter(|_| all.is_empty()).map(|(_, quota)| quota);
        Self { raw, quota: quota.expect("the first client"), counts }
    }

    /// Returns the numbers of a result, or the error.
    fn reply(&self) -> Result<Vec<u32>> {
        let mut bytes = vec![0; Header::FRAME_MAX];
        let received = self.raw.0.receive(&mut bytes, &mut Vec::new()).unwrap();
        let (header, body) = Header::read(&bytes[..received.len]).unwrap();
        assert_eq!(header.kind, FrameKind::Reply);
        if header.code == Status::Fault as u32 {
            return Err(Error::from_fault(&Fault::read(body).unwrap()));
        }
        assert_eq!(header.code, Status::Done as u32);
        let number = |entry| match entry {
            Entry::Object(number) => number,
            _ => panic!("not a number"),
        };
        Ok(header.entries.iter().map(number).collect())
    }

    fn make(&self, context: LoopContext<'_>, count: u32) -> Result<Vec<u32>> {
        self.raw.call(1, MAKE, &count.to_le_bytes());
        run_until(context, || self.raw.0.has_message());
        self.reply()
    }

    /// Calls a method with this number as each of its arguments.
    fn pass(&self, context: LoopContext<'_>, number: u32, count: u16) -> Result<Vec<u32>> {
        let body: Vec<u8> = (0..count).flat_map(u16::to_le_bytes).collect();
        let body = [&u32::from(count).to_le_bytes()[..], &body].concat();
        let entries = (0..count).map(|_| Entry::Object(number)).collect();
        let header = Header { call: 1, code: COUNT, entries, ..Header::new(FrameKind::Call) };
        self.raw.send(&Header { timeout_ms: 60_000, ..header }, &body, &[]);
        run_until(context, || self.raw.0.has_message());
        self.reply()
    }

    fn release(&self, numbers: &[u32]) {
        let released: Vec<_> = numbers.iter().map(|number| (*number, 1)).collect();
        let (header, body) = ReleasedObjects::write(&released);
        self.raw.send(&header, &body, &[]);
    }
}

/// Runs the loop and lets the worker threads run, until the condition is met.
fn run_until(context: LoopContext<'_>, is_met: impl Fn() -> bool) {
    loop {
        run_all(context);
        if is_met() {
            return;
        }
        thread::yield_now();
    }
}

/// Limits with which a client can have 100 objects. One process may use five eighths of a server.
const HUNDRED: QuotaLimits = QuotaLimits { bytes: 160 * OBJECT_BYTES, ..QuotaLimits::UNLIMITED };

fn assert_is_busy(error: &Error, may_have_run: bool) {
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, may_have_run), "{error}");
    assert!(error.to_string().contains("memory for one client"), "{error}");
}

#[test]
fn a_client_that_creates_objects_without_end_is_told_that_the_server_is_busy() {
    with_limits(HUNDRED, |context| {
        let client = Customer::connect(context, ATTACKER);
        let (mut numbers, mut error) = (Vec::new(), None);
        while error.is_none() && numbers.len() <= 100 {
            match client.make(context, 1) {
                Ok(made) => numbers.extend(made),
                Err(refused) => error = Some(refused),
            }
        }
        assert_is_busy(&error.unwrap(), true);
        let full = numbers.len();
        assert!((90..=100).contains(&full), "{full} objects");
        assert_eq!(client.quota.used().bytes, full * OBJECT_BYTES);
        client.release(&numbers);
        run_until(context, || client.counts.dropped.load(Ordering::SeqCst) >= full);
        assert_eq!(client.make(context, 1).unwrap().len(), 1);
    });
}

#[test]
fn a_result_with_more_objects_than_the_client_may_have_takes_nothing() {
    with_limits(HUNDRED, |context| {
        let client = Customer::connect(context, ATTACKER);
        // The objects and their numbers count while the reply is made.
        let first = client.make(context, 45).unwrap();
        assert_is_busy(&client.make(context, 40).unwrap_err(), true);
        assert_is_busy(&client.make(context, 70).unwrap_err(), true);
        client.release(&first[1..]);
        run_all(context);
        assert_eq!(client.make(context, 1).unwrap().len(), 1);
        assert_eq!(client.quota.used().bytes, 2 * OBJECT_BYTES);
    });
}

#[test]
fn objects_in_arguments_count_in_the_quota_of_the_client() {
    with_limits(HUNDRED, |context| {
        let client = Customer::connect(context, ATTACKER);
        let number = client.make(context, 1).unwrap()[0];
        assert!(client.pass(context, number, 90).unwrap().is_empty());
        assert_is_busy(&client.pass(context, number, 110).unwrap_err(), false);
        assert_eq!(client.quota.used().bytes, OBJECT_BYTES);
        assert!(client.pass(context, number, 90).unwrap().is_empty());
    });
}

#[test]
fn the_tables_of_unread_replies_count_in_the_quota_of_the_client() {
    const CALLS: u32 = 64;
    const EACH: u32 = 900;
    with_limits(QuotaLimits::UNLIMITED, |context| {
        let client = Customer::connect(context, ATTACKER);
        for call in 0..CALLS {
            client.raw.call(call, REPEAT, &EACH.to_le_bytes());
            run_until(context, || client.quota.used().calls == 0);
        }
        let used = client.quota.used().bytes;
        let read = (0..CALLS).take_while(|_| client.raw.receive()).count();
        let unread = CALLS as usize - read;
        assert!(unread > 0, "the socket had room for all replies");
        let least = 8 * EACH as usize * unread;
        assert!(used >= least, "{used} bytes are counted for {unread} replies");
        run_all(context);
        while client.raw.receive() {
            run_all(context);
        }
        // The object counts once for the method that keeps it and once for the client.
        assert_eq!(client.quota.used().bytes, 2 * OBJECT_BYTES);
    });
}

#[test]
fn a_client_with_many_objects_releases_a_few_of_them_in_the_loop() {
    with_limits(QuotaLimits::UNLIMITED, |context| {
        let client = Customer::connect(context, HONEST);
        let numbers = client.make(context, MANY).unwrap();
        client.release(&numbers);
        let dropped = |count: u32| {
            let all = count as usize;
            run_until(context, || client.counts.dropped.load(Ordering::SeqCst) == all);
        };
        dropped(MANY);
        let released = client.counts.dropped_in_loop.load(Ordering::SeqCst);
        assert!(released <= RELEASED_AT_ONCE, "{released} objects in one turn");
        assert_eq!(client.make(context, MANY).unwrap().len(), MANY as usize);
        client.raw.0.shut_down();
        dropped(2 * MANY);
        assert_eq!(client.counts.dropped_in_loop.load(Ordering::SeqCst), released);
    });
}

/// More than one thread releases before others get a turn.
const MANY: u32 = 4 * RELEASED_AT_ONCE as u32;
