//! Opens connections between ends with different versions and features.

#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use syshandle_types::{Guid, Limits};
use syshandle_wire::{
    ClientEnd, Features, FrameKind, Greeting, Header, Hello, OpenError, ServerEnd, ServerEndEvent,
    Versions, Violation,
};

fn frame((header, body): (Header, Vec<u8>)) -> Vec<u8> {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    [&head[..len], &body].concat()
}

fn greeting(features: Features) -> Greeting {
    Greeting { features, ..Greeting::new(Limits::default(), Vec::new()) }
}

fn hello(features: Features) -> Hello {
    Hello { features, ..Hello::new(Guid::NIL, Guid::NIL) }
}

/// Returns the two ends of a connection after the handshake.
fn open(client: Features, server: Features) -> (ClientEnd<()>, ServerEnd<()>) {
    let greeting = frame(ServerEnd::<()>::greeting(&greeting(server)));
    let (client_end, _) = ClientEnd::open(&greeting, 0, client).unwrap();
    let mut server_end = ServerEnd::new(Limits::default(), server);
    let hello = frame(ClientEnd::<()>::hello(hello(client)));
    let event = server_end.receive(&hello, 0, false).unwrap().0;
    assert!(matches!(event, ServerEndEvent::Hello(_)));
    (client_end, server_end)
}

/// Returns sets with each subset of the assigned bits, and with unknown bits.
fn feature_sets() -> impl Iterator<Item = Features> {
    let unknown = [0, u64::MAX << 6];
    (0..1 << 6)
        .flat_map(move |assigned| unknown.map(|bits| assigned | bits))
        .map(Features::from_bits)
}

#[test]
fn both_sides_use_the_features_that_both_announce() {
    for client in feature_sets() {
        for server in feature_sets() {
            let (client_end, server_end) = open(client, server);
            let both = Features::from_bits(client.bits() & server.bits());
            assert_eq!(client_end.features(), both);
            assert_eq!(server_end.features(), both);
        }
    }
}

#[test]
fn a_call_of_an_object_by_its_number_is_a_violation_unless_it_was_negotiated() {
    for (client, server) in feature_sets().flat_map(|one| feature_sets().map(move |two| (one, two)))
    {
        let (client_end, mut server_end) = open(client, server);
        let call = Header { object: 1, ..Header::new(FrameKind::Call) };
        let received = server_end.receive(&frame((call, vec![])), 0, false).map(drop);
        let expected = match client_end.features().contains(Features::OBJECTS) {
            true => Ok(()),
            false => Err(Violation::NotNegotiated(Features::OBJECTS)),
        };
        assert_eq!(received, expected, "{client} and {server}");
    }
}

#[test]
fn each_side_learns_the_range_of_a_peer_without_a_common_version() {
    for (lowest, highest) in [(0, 1), (1, 1), (3, 3), (3, 70), (u16::MAX, u16::MAX), (9, 1)] {
        let theirs = Versions { highest, lowest };
        let violation = Violation::Version { theirs };
        let text = violation.to_string();
        assert!(text.contains(&theirs.to_string()), "{text}");
        assert!(text.contains(&Versions::OWN.to_string()), "{text}");
        let greeting = Greeting { versions: theirs, ..greeting(Features::OWN) };
        let opened =
            ClientEnd::<()>::open(&frame(ServerEnd::<()>::greeting(&greeting)), 0, Features::OWN);
        assert_eq!(opened.unwrap_err(), OpenError::Violation(violation));
        let hello = Hello { versions: theirs, ..hello(Features::OWN) };
        let mut server = ServerEnd::<()>::new(Limits::default(), Features::OWN);
        let hello = frame(ClientEnd::<()>::hello(hello));
        assert_eq!(server.receive(&hello, 0, false).map(drop), Err(violation));
    }
    for versions in [Versions::OWN, Versions { lowest: 0, highest: u16::MAX }] {
        let greeting = Greeting { versions, ..greeting(Features::OWN) };
        let greeting = frame(ServerEnd::<()>::greeting(&greeting));
        assert!(ClientEnd::<()>::open(&greeting, 0, Features::OWN).is_ok());
    }
}
