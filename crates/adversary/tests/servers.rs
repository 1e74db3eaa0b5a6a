//! Hostile servers. A client of any of them must get an error within its time limit (promise 5 in
//! `docs/promises.md`).

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use syshandle::Error;
use syshandle::ErrorKind;
use syshandle_adversary::{LingeringSocket, RawConnection, ResourceUsage, Response};
use syshandle_os::Listener;
use syshandle_testkit::{
    Fixture, SERVER, TEST_SERVICE, TestServiceAsyncClient, TestServiceClient, wait_until,
};
use syshandle_types::describe::owned::{DescribedType, Description, TypeForm};
use syshandle_types::{FieldPath, Limits};
use syshandle_wire::{
    Body, Entry, Fault, FrameKind, Greeting, Header, Hello, Offer, ReleasedObjects, Releases,
    Status,
};

/// The client's time limit for activation, and for each call.
const STEP: Duration = Duration::from_millis(300);

/// Longer than activation and a call take together on any machine.
const SOON: Duration = Duration::from_secs(30);

/// The actions of a server on one connection.
type Script = fn(&RawConnection);

fn greeting(limits: Limits) -> Vec<u8> {
    let iid = TEST_SERVICE.interfaces()[0].iid;
    Greeting::new(limits, vec![Offer::new(TEST_SERVICE.clsid(), iid)]).write()
}

/// Sends a valid greeting, and receives the hello and a call. Returns the ID of the call.
fn opened(connection: &RawConnection) -> u32 {
    connection
        .send_frame(&Header::new(FrameKind::Greeting), &greeting(Limits::default()), &[])
        .unwrap();
    called(connection)
}

/// Receives frames until a call arrives. Returns the ID of the call.
fn called(connection: &RawConnection) -> u32 {
    let (mut bytes, mut handles) = (vec![0; Header::FRAME_MAX], Vec::new());
    let end = Instant::now() + SOON;
    loop {
        match connection.0.receive(&mut bytes, &mut handles) {
            Ok(received) if received.len == 0 => return 0,
            Ok(received) => {
                let (header, _) = Header::read(&bytes[..received.len]).unwrap();
                if header.kind == FrameKind::Call {
                    return header.call;
                }
            }
            Err(_) => {
                assert!(connection.0.wait_readable(end).unwrap(), "the client never calls");
            }
        }
    }
}

fn reply(connection: &RawConnection, call: u32, status: u32, body: &[u8]) {
    let _ = connection.send_frame(
        &Header { call, code: status, ..Header::new(FrameKind::Reply) },
        body,
        &[],
    );
}

/// Replies to a call with these entries.
fn answer_with(connection: &RawConnection, entries: &[Entry], body: &[u8]) {
    let call = opened(connection);
    let entries = entries.iter().copied().collect();
    let header = Header { call, entries, ..Header::new(FrameKind::Reply) };
    let _ = connection.send_frame(&header, body, &[]);
}

/// Sends a header with arbitrary fields.
fn raw(connection: &RawConnection, header: &Header) {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    let _ = connection.send_bytes(&head[..len], &[]);
}

/// Waits until the client disconnects.
fn until_gone(connection: &RawConnection) {
    let _ = connection.receive_end();
}

const SCRIPTS: &[(&str, Script)] = &[
    ("never greets", |connection| until_gone(connection)),
    ("goes without a word", |_| {}),
    ("greets with rubbish", |connection| drop(connection.send_bytes(&[0xa5; 500], &[]))),
    ("greets with a frame too long", |connection| drop(connection.send_bytes(&[1; 100_000], &[]))),
    ("greets in another version", |connection| {
        let mut body = greeting(Limits::default());
        body[8..12].copy_from_slice(&[9, 0, 3, 0]);
        connection.send_frame(&Header::new(FrameKind::Greeting), &body, &[]).unwrap();
    }),
    ("greets with handles", |connection| {
        let null = File::open("/dev/null").unwrap();
        let body = greeting(Limits::default());
        let handles = vec![null.as_fd(); 253];
        connection.send_frame(&Header::new(FrameKind::Greeting), &body, &handles).unwrap();
        until_gone(connection);
    }),
    ("takes no calls at all", |connection| {
        let none = Limits { calls_max: 0, handles_max: 0, message_bytes_max: 0 };
        connection.send_frame(&Header::new(FrameKind::Greeting), &greeting(none), &[]).unwrap();
        until_gone(connection);
    }),
    ("takes more than there is", |connection| {
        let all =
            Limits { calls_max: u16::MAX, handles_max: u16::MAX, message_bytes_max: u32::MAX };
        connection.send_frame(&Header::new(FrameKind::Greeting), &greeting(all), &[]).unwrap();
        let call = called(connection);
        reply(connection, call, 77, b"");
    }),
    ("never answers", |connection| {
        opened(connection);
        until_gone(connection);
    }),
    ("answers another call", |connection| {
        let call = opened(connection);
        reply(connection, call + 1, Status::Done as u32, b"");
    }),
    ("answers twice", |connection| {
        let call = opened(connection);
        reply(connection, call, Status::Done as u32, b"");
        reply(connection, call, Status::Done as u32, b"");
    }),
    ("answers with a status that there isn't", |connection| {
        let call = opened(connection);
        reply(connection, call, 3, b"");
    }),
    ("answers with too few bytes", |connection| {
        let call = opened(connection);
        reply(connection, call, Status::Done as u32, &[1]);
    }),
    ("answers with too many bytes", |connection| {
        let call = opened(connection);
        reply(connection, call, Status::Done as u32, &[1; 30_000]);
    }),
    ("answers with an error of the method's, which has none", |connection| {
        let call = opened(connection);
        reply(connection, call, Status::Failed as u32, &[1; 100]);
    }),
    ("answers with a fault that there isn't", |connection| {
        let call = opened(connection);
        reply(connection, call, Status::Fault as u32, &[0xff; 100]);
    }),
    ("answers with handles that nobody wants", |connection| {
        let call = opened(connection);
        let null = File::open("/dev/null").unwrap();
        let header = Header { call, ..Header::new(FrameKind::Reply) };
        connection.send_frame(&header, &[0; 12], &[null.as_fd(); 200]).unwrap();
        until_gone(connection);
    }),
    ("answers with handles whose close blocks", |connection| {
        let call = opened(connection);
        let mut sockets = [LingeringSocket::new().unwrap(), LingeringSocket::new().unwrap()];
        let handles = [sockets[0].take_nested().unwrap(), sockets[1].take().unwrap()];
        let header = Header { call, ..Header::new(FrameKind::Reply) };
        let _ = connection.send_frame(&header, &[0; 12], &handles.each_ref().map(AsFd::as_fd));
        // Closes the handles on another thread, because their last close blocks.
        std::thread::spawn(move || drop(handles));
        until_gone(connection);
    }),
    ("ends the connection with handles unread whose close blocks", |connection| {
        let call = opened(connection);
        let mut socket = LingeringSocket::new().unwrap();
        let handle = socket.take().unwrap();
        reply(connection, call + 1, Status::Done as u32, b"");
        let header = Header { call, ..Header::new(FrameKind::Reply) };
        // Sending fails if the client has already ended the connection.
        let _ = connection.send_frame(&header, &[], &[handle.as_fd()]);
        std::thread::spawn(move || drop(handle));
        until_gone(connection);
    }),
    ("declares handles that it doesn't send", |connection| {
        let call = opened(connection);
        raw(connection, &Header { call, handles: 7, ..Header::new(FrameKind::Reply) });
    }),
    ("answers out of memory that it never sent", |connection| {
        let call = opened(connection);
        let body = Body::Shared { offset: 0, len: 100_000 };
        raw(connection, &Header { call, body, ..Header::new(FrameKind::Reply) });
    }),
    ("sends memory that is none", |connection| {
        opened(connection);
        let null = File::open("/dev/null").unwrap();
        let _ = connection.send_frame(&Header::new(FrameKind::Arena), &[], &[null.as_fd()]);
        until_gone(connection);
    }),
    ("gives back what was never taken", |connection| {
        opened(connection);
        let releases = Releases::take_from(&mut vec![4096]);
        raw(connection, &Header { releases, ..Header::new(FrameKind::Release) });
    }),
    ("acknowledges one-way calls that were not made", |connection| {
        opened(connection);
        let acknowledge = Header { ended: 3, ..Header::new(FrameKind::Acknowledge) };
        let _ = connection.send_frame(&acknowledge, &[], &[]);
        until_gone(connection);
    }),
    ("reports the failure of a one-way call that was not made", |connection| {
        opened(connection);
        let fault = Fault::Expired.write();
        let _ = connection.send_frame(&Header::new(FrameKind::Acknowledge), &fault, &[]);
        until_gone(connection);
    }),
    ("calls its client", |connection| {
        opened(connection);
        raw(connection, &Header { call: 1, ..Header::new(FrameKind::Call) });
    }),
    ("greets again and again", |connection| {
        opened(connection);
        for _ in 0..10 {
            let body = greeting(Limits::default());
            let _ = connection.send_frame(&Header::new(FrameKind::Greeting), &body, &[]);
        }
    }),
    ("refuses with a long text", |connection| {
        let fault = Fault::Failed { text: "no ".repeat(2000) };
        let _ = connection.send_frame(&Header::new(FrameKind::Refused), &fault.write(), &[]);
        until_gone(connection);
    }),
    ("never stops talking", |connection| {
        opened(connection);
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            let sent = connection.send_frame(&Header::new(FrameKind::Release), &[], &[]);
            if sent.is_err() {
                return;
            }
        }
    }),
    ("says good-bye and goes on", |connection| {
        let call = opened(connection);
        raw(connection, &Header::new(FrameKind::Bye));
        reply(connection, call, Status::Done as u32, b"");
    }),
    ("answers with the number of the connection's own object", |connection| {
        answer_with(connection, &[Entry::Object(0)], &[0, 0]);
    }),
    ("answers with numbers of objects that nobody wants", |connection| {
        let objects: Vec<_> = (1..=Limits::ENTRIES_MAX as u32).map(Entry::Object).collect();
        answer_with(connection, &objects, &[]);
        until_gone(connection);
    }),
    ("answers with more entries than the limit", |connection| {
        answer_with(connection, &vec![Entry::Object(7); Limits::ENTRIES_MAX + 1], &[]);
    }),
    ("answers with an entry for a handle that it doesn't send", |connection| {
        answer_with(connection, &[Entry::Object(7), Entry::Handle], &[]);
    }),
    ("gives numbers of objects back to its client", |connection| {
        opened(connection);
        let (header, body) = ReleasedObjects::write(&[(1, 1)]);
        let _ = connection.send_frame(&header, &body, &[]);
    }),
    ("answers cut short", |connection| {
        opened(connection);
        let _ = connection.send_bytes(&[FrameKind::Reply as u8, 0, 0], &[]);
    }),
];

/// A text that sets a terminal's title, clears the terminal, reverses the text direction, and
/// imitates a line of a log.
const EVIL: &str = "a\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}1m\u{202e}\r\nJan 1 sshd: accepted root";

/// Servers that send a fault whose text contains control sequences for a terminal. There is one for
/// each fault with a text, and one for each frame that can contain a fault.
const SPEAKERS: &[(&str, Script)] = &[
    ("refuses", |connection| {
        connection.send_frame(&Header::new(FrameKind::Refused), &failed().write(), &[]).unwrap();
        until_gone(connection);
    }),
    ("refuses after the call", |connection| {
        opened(connection);
        let _ = connection.send_frame(&Header::new(FrameKind::Refused), &failed().write(), &[]);
        until_gone(connection);
    }),
    ("fails", |connection| answer(connection, &failed())),
    ("panics", |connection| answer(connection, &Fault::Panicked { text: EVIL.into() })),
    ("is busy", |connection| answer(connection, &Fault::Busy { limit: EVIL.into() })),
    ("has no object", |connection| answer(connection, &Fault::NoObject { text: EVIL.into() })),
    ("can't send", |connection| answer(connection, &Fault::Unsendable { text: EVIL.into() })),
    ("has too much", |connection| answer(connection, &Fault::TooLarge { text: EVIL.into() })),
    ("finds it malformed", |connection| {
        answer(
            connection,
            &Fault::Malformed { parameter: Some(0), path: FieldPath::default(), text: EVIL.into() },
        );
    }),
    ("can't prove it", |connection| {
        answer(
            connection,
            &Fault::Unproven { parameter: None, path: FieldPath::default(), text: EVIL.into() },
        );
    }),
    ("says much", |connection| answer(connection, &Fault::Failed { text: EVIL.repeat(70) })),
];

/// Servers that announce another description than the client's, and describe themselves falsely,
/// endlessly or not at all. The client requests the description before its first call.
const DESCRIBERS: &[(&str, Script)] = &[
    ("never describes itself", |connection| {
        requested(connection);
        until_gone(connection);
    }),
    ("refuses to describe itself", |connection| {
        let call = requested(connection);
        reply(connection, call, Status::Fault as u32, &failed().write());
        until_gone(connection);
    }),
    ("has no description", |connection| describe_as(connection, &0_u32.to_le_bytes())),
    ("claims endless descriptions", |connection| {
        describe_as(connection, &[u32::MAX.to_le_bytes(), [0; 4]].concat());
    }),
    ("claims an endless description", |connection| {
        describe_as(connection, &[1_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat());
    }),
    ("describes itself with rubbish", |connection| described_as(connection, &[0xa5; 300])),
    ("describes itself with zeros", |connection| described_as(connection, &[0; 30_000])),
    ("describes its methods in another order", |connection| {
        describe(connection, |description| description.methods.reverse());
    }),
    ("describes results that contain themselves", |connection| {
        describe(connection, |description| {
            let mut field = description.methods[0].result.clone();
            field.ty = DescribedType::Named(0);
            description.types.iter_mut().for_each(|ty| {
                ty.form = TypeForm::Struct(vec![field.clone(); 100]);
            });
            description.methods.iter_mut().for_each(|method| method.result = field.clone());
        });
    }),
    ("describes results that are nested as deeply as possible", |connection| {
        describe(connection, |description| {
            for method in &mut description.methods {
                for _ in 0..Description::DEPTH_MAX - 1 {
                    let inner = Box::new(method.result.ty.clone());
                    method.result.ty = DescribedType::List(inner);
                }
            }
        });
    }),
    ("describes types that it does not have", |connection| {
        describe(connection, |description| {
            for method in &mut description.methods {
                method.result.ty = DescribedType::Named(77);
            }
        });
    }),
];

/// Greets with another hash of the description. Returns the ID of the call that requests it.
fn requested(connection: &RawConnection) -> u32 {
    let iid = TEST_SERVICE.interfaces()[0].iid;
    let offer = Offer { description: 7, ..Offer::new(TEST_SERVICE.clsid(), iid) };
    let greeting = Greeting::new(Limits::default(), vec![offer]).write();
    connection.send_frame(&Header::new(FrameKind::Greeting), &greeting, &[]).unwrap();
    called(connection)
}

/// Replies to the request for the description with these bytes.
fn describe_as(connection: &RawConnection, body: &[u8]) {
    let call = requested(connection);
    reply(connection, call, Status::Done as u32, body);
    until_gone(connection);
}

/// Describes itself with these bytes.
fn described_as(connection: &RawConnection, description: &[u8]) {
    let len = (description.len() as u32).to_le_bytes();
    describe_as(connection, &[&1_u32.to_le_bytes()[..], &len, description].concat());
}

/// Describes itself with a changed description.
fn describe(connection: &RawConnection, change: impl FnOnce(&mut Description)) {
    let (mut description, _) = Description::of(TEST_SERVICE.interfaces()[0]);
    change(&mut description);
    described_as(connection, &description.to_bytes().unwrap());
}

fn failed() -> Fault {
    Fault::Failed { text: EVIL.into() }
}

fn answer(connection: &RawConnection, fault: &Fault) {
    let call = opened(connection);
    reply(connection, call, Status::Fault as u32, &fault.write());
    until_gone(connection);
}

/// Listens on the socket for which a class is registered.
fn listen() -> (Fixture, Listener) {
    let fixture = Fixture::new();
    let path = fixture.path().join("hostile.sock");
    let listener = Listener::bind(&path).unwrap();
    let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
    registration.socket = Some(path);
    fixture.register_as(&registration);
    (fixture, listener)
}

/// Serves one client with each script. Passes the name of the script and the client's error to
/// `check`.
fn serve_each(scripts: &[(&str, Script)], check: impl Fn(&str, Error)) {
    let (fixture, listener) = listen();
    let activation = fixture.activation().timeout(STEP);
    for (what, script) in scripts {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // A client that isn't served reconnects until its time limit.
                while !done.load(Ordering::SeqCst) {
                    match listener.accept() {
                        Ok(socket) => script(&RawConnection(socket)),
                        Err(_) => std::thread::sleep(Duration::from_millis(1)),
                    }
                }
                while listener.accept().is_ok() {}
            });
            let began = Instant::now();
            let outcome = activation
                .activate::<TestServiceClient>(TEST_SERVICE.clsid())
                .and_then(|client| client.with_timeout(STEP).peer_ids());
            done.store(true, Ordering::SeqCst);
            assert!(began.elapsed() < SOON, "{what}: {:?}", began.elapsed());
            check(what, outcome.expect_err(what));
        });
    }
}

#[test]
fn no_server_hangs_or_crashes_its_client() {
    let before = ResourceUsage::of_process(std::process::id()).unwrap();
    serve_each(SCRIPTS, |what, error| {
        println!("{what}: {:?}: {error}", error.kind());
        assert!(error.to_string().len() < 8192, "{what}: the text is bounded");
    });
    let settled =
        ResourceUsage::after_release(std::process::id(), &before, SOON).unwrap().descriptor_count();
    let before = before.descriptor_count();
    assert!(settled <= before, "{settled} descriptors, and {before} before");
}

#[test]
fn no_description_of_a_server_misleads_its_client_and_no_call_runs() {
    serve_each(DESCRIBERS, |what, error| {
        println!("{what}: {:?}: {error}", error.kind());
        assert!(!error.may_have_run(), "{what}: {error}");
        let kinds =
            [ErrorKind::TimedOut, ErrorKind::Failed, ErrorKind::Malformed, ErrorKind::Incompatible];
        assert!(kinds.contains(&error.kind()), "{what}: {:?}: {error}", error.kind());
    });
}

#[test]
fn nothing_that_a_server_says_controls_a_terminal_or_forges_a_line_of_a_log() {
    serve_each(SPEAKERS, |what, error| {
        println!("{what}: {error:#}");
        let harmless = |text: &str| !text.contains(|c: char| c.is_control() || c == '\u{202e}');
        let mut causes = vec![error.to_string(), format!("{error:#}")];
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        for text in causes {
            assert!(harmless(&text) && text.len() <= 4096, "{what}: {text:?}");
        }
        // The debug output has several lines, each with a prefix added by the library.
        let mut lines = format!("{error:?}").lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(lines.iter().all(|line| harmless(line)), "{what}: {lines:?}");
        lines.remove(0);
        assert!(lines.iter().all(|line| line.starts_with("  because ")), "{what}: {lines:?}");
        assert!(format!("{error:#}").contains(r"a\u{1b}]0;title\u{7}"), "{what}: {error:#}");
    });
}

/// Runs `test` with a client whose server executes `script` on its connection.
fn against<R>(
    script: impl Fn(&RawConnection) + Sync,
    test: impl FnOnce(TestServiceClient) -> R,
) -> R {
    let (fixture, listener) = listen();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut socket = None;
            wait_until("the client connects", || {
                socket = listener.accept().ok();
                socket.is_some()
            });
            script(&RawConnection(socket.unwrap()));
        });
        let client =
            fixture.activation().timeout(SOON).activate::<TestServiceClient>(TEST_SERVICE.clsid());
        test(client.unwrap())
    })
}

fn greet(connection: &RawConnection, limits: Limits) {
    connection.send_frame(&Header::new(FrameKind::Greeting), &greeting(limits), &[]).unwrap();
}

/// Much longer than the time limit of a call, and much shorter than the time for which the server
/// runs.
const LATE: Duration = Duration::from_secs(5);

#[test]
fn a_server_that_stops_to_receive_holds_no_call_past_its_deadline() {
    let done = AtomicBool::new(false);
    let script = |connection: &RawConnection| {
        greet(connection, Limits::default());
        called(connection);
        rustix::net::shutdown(&connection.0, rustix::net::Shutdown::Read).unwrap();
        wait_until("the calls have ended", || done.load(Ordering::SeqCst));
    };
    against(script, |client| {
        std::thread::scope(|scope| {
            // One of the threads that wait for replies receives the frames of all calls.
            let waits = scope.spawn(|| client.with_timeout(2 * LATE).peer_ids());
            let began = Instant::now();
            let mut deaf = 0;
            while began.elapsed() < LATE && deaf < 3 {
                let began = Instant::now();
                let error = client.with_timeout(STEP).peer_ids().unwrap_err();
                assert!(began.elapsed() < LATE, "{:?}", began.elapsed());
                if error.kind() == ErrorKind::Disconnected {
                    assert!(!error.may_have_run(), "{error}");
                    deaf += 1;
                }
            }
            assert_eq!(deaf, 3, "further calls can't be sent");
            done.store(true, Ordering::SeqCst);
            assert!(waits.join().unwrap().is_err());
        });
    });
}

#[test]
fn a_server_that_never_stops_talking_holds_no_call_past_its_deadline() {
    let done = AtomicBool::new(false);
    let script = |connection: &RawConnection| {
        opened(connection);
        let end = Instant::now() + SOON;
        while !done.load(Ordering::SeqCst) && Instant::now() < end {
            let mut head = [0; Header::LEN_MAX];
            let len = Header::new(FrameKind::Release).write(&mut head);
            let _ = connection.try_send_bytes(&head[..len], &[]);
        }
    };
    against(script, |client| {
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let began = Instant::now();
                        let error = client.with_timeout(STEP).peer_ids().unwrap_err();
                        (error.kind(), began.elapsed())
                    })
                })
                .collect();
            for call in calls {
                let (kind, took) = call.join().unwrap();
                assert_eq!(kind, ErrorKind::TimedOut);
                assert!(took < LATE, "{took:?}");
            }
            done.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn the_clients_own_limit_of_calls_in_flight_holds_for_any_announced_limit() {
    let limits = Limits { calls_max: u16::MAX, handles_max: u16::MAX, message_bytes_max: u32::MAX };
    let calls = std::sync::atomic::AtomicU32::new(0);
    let script = |connection: &RawConnection| {
        greet(connection, limits);
        while called(connection) != 0 {
            calls.fetch_add(1, Ordering::SeqCst);
        }
    };
    against(script, |client| {
        let starter = TestServiceAsyncClient::from(&client.with_timeout(STEP));
        let pending: Vec<_> = (0..70).map(|_| starter.peer_ids()).collect();
        for call in pending {
            assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::TimedOut);
        }
        drop(client);
    });
    assert_eq!(calls.into_inner(), Limits::CALLS_MAX.into());
}

#[test]
fn a_server_that_ends_the_connection_with_an_error_does_not_say_that_calls_did_not_run() {
    let script = |connection: &RawConnection| {
        opened(connection);
        called(connection);
        let fault = Fault::Busy { limit: "patience".into() };
        let _ = connection.send_frame(&Header::new(FrameKind::Refused), &fault.write(), &[]);
        until_gone(connection);
    };
    against(script, |client| {
        let starter = TestServiceAsyncClient::from(&client);
        let pending = [starter.peer_ids(), starter.peer_ids()];
        for call in pending {
            let error = call.wait().unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, true), "{error}");
        }
        drop((starter, client));
    });
}

#[test]
fn handles_of_a_result_that_does_not_decode_hold_no_call_past_its_deadline() {
    let (sent, gone) = (AtomicBool::new(false), AtomicBool::new(false));
    let script = |connection: &RawConnection| {
        connection.0.accept_handles().unwrap();
        greet(connection, Limits::default());
        let call = called(connection);
        let mut socket = LingeringSocket::new().unwrap();
        let handle = socket.take().unwrap();
        // The reply contains a valid handle, and a text with a single byte that isn't UTF-8.
        let code = Status::Done as u32;
        let header = Header { call, code, ..Header::new(FrameKind::Reply) };
        connection.send_frame(&header, &[0, 0, 1, 0, 0, 0, 0xff], &[handle.as_fd()]).unwrap();
        // After this, the last duplicate of the handle is in the client's receive queue.
        drop(handle);
        sent.store(true, Ordering::SeqCst);
        wait_until("the client is dropped", || gone.load(Ordering::SeqCst));
    };
    against(script, |client| {
        let (_reader, writer) = std::io::pipe().unwrap();
        let writer = writer.into();
        let pending =
            TestServiceAsyncClient::from(&client.with_timeout(SOON)).echo(&writer, "text");
        wait_until("the reply is sent", || sent.load(Ordering::SeqCst));
        let began = Instant::now();
        let error = pending.wait().unwrap_err();
        let took = began.elapsed();
        drop(client);
        gone.store(true, Ordering::SeqCst);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(took < SOON, "{took:?}");
    });
}

/// The scripts depend on [`Response`] to recognize valid frames.
#[test]
fn malformed_frames_are_recognized() {
    let (a, b) = syshandle_os::Seqpacket::pair().unwrap();
    let (a, b) = (RawConnection(a), RawConnection(b));
    a.send_bytes(&[0xa5; 40], &[]).unwrap();
    assert!(matches!(b.receive(SOON), Response::Malformed));
    let hello = Hello::new(TEST_SERVICE.clsid(), TEST_SERVICE.interfaces()[0].iid);
    a.send_frame(&Header::new(FrameKind::Hello), &hello.write(), &[]).unwrap();
    assert!(matches!(b.receive(SOON), Response::Frame(FrameKind::Hello)));
    drop(a);
    assert!(matches!(b.receive(SOON), Response::Closed));
}
