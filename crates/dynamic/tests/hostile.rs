//! Servers whose descriptions and results don't fit.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::io::IoSlice;
use std::time::{Duration, Instant};

use syshandle::describe::owned::{DescribedType, Description, TypeForm};
use syshandle::direct::socket_pair;
use syshandle::handle::Seqpacket;
use syshandle::object::Interface;
use syshandle::{Decode, Encode, Guid, Result, interface};
use syshandle_dynamic::{DynamicClient, Error, Value};
use syshandle_types::Limits;
use syshandle_wire::{Body, Entry, FrameKind, Greeting, Header, Offer, ServerEnd};

/// An interface whose description the tests change.
#[interface(iid = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c20")]
trait Honest {
    fn get(&self) -> Result<Node>;
}

#[derive(Debug, Encode, Decode)]
struct Node {
    inner: Option<Box<Node>>,
}

/// A server that answers with prepared bytes.
struct Peer(Seqpacket);

impl Peer {
    fn send(&self, header: &Header, body: &[u8]) {
        let body_len = Body::Inline { len: body.len() as u32 };
        let header = Header { body: body_len, ..header.clone() };
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        let entries = header.entries.as_bytes();
        let parts = [&head[..len], entries, body].map(IoSlice::new);
        // A client that refused an answer has closed the connection.
        let _ = self.0.send(&parts, &[]);
    }

    fn receive(&self) -> Option<Header> {
        let mut bytes = vec![0; Header::FRAME_MAX];
        let deadline = Instant::now() + Duration::from_secs(30);
        self.0.wait_readable(deadline).ok().filter(|is_readable| *is_readable)?;
        let received = self.0.receive(&mut bytes, &mut Vec::new()).ok()?;
        (received.len > 0).then(|| Header::read(&bytes[..received.len]).unwrap().0)
    }
}

/// Makes a client of a server that sends this description, and this result of each call.
fn client(description: &[u8], result: Vec<u8>) -> std::result::Result<DynamicClient, Error> {
    let len = (description.len() as u32).to_le_bytes();
    client_of([&1_u32.to_le_bytes()[..], &len, description].concat(), result)
}

/// Makes a client of a server that answers the request for its description with these bytes.
fn client_of(description: Vec<u8>, result: Vec<u8>) -> std::result::Result<DynamicClient, Error> {
    let (ours, theirs) = socket_pair().unwrap();
    std::thread::spawn(move || {
        let peer = Peer(Seqpacket::from(theirs));
        let iid = <dyn Honest as Interface>::DESCRIPTION.iid;
        let offer = Offer { description: 7, ..Offer::new(Guid::NIL, iid) };
        let greeting = Greeting::new(Limits::default(), vec![offer]);
        let (header, body) = ServerEnd::<()>::greeting(&greeting);
        peer.send(&header, &body);
        while let Some(header) = peer.receive() {
            if header.kind == FrameKind::Call {
                let is_description = header.code == u32::MAX - 1;
                let body = if is_description { &description } else { &result };
                let mut reply = Header { call: header.call, ..Header::new(FrameKind::Reply) };
                // A result of these bytes is a reference.
                if !is_description && *body == [0, 0] {
                    reply.entries = [Entry::Object(5)].into_iter().collect();
                }
                peer.send(&reply, body);
            }
        }
    });
    DynamicClient::from_socket(ours, None)
}

fn described() -> Description {
    Description::of(<dyn Honest as Interface>::DESCRIPTION).0
}

/// Calls the method of a server with a changed description.
fn call(
    change: impl FnOnce(&mut Description),
    result: Vec<u8>,
) -> std::result::Result<Value, Error> {
    let mut description = described();
    change(&mut description);
    client(&description.to_bytes().unwrap(), result)?.call("get", &[])
}

#[track_caller]
fn is_malformed(result: std::result::Result<Value, Error>, text: &str) {
    match result {
        Err(Error::Call(error)) => {
            assert_eq!(error.kind(), syshandle::ErrorKind::Malformed, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_invalid_description_is_an_error_of_connecting() {
    let valid = described().to_bytes().unwrap();
    for len in (0..valid.len()).step_by(3) {
        match client(&valid[..len], vec![]) {
            Err(Error::Call(error)) => {
                assert!(error.to_string().contains("description"), "{error}")
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client(&valid, vec![]).unwrap().description().unwrap(), &described());
}

#[test]
fn a_server_that_describes_nothing_or_endlessly_is_an_error_of_connecting() {
    let valid = described().to_bytes().unwrap();
    let len = (valid.len() as u32).to_le_bytes();
    let endless = u32::MAX.to_le_bytes();
    for (answer, text) in [
        (vec![], "too early"),
        (0_u32.to_le_bytes().to_vec(), "no description"),
        (endless.to_vec(), "too early"),
        ([&1_u32.to_le_bytes()[..], &endless, &valid].concat(), "too early"),
        ([&endless[..], &len, &valid].concat(), "too early"),
        ([&1_u32.to_le_bytes()[..], &len, &valid, &valid].concat(), "left over"),
    ] {
        match client_of(answer, vec![]) {
            Err(Error::Call(error)) => {
                assert_eq!(error.kind(), syshandle::ErrorKind::Malformed, "{error}");
                assert!(error.to_string().contains(text), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_description_of_another_interface_is_an_error_of_a_reference() {
    // The method returns a reference that describes itself as the object of the connection.
    let iid = Guid::from_bytes([7; 16]);
    let object = call(
        |description| {
            let name = "Other".to_owned();
            description.methods[0].result.ty = DescribedType::Object { iid, name, hash: 0 };
        },
        vec![0, 0],
    );
    let Value::Object(object) = object.unwrap() else { panic!("no object") };
    is_malformed(object.call("get", &[]), &format!("expected the description of {iid}, got"));
}

#[test]
fn results_that_do_not_fit_the_description_are_errors() {
    assert!(call(|_| {}, vec![0]).is_ok());
    is_malformed(call(|_| {}, vec![]), "result");
    is_malformed(call(|_| {}, vec![2]), "Honest::get: result `inner`: the bytes are no Option");
    is_malformed(call(|_| {}, vec![0, 0]), "left over");
    // Nested deeper than the limit.
    is_malformed(call(|_| {}, vec![1; 30_000]), "nested");
}

#[test]
fn types_that_contain_themselves_or_claim_many_items_end() {
    let result = |description: &mut Description, ty| description.methods[0].result.ty = ty;
    // A struct that consists of itself.
    let infinite = |description: &mut Description| {
        let TypeForm::Struct(fields) = &mut description.types[0].form else { return };
        fields[0].ty = DescribedType::Named(0);
    };
    is_malformed(call(infinite, vec![0; 100]), "nested");
    let unit = || Box::new(DescribedType::Plain("()".into()));
    let array = |d: &mut Description| result(d, DescribedType::Array(unit(), u64::MAX));
    is_malformed(call(array, vec![0; 100]), "");
    let nothing = || Box::new(DescribedType::Tuple(Vec::new()));
    let list = |d: &mut Description| result(d, DescribedType::List(nothing()));
    is_malformed(call(list, [&[0xff; 4][..], &[0; 30]].concat()), "");
    let unknown = |d: &mut Description| result(d, DescribedType::Unknown(77));
    is_malformed(call(unknown, vec![0]), "a type that this program knows");
    let plain = |d: &mut Description| result(d, DescribedType::Plain("Quantum".into()));
    is_malformed(call(plain, vec![0]), "a type that this program knows");
    // Lists in lists, as deeply as a type may be nested.
    let deep = |d: &mut Description| {
        let lists = (0..Description::DEPTH_MAX)
            .fold(*unit(), |inner, _| DescribedType::List(Box::new(inner)));
        result(d, lists);
    };
    assert!(call(deep, [1, 0, 0, 0].repeat(30).into_iter().chain([0; 4]).collect()).is_ok());
}
