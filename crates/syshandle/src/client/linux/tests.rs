//! Tests of threads that share one connection. The connection and the socket are real; the test
//! plays the server.

mod interleavings;
mod pipeline_interleavings;
mod role_model;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::rand::Rng;
use syshandle_os::{BorrowedHandle, Seqpacket};
use syshandle_types::{Guid, Limits, Payload};
use syshandle_wire::{
    Fault, Features, FrameKind, Greeting, Header, Hello, Offer, ServerEnd, ServerEndEvent, Status,
};

use super::call_queue::{NewCall, PassedReferences};
use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::handshake::ClientHandshake;
use super::reply::{EncodedReply, ReplyBody, WaiterNumber};
use crate::buffer::FrameBuffer;
use crate::client::cancel::Cancel;
use crate::link::Link;
use crate::peer_socket::PeerSocket;
use crate::quota::Quota;
use crate::received_handles::ReceivedHandles;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::{explore, now, run_once, thread, wait_until};
use crate::wait_mode::{WaitMode, run_on_thread};
use crate::{ErrorKind, Result};

/// Longer than any interleaving lasts on the test's clock.
const LONG: Duration = Duration::from_secs(3600);

/// Server side of a connection.
struct ScriptedServer {
    link: Link,
    end: ServerEnd<()>,
}

/// Connects to a server that accepts `calls_max` calls at once. `serve` plays the server on a
/// thread of its own.
fn connect(
    calls_max: u16,
    serve: impl FnOnce(ScriptedServer) + Send + 'static,
) -> (Arc<ClientConnection>, shuttle::thread::JoinHandle<()>) {
    let (ours, theirs) = Seqpacket::pair().unwrap();
    ours.name_senders().unwrap();
    let (hello, limits) =
        (Hello::new(Guid::NIL, Guid::NIL), Limits { calls_max, ..Limits::default() });
    let server = shuttle::thread::spawn(move || {
        let offers = vec![Offer::new(Guid::NIL, Guid::NIL)];
        let (header, body) = ServerEnd::<()>::greeting(&Greeting::new(limits, offers));
        let mut server = ScriptedServer {
            link: Link::new(PeerSocket::new(theirs, Quota::of_a_server())),
            end: ServerEnd::new(limits, Features::OWN),
        };
        server.link.send(&header, &body.into(), &[]).unwrap();
        assert_eq!(server.receive(), Some(None), "hello");
        serve(server);
    });
    let handshake = ClientHandshake::new(ours, hello);
    let connection = run_on_thread(handshake.open(WaitMode::Thread, now() + LONG)).unwrap();
    (Arc::new(connection), server)
}

impl ScriptedServer {
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
            (ServerEndEvent::Call { call, .. }, _) => {
                self.end.started(call, ());
                Some(Some(call))
            }
            (ServerEndEvent::Bye, _) => None,
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
    call_with(connection, &[], &mut Deadline::lasting(timeout, cancel))
}

fn new_call<'c, 'p>(
    body: &'c Payload<'p>,
    handles: &'c [BorrowedHandle<'c>],
    objects: &'c PassedReferences,
) -> NewCall<'c, 'p> {
    NewCall { object: 0, method: 1, body, handles, objects, one_way: None, plain: None }
}

fn call_with(
    connection: &ClientConnection,
    handles: &[BorrowedHandle<'_>],
    deadline: &mut Deadline<'_>,
) -> Result<EncodedReply> {
    let (body, objects) = Default::default();
    let call = new_call(&body, handles, &objects);
    let waiter = connection.begin(&call, deadline)?;
    connection.finish(waiter, deadline)
}

/// Makes a call with more handles than the kernel accepts.
fn unsendable_call(connection: &ClientConnection) -> crate::Error {
    let null = std::fs::File::open("/dev/null").unwrap();
    let handles = vec![null.as_fd(); usize::from(Limits::HANDLES_MAX) + 1];
    call_with(connection, &handles, &mut Deadline::lasting(LONG, None)).unwrap_err()
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
