//! An object in this process behaves like an object of a server, through each of its interfaces.
//!
//! [`over_every_transport`](crate::support::world::over_every_transport) runs most other tests over
//! such objects too: an object of one interface, a cast of it, and an object of a class that is
//! reached by a cast from another interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use syshandle::direct::from_door;
use syshandle::handle::{Event, ManualEvent};
use syshandle::object::Proxy;
use syshandle::{Context, ErrorKind, Result, class, interface};

use crate::support::bench::{BenchClient, DOUBLE, NamedClient, Workbench};
use crate::support::world::{World, door, file, identity};
use crate::support::{LONG, drain, eventually, pipe};

/// Runs a test with an object of the class in this process, and with an object in a server process.
fn of_both(test: impl Fn(&NamedClient)) {
    test(&DOUBLE.in_process(Workbench::default()).unwrap());
    let world = World::new();
    test(&world.activate(DOUBLE));
}

#[test]
fn all_casts_lead_to_one_object() {
    of_both(|named| {
        let bench: BenchClient = named.cast().unwrap();
        let back: NamedClient = bench.cast().unwrap();
        back.set_name("Grace").unwrap();
        assert_eq!(named.name().unwrap(), "Grace");
        let kept = file();
        bench.keep(&kept).unwrap();
        let again: BenchClient = back.cast().unwrap();
        assert_eq!(identity(&again.give_back().unwrap()[0]), identity(&kept));
    });
}

#[test]
fn a_cast_outlives_the_client_that_it_was_made_from() {
    of_both(|named| {
        let bench: BenchClient = named.cast().unwrap();
        let back: NamedClient = bench.cast().unwrap();
        drop(bench);
        back.set_name("Ada").unwrap();
        assert_eq!(named.name().unwrap(), "Ada");
    });
}

#[test]
fn a_cast_keeps_the_timeout_of_its_client() {
    of_both(|named| {
        let hasty: BenchClient =
            named.with_timeout(Duration::from_millis(50)).cast::<BenchClient>().unwrap();
        let (entered, until) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let error = hasty.block(&entered, &until, 0).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, true));
        until.set().unwrap();
        hasty.with_timeout(LONG).nothing().unwrap();
    });
}

#[test]
fn each_client_knows_its_server_and_the_server_knows_its_client() {
    of_both(|named| {
        let bench: BenchClient = named.cast().unwrap();
        for client in [named.as_client(), bench.as_client()] {
            assert_eq!(client.server().unwrap().pid, bench.pid().unwrap());
        }
        let own = rustix::process::getuid().as_raw();
        let group = rustix::process::getgid().as_raw();
        assert_eq!(bench.caller().unwrap(), (std::process::id(), own, group));
    });
}

#[test]
fn a_client_whose_connection_was_aborted_leaves_the_others() {
    of_both(|named| {
        let bench: BenchClient = from_door(door(&named)).unwrap();
        let when = Event::new().unwrap();
        bench.fail_when(&when, "enough", false).unwrap();
        when.set().unwrap();
        let error = bench.wait(&Event::new().unwrap()).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Aborted, "enough"));
        named.name().unwrap();
        named.cast::<BenchClient>().unwrap().nothing().unwrap();
    });
}

#[test]
fn a_job_of_a_cast_runs_after_all_clients_are_dropped() {
    let outcome = |named: NamedClient| {
        let bench: BenchClient = named.cast().unwrap();
        let (reader, writer) = pipe();
        let when = Event::new().unwrap();
        bench.job(&when, &LONG, &writer).unwrap();
        drop((bench, named, writer));
        when.set().unwrap();
        drain(reader)
    };
    let world = World::new();
    let expected = outcome(world.activate(DOUBLE));
    assert_eq!(outcome(DOUBLE.in_process(Workbench::default()).unwrap()), expected);
}

/// Tells when it is dropped.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a31")]
trait Mortal {
    fn live(&self, context: &Context, when: ManualEvent) -> Result<()>;
}

/// The second interface of the class.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a32")]
trait Other {
    fn nothing(&self) -> Result<()>;
}

class! {
    MORTAL: Mortal + Other = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d61";
}

struct Tells(Arc<AtomicBool>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Mortal for Tells {
    fn live(&self, context: &Context, when: ManualEvent) -> Result<()> {
        context.on_signal(when, LONG, |_| {})?;
        Ok(())
    }
}

impl Other for Tells {
    fn nothing(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn an_object_is_dropped_with_its_last_client_by_any_interface() {
    let dropped = Arc::new(AtomicBool::new(false));
    let mortal: MortalClient = MORTAL.in_process(Tells(dropped.clone())).unwrap();
    let other: OtherClient = mortal.cast().unwrap();
    drop(mortal);
    other.nothing().unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    drop(other);
    eventually("the object is dropped", || dropped.load(Ordering::SeqCst));
}

#[test]
fn an_object_of_one_interface_is_dropped_with_its_last_client_too() {
    let dropped = Arc::new(AtomicBool::new(false));
    let mortal = MortalClient::in_process(Tells(dropped.clone())).unwrap();
    let cast: MortalClient = mortal.cast().unwrap();
    drop(mortal);
    cast.live(&ManualEvent::new().unwrap()).unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    drop(cast);
    eventually("the object is dropped", || dropped.load(Ordering::SeqCst));
}
