//! Connects a client's and a server's end directly, without a socket.

#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use syshandle_types::{Guid, Limits};
use syshandle_wire::{
    Body, ClientEnd, ClientEndEvent, Entries, Entry, Features, FrameKind, Greeting, Header, Hello,
    MessageEntries, Offer, ReleasedObjects, ServerEnd, ServerEndEvent, StartError, Status,
    Violation,
};

/// A client, a server, and the frames in transit between them.
struct Two {
    client: ClientEnd<u32>,
    server: ServerEnd<u32>,
}

fn bytes(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    [&head[..len], body].concat()
}

/// The features that both sides announce.
const FEATURES: Features = Features::from_bits(Features::OBJECTS.bits() | Features::ONE_WAY.bits());

fn open(limits: Limits) -> Two {
    let offers = vec![Offer::new(Guid::NIL, Guid::NIL)];
    let mut server = ServerEnd::new(limits, FEATURES);
    let (header, body) = ServerEnd::<u32>::greeting(&Greeting {
        features: FEATURES,
        ..Greeting::new(limits, offers)
    });
    let (client, _) = ClientEnd::open(&bytes(&header, &body), 0, FEATURES).unwrap();
    let (header, body) =
        ClientEnd::<u32>::hello(Hello { features: FEATURES, ..Hello::new(Guid::NIL, Guid::NIL) });
    let frame = bytes(&header, &body);
    assert!(matches!(server.receive(&frame, 0, false), Ok((ServerEndEvent::Hello(_), _))));
    Two { client, server }
}

impl Two {
    /// Starts a call at the client and delivers it to the server. Returns the ID of the call.
    fn call(&mut self, waiter: u32, body: &[u8]) -> u32 {
        let header = self.client.start(0, 0, body.len(), 1000, waiter).unwrap();
        let inline = matches!(header.body, Body::Inline { .. });
        let frame = bytes(&header, if inline { body } else { &[] });
        let (event, _) = self.server.receive(&frame, 0, false).unwrap();
        assert!(matches!(event, ServerEndEvent::Call { call, .. } if call == header.call));
        self.server.started(header.call, waiter);
        header.call
    }

    /// Delivers a frame to the server, which must reject it. Returns the violation.
    fn refuses(&mut self, header: &Header, body: &[u8]) -> Violation {
        self.server.receive(&bytes(header, body), 0, false).unwrap_err()
    }

    /// Starts a one-way call at the client and delivers it to the server. Returns its number there.
    fn one_way(&mut self, call: u32) -> u32 {
        let header = self.client.start_one_way((call, 0), 0, 0, 1000).unwrap();
        let frame = bytes(&header, &[]);
        let (event, _) = self.server.receive(&frame, 0, false).unwrap();
        assert!(matches!(event, ServerEndEvent::Call { one_way: true, .. }));
        self.server.started_one_way(call)
    }

    /// Delivers a frame to the client.
    fn deliver(&mut self, header: &Header, body: &[u8]) -> Result<ClientEndEvent<u32>, Violation> {
        self.client.receive(&bytes(header, body), 0, false).map(|(event, _)| event)
    }

    fn reply(&mut self, call: u32) -> ClientEndEvent<u32> {
        let header = self.server.reply(call, Status::Done, 0, 0).unwrap();
        self.client.receive(&bytes(&header, &[]), 0, false).unwrap().0
    }
}

#[test]
fn replies_in_any_order_reach_their_calls() {
    let mut two = open(Limits::default());
    let (a, b) = (two.call(1, b"a"), two.call(2, b"b"));
    assert!(matches!(two.reply(b), ClientEndEvent::Reply { waiter: 2, status: Status::Done, .. }));
    assert!(matches!(two.reply(a), ClientEndEvent::Reply { waiter: 1, .. }));
    assert!(two.server.is_idle());
}

#[test]
fn a_cancelled_call_counts_until_its_late_reply() {
    let mut two = open(Limits { calls_max: 1, ..Limits::default() });
    let call = two.call(1, b"");
    let cancel = two.client.cancel(call).unwrap();
    assert_eq!(two.client.cancel(call), None);
    let frame = bytes(&cancel, &[]);
    assert!(matches!(two.server.receive(&frame, 0, false), Ok((ServerEndEvent::Cancel(1), _))));
    assert_eq!(two.client.start(0, 0, 0, 0, 2), Err(StartError::TooManyCalls));
    assert!(matches!(two.reply(call), ClientEndEvent::LateReply { .. }));
    two.call(2, b"");
}

#[test]
fn cancelling_a_call_that_has_ended_is_nothing() {
    let mut two = open(Limits::default());
    let call = two.call(1, b"");
    let cancel = two.client.cancel(call).unwrap();
    two.reply(call);
    let frame = bytes(&cancel, &[]);
    assert!(matches!(two.server.receive(&frame, 0, false), Ok((ServerEndEvent::Nothing, _))));
}

#[test]
fn more_calls_than_allowed_are_a_violation() {
    let mut two = open(Limits { calls_max: 1, ..Limits::default() });
    two.call(1, b"");
    let second = Header { call: 99, ..Header::new(FrameKind::Call) };
    assert_eq!(two.refuses(&second, &[]), Violation::TooManyCalls);
}

#[test]
fn a_repeated_call_number_is_a_violation() {
    let mut two = open(Limits::default());
    let call = two.call(1, b"");
    let again = Header { call, ..Header::new(FrameKind::Call) };
    assert_eq!(two.refuses(&again, &[]), Violation::CallTwice(call));
}

#[test]
fn an_unrequested_reply_is_a_violation() {
    let mut two = open(Limits::default());
    let call = two.call(1, b"");
    two.reply(call);
    for call in [call, 0, 7 << 16, u32::MAX] {
        let reply = Header { call, ..Header::new(FrameKind::Reply) };
        let frame = bytes(&reply, &[]);
        let result = two.client.receive(&frame, 0, false);
        assert_eq!(result.unwrap_err(), Violation::UnknownReply(call));
    }
}

#[test]
fn a_large_body_holds_its_range_until_it_is_given_back() {
    let mut two = open(Limits::default());
    let large = vec![0; Limits::ARENA_BYTES];
    let first = two.call(1, &large);
    assert_eq!(two.client.start(0, 0, large.len(), 0, 2), Err(StartError::NoSharedMemory));
    assert_eq!(two.server.has_read(Body::Inline { len: 3 }), None);
    let release = two.server.has_read(Body::Shared { offset: 0, len: large.len() as u32 }).unwrap();
    let frame = bytes(&release, &[]);
    assert!(matches!(two.client.receive(&frame, 0, false), Ok((ClientEndEvent::Nothing, _))));
    two.reply(first);
    two.call(2, &large);
}

#[test]
fn a_small_range_is_given_back_with_the_reply() {
    let mut two = open(Limits::default());
    let body = vec![0; Limits::INLINE_BYTES_MAX + 1];
    let call = two.call(1, &body);
    assert_eq!(two.server.has_read(Body::Shared { offset: 0, len: body.len() as u32 }), None);
    two.reply(call);
    let header = two.client.start(0, 0, body.len(), 0, 2).unwrap();
    assert!(matches!(header.body, Body::Shared { offset: 0, .. }));
}

#[test]
fn a_range_given_back_twice_is_a_violation() {
    let mut two = open(Limits::default());
    let release = two.server.has_read(Body::Shared { offset: 0, len: u32::MAX }).unwrap();
    let frame = bytes(&release, &[]);
    let result = two.client.receive(&frame, 0, false);
    assert_eq!(result.unwrap_err(), Violation::UnknownRelease);
}

#[test]
fn a_call_that_could_not_be_sent_is_as_if_it_never_was() {
    let mut two = open(Limits { calls_max: 1, ..Limits::default() });
    let header = two.client.start(0, 0, Limits::ARENA_BYTES, 0, 1).unwrap();
    two.client.unsent(&header);
    let again = two.client.start(0, 0, Limits::ARENA_BYTES, 0, 1).unwrap();
    assert_ne!(again.call, header.call);
}

#[test]
fn an_extra_handle_is_a_violation_and_a_lost_one_is_not() {
    let mut two = open(Limits::default());
    let call = Header { handles: 2, call: 5, ..Header::new(FrameKind::Call) };
    let frame = bytes(&call, &[]);
    for (handles, truncated) in [(3, false), (3, true), (1, false)] {
        let received = handles as u16;
        let result = two.server.receive(&frame, handles, truncated);
        assert_eq!(result.unwrap_err(), Violation::WrongHandles { declared: 2, received });
    }
    let (event, _) = two.server.receive(&frame, 1, true).unwrap();
    assert!(matches!(event, ServerEndEvent::Call { handles_lost: true, .. }));
}

#[test]
fn nothing_but_hello_may_come_first_and_only_once() {
    for kind in [FrameKind::Call, FrameKind::Cancel, FrameKind::Arena, FrameKind::Release] {
        let mut two = Two {
            server: ServerEnd::new(Limits::default(), Features::OWN),
            ..open(Limits::default())
        };
        assert_eq!(two.refuses(&Header::new(kind), &[]), Violation::Unexpected(kind));
    }
    let mut two = open(Limits::default());
    let (header, body) = ClientEnd::<u32>::hello(Hello::new(Guid::NIL, Guid::NIL));
    assert_eq!(two.refuses(&header, &body), Violation::Unexpected(FrameKind::Hello));
}

#[test]
fn a_good_bye_is_owed_while_a_call_runs_and_once_a_reply_awaits_it() {
    let mut two = open(Limits::default());
    assert!(!two.client.owes_bye());
    let call = two.call(1, b"");
    assert!(two.client.owes_bye());
    two.reply(call);
    assert!(!two.client.owes_bye());
    let call = two.call(1, b"");
    two.client.cancel(call).unwrap();
    assert!(two.client.owes_bye(), "a cancelled call may still start work");
    assert!(matches!(two.reply(call), ClientEndEvent::LateReply { .. }));
    assert!(!two.client.owes_bye());
    let call = two.call(1, b"");
    let header = two.server.reply(call, Status::Done, 0, 0).unwrap();
    let frame = bytes(&Header { awaits_bye: true, ..header }, &[]);
    two.client.receive(&frame, 0, false).unwrap();
    let call = two.call(1, b"");
    two.reply(call);
    assert!(two.client.owes_bye(), "the request for `Bye` remains in force");
}

#[test]
fn nothing_may_come_after_bye() {
    let mut two = open(Limits::default());
    let bye = bytes(&Header::new(FrameKind::Bye), &[]);
    assert!(matches!(two.server.receive(&bye, 0, false), Ok((ServerEndEvent::Bye, _))));
    assert!(two.server.receive(&bye, 0, false).is_err());
}

#[test]
fn a_body_that_does_not_fit_in_a_frame_beside_its_table_goes_through_shared_memory() {
    let mut two = open(Limits::default());
    let table: Entries = [Entry::Object(1); 4].into_iter().collect();
    let room = Limits::INLINE_BYTES_MAX - table.as_bytes().len();
    for (len, is_inline) in [(room, true), (room + 1, false)] {
        let entries = MessageEntries { handles: 0, table: table.clone() };
        let header = two.client.start(0, entries, len, 1000, 1).unwrap();
        assert_eq!(matches!(header.body, Body::Inline { .. }), is_inline);
        let body = if is_inline { vec![0; len] } else { Vec::new() };
        let frame = [bytes(&header, &[]), table.as_bytes().to_vec(), body].concat();
        let (event, _) = two.server.receive(&frame, 0, false).unwrap();
        assert!(
            matches!(event, ServerEndEvent::Call { object: 0, entries, .. } if entries == table)
        );
    }
}

#[test]
fn the_objects_of_a_late_reply_are_listed() {
    let mut two = open(Limits::default());
    let call = two.call(1, b"");
    two.client.cancel(call).unwrap();
    let table: Entries = [Entry::Object(5)].into_iter().collect();
    let entries = MessageEntries { handles: 0, table: table.clone() };
    let header = two.server.reply(call, Status::Done, entries, 2).unwrap();
    let frame = bytes(&header, &[table.as_bytes(), &[0, 0]].concat());
    let (event, _) = two.client.receive(&frame, 0, false).unwrap();
    assert!(matches!(event, ClientEndEvent::LateReply { entries, .. } if entries == table));
}

#[test]
fn a_reply_never_has_the_number_of_the_object_of_the_connection() {
    let mut two = open(Limits::default());
    let call = two.call(1, b"");
    let table: Entries = [Entry::Object(5), Entry::Object(0)].into_iter().collect();
    let entries = MessageEntries { handles: 0, table: table.clone() };
    let header = two.server.reply(call, Status::Done, entries, 4).unwrap();
    let frame = bytes(&header, &[table.as_bytes(), &[0, 0, 1, 0]].concat());
    assert_eq!(two.client.receive(&frame, 0, false).unwrap_err(), Violation::BadEntries);
}

#[test]
fn numbers_are_given_back_to_a_server_and_not_to_a_client() {
    let mut two = open(Limits::default());
    let (header, body) = ReleasedObjects::write(&[(3, 2)]);
    let frame = bytes(&header, &body);
    let (event, inline) = two.server.receive(&frame, 0, false).unwrap();
    assert!(matches!(event, ServerEndEvent::ReleaseObjects));
    assert!(ReleasedObjects::read(inline).unwrap().iter().eq([(3, 2)]));
    let unexpected = Violation::Unexpected(FrameKind::ReleaseObjects);
    assert_eq!(two.client.receive(&frame, 0, false).unwrap_err(), unexpected);
}

#[test]
fn a_one_way_call_counts_until_the_server_acknowledges_it() {
    let mut two = open(Limits { calls_max: 4, ..Limits::default() });
    let numbers = [7, 7, 7, 7].map(|call| two.one_way(call));
    let full = two.client.start_one_way((7, 0), 0, 0, 1000);
    assert_eq!(full, Err(StartError::TooManyCalls));
    assert_eq!(two.client.start(0, 0, 0, 0, 1), Err(StartError::TooManyCalls));
    assert!(two.client.owes_bye());
    assert!(!two.server.is_idle());
    assert_eq!(two.server.acknowledgement(true), None, "no call has ended");
    two.server.end_one_way(numbers[2]);
    // The client can't start another call, so the first end is reported at once.
    let acknowledge = two.server.acknowledgement(false).unwrap();
    assert!(matches!(two.deliver(&acknowledge, &[]), Ok(ClientEndEvent::Nothing)));
    assert_eq!((two.client.unacknowledged(), two.server.places()), (3, 3));
    two.server.end_one_way(numbers[0]);
    assert_eq!(two.server.acknowledgement(false), None, "half of the calls have not ended");
    two.server.end_one_way(numbers[1]);
    let acknowledge = two.server.acknowledgement(false).unwrap();
    two.deliver(&acknowledge, &[]).unwrap();
    two.server.end_one_way(numbers[3]);
    let acknowledge = two.server.acknowledgement(true).unwrap();
    two.deliver(&acknowledge, &[]).unwrap();
    assert_eq!((two.client.unacknowledged(), two.server.places()), (0, 0));
    assert!(two.server.is_idle() && !two.client.owes_bye());
}

#[test]
fn a_reply_acknowledges_one_way_calls() {
    let mut two = open(Limits::default());
    let (number, call) = (two.one_way(1), two.call(5, b""));
    two.server.end_one_way(number);
    assert!(matches!(two.reply(call), ClientEndEvent::Reply { waiter: 5, .. }));
    assert_eq!((two.client.unacknowledged(), two.server.places()), (0, 0));
    assert_eq!(two.server.acknowledgement(true), None);
}

#[test]
fn the_failure_of_a_one_way_call_names_the_call() {
    let mut two = open(Limits::default());
    let number = two.one_way(9);
    two.server.end_one_way(number);
    let header = two.server.one_way_failed(9, 3, 1);
    let event = two.deliver(&header, &[8]);
    assert!(matches!(event, Ok(ClientEndEvent::OneWayFailed { call: 9, method: 3 })));
    assert_eq!(two.client.unacknowledged(), 0);
    let again = two.deliver(&header, &[8]);
    assert_eq!(again.unwrap_err(), Violation::TooManyEnded, "one call can't fail twice");
}

#[test]
fn a_server_that_acknowledges_more_one_way_calls_than_were_sent_violates_the_protocol() {
    for kind in [FrameKind::Acknowledge, FrameKind::Reply] {
        let mut two = open(Limits::default());
        let call = two.call(1, b"");
        two.one_way(1);
        let header = Header { call, ended: 2, ..Header::new(kind) };
        assert_eq!(two.deliver(&header, &[]).unwrap_err(), Violation::TooManyEnded, "{kind:?}");
    }
    let mut two = open(Limits::default());
    let failed = Header::new(FrameKind::Acknowledge);
    let failed = Header { body: Body::Inline { len: 1 }, ..failed };
    two.one_way(1);
    assert_eq!(two.deliver(&failed, &[8]).unwrap_err(), Violation::TooManyEnded);
}

#[test]
fn more_one_way_calls_than_allowed_are_a_violation() {
    let mut two = open(Limits { calls_max: 2, ..Limits::default() });
    let number = two.one_way(1);
    two.one_way(1);
    let next = Header { call: 1, one_way: true, ..Header::new(FrameKind::Call) };
    assert_eq!(two.refuses(&next, &[]), Violation::TooManyCalls);
    two.server.end_one_way(number);
    assert_eq!(two.refuses(&next, &[]), Violation::TooManyCalls, "the end was not acknowledged");
    two.server.acknowledgement(false).unwrap();
    assert!(two.server.receive(&bytes(&next, &[]), 0, false).is_ok());
}

#[test]
fn one_way_calls_can_not_be_cancelled_and_may_have_the_id_of_another_call() {
    let mut two = open(Limits::default());
    let call = two.call(1, b"");
    two.one_way(call);
    two.one_way(call);
    two.reply(call);
    let cancel = Header { call, ..Header::new(FrameKind::Cancel) };
    let frame = bytes(&cancel, &[]);
    assert!(matches!(two.server.receive(&frame, 0, false), Ok((ServerEndEvent::Nothing, _))));
    assert_eq!(two.server.running_one_way().count(), 2);
}

#[test]
fn a_one_way_call_that_could_not_be_sent_takes_no_place() {
    let mut two = open(Limits { calls_max: 1, ..Limits::default() });
    let header = two.client.start_one_way((1, 0), 0, Limits::ARENA_BYTES, 0).unwrap();
    two.client.unsent(&header);
    two.client.start_one_way((1, 0), 0, Limits::ARENA_BYTES, 0).unwrap();
}

#[test]
fn only_the_server_acknowledges() {
    let mut two = open(Limits::default());
    let violation = two.refuses(&Header::new(FrameKind::Acknowledge), &[]);
    assert_eq!(violation, Violation::Unexpected(FrameKind::Acknowledge));
}
