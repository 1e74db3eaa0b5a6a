//! Generates arguments from the description of an interface, and modifies them. The server must
//! accept valid arguments. Invalid arguments must make the call fail, and the server must continue
//! to serve.
//!
//! The input of the fuzzer selects the method, the arguments and the modifications.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use syshandle::describe::{Definition, Parameter, Type};
use syshandle::{
    Decode, Encode, Guid, Result,
    handle::{Event, Kind, Seqpacket},
    interface,
    object::Interface,
};
use syshandle_adversary::{RawConnection, Response};
use syshandle_types::{Encoder, GROWABLE_HEADER_BYTES, Limits};
use syshandle_wire::{FrameKind, Header, Hello};

/// An interface with one method for each kind of argument.
#[interface(iid = "5b0a4a4e-77a1-4e5c-9a3b-1f9f2b6f0d01")]
pub trait HandleForms {
    /// Takes standard types.
    fn plain(&self, a: (u8, i64), b: f32, c: bool, d: char, e: String, f: Guid) -> Result<()>;
    /// Takes nested values.
    fn nested(
        &self,
        a: Vec<Vec<u16>>,
        b: Option<(u8, String)>,
        c: BTreeMap<u8, Vec<bool>>,
        d: [u32; 3],
        e: HashSet<u64>,
        f: std::result::Result<Duration, PathBuf>,
    ) -> Result<()>;
    /// Takes values of the standard library with several parts.
    fn standard(
        &self,
        a: Vec<SystemTime>,
        b: (IpAddr, SocketAddr, Ipv6Addr),
        c: Range<NonZeroU16>,
        d: Vec<io::Error>,
        e: OsString,
    ) -> Result<()>;
    /// Takes user-defined types.
    fn own(&self, shape: Shape, shapes: Vec<Shape>) -> Result<()>;
    /// Takes handles as parameters.
    fn handles(
        &self,
        #[handle(file, read | write)] file: File,
        event: Event,
        more: Vec<Event>,
    ) -> Result<()>;
    /// Takes handles within values.
    fn held(&self, holds: Option<Holds>, several: Vec<(u8, Holds)>) -> Result<()>;
    /// Takes values of types that can grow.
    fn growing(&self, one: Growing, several: Vec<(Growing, GrowingShape)>) -> Result<()>;
}

/// A struct that can grow.
#[derive(Debug, Encode, Decode)]
#[grows]
pub struct Growing {
    /// A text.
    pub name: String,
    /// An event.
    #[added]
    pub event: Option<Event>,
    /// A nested value.
    #[added(required)]
    pub inner: Option<Box<Growing>>,
}

/// An enum that can grow.
#[derive(Debug, Encode, Decode)]
#[grows]
pub enum GrowingShape {
    /// A variant without fields.
    Point,
    /// A variant with a handle.
    Held(Event, u8),
    /// A variant that this version doesn't know.
    #[unknown]
    Unknown,
}

/// An enum.
#[derive(Debug, Encode, Decode)]
pub enum Shape {
    /// A variant without fields.
    Point,
    /// A variant with unnamed fields.
    Circle(f64, i32),
    /// A variant with named fields.
    Named {
        /// A text.
        name: String,
        /// A nested value.
        inner: Option<Box<Shape>>,
    },
}

/// A struct with handles.
#[derive(Debug, Encode, Decode)]
pub struct Holds {
    /// A file.
    #[handle(file, read)]
    pub file: Option<File>,
    /// An event in a tuple.
    pub event: (u8, Event),
}

/// An object that accepts all valid arguments.
struct HandleTaker;

impl HandleForms for HandleTaker {
    fn plain(&self, _: (u8, i64), _: f32, _: bool, _: char, _: String, _: Guid) -> Result<()> {
        Ok(())
    }

    fn nested(
        &self,
        _: Vec<Vec<u16>>,
        _: Option<(u8, String)>,
        _: BTreeMap<u8, Vec<bool>>,
        _: [u32; 3],
        _: HashSet<u64>,
        _: std::result::Result<Duration, PathBuf>,
    ) -> Result<()> {
        Ok(())
    }

    fn standard(
        &self,
        _: Vec<SystemTime>,
        _: (IpAddr, SocketAddr, Ipv6Addr),
        _: Range<NonZeroU16>,
        _: Vec<io::Error>,
        _: OsString,
    ) -> Result<()> {
        Ok(())
    }

    fn own(&self, _: Shape, _: Vec<Shape>) -> Result<()> {
        Ok(())
    }

    fn handles(&self, _: File, _: Event, _: Vec<Event>) -> Result<()> {
        Ok(())
    }

    fn held(&self, _: Option<Holds>, _: Vec<(u8, Holds)>) -> Result<()> {
        Ok(())
    }

    fn growing(&self, _: Growing, _: Vec<(Growing, GrowingShape)>) -> Result<()> {
        Ok(())
    }
}

/// Checks one input.
///
/// # Panics
/// Panics if the server rejects valid arguments, or no longer answers.
pub fn run(data: &[u8]) {
    SERVED.with_borrow_mut(|served| {
        let served =
            served.get_or_insert_with(|| ObjectServer::new().expect("an object is served here"));
        served.feed(&mut Input(data));
    });
}

thread_local! {
    static SERVED: RefCell<Option<ObjectServer>> = const { RefCell::new(None) };
}

/// A server in this process with one object, and a connection to it.
struct ObjectServer {
    _client: HandleFormsClient,
    connection: RawConnection,
    calls: u32,
}

impl ObjectServer {
    fn new() -> io::Result<Self> {
        let client = HandleFormsClient::in_process(HandleTaker).map_err(io::Error::other)?;
        let mut out = Encoder::new(Vec::new(), Limits::default());
        out.parameter(0, &client);
        let (_, doors) =
            out.finish_lent().map_err(|_| io::Error::other("the client has no door"))?;
        let door = Seqpacket::from(doors.with(|doors| doors[0].try_clone_to_owned())?);
        drop(doors);
        let connection = RawConnection::attach(&door, PATIENCE)?;
        match connection.receive(PATIENCE) {
            Response::Greeting(..) => {}
            other => return Err(io::Error::other(other.to_string())),
        }
        let hello = Hello::new(Guid::NIL, <dyn HandleForms as Interface>::DESCRIPTION.iid);
        connection.send_frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
        Ok(Self { _client: client, connection, calls: 0 })
    }

    fn feed(&mut self, input: &mut Input<'_>) {
        let methods = <dyn HandleForms as Interface>::DESCRIPTION.methods;
        let number = usize::from(input.byte()) % methods.len();
        let (spoil, place, bits) = (input.byte(), input.byte(), input.byte());
        let mut arguments = Arguments::default();
        for parameter in methods[number].parameters {
            arguments.parameter(parameter, input, 0);
        }
        let Arguments { mut bytes, mut handles } = arguments;
        let at = usize::from(place) * bytes.len().max(1) / 256;
        let as_described = match spoil % 8 {
            0 if at < bytes.len() && bits != 0 => {
                bytes[at] ^= bits;
                false
            }
            1 if !bytes.is_empty() => {
                bytes.truncate(at);
                false
            }
            2 => {
                bytes.push(bits);
                false
            }
            3 => handles.pop().is_none(),
            4 => {
                handles.push(null());
                false
            }
            _ => true,
        };
        let borrowed: Vec<_> = handles.iter().map(AsFd::as_fd).collect();
        self.calls += 1;
        let sent = self.connection.call(self.calls, number as u32, &bytes, &borrowed);
        sent.expect("the server must still serve");
        match self.connection.receive(PATIENCE) {
            Response::Reply { call, fault, .. } if call == self.calls => {
                let method = methods[number].name;
                assert!(!as_described || fault.is_none(), "{method}: {fault:?}: {bytes:?}");
            }
            other => panic!("the server answers: {other}"),
        }
    }
}

/// The bytes of the input, followed by infinitely many zeros.
struct Input<'d>(&'d [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }
}

/// Encoded arguments with their handles.
#[derive(Default)]
struct Arguments {
    bytes: Vec<u8>,
    handles: Vec<OwnedFd>,
}

impl Arguments {
    fn parameter(&mut self, parameter: &Parameter, input: &mut Input<'_>, depth: u32) {
        self.value(&parameter.ty, input, depth);
    }

    fn value(&mut self, ty: &Type, input: &mut Input<'_>, depth: u32) {
        match ty {
            Type::Plain(name) => self.plain(name, input),
            Type::Handle { declared, .. } => {
                self.bytes.extend((self.handles.len() as u16).to_le_bytes());
                let is_file = declared.kinds.contains(Kind::File);
                let event = || Event::new().expect("a descriptor").into();
                self.handles.push(if is_file { null() } else { event() });
            }
            Type::Option(inner) => {
                let some = depth < DEEP && input.byte() % 2 == 1;
                self.bytes.push(some.into());
                if some {
                    self.value(inner, input, depth + 1);
                }
            }
            Type::Result(right, wrong) => {
                let is_wrong = input.byte() % 2;
                self.bytes.push(is_wrong);
                self.value(if is_wrong == 1 { wrong } else { right }, input, depth + 1);
            }
            Type::List(inner) => {
                let len = if depth < DEEP { input.byte() % 4 } else { 0 };
                self.bytes.extend(u32::from(len).to_le_bytes());
                (0..len).for_each(|_| self.value(inner, input, depth + 1));
            }
            // A set gets only one item, because its items must be distinct.
            Type::Set(inner) => {
                self.bytes.extend(1_u32.to_le_bytes());
                self.value(inner, input, depth + 1);
            }
            Type::Map(key, value) => {
                self.bytes.extend(1_u32.to_le_bytes());
                self.value(key, input, depth + 1);
                self.value(value, input, depth + 1);
            }
            Type::Array(inner, len) => (0..*len).for_each(|_| self.value(inner, input, depth + 1)),
            Type::Tuple(parts) => parts.iter().for_each(|part| self.value(part, input, depth + 1)),
            Type::Named { definition, .. } => self.named(definition(), input, depth),
            other => panic!("the interface has no {other:?}"),
        }
    }

    fn named(&mut self, definition: Definition, input: &mut Input<'_>, depth: u32) {
        let (start, first_slot) = (self.bytes.len(), self.handles.len());
        let is_growable =
            matches!(definition, Definition::GrowableStruct(_) | Definition::GrowableEnum { .. });
        if is_growable {
            self.bytes.extend([0; GROWABLE_HEADER_BYTES]);
        }
        let fields = match definition {
            Definition::Struct(fields) | Definition::GrowableStruct(fields) => fields,
            Definition::Enum(variants) | Definition::GrowableEnum { variants, .. } => {
                let variant = usize::from(input.byte()) % variants.len();
                self.bytes.extend((variant as u32).to_le_bytes());
                variants[variant].fields
            }
        };
        for field in fields {
            self.parameter(field, input, depth + 1);
        }
        if is_growable {
            let size = (self.bytes.len() - start - GROWABLE_HEADER_BYTES) as u32;
            let entries = (self.handles.len() - first_slot) as u16;
            self.bytes[start..start + 4].copy_from_slice(&size.to_le_bytes());
            self.bytes[start + 4..start + 6].copy_from_slice(&entries.to_le_bytes());
        }
    }

    fn plain(&mut self, name: &str, input: &mut Input<'_>) {
        match name {
            "bool" => self.bytes.push(input.byte() % 2),
            "char" => self.bytes.extend(u32::from(input.byte() as char).to_le_bytes()),
            "String" | "PathBuf" | "OsString" => {
                let len = input.byte() % 8;
                self.bytes.extend(u32::from(len).to_le_bytes());
                self.bytes.extend((0..len).map(|_| input.byte() % 128));
            }
            "NonZeroU16" => self.bytes.extend([input.byte() | 1, input.byte()]),
            "IpAddr" | "SocketAddr" => {
                let is_v4 = input.byte() & 1 == 0;
                let len = match (name, is_v4) {
                    ("IpAddr", true) => 4,
                    ("IpAddr", false) => 16,
                    (_, true) => 6,
                    (_, false) => 26,
                };
                self.bytes.push(if is_v4 { 4 } else { 6 });
                self.bytes.extend((0..len).map(|_| input.byte()));
            }
            "io::Error" if input.byte() & 1 == 0 => {
                self.bytes.push(1);
                self.bytes.extend((0..4).map(|_| input.byte()));
            }
            "io::Error" => {
                self.bytes.extend([2, input.byte()]);
                self.plain("String", input);
            }
            "Duration" | "SystemTime" => {
                self.bytes.extend([input.byte(), 0, 0, 0, 0, 0, 0, 0, input.byte(), 0, 0, 0])
            }
            other => {
                let len = match other {
                    "u8" | "i8" => 1,
                    "u16" | "i16" => 2,
                    "u32" | "i32" | "f32" => 4,
                    "u64" | "i64" | "f64" | "usize" | "isize" => 8,
                    "u128" | "i128" | "Guid" | "Ipv6Addr" => 16,
                    other => panic!("the interface has no {other}"),
                };
                self.bytes.extend((0..len).map(|_| input.byte()));
            }
        }
    }
}

fn null() -> OwnedFd {
    let null = File::options().read(true).write(true).open("/dev/null");
    null.expect("a null device").into()
}

/// Maximum nesting depth of values.
const DEEP: u32 = 12;

/// Time after which a server that hasn't answered is considered hung.
const PATIENCE: Duration = Duration::from_secs(30);
