//! Files on a file system that doesn't answer. They delay no other client, however a client sends
//! them, and the server keeps only a limited number of them open.
//!
//! Mounting such a file system requires root. Without root, the tests are skipped.

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
#![expect(clippy::print_stdout, reason = "prints why a test was skipped")]

use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use syshandle::handle::Event;
use syshandle::object::Interface;
use syshandle_os::{Declaration, HandleRef, Kind, Seqpacket, prove};
use syshandle_testkit::{
    Fixture, Process, SERVER, TEST_SERVICE, TEST_TIMEOUT, TestService, TestServiceClient,
    wait_until,
};
use syshandle_wire::{Body, FrameKind, Header, Hello};

use crate::namespace::{in_namespace, is_within};
use crate::silent::Fuse;

#[path = "../../os/tests/namespace/mod.rs"]
mod namespace;
#[path = "../../os/tests/silent/mod.rs"]
mod silent;

#[test]
fn silent_files_are_refused_and_delay_no_client() {
    let Some(mut fuse) = Fuse::mount() else { return };
    let fixture = Fixture::new();
    let registered = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let socket = fixture.runtime_paths(&registered).socket;
    let honest = fixture.activate().unwrap().with_timeout(TEST_TIMEOUT);
    let server = Process::open(honest.peer_ids().unwrap().server_pid).unwrap();
    let descriptors = || server.descriptors().unwrap().into_values().sum::<usize>();
    let before = descriptors();
    let file = fuse.open_silent();

    let sender = fixture.activate().unwrap();
    // Lends the file, because closing even a duplicate would wait for the file system.
    let error = sender.len(&HandleRef::<File>::new(file.as_fd())).unwrap_err();
    assert_eq!(error.kind(), syshandle::ErrorKind::WrongHandle, "{error:#}");
    assert!(error.to_string().contains("file system that isn't trusted"), "{error:#}");
    still_serves(&honest);

    type Act = fn(&Hostile, &[BorrowedFd<'_>]);
    let plays: [(&str, Act); 5] = [
        ("as arguments of a method that there isn't", |peer, handles| peer.call(1000, handles)),
        ("as too many arguments", |peer, handles| peer.call(1, handles)),
        ("as shared memory", |peer, handles| peer.send(FrameKind::Arena, &handles[..1])),
        ("with a frame that takes none", |peer, handles| peer.send(FrameKind::Bye, handles)),
        ("with bytes that are no frame", |peer, handles| peer.raw(b"rubbish", handles)),
    ];
    for (name, play) in plays {
        for count in [1, 20] {
            let handles: Vec<_> = (0..count).map(|_| file.as_fd()).collect();
            // The server rejects the hostile client if that already has too many handles in flight.
            if let Some(peer) = Hostile::open(&socket) {
                play(&peer, &handles);
                peer.read_to_the_end_or_a_reply();
            }
        }
        println!("silent files {name}");
        still_serves(&honest);
    }

    // Reconnecting doesn't reset the limit.
    let handles: Vec<_> = (0..200).map(|_| file.as_fd()).collect();
    let refused = (0..50).filter(|_| match Hostile::open(&socket) {
        Some(peer) => {
            peer.send(FrameKind::Bye, &handles);
            peer.read_to_the_end_or_a_reply();
            false
        }
        None => true,
    });
    assert!(refused.count() > 40, "the limit of handles is not enforced");
    assert!(descriptors() < before + 1500, "{} descriptors", descriptors());
    still_serves(&honest);

    // After the file system is unmounted, the server can close all its files.
    drop((fuse, file, sender));
    wait_until("all handles are closed", || descriptors() <= before);
    still_serves(&honest);
}

/// A running server and its clients don't open any more files in `/proc`, which another file system
/// may cover. Only an administrator of their mount namespace can mount there.
#[test]
fn a_silent_file_system_over_proc_delays_no_running_server() {
    if !is_within() {
        return in_namespace("a_silent_file_system_over_proc_delays_no_running_server", "");
    }
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let client = fixture.activate().unwrap().with_timeout(TEST_TIMEOUT);
    let file = File::open(std::env::args().next().unwrap()).unwrap();
    let Some(fuse) = Fuse::mount_over(Path::new("/proc")) else { return };
    without_delay(fuse, || {
        for _ in 0..3 {
            still_passes_handles(&client, &file);
            still_passes_handles(&fixture.activate().unwrap().with_timeout(TEST_TIMEOUT), &file);
        }
    });
}

/// Clients of a running server don't open any more files in the folder for sockets. An activation
/// opens the socket there, so it waits for the file system. Only the user or an administrator can
/// mount there.
#[test]
fn a_silent_file_system_over_the_folder_for_sockets_delays_no_connected_client() {
    if !is_within() {
        let test = "a_silent_file_system_over_the_folder_for_sockets_delays_no_connected_client";
        return in_namespace(test, "");
    }
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_IDLE_MS", "100")]);
    let client = fixture.activate().unwrap().with_timeout(TEST_TIMEOUT);
    let server = Process::open(client.peer_ids().unwrap().server_pid).unwrap();
    let file = File::open(std::env::args().next().unwrap()).unwrap();
    let Some(fuse) = Fuse::mount_over(&fixture.runtime()) else { return };
    std::thread::scope(|scope| {
        let activation = scope.spawn(|| fixture.activate().map(drop));
        without_delay(fuse, || {
            for _ in 0..3 {
                still_passes_handles(&client, &file);
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(!activation.is_finished(), "the activation must wait for the file system");
            // The server becomes idle, and checks the folder for waiting clients.
            drop(client);
            std::thread::sleep(Duration::from_millis(300));
        });
        // The activation ends either with an error or through the folder below the file system.
        drop(activation.join().unwrap());
    });
    server.wait();
    fixture.activate().unwrap().peer_ids().unwrap();
}

/// Runs a step that must not wait for the file system. The file system ends afterwards even if the
/// step is stuck.
#[track_caller]
fn without_delay(fuse: Fuse, step: impl FnOnce() + Send) {
    let (done, waits) = mpsc::channel();
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            step();
            done.send(()).unwrap();
        });
        let ended = waits.recv_timeout(Duration::from_secs(20));
        drop(fuse);
        ended
    });
    assert_eq!(ended, Ok(()), "blocked by the file system");
}

/// Checks that the server still proves handles of several kinds.
fn still_passes_handles(client: &TestServiceClient, file: &File) {
    client.len(file).unwrap();
    let event = Event::new().unwrap();
    client.set(&event).unwrap();
    assert!(event.wait_timeout(Duration::ZERO).unwrap());
    let (event, _) = client.echo(&event.into(), "text").unwrap();
    prove(event.as_fd(), &Declaration::kind(Kind::Event)).map(drop).unwrap();
}

/// Checks that the server still answers the honest client. This client must already be connected,
/// because it is in the same process as the hostile one.
fn still_serves(client: &TestServiceClient) {
    for _ in 0..20 {
        client.peer_ids().unwrap();
    }
}

/// A client that sends frames without using the library.
struct Hostile(Seqpacket);

impl Hostile {
    /// Connects to the server's object. Returns `None` if the server rejects the connection.
    fn open(socket: &Path) -> Option<Self> {
        let peer = Self(Seqpacket::connect(socket, Instant::now() + TEST_TIMEOUT).unwrap());
        if peer.receive()? != FrameKind::Greeting {
            return None;
        }
        let iid = <dyn TestService as Interface>::DESCRIPTION.iid;
        let hello = Hello::new(TEST_SERVICE.clsid(), iid).write();
        let body = Body::Inline { len: hello.len() as u32 };
        peer.frame(&Header { body, ..Header::new(FrameKind::Hello) }, &hello, &[]);
        Some(peer)
    }

    fn call(&self, method: u32, handles: &[BorrowedFd<'_>]) {
        let header = Header {
            call: 1,
            code: method,
            timeout_ms: 60_000,
            handles: handles.len() as u16,
            ..Header::new(FrameKind::Call)
        };
        let body = [0; 2];
        self.frame(&Header { body: Body::Inline { len: 2 }, ..header }, &body, handles);
    }

    fn send(&self, kind: FrameKind, handles: &[BorrowedFd<'_>]) {
        let header = Header { handles: handles.len() as u16, ..Header::new(kind) };
        self.frame(&header, &[], handles);
    }

    fn frame(&self, header: &Header, body: &[u8], handles: &[BorrowedFd<'_>]) {
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        self.raw(&[&head[..len], body].concat(), handles);
    }

    fn raw(&self, bytes: &[u8], handles: &[BorrowedFd<'_>]) {
        // Sending fails if the server has already closed the connection.
        let _ = self.0.send(&[IoSlice::new(bytes)], handles);
    }

    /// Waits for a reply, or for the end of the connection.
    fn read_to_the_end_or_a_reply(&self) {
        while self.receive().is_some_and(|kind| kind != FrameKind::Reply) {}
    }

    /// Receives the next frame. Returns `None` at the end of the connection.
    fn receive(&self) -> Option<FrameKind> {
        let (mut frame, deadline) = (vec![0; 1 << 16], Instant::now() + TEST_TIMEOUT);
        loop {
            match self.0.receive(&mut frame, &mut Vec::new()) {
                Ok(received) if received.len == 0 => return None,
                Ok(received) => return Some(Header::read(&frame[..received.len]).unwrap().0.kind),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let readable = self.0.wait_readable(deadline).unwrap();
                    assert!(readable, "the server is blocked");
                }
                Err(_) => return None,
            }
        }
    }
}
