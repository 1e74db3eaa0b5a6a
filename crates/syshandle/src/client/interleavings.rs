//! Tests of threads that share one connection, under many interleavings of their steps. The
//! connection and the socket are real; the test plays the server.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::rand::Rng;
use syshandle_os::Seqpacket;
use syshandle_wire::{
    Fault, FrameKind, FromClient, Greeting, Guid, Header, Hello, Limits, Offer, Payload, Ran,
    ServerEnd, Status,
};

use super::Cancel;
use super::connection::{ClientConnection, StartedCall};
use super::deadline::Deadline;
use super::handshake::ClientHandshake;
use super::pipeline::Pipeline;
use super::reply::{EncodedReply, ReplyBody};
use crate::buffer::FrameBuffer;
use crate::link::Link;
use crate::peer_socket::PeerSocket;
use crate::quota::Quota;
use crate::received_handles::ReceivedHandles;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::{explore, now, run_once, thread, wait_until};
use crate::{ErrorKind, Result};

/// Longer than any interleaving lasts on the test's clock.
const LONG: Duration = Duration::from_secs(3600);

/// Server side of a connection.
struct Server {
    link: Link,
    end: ServerEnd<()>,
}

/// Connects to a server that accepts `calls_max` calls at once. `serve` plays the server on a
/// thread of its own.
fn connect(
    calls_max: u16,
    serve: impl FnOnce(Server) + Send + 'static,
) -> (Arc<ClientConnection>, shuttle::thread::JoinHandle<()>) {
    let (ours, theirs) = Seqpacket::pair().unwrap();
    ours.name_senders().unwrap();
    let (hello, limits) =
        (Hello { clsid: Guid::NIL, iid: Guid::NIL }, Limits { calls_max, ..Limits::default() });
    let server = shuttle::thread::spawn(move || {
        let offers = vec![Offer { clsid: Guid::NIL, iid: Guid::NIL }];
        let (header, body) = ServerEnd::<()>::greeting(&Greeting { limits, offers });
        let mut server = Server {
            link: Link::new(PeerSocket::new(theirs, Quota::of_a_server())),
            end: ServerEnd::new(limits),
        };
        server.link.send(&header, &body.into(), &[]).unwrap();
        assert_eq!(server.receive(), Some(None), "hello");
        serve(server);
    });
    let connection = ClientHandshake::new(ours, hello).open(now() + LONG).unwrap();
    (Arc::new(connection), server)
}

impl Server {
    /// Receives a frame. Returns the id of a call, `Some(None)` for another frame, `None` when the
    /// client has gone.
    fn receive(&mut self) -> Option<Option<u32>> {
        let (mut frame, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
        let received = loop {
            match self.link.receive(&mut frame, &mut handles, None) {
                Ok(received) => break received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until(now() + LONG, |until| self.link.socket.wait_readable(until))
                        .unwrap();
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => panic!("{error}"),
            }
        };
        if received.len == 0 {
            return None;
        }
        match self.end.receive(&frame[..received.len], 0, false).unwrap() {
            (FromClient::Call { call, .. }, _) => {
                self.end.started(call, ());
                Some(Some(call))
            }
            (FromClient::Bye, _) => None,
            _ => Some(None),
        }
    }

    /// Answers a call with its own id.
    fn answer(&mut self, call: u32) {
        let body = call.to_le_bytes().to_vec();
        let header = self.end.reply(call, Status::Done, 0, body.len()).unwrap();
        // If the client has gone, sending fails, and no answer is needed.
        let _ = self.link.send(&header, &body.into(), &[]);
    }

    /// Answers each call until the client has gone.
    fn serve(mut self) {
        while let Some(call) = self.receive() {
            if let Some(call) = call {
                self.answer(call);
            }
        }
    }
}

fn call(
    connection: &ClientConnection,
    timeout: Duration,
    cancel: Option<&Cancel>,
) -> Result<EncodedReply> {
    let mut deadline = Deadline::lasting(timeout, cancel);
    connection.call(1, &Payload::default(), &[], &mut deadline)
}

/// Makes a call with more handles than the kernel accepts.
fn unsendable_call(connection: &ClientConnection) -> crate::Error {
    let null = std::fs::File::open("/dev/null").unwrap();
    let handles = vec![null.as_fd(); usize::from(Limits::HANDLES_MAX) + 1];
    let mut deadline = Deadline::lasting(LONG, None);
    connection.call(1, &Payload::default(), &handles, &mut deadline).unwrap_err()
}

fn assert_answered(reply: Result<EncodedReply>) {
    match reply.unwrap().body {
        ReplyBody::Frame { start, end, .. } => assert_eq!(end - start, 4),
        ReplyBody::Copy(bytes) => assert_eq!(bytes.len(), 4),
        body => panic!("{body:?}"),
    }
}

/// Runs `run` on `count` threads, and waits for them.
fn threads(count: usize, run: impl Fn(usize) + Send + Sync + 'static) {
    let run = Arc::new(run);
    let start = |number| {
        let run = run.clone();
        shuttle::thread::spawn(move || run(number))
    };
    let all: Vec<_> = (0..count).map(start).collect();
    all.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn each_of_many_threads_has_its_reply_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, Server::serve);
        threads(3, move |_| (0..2).for_each(|_| assert_answered(call(&connection, LONG, None))));
        server.join().unwrap();
    });
}

#[test]
fn replies_in_another_order_reach_their_callers_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(64, |mut server| {
            let mut calls: Vec<u32> = Vec::new();
            while calls.len() < 3 {
                calls.extend(server.receive().unwrap());
            }
            calls.into_iter().rev().for_each(|call| server.answer(call));
            server.serve();
        });
        threads(3, move |_| assert_answered(call(&connection, LONG, None)));
        server.join().unwrap();
    });
}

#[test]
fn a_reply_is_had_when_it_comes_though_others_wait_on_in_any_order() {
    explore(|| {
        let one_is_back = Arc::new(AtomicBool::new(false));
        let is_back = one_is_back.clone();
        let (connection, server) = connect(64, move |mut server| {
            let mut calls: Vec<u32> = Vec::new();
            while calls.len() < 2 {
                calls.extend(server.receive().unwrap());
            }
            server.answer(calls[1]);
            while !is_back.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            server.answer(calls[0]);
            server.serve();
        });
        threads(2, move |_| {
            assert_answered(call(&connection, LONG, None));
            one_is_back.store(true, Ordering::SeqCst);
        });
        server.join().unwrap();
    });
}

#[test]
fn calls_beyond_the_limit_start_when_others_end_in_any_order() {
    explore(|| {
        let (connection, server) = connect(1, Server::serve);
        threads(3, move |_| assert_answered(call(&connection, LONG, None)));
        server.join().unwrap();
    });
}

/// Answers no call before `count` calls have come.
fn answer_when_there_are(mut server: Server, count: usize) {
    let mut calls: Vec<u32> = Vec::new();
    while calls.len() < count {
        calls.extend(server.receive().unwrap());
    }
    calls.into_iter().for_each(|call| server.answer(call));
    server.serve();
}

#[test]
fn a_place_that_a_reply_frees_is_taken_though_others_wait_on_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, |mut server| {
            // Answers the second of three calls, which frees a slot for the third.
            let first = server.receive().flatten().unwrap();
            let second = server.receive().flatten().unwrap();
            server.answer(second);
            let third = server.receive().flatten().unwrap();
            server.answer(first);
            server.answer(third);
            server.serve();
        });
        threads(3, move |_| assert_answered(call(&connection, LONG, None)));
        server.join().unwrap();
    });
}

#[test]
fn a_place_that_was_not_needed_is_taken_though_others_wait_on_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, |server| answer_when_there_are(server, 2));
        threads(3, move |number| match number {
            0 => drop(unsendable_call(&connection)),
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}

#[test]
fn a_call_that_gives_up_leaves_the_others_to_theirs_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, Server::serve);
        threads(3, move |number| match number {
            // The call may time out at once or after some rounds.
            0 => match call(&connection, Duration::from_millis(4), None) {
                Ok(reply) => assert_answered(Ok(reply)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            },
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}

#[test]
fn a_call_that_is_cancelled_ends_and_leaves_the_others_to_theirs_in_any_order() {
    explore(|| {
        // The first call is answered only after it is cancelled.
        let (connection, server) = connect(2, |mut server| {
            let mut first = None;
            while let Some(call) = server.receive() {
                match call {
                    Some(call) if first.is_none() => first = Some(call),
                    Some(call) => server.answer(call),
                    None => first.take().into_iter().for_each(|call| server.answer(call)),
                }
            }
        });
        let cancel = Cancel::new().unwrap();
        threads(4, move |number| match number {
            0 => {
                // Cancels before the other threads have begun, or while they wait.
                (0..shuttle::rand::thread_rng().gen_range(0..100))
                    .for_each(|_| thread::yield_now());
                cancel.cancel();
            }
            1 => match call(&connection, LONG, Some(&cancel)) {
                Ok(reply) => assert_answered(Ok(reply)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
            },
            _ => {
                // Any of the calls may be the first, so each one ends by a reply or by its cancel.
                let mine = Cancel::new().unwrap();
                let (also, canceller) = (mine.clone(), cancel.clone());
                let other = shuttle::thread::spawn(move || {
                    while !canceller.is_cancelled() {
                        shuttle::thread::yield_now();
                    }
                    also.cancel();
                });
                match call(&connection, LONG, Some(&mine)) {
                    Ok(reply) => assert_answered(Ok(reply)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
                }
                other.join().unwrap();
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn a_call_that_is_cancelled_ends_though_others_wait_on_in_any_order() {
    explore(|| {
        let cancelled_is_back = Arc::new(AtomicBool::new(false));
        let is_back = cancelled_is_back.clone();
        let (connection, server) = connect(64, move |server| {
            while !is_back.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            server.serve();
        });
        let cancel = Cancel::new().unwrap();
        threads(3, move |number| match number {
            0 => {
                // Cancels before the other threads have begun, or while they wait.
                (0..shuttle::rand::thread_rng().gen_range(0..100))
                    .for_each(|_| thread::yield_now());
                cancel.cancel();
            }
            1 => {
                let error = call(&connection, LONG, Some(&cancel)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Cancelled);
                cancelled_is_back.store(true, Ordering::SeqCst);
            }
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}

#[test]
fn the_servers_death_ends_all_waits_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, |mut server| {
            // The server answers one call and ends.
            while let Some(call) = server.receive() {
                if let Some(call) = call {
                    server.answer(call);
                    break;
                }
            }
        });
        threads(3, move |_| {
            if let Err(error) = call(&connection, LONG, None) {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            }
            let again = call(&connection, LONG, None).map(drop);
            if let Err(error) = again {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn the_last_message_of_the_server_is_the_reason_of_all_calls_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(2, |mut server| {
            while server.receive() == Some(None) {}
            let (header, body) =
                ServerEnd::<()>::refused(&Fault::Failed { text: "the oven is off".into() });
            server.link.send(&header, &body.into(), &[]).unwrap();
        });
        threads(3, move |_| {
            let error = call(&connection, LONG, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
        });
        server.join().unwrap();
    });
}

#[test]
fn an_unsent_call_frees_its_slot_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(1, Server::serve);
        threads(3, move |number| match number {
            0 => assert_eq!(unsendable_call(&connection).kind(), ErrorKind::System),
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}

/// Begins a held call with `len` bytes of arguments.
fn hold(connection: &ClientConnection, pipeline: &Pipeline, len: usize) -> Result<StartedCall> {
    let mut deadline = Deadline::lasting(LONG, None);
    connection.begin_pipelined(pipeline, 1, &vec![7; len].into(), &[], &mut deadline)
}

/// Sends the held calls, and waits for the reply of one call.
fn finish(
    connection: &ClientConnection,
    pipeline: &Pipeline,
    started: &StartedCall,
) -> Result<EncodedReply> {
    let mut deadline = Deadline::lasting(LONG, None);
    pipeline.send(connection, &mut deadline);
    match pipeline.take_error(started) {
        Some(error) => Err(error),
        None => connection.finish(started, &mut deadline),
    }
}

#[test]
fn calls_that_are_held_have_not_gone_and_go_together() {
    run_once(|| {
        let (count, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, is_sent) = (count.clone(), sent.clone());
        let (connection, server) = connect(64, move |mut server| {
            while !is_sent.load(Ordering::SeqCst) {
                let (mut bytes, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
                let early = server.link.receive(&mut bytes, &mut handles, None);
                assert_eq!(early.unwrap_err().kind(), io::ErrorKind::WouldBlock);
                counted.fetch_add(1, Ordering::SeqCst);
                thread::yield_now();
            }
            (0..3).for_each(|_| assert!(server.receive().flatten().is_some()));
        });
        let pipeline = Pipeline::new();
        let started = [(); 3].map(|()| hold(&connection, &pipeline, 0).unwrap());
        while count.load(Ordering::SeqCst) < 3 {
            thread::yield_now();
        }
        sent.store(true, Ordering::SeqCst);
        pipeline.send(&connection, &mut Deadline::lasting(LONG, None));
        server.join().unwrap();
        for started in &started {
            // The calls were sent, so they may have run.
            let error = finish(&connection, &pipeline, started).unwrap_err();
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Disconnected, Ran::Maybe));
        }
    });
}

#[test]
fn calls_that_are_held_by_many_threads_each_have_their_reply_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, Server::serve);
        threads(2, move |_| {
            let pipeline = Pipeline::new();
            let started: Vec<_> =
                (0..3).map(|_| hold(&connection, &pipeline, 0).unwrap()).collect();
            assert_answered(call(&connection, LONG, None));
            for started in started.iter().rev() {
                assert_answered(finish(&connection, &pipeline, started));
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn calls_that_are_held_beyond_the_limit_go_before_they_wait_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, Server::serve);
        threads(2, move |_| {
            let pipeline = Pipeline::new();
            let started: Vec<_> =
                (0..4).map(|_| hold(&connection, &pipeline, 0).unwrap()).collect();
            for started in &started {
                assert_answered(finish(&connection, &pipeline, started));
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn held_calls_for_which_there_is_no_room_in_the_socket_wait_for_it_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, Server::serve);
        // The buffer holds two or three messages, so that it fills up in the middle of a batch of
        // sixteen.
        rustix::net::sockopt::set_socket_send_buffer_size(&connection.link.socket, 1).unwrap();
        threads(2, move |_| {
            let pipeline = Pipeline::new();
            let started: Vec<_> =
                (0..8).map(|_| hold(&connection, &pipeline, 900).unwrap()).collect();
            for started in &started {
                assert_answered(finish(&connection, &pipeline, started));
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn abandoned_unsent_calls_are_never_sent_and_free_their_slots_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(2, Server::serve);
        threads(2, move |_| {
            let pipeline = Pipeline::new();
            let started = hold(&connection, &pipeline, 0).unwrap();
            let other = hold(&connection, &pipeline, 0).unwrap();
            if !pipeline.withdraw(&connection, &started) {
                // The other call had to wait, so this one was sent.
                connection.abandon(&started);
            }
            assert_answered(finish(&connection, &pipeline, &other));
        });
        server.join().unwrap();
    });
}

#[test]
fn the_servers_death_ends_held_calls_which_did_not_run_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, drop);
        threads(2, move |_| {
            let pipeline = Pipeline::new();
            let Ok(started) = hold(&connection, &pipeline, 0) else { return };
            let error = finish(&connection, &pipeline, &started).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        });
        server.join().unwrap();
        // There was no server that could have run the calls.
    });
}

#[test]
fn replies_that_come_together_are_received_together_and_what_follows_the_end_is_refused() {
    run_once(|| {
        let (connection, server) = connect(64, |mut server| {
            let calls: Vec<u32> = (0..4).map(|_| server.receive().flatten().unwrap()).collect();
            server.answer(calls[0]);
            server.answer(calls[1]);
            // No call has this id. That is a violation, which ends the connection.
            let header = Header { call: 77, ..Header::new(FrameKind::Reply) };
            server.link.send_header(&header).unwrap();
            let null = std::fs::File::open("/dev/null").unwrap();
            let header = server.end.reply(calls[2], Status::Done, 1, 0).unwrap();
            server.link.send(&header, &Payload::default(), &[null.as_fd()]).unwrap();
        });
        let pipeline = Pipeline::new();
        let started = [(); 4].map(|()| hold(&connection, &pipeline, 0).unwrap());
        pipeline.send(&connection, &mut Deadline::lasting(LONG, None));
        server.join().unwrap();
        let [first, second, third, fourth] = started;
        assert_answered(finish(&connection, &pipeline, &second));
        assert_answered(finish(&connection, &pipeline, &first));
        for started in [third, fourth] {
            let error = finish(&connection, &pipeline, &started).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Violation, "{error}");
        }
    });
}
