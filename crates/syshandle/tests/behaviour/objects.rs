//! References to objects as parameters: they are lent, copied, passed on and released.

use std::sync::Mutex;

use syshandle::Result;

use crate::support::bench::{
    BenchClient, Count, CounterClient, DOUBLE, Listener, ListenerClient, NamedClient, Team,
    Workbench,
};
use crate::support::process::alone;
use crate::support::world::{World, file, over_every_transport};
use crate::support::{descriptors, drain, eventually_equal, pipe, threads};

/// Returns a counter that this process serves.
fn counter() -> CounterClient {
    CounterClient::in_process(Count::default()).unwrap()
}

#[test]
fn an_object_that_a_method_makes_is_used_by_the_client() {
    over_every_transport(|bench| {
        let counters = bench.counters(3).unwrap();
        for (i, counter) in (1..).zip(&counters) {
            counter.add(i).unwrap();
            assert_eq!(counter.add(10).unwrap(), 10 + i);
        }
    });
}

#[test]
fn an_object_of_the_clients_is_called_by_the_server() {
    #[derive(Default)]
    struct Ear(Mutex<Vec<String>>);

    impl Listener for Ear {
        fn hear(&self, text: String) -> Result<String> {
            let mut heard = self.0.lock().unwrap();
            heard.push(text);
            Ok(heard.join(" "))
        }
    }

    over_every_transport(|bench| {
        let ear = ListenerClient::in_process(Ear::default()).unwrap();
        assert_eq!(bench.tell(&ear, "hello").unwrap(), "hello");
        assert_eq!(bench.tell(&ear, "again").unwrap(), "hello again");
        assert_eq!(ear.hear("here").unwrap(), "hello again here");
    });
}

#[test]
fn an_error_of_the_clients_object_crosses_the_server() {
    struct Deaf;

    impl Listener for Deaf {
        fn hear(&self, _: String) -> Result<String> {
            panic!("deaf")
        }
    }

    over_every_transport(|bench| {
        let deaf = ListenerClient::in_process(Deaf).unwrap();
        let error = bench.tell(&deaf, "hello").unwrap_err();
        let text = "Bench::tell: Listener::hear: the method panicked: deaf";
        assert_eq!(error.to_string(), text);
    });
}

#[test]
fn references_cross_inside_options_vectors_and_structs() {
    over_every_transport(|bench| {
        assert_eq!(bench.add_to_any(None, 1).unwrap(), None);
        let own = counter();
        assert_eq!(bench.add_to_any(Some(&own), 1).unwrap(), Some(1));
        let team =
            Team { first: own.clone(), others: vec![counter(), counter()], spare: Some(counter()) };
        assert_eq!(bench.add_to_team(&team, 1).unwrap(), 2 + 1 + 1 + 1);
        let theirs = bench.team().unwrap();
        assert_eq!(theirs.others.len(), 2);
        assert_eq!(bench.add_to_team(&theirs, 5).unwrap(), 15);
        assert_eq!(theirs.first.add(1).unwrap(), 6);
    });
}

#[test]
fn a_reference_that_is_lent_stays_the_clients() {
    over_every_transport(|bench| {
        let counter = counter();
        for i in 1..5 {
            assert_eq!(bench.add_to(&counter, 1).unwrap(), 2 * i - 1);
            assert_eq!(counter.add(1).unwrap(), 2 * i);
        }
    });
}

#[test]
fn a_reference_that_the_server_keeps_outlives_the_clients() {
    over_every_transport(|bench| {
        let counter = counter();
        bench.keep_counter(&counter).unwrap();
        counter.add(3).unwrap();
        drop(counter);
        let back = bench.kept_counter().unwrap().unwrap();
        assert_eq!(back.add(1).unwrap(), 4);
        bench.release_counter().unwrap();
        assert_eq!(back.add(1).unwrap(), 5);
    });
}

#[test]
fn a_reference_is_passed_on_to_a_third_process_and_used_by_all_at_once() {
    let (one, other) = (World::new(), World::new());
    let (maker, user) = (one.bench(), other.bench());
    assert_ne!(maker.pid().unwrap(), user.pid().unwrap());
    let counter = maker.counters(1).unwrap().remove(0);
    user.keep_counter(&counter).unwrap();
    let again = user.kept_counter().unwrap().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| user.add_to(&counter, 1).unwrap());
        }
        for counter in [&counter, &again] {
            scope.spawn(move || (0..100).map(|_| counter.add(1).unwrap()).max());
        }
    });
    assert_eq!(counter.add(0).unwrap(), 300);
    // The counter is independent of the connection through which it was created.
    drop((maker, counter, again));
    assert_eq!(user.kept_counter().unwrap().unwrap().add(1).unwrap(), 301);
}

#[test]
fn an_object_is_released_with_its_last_reference_wherever_that_is() {
    over_every_transport(|bench| {
        let (reader, writer) = pipe();
        let counter = bench.counter(&writer).unwrap();
        drop(writer);
        counter.add(1).unwrap();
        bench.keep_counter(&counter).unwrap();
        drop(counter);
        // The server still holds its reference.
        assert_eq!(bench.kept_counter().unwrap().unwrap().add(1).unwrap(), 2);
        bench.release_counter().unwrap();
        assert_eq!(drain(reader), "");
    });
}

#[test]
fn an_unused_object_is_released() {
    over_every_transport(|bench| {
        let (reader, writer) = pipe();
        drop(bench.counter(&writer).unwrap());
        drop(writer);
        assert_eq!(drain(reader), "");
    });
}

#[test]
fn an_object_in_this_process_is_released_with_its_threads_and_descriptors() {
    alone(|| {
        let before = (threads(), descriptors());
        for _ in 0..10 {
            let (reader, writer) = pipe();
            let bench = BenchClient::in_process(Workbench::default()).unwrap();
            let counter = bench.counter(&writer).unwrap();
            drop(writer);
            drop(bench);
            counter.add(1).unwrap();
            let clone = counter.clone();
            drop(counter);
            clone.add(1).unwrap();
            drop(clone);
            assert_eq!(drain(reader), "");
        }
        eventually_equal(&before, || (threads(), descriptors()));
    });
}

#[test]
fn a_class_with_two_interfaces_is_one_object_by_both() {
    let world = World::new();
    let named: NamedClient = world.activate(DOUBLE);
    named.set_name("Ada").unwrap();
    let bench: BenchClient = named.cast().unwrap();
    bench.nothing().unwrap();
    drop(named);
    let named: NamedClient = bench.cast().unwrap();
    assert_eq!(named.name().unwrap(), "Ada");
    let again: NamedClient = named.cast::<BenchClient>().unwrap().cast().unwrap();
    again.set_name("Grace").unwrap();
    assert_eq!(named.name().unwrap(), "Grace");
}

#[test]
fn a_handle_that_is_no_door_is_refused_as_a_reference() {
    // A client passes a file as the declared object. Both have the same form on the wire.
    #[syshandle::interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a05")]
    trait Taker {
        fn take(&self, counter: CounterClient) -> Result<u32>;
    }

    struct Takes;

    impl Taker for Takes {
        fn take(&self, counter: CounterClient) -> Result<u32> {
            counter.add(1)
        }
    }

    let takes = TakerClient::in_process(Takes).unwrap();
    assert_eq!(takes.take(&counter()).unwrap(), 1);
    let file = file();
    let taker = syshandle::object::Proxy::as_client(&takes);
    let called = taker.call::<u32>(0, None, |out| out.parameter(0, &file));
    assert_eq!(
        called.unwrap_err().to_string(),
        "Taker::take: parameter `counter`: expected a socket, got a file"
    );
}

#[test]
fn an_interface_passes_references_to_objects_like_itself() {
    #[syshandle::interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a06")]
    trait Node {
        fn child(&self) -> Result<Option<NodeClient>>;
        fn depth_from(&self, above: NodeClient, so_far: u32) -> Result<u32>;
    }

    struct Chain(u32);

    impl Node for Chain {
        fn child(&self) -> Result<Option<NodeClient>> {
            self.0.checked_sub(1).map(|below| NodeClient::in_process(Chain(below))).transpose()
        }
        fn depth_from(&self, above: NodeClient, so_far: u32) -> Result<u32> {
            match above.child()? {
                Some(child) => self.depth_from(child, so_far + 1),
                None => Ok(so_far),
            }
        }
    }

    let top = NodeClient::in_process(Chain(3)).unwrap();
    assert_eq!(top.depth_from(&top, 0).unwrap(), 3);
}
