//! Compares the bytes on the wire with golden files, so that they can't change unnoticed. Each
//! `golden/NAME.txt` has one line per frame or value. `docs/wire.md` specifies the bytes.
//!
//! `UPDATE_EXPECTED=1 cargo test -p syshandle-wire --test golden` rewrites the files. Add a
//! feature, or increase the protocol version, at the same time, because programs of an older
//! version read these bytes.

// The text of a mismatch contains the Linux names of kernel objects.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use syshandle_types::describe::owned::Description;
use syshandle_types::describe::{
    Definition, Describe, Growth, Interface, Method, Parameter, Type, Variant,
};
use syshandle_types::{Declaration, Encode, Encoder, FieldPath, Guid, IoCause, Limits};
use syshandle_types::{
    Facts, Files, Kind, Kinds, Mismatch, Object, OwnedHandle, Requirement, Rights, Sockets,
};
use syshandle_wire::{
    Body, ClientEnd, Credit, Entry, Fault, FrameKind, Greeting, Header, Hello, MethodError, Offer,
    ReleasedObjects, Releases, RingEnd, RingSide, ServerEnd, SlotId, SlotNote, SlotNotes, Status,
    StreamFrame,
};

/// The lines of one golden file.
#[derive(Default)]
struct Golden(String);

impl Golden {
    fn line(&mut self, name: &str, bytes: &[u8]) {
        write!(self.0, "{name}:").unwrap();
        for chunk in bytes.chunks(4) {
            self.0.push(' ');
            chunk.iter().for_each(|byte| write!(self.0, "{byte:02x}").unwrap());
        }
        self.0.push('\n');
    }

    fn value(&mut self, name: &str, value: &impl Encode) {
        let mut out = Encoder::new(Vec::new(), Limits::default());
        value.encode(&mut out);
        self.line(name, &out.finish().unwrap().0);
    }

    fn frame(&mut self, name: &str, (header, body): (Header, Vec<u8>)) {
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        self.line(name, &[&head[..len], header.entries.as_bytes(), &body].concat());
    }

    /// Compares the lines with the file, or rewrites the file.
    fn check(self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let file = folder.join(name).with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&file, &self.0).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap();
        for (now, then) in self.0.lines().zip(expected.lines()) {
            assert_eq!(now, then, "{}", file.display());
        }
        assert_eq!(self.0.lines().count(), expected.lines().count(), "{}", file.display());
    }
}

fn guid(first: u8) -> Guid {
    Guid::from_bytes(std::array::from_fn(|i| first + i as u8))
}

fn with_body(header: Header, body: &[u8]) -> (Header, Vec<u8>) {
    (Header { body: Body::Inline { len: body.len() as u32 }, ..header }, body.to_vec())
}

#[test]
fn the_document_lists_the_numbers_of_kinds_rights_and_objects() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wire.md");
    let document = std::fs::read_to_string(document).unwrap();
    let check = |what: &str, names: Vec<(u32, String)>| {
        let list: Vec<_> = names.iter().map(|(number, name)| format!("{number} {name}")).collect();
        let row = format!("| {what}{} |", list.join(", "));
        assert!(document.contains(&row), "docs/wire.md lacks the row: {row}");
    };
    let bit = |name: &str, bits: u32| (bits.trailing_zeros(), name.to_ascii_lowercase());
    let kinds = Kind::ALL.into_iter().map(|kind| bit(kind.name(), Kinds::of(kind).bits()));
    check("kinds (0) | bit ", kinds.collect());
    let rights = Rights::all().iter_names().map(|(name, right)| bit(name, right.bits()));
    check("rights (1, 2, and received) | bit ", rights.collect());
    let sockets = Sockets::all().iter_names().map(|(name, socket)| bit(name, socket.bits()));
    check("sorts of socket (3) | bit ", sockets.collect());
    let files = Files::all().iter_names().map(|(name, file)| bit(name, file.bits()));
    check("sorts of file (4) | bit ", files.collect());
    let objects = Object::ALL.into_iter().map(|object| {
        let name = object.to_string();
        let name = name.split(',').next().unwrap();
        let name = name.strip_prefix("a ").or(name.strip_prefix("an ")).unwrap_or(name);
        (object as u32, name.to_owned())
    });
    check("objects | ", objects.collect());
}

#[test]
fn frames_are_as_they_were() {
    let mut golden = Golden::default();
    let offers = vec![Offer::new(guid(0x10), guid(0x20)), Offer::new(guid(0x10), guid(0x30))];
    let greeting = Greeting::new(Limits::default(), offers);
    golden.frame("greeting", ServerEnd::<()>::greeting(&greeting));
    let hello = Hello::new(guid(0x10), guid(0x20));
    golden.frame("hello", ClientEnd::<()>::hello(hello));
    golden.frame("refused", ServerEnd::<()>::refused(&Fault::NotAllowed { uid: 1000 }));

    let call = Header { call: 0x0001_0002, code: 3, timeout_ms: 30_000, ..of(FrameKind::Call) };
    golden.frame("call", with_body(call.clone(), b"abc"));
    let handles = Header { handles: 2, ..call.clone() };
    golden.frame("call with two handles", with_body(handles, &[0, 0, 1, 0]));
    let entries = [Entry::Object(7), Entry::Handle].into_iter().collect();
    let table = Header { handles: 1, entries, ..call.clone() };
    golden.frame("call with an object and a handle", with_body(table, &[0, 0, 1, 0]));
    golden.frame("call of another object", (Header { object: 7, ..call.clone() }, vec![]));
    let shared = Body::Shared { offset: 64, len: 100_000 };
    golden.frame("call through shared memory", (Header { body: shared, ..call.clone() }, vec![]));
    let releases = Releases::take_from(&mut vec![0, 128]);
    golden.frame("call that gives back two ranges", (Header { releases, ..call }, vec![]));

    let reply = |status| Header { call: 0x0001_0002, code: status as u32, ..of(FrameKind::Reply) };
    golden.frame("reply that is done", with_body(reply(Status::Done), b"abc"));
    let handle = Header { handles: 1, ..reply(Status::Done) };
    golden.frame("reply with a handle", with_body(handle, &[0, 0]));
    golden.frame("reply with the method's error", with_body(reply(Status::Failed), &[7]));
    let awaits = Header { awaits_bye: true, ..reply(Status::Done) };
    golden.frame("reply after which a good-bye is awaited", with_body(awaits, b"abc"));
    let fault = Fault::NoSuchMethod(9).write();
    golden.frame("reply with a fault", with_body(reply(Status::Fault), &fault));

    let ended = Header { ended: 5, ..reply(Status::Done) };
    golden.frame("reply that acknowledges one-way calls", with_body(ended, b"abc"));

    golden.frame("cancel", (Header { call: 0x0001_0002, ..of(FrameKind::Cancel) }, vec![]));
    golden.frame("bye", (of(FrameKind::Bye), vec![]));
    golden.frame("arena", (Header { handles: 1, ..of(FrameKind::Arena) }, vec![]));
    golden.frame("arena that was lost", (of(FrameKind::Arena), vec![]));
    let releases = Releases::take_from(&mut vec![64]);
    golden.frame("release", (Header { releases, ..of(FrameKind::Release) }, vec![]));
    golden.frame("release that asks", (of(FrameKind::Release), vec![]));
    let mut rings = RingEnd::new(RingSide::Client);
    golden.frame("offer of rings", (rings.offer().unwrap(), vec![]));
    golden.frame("answer that accepts rings", (rings.answer(true), vec![]));
    golden.frame("answer that declines rings", (rings.answer(false), vec![]));
    golden.frame("switch", (RingEnd::switch(), vec![]));
    golden.frame("bell", (RingEnd::bell(), vec![]));
    golden.frame("attach", (Header { handles: 1, ..of(FrameKind::Attach) }, vec![]));
    golden.frame("release of objects", ReleasedObjects::write(&[(7, 1), (9, 300)]));
    let slot = SlotId { slot: 5, generation: 6 };
    let entries = [Entry::Slot(slot), Entry::HandleToKeep(300)].into_iter().collect();
    let table = Header { handles: 1, call: 2, code: 3, entries, ..of(FrameKind::Call) };
    golden.frame("call with a registered handle and a request", with_body(table, &[0, 0, 1, 0]));
    let kept = SlotNote::Kept { token: 300, slot };
    let notes = [kept, SlotNote::Declined { token: 301 }];
    golden.frame("answers to requests", SlotNotes::write(&notes));
    let notes = [SlotNote::TakenBack(slot), SlotNote::Released(slot)];
    golden.frame("slots that end", SlotNotes::write(&notes));
    let one_way = Header { call: 2, code: 3, timeout_ms: 30_000, ..of(FrameKind::Call) };
    let one_way = Header { one_way: true, object: 7, ..one_way };
    golden.frame("one-way call", with_body(one_way, b"abc"));
    let acknowledge = Header { ended: 5, ..of(FrameKind::Acknowledge) };
    golden.frame("acknowledge", (acknowledge.clone(), vec![]));
    let failed = Header { call: 2, code: 3, awaits_bye: true, ..acknowledge };
    golden.frame("acknowledge of a failed call", with_body(failed, &Fault::Expired.write()));

    let entries = [Entry::Stream(5), Entry::Handle].into_iter().collect();
    let opens = Header { handles: 1, entries, ..reply(Status::Done) };
    golden.frame("reply with a stream and a handle", with_body(opens, &[0, 0, 1, 0]));
    golden.frame("item", with_body(StreamFrame::item(5, 3, 0), b"abc"));
    golden.frame("item with a handle", with_body(StreamFrame::item(5, 2, 1), &[0, 0]));
    let credit = Credit { items: 8, bytes: 4096, handles: 2 };
    golden.frame("credit", StreamFrame::Grant(credit).write(5));
    golden.frame("request for credit", StreamFrame::Request(Credit::of_item(9000, 1)).write(5));
    golden.frame("end of a stream", StreamFrame::End(None).write(5));
    golden.frame("end of a stream that failed", StreamFrame::End(Some(Fault::Draining)).write(5));
    golden.frame("stop of a stream", StreamFrame::Stop(None).write(5));
    let busy = Fault::Busy { limit: "memory".into() };
    golden.frame("stop of a stream without room", StreamFrame::Stop(Some(busy)).write(5));
    golden.check("frames");
}

fn of(kind: FrameKind) -> Header {
    Header::new(kind)
}

#[test]
fn faults_are_as_they_were() {
    let mut golden = Golden::default();
    let path = || FieldPath::from("rings[2].size");
    let wrong = |expected, object, rights| Fault::WrongHandle {
        parameter: Some(1),
        path: path(),
        slot: 2,
        mismatch: Mismatch { expected, received: Facts { object, rights } },
    };
    let read = Rights::READ;
    let kinds = Kinds::of(Kind::File).or(Kind::Pipe);
    let text = || "why".to_owned();
    let method =
        |may_have_run, io| Fault::Method(MethodError { kind: 3, may_have_run, io, text: text() });
    let faults = [
        Fault::NotAllowed { uid: 1000 },
        Fault::NoSuchClass(guid(0x10)),
        Fault::NoSuchInterface(guid(0x20)),
        Fault::NoSuchMethod(9),
        wrong(Requirement::Kind(kinds), Object::Event, Rights::SIGNAL | Rights::WAIT),
        wrong(Requirement::Rights(read | Rights::WRITE), Object::RegularFile, read),
        wrong(Requirement::NoMoreThan(read), Object::Memory, read | Rights::WRITE),
        wrong(Requirement::Sockets(Sockets::UNIX_STREAM), Object::UnixDatagram, read),
        wrong(Requirement::Files(Files::REGULAR), Object::SpecialFile, read),
        Fault::Malformed { parameter: Some(1), path: path(), text: text() },
        Fault::Malformed { parameter: None, path: FieldPath::default(), text: text() },
        Fault::HandlesLost,
        Fault::Expired,
        Fault::Busy { limit: text() },
        Fault::Draining,
        Fault::Panicked { text: text() },
        Fault::Failed { text: text() },
        Fault::Unsendable { text: text() },
        Fault::NoObject { text: text() },
        Fault::TooLarge { text: text() },
        Fault::Unproven { parameter: None, path: FieldPath::default(), text: text() },
        method(false, None),
        method(true, Some(IoCause::Errno(13))),
        method(true, Some(IoCause::Kind(io::ErrorKind::UnexpectedEof))),
        Fault::Aborted { text: text() },
        Fault::Incompatible { parameter: Some(1), path: path(), text: text() },
        Fault::Withdrawn,
        Fault::SlotGone,
    ];
    for fault in faults {
        let bytes = fault.write();
        assert_eq!(Fault::read(&bytes).as_ref(), Ok(&fault));
        golden.line(&format!("{fault:?}"), &bytes);
    }
    golden.check("faults");
}

/// A struct whose last field is required, with the default 0.
struct Growable {
    number: u16,
    handle: Option<OwnedHandle>,
    limit: u8,
}

impl Encode for Growable {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.growable(|out| {
            out.named_field("number", &self.number);
            out.named_field("handle", &self.handle);
            out.required_field("limit", 3, &self.limit, || 0);
        });
    }
}

struct Outer(Growable);

impl Encode for Outer {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.growable(|out| out.named_field("0", &self.0));
    }
}

/// The variant 7 of an enum.
struct Choice(u8);

impl Encode for Choice {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.growable(|out| {
            out.put(&7_u32.to_le_bytes());
            out.named_field("Choice.0", &self.0);
        });
    }
}

#[test]
fn values_are_as_they_were() {
    let mut golden = Golden::default();
    golden.value("u8 1", &1_u8);
    golden.value("i8 -1", &-1_i8);
    golden.value("u16 258", &0x0102_u16);
    golden.value("i16 -2", &-2_i16);
    golden.value("u32", &0x0102_0304_u32);
    golden.value("i32 -2", &-2_i32);
    golden.value("u64", &0x0102_0304_0506_0708_u64);
    golden.value("i64 -2", &-2_i64);
    golden.value("u128 1", &1_u128);
    golden.value("i128 -2", &-2_i128);
    golden.value("usize 1", &1_usize);
    golden.value("isize -2", &-2_isize);
    golden.value("f32 1.5", &1.5_f32);
    golden.value("f64 -0.0", &-0.0_f64);
    golden.value("false", &false);
    golden.value("true", &true);
    golden.value("char é", &'é');
    golden.value("()", &());
    golden.value("String é", &"é".to_owned());
    golden.value("Vec<u8>", &vec![1_u8, 2]);
    golden.value("Vec<u16>", &vec![1_u16, 2]);
    golden.value("[u16; 2]", &[1_u16, 2]);
    golden.value("[u16; 0]", &[0_u16; 0]);
    golden.value("Option none", &None::<u16>);
    golden.value("Option some", &Some(1_u16));
    golden.value("Result ok", &Ok::<u16, u8>(1));
    golden.value("Result err", &Err::<u16, u8>(1));
    golden.value("Box", &Box::new(1_u16));
    golden.value("tuple", &(1_u8, 2_u16, "x".to_owned()));
    golden.value("map", &BTreeMap::from([(1_u8, 2_u16), (3, 4)]));
    golden.value("set", &BTreeSet::from([1_u8, 3]));
    golden.value("Duration", &Duration::new(1, 2));
    golden.value("SystemTime after 1970", &(UNIX_EPOCH + Duration::new(1, 2)));
    golden.value("SystemTime before 1970", &(UNIX_EPOCH - Duration::new(1, 2)));
    golden.value("PathBuf", &PathBuf::from("/a"));
    golden.value("OsString", &OsString::from("é"));
    golden.value("NonZeroU16 258", &NonZeroU16::new(258).unwrap());
    golden.value("Range", &(1_u16..2));
    let (v4, v6) = (Ipv4Addr::new(127, 0, 0, 1), Ipv6Addr::from(guid(0x10).to_bytes()));
    golden.value("Ipv4Addr", &v4);
    golden.value("Ipv6Addr", &v6);
    golden.value("IpAddr 4", &IpAddr::V4(v4));
    golden.value("IpAddr 6", &IpAddr::V6(v6));
    let (v4, v6) = (SocketAddrV4::new(v4, 258), SocketAddrV6::new(v6, 258, 3, 4));
    golden.value("SocketAddrV4", &v4);
    golden.value("SocketAddrV6", &v6);
    golden.value("SocketAddr 4", &SocketAddr::V4(v4));
    golden.value("SocketAddr 6", &SocketAddr::V6(v6));
    golden.value("io::Error with a number", &io::Error::from_raw_os_error(13));
    golden.value("io::Error of a kind", &io::Error::from(io::ErrorKind::UnexpectedEof));
    golden.value("io::Error with a text", &io::Error::new(io::ErrorKind::InvalidData, "é"));
    golden.value("Guid", &guid(0x10));
    let handle = || OwnedHandle::from(tempfile::tempfile().unwrap());
    golden.value("growable struct", &Growable { number: 1, handle: None, limit: 0 });
    golden.value("growable struct set", &Growable { number: 1, handle: Some(handle()), limit: 5 });
    golden.value("growable in growable", &Outer(Growable { number: 2, handle: None, limit: 1 }));
    golden.value("growable enum", &Choice(3));
    golden.value("handles", &(handle(), Some(handle()), vec![handle()]));
    golden.check("values");
}

/// An interface with each part that a description has.
static DESCRIBED: Interface = Interface {
    iid: Guid::from_bytes([0x10; 16]),
    name: "Printer",
    docs: "Prints.",
    is_private: false,
    methods: &[
        Method {
            name: "print",
            docs: "Prints a job.",
            parameters: &[
                Parameter::new("job", JOB, None),
                Parameter::new(
                    "file",
                    <OwnedHandle as Describe>::TYPE,
                    Some(
                        Declaration::kind(Kind::File)
                            .at_least(Rights::READ)
                            .at_most(Rights::READ)
                            .files(Files::REGULAR),
                    ),
                ),
                Parameter::new("pages", <Option<Vec<[u16; 2]>> as Describe>::TYPE, None),
            ],
            result: Parameter::new("", Type::Object(|| &DESCRIBED), None),
            error: Some(STATE),
            blocking: true,
            one_way: false,
            differs: None,
        },
        Method {
            name: "watch",
            docs: "",
            parameters: &[
                Parameter::new("map", <BTreeMap<u8, BTreeSet<u8>> as Describe>::TYPE, None),
                Parameter::new("both", <(u8, Result<u8, String>) as Describe>::TYPE, None),
                Parameter::new("settings", Type::Serde(|| "Settings"), None),
            ],
            result: Parameter::new("", <() as Describe>::TYPE, None),
            error: None,
            blocking: false,
            one_way: true,
            differs: None,
        },
    ],
};

const JOB: Type = Type::Named {
    name: "Job",
    docs: "A job.",
    definition: || {
        Definition::GrowableStruct(
            const {
                &[
                    Parameter::new("name", <String as Describe>::TYPE, None),
                    Parameter::new("copies", <u32 as Describe>::TYPE, None)
                        .added(Growth::Required)
                        .documented("Number of copies.")
                        .within(1, 99),
                ]
            },
        )
    },
};

const STATE: Type = Type::Named {
    name: "State",
    docs: "",
    definition: || {
        Definition::Enum(
            const {
                &[
                    Variant { name: "Idle", docs: "", value: -1, fields: &[] },
                    Variant {
                        name: "Busy",
                        docs: "Prints.",
                        value: 5,
                        fields: &const { [Parameter::new("jobs", Type::List(&JOB), None)] },
                    },
                ]
            },
        )
    },
};

#[test]
fn descriptions_and_their_hashes_are_as_they_were() {
    let (description, hash) = Description::of(&DESCRIBED);
    let bytes = description.to_bytes().unwrap();
    assert_eq!(Description::from_bytes(&bytes).as_ref(), Ok(&description));
    let mut golden = Golden::default();
    golden.line("hash", &hash.to_le_bytes());
    golden.line("description", &bytes);
    golden.check("descriptions");
}
