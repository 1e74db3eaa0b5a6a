//! Peers with other versions and features of the protocol.

use syshandle::describe::owned::Description;
use syshandle::{ErrorKind, Guid, object::Interface};
use syshandle_os::Seqpacket;
use syshandle_types::Limits;
use syshandle_wire::{Features, FrameKind, Greeting, Header, Hello, Offer, Status, Versions};

use crate::support::bench::{BENCH, Bench, BenchClient};
use crate::support::raw::Raw;
use crate::support::world::World;

const UNKNOWN: Features = Features::from_bits(!Features::OWN.bits());

fn hello() -> Hello {
    let interface = <dyn Bench as Interface>::DESCRIPTION;
    let (_, description) = Description::of(interface);
    Hello { description, ..Hello::new(BENCH.clsid(), interface.iid) }
}

/// Sends a hello and a call of a method that does not exist. Returns whether the server replies.
fn is_served(world: &World, hello: &[u8]) -> bool {
    let raw = Raw::greeted(&world.socket());
    raw.send(&Header::new(FrameKind::Hello), hello, &[]);
    let call = Header { call: 1, code: 9999, ..Header::new(FrameKind::Call) };
    if raw.send_as_it_is(&call, &[], &[]).is_err() {
        return false;
    }
    raw.receive().is_some_and(|reply| {
        assert_eq!(reply.header.kind, FrameKind::Reply);
        assert_eq!(reply.header.code, Status::Fault as u32);
        true
    })
}

#[test]
fn a_server_serves_clients_with_any_features_and_a_common_version() {
    let world = World::new();
    let bench = world.bench();
    bench.nothing().unwrap();
    for bits in 0..1 << 7 {
        let features = Features::from_bits(bits | (bits & 1) << 63);
        assert!(is_served(&world, &Hello { features, ..hello() }.write()), "{features}");
    }
    for (lowest, highest, is_common) in [
        (2, 2, true),
        (0, 2, true),
        (2, 9, true),
        (0, u16::MAX, true),
        (1, 1, false),
        (3, 9, false),
    ] {
        let versions = Versions { highest, lowest };
        assert_eq!(is_served(&world, &Hello { versions, ..hello() }.write()), is_common);
    }
    let mut longer = [&hello().write()[..], &[0xff; 100]].concat();
    longer[12] += 100;
    assert!(is_served(&world, &longer), "a hello with fields of a later version");
}

/// Opens a connection to a server that sends this greeting.
fn open(greeting: &[u8]) -> syshandle::Result<(BenchClient, Raw)> {
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let server = Raw(Seqpacket::from(theirs));
    server.send(&Header::new(FrameKind::Greeting), greeting, &[]);
    syshandle::direct::from_socket(ours).map(|client| (client, server))
}

fn greeting() -> Greeting {
    let offers = vec![Offer::new(BENCH.clsid(), <dyn Bench>::DESCRIPTION.iid)];
    Greeting::new(Limits::default(), offers)
}

#[test]
fn a_client_uses_servers_with_any_features_and_a_common_version() {
    for features in [Features::NONE, Features::OWN, UNKNOWN, Features::from_bits(u64::MAX)] {
        let (_client, server) = open(&Greeting { features, ..greeting() }.write()).unwrap();
        let hello = Hello::read(&server.receive().unwrap().body).unwrap();
        assert_eq!((hello.features, hello.versions), (Features::OWN, Versions::OWN));
        assert_ne!(hello.clsid, Guid::NIL);
    }
    let versions = Versions { highest: 7, lowest: 0 };
    open(&Greeting { versions, ..greeting() }.write()).unwrap();

    let versions = Versions { highest: 7, lowest: 5 };
    let error = open(&Greeting { versions, ..greeting() }.write()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Violation, false));
    let text =
        "the peer supports versions 5 to 7 of the protocol, and this side supports version 2";
    assert!(format!("{error:#}").contains(text), "{error:#}");
}

#[test]
fn a_client_skips_what_a_later_version_adds_to_a_greeting() {
    let short = greeting().write();
    let mut long = [&short[..36], &[0xff; 6], &short[36..], &[0xff; 8]].concat();
    long[12] += 6;
    long[14] += 8;
    let (_client, server) = open(&long).unwrap();
    assert_eq!(Hello::read(&server.receive().unwrap().body), Ok(hello()));
}
