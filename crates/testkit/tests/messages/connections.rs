//! Messages of errors in connections without a registration, in servers, and with peers that break
//! the protocol.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use syshandle::direct::{Connector, connect, from_door, from_socket, make_door, socket_pair};
use syshandle::object::Proxy;
use syshandle::{Policy, Server};
use syshandle_os::Listener;
use syshandle_testkit::{
    Fixture, Messages, SERVER, TEST_SERVICE, TestService, TestServiceClient, wait_until,
};
use syshandle_wire::{Body, Fault, FrameKind, Greeting, Header, Offer, ServerEnd, Status};

use crate::group;

/// An interface that the server does not have.
#[syshandle::interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b55")]
trait Other {
    fn nothing(&self) -> syshandle::Result<()>;
}

struct Nothing;

impl Other for Nothing {
    fn nothing(&self) -> syshandle::Result<()> {
        Ok(())
    }
}

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn the_messages_of_connections() {
    let mut messages = group("connections");
    let folder = tempfile::tempdir().unwrap();
    messages.replace(folder.path(), "$FOLDER");
    to_paths(&mut messages, folder.path());
    to_sockets(&mut messages);
    to_bad_peers(&mut messages, folder.path());
    of_servers(&mut messages, folder.path());
    of_other_versions(&mut messages);
    of_a_dead_process(&mut messages);
    of_registered_handles(&mut messages);
    messages.check();
}

fn to_paths(messages: &mut Messages, folder: &Path) {
    let to = |path: &Path| connect::<TestServiceClient>(path).unwrap_err();
    messages.add("a path at which there is nothing", &to(&folder.join("nothing")));
    drop(Listener::bind(&folder.join("left")).unwrap());
    messages.add("a socket on which nobody listens", &to(&folder.join("left")));
    File::create(folder.join("file")).unwrap();
    messages.add("a path at which there is a file", &to(&folder.join("file")));
    messages.add("a path that is too long", &to(Path::new(&"x".repeat(200))));
    let _silent = Listener::bind(&folder.join("silent")).unwrap();
    let connector = Connector::new().timeout(SHORT);
    let error = connector.connect::<TestServiceClient>(folder.join("silent")).unwrap_err();
    messages.add("a server that does not greet", &error);
}

fn to_sockets(messages: &mut Messages) {
    let connector = Connector::new().timeout(SHORT);
    let (reader, _writer) = std::io::pipe().unwrap();
    let error = from_socket::<TestServiceClient>(reader).unwrap_err();
    messages.add("a pipe for a connection", &error);
    let stream = std::os::unix::net::UnixStream::pair().unwrap().0;
    let error = from_socket::<TestServiceClient>(stream).unwrap_err();
    messages.add("a stream socket for a connection", &error);
    let door = make_door::<dyn Other, _>(Nothing).unwrap();
    let error = connector.from_socket::<OtherClient>(door).unwrap_err();
    messages.add("a door for a connection", &error);
    let (ours, theirs) = socket_pair().unwrap();
    let error = connector.from_door::<OtherClient>(ours).unwrap_err();
    messages.add("a silent connection for a door", &error);
    drop(theirs);
    let (ours, theirs) = socket_pair().unwrap();
    drop(theirs);
    let error = from_socket::<OtherClient>(ours).unwrap_err();
    messages.add("a connection whose other end is closed", &error);
    let door = make_door::<dyn Other, _>(Nothing).unwrap();
    let error = from_door::<TestServiceClient>(door).unwrap_err();
    messages.add("a door to an object without the interface", &error);
    let withdrawn = syshandle::in_process::<dyn Other, _>(Nothing).unwrap();
    withdrawn.nothing().unwrap();
    assert!(withdrawn.as_client().withdrawal().is_some_and(|withdrawal| withdrawal.withdraw()));
    messages.add("an object that was withdrawn", &withdrawn.nothing().unwrap_err());
}

fn to_bad_peers(messages: &mut Messages, folder: &Path) {
    let answers: [(&'static str, &[u8]); 2] = [
        ("a peer that is no server", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("a peer that sends a few bytes", b"no"),
    ];
    for (situation, answer) in answers {
        let path = folder.join("bad");
        let listener = Listener::bind(&path).unwrap();
        let error = std::thread::scope(|scope| {
            let client = scope.spawn(|| connect::<TestServiceClient>(&path).unwrap_err());
            let socket = wait_for(&listener);
            socket.send(&[std::io::IoSlice::new(answer)], &[]).unwrap();
            client.join().unwrap()
        });
        messages.add(situation, &error);
        std::fs::remove_file(&path).unwrap();
    }
}

fn wait_for(listener: &Listener) -> syshandle_os::Seqpacket {
    let mut socket = None;
    wait_until("the client connects", || {
        socket = listener.accept().ok();
        socket.is_some()
    });
    socket.unwrap()
}

fn of_servers(messages: &mut Messages, folder: &Path) {
    let server = || Server::new().class(TEST_SERVICE, || Unused);
    messages.add("a server without a class", &Server::new().run().unwrap_err());
    let fail = |path: &Path| server().path(path).run().unwrap_err();
    let taken = folder.join("taken");
    let _listener = Listener::bind(&taken).unwrap();
    messages.add("a path that another server has", &fail(&taken));
    messages.add("a path in a folder that is missing", &fail(&folder.join("missing/socket")));
    messages.add("a path of a socket that is too long", &fail(Path::new(&"x".repeat(200))));
    let null: OwnedFd = File::options().read(true).write(true).open("/dev/null").unwrap().into();
    messages.add("a device for a listening socket", &server().socket(null).run().unwrap_err());
    let stream: OwnedFd = std::os::unix::net::UnixStream::pair().unwrap().0.into();
    messages.add("a stream socket to listen on", &server().socket(stream).run().unwrap_err());

    let limited = folder.join("limited");
    let busy = || server().path(&limited).max_clients(1).idle_timeout(SHORT).run();
    std::thread::scope(|scope| {
        let running = scope.spawn(busy);
        let mut first = None;
        wait_until("the server listens", || {
            first = connect::<TestServiceClient>(&limited).ok();
            first.is_some()
        });
        let error = connect::<TestServiceClient>(&limited).unwrap_err();
        messages.add("more clients than a server takes", &error);
        drop(first);
        running.join().unwrap().unwrap();
    });
    let strict = folder.join("strict");
    let other = Policy::users([std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata("/proc/self").unwrap(),
    ) + 1]);
    let guarded = || server().path(&strict).policy(other.clone()).idle_timeout(SHORT).run();
    std::thread::scope(|scope| {
        let running = scope.spawn(guarded);
        // Until the server listens, there is another error.
        let mut refusal = None;
        wait_until("the server refuses the user", || {
            let error = connect::<TestServiceClient>(&strict).err();
            refusal = error.filter(|error| error.kind() == syshandle::ErrorKind::NotAllowed);
            refusal.is_some()
        });
        messages.add("a user that the server refuses", &refusal.unwrap());
        running.join().unwrap().unwrap();
    });

    let fixture = Fixture::new();
    let file = fixture.register(&SERVER, OTHER_CLASS, &[]);
    messages.replace(&file.path, "$REGISTRATION");
    let error = fixture.activation().activate::<OtherClient>(OTHER_CLASS.clsid()).unwrap_err();
    messages.add("a class that its server does not serve", &error);
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let error = fixture.activation().activate::<OtherClient>(TEST_SERVICE.clsid()).unwrap_err();
    messages.add("an interface that its server does not have", &error);
}

/// A later version of [`Other`].
mod later {
    #[syshandle::interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b55")]
    pub(super) trait Other {
        fn nothing(&self, added: u32) -> syshandle::Result<()>;
    }
}

impl later::Other for Nothing {
    fn nothing(&self, _: u32) -> syshandle::Result<()> {
        Ok(())
    }
}

fn of_other_versions(messages: &mut Messages) {
    let door = make_door::<dyn later::Other, _>(Nothing).unwrap();
    let error = from_door::<OtherClient>(door).unwrap().nothing().unwrap_err();
    messages.add("a server with another version of the method", &error);
    let (ours, theirs) = socket_pair().unwrap();
    let error = std::thread::scope(|scope| {
        let client =
            scope.spawn(|| from_socket::<OtherClient>(ours).unwrap().nothing().unwrap_err());
        let socket = syshandle_os::Seqpacket::from(theirs);
        let iid = <dyn Other as syshandle::object::Interface>::DESCRIPTION.iid;
        let offer = Offer { description: 7, ..Offer::new(syshandle::Guid::NIL, iid) };
        let greeting = Greeting::new(syshandle_types::Limits::default(), vec![offer]);
        let (header, body) = ServerEnd::<()>::greeting(&greeting);
        send(&socket, &header, &body);
        let (_hello, call) = (receive(&socket), receive(&socket));
        let body = [1, 0, 0, 0, 2, 0, 0, 0, 0, 0];
        let reply = Header { call: call.call, ..Header::new(FrameKind::Reply) };
        let reply = Header { body: Body::Inline { len: body.len() as u32 }, ..reply };
        send(&socket, &reply, &body);
        client.join().unwrap()
    });
    messages.add("a server whose description is not valid", &error);
}

/// Adds the errors of a call to a process that ends without a message, before and during the call.
fn of_a_dead_process(messages: &mut Messages) {
    let (ours, theirs) = socket_pair().unwrap();
    let (during, after) = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let client = from_socket::<OtherClient>(ours).unwrap();
            (client.nothing().unwrap_err(), client.nothing().unwrap_err())
        });
        let socket = syshandle_os::Seqpacket::from(theirs);
        let iid = <dyn Other as syshandle::object::Interface>::DESCRIPTION.iid;
        let offer = Offer::new(syshandle::Guid::NIL, iid);
        let greeting = Greeting::new(syshandle_types::Limits::default(), vec![offer]);
        let (header, body) = ServerEnd::<()>::greeting(&greeting);
        send(&socket, &header, &body);
        let (_hello, _call) = (receive(&socket), receive(&socket));
        drop(socket);
        client.join().unwrap()
    });
    messages.add("a process that dies during a call to its object", &during);
    messages.add("a process of an object that has died", &after);
}

fn of_registered_handles(messages: &mut Messages) {
    let (ours, theirs) = socket_pair().unwrap();
    let error = std::thread::scope(|scope| {
        let client =
            scope.spawn(|| from_socket::<OtherClient>(ours).unwrap().nothing().unwrap_err());
        let socket = syshandle_os::Seqpacket::from(theirs);
        let iid = <dyn Other as syshandle::object::Interface>::DESCRIPTION.iid;
        let offers = vec![Offer::new(syshandle::Guid::NIL, iid)];
        let greeting = Greeting::new(syshandle_types::Limits::default(), offers);
        let (header, body) = ServerEnd::<()>::greeting(&greeting);
        send(&socket, &header, &body);
        let (_hello, call) = (receive(&socket), receive(&socket));
        let body = Fault::SlotGone.write();
        let header = Header { call: call.call, ..Header::new(FrameKind::Reply) };
        let (code, len) = (Status::Fault as u32, body.len() as u32);
        send(&socket, &Header { code, body: Body::Inline { len }, ..header }, &body);
        client.join().unwrap()
    });
    messages.add("a registered handle that the server has taken back", &error);
}

fn send(socket: &syshandle_os::Seqpacket, header: &Header, body: &[u8]) {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    let parts = [std::io::IoSlice::new(&head[..len]), std::io::IoSlice::new(body)];
    socket.send(&parts, &[]).unwrap();
}

fn receive(socket: &syshandle_os::Seqpacket) -> Header {
    let mut bytes = vec![0; Header::FRAME_MAX];
    assert!(socket.wait_readable(std::time::Instant::now() + Duration::from_secs(30)).unwrap());
    let received = socket.receive(&mut bytes, &mut Vec::new()).unwrap();
    Header::read(&bytes[..received.len]).unwrap().0
}

syshandle::class! {
    OTHER_CLASS: Other = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b56";
}

/// The object of a server that no test calls.
struct Unused;

impl TestService for Unused {
    fn peer_ids(
        &self,
        context: &syshandle::Context,
    ) -> syshandle::Result<syshandle_testkit::PeerIds> {
        Ok(syshandle_testkit::peer_ids(context))
    }

    fn len(&self, _: File) -> syshandle::Result<u64> {
        Ok(0)
    }

    fn write_outcome(
        &self,
        _: &syshandle::Context,
        _: File,
        _: syshandle::handle::Event,
    ) -> syshandle::Result<()> {
        Ok(())
    }

    fn hang(&self) -> syshandle::Result<()> {
        Ok(())
    }

    fn abort(&self) -> syshandle::Result<()> {
        Ok(())
    }

    fn startup_state(&self) -> syshandle::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn echo(
        &self,
        handle: syshandle::handle::OwnedHandle,
        text: String,
    ) -> syshandle::Result<(syshandle::handle::OwnedHandle, String)> {
        Ok((handle, text))
    }

    fn set(&self, _: syshandle::handle::Event) -> syshandle::Result<()> {
        Ok(())
    }

    fn wait_for(
        &self,
        _: &syshandle::Context,
        _: syshandle::handle::Event,
    ) -> syshandle::Result<()> {
        Ok(())
    }

    fn events(&self, _: u32) -> syshandle::Result<Vec<syshandle::handle::Event>> {
        Ok(Vec::new())
    }
}
