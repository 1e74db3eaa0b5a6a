//! Decodes arbitrary bytes as values of many types, some with handles. The worst permitted outcome
//! is an error. An unproven handle must never be accepted.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::num::{NonZeroI128, NonZeroU8};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use syshandle::{Decode, Encode, handle::Event};
use syshandle_os::{BorrowedHandle, Declaration, Facts, Object, OwnedHandle, Rights};
use syshandle_types::{
    Decoder, EncodeErrorKind, Encoder, Limits, MessageObject, ProofError, Prove,
};

#[derive(Encode, Decode, Debug)]
enum Tree {
    Leaf,
    Named { name: String, flags: (bool, char, i64) },
    Branch(Vec<Tree>, Option<Box<Tree>>),
    Held(#[handle(file, read)] Option<File>, BTreeMap<u8, Event>),
}

#[derive(Encode, Decode, Debug)]
#[grows]
struct Job {
    name: String,
    #[handle(file, read)]
    #[added]
    file: Option<File>,
    #[added(required, default = 7)]
    number: u16,
    #[added]
    inner: Vec<Job>,
    #[added]
    kind: Option<JobKind>,
}

#[derive(Encode, Decode, Debug)]
#[grows]
enum JobKind {
    Plain,
    Held(Event, u8),
    #[unknown]
    Unknown,
}

type AllForms = (Tree, Vec<u8>, HashSet<u16>, Result<[u32; 3], String>, f64, Option<Vec<File>>);

type StandardForms = (
    (SystemTime, Option<Duration>, OsString),
    (IpAddr, Vec<SocketAddr>, Ipv6Addr, SocketAddrV4),
    (NonZeroU8, Vec<NonZeroI128>, Range<u16>),
);

/// Checks one input. The upper bits of its first byte select the type, and the lower bits the
/// number of handles.
pub fn run(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else { return };
    match first >> 6 {
        0 | 1 => decode::<AllForms>(first, bytes, |written| assert_eq!(written.len(), bytes.len())),
        2 => decode::<StandardForms>(first, bytes, |written| assert_eq!(written, bytes)),
        // The text of an I/O error is escaped when it is received.
        _ => decode::<Vec<Result<io::Error, u8>>>(first, bytes, |_| {}),
    }
}

/// Decodes a value, encodes it again, and checks the resulting bytes.
fn decode<T: Encode + Decode>(handles: u8, bytes: &[u8], check: impl FnOnce(&[u8])) {
    let null = File::open("/dev/null").expect("a null device");
    let handles: Vec<OwnedHandle> =
        (0..handles % 8).map(|_| null.try_clone().expect("a descriptor").into()).collect();
    let duplicates = handles.iter().map(|handle| handle.try_clone().expect("a descriptor"));
    run_growable(bytes, duplicates.collect());
    // Registered handles are decoded if and only if passed ones are.
    let kept = handles.iter().map(|handle| handle.try_clone().expect("a descriptor"));
    let kept = kept.map(|handle| Some(Arc::new(handle) as MessageObject)).collect();
    let mut of_kept = Decoder::new(bytes, Vec::new(), &AlternatingProver).with_objects(kept);
    let kept = of_kept.parameter::<T>(0, None).is_ok() && of_kept.finish().is_ok();
    let mut input = Decoder::new(bytes, handles, &AlternatingProver);
    let value = input.parameter::<T>(0, None).ok().filter(|_| input.finish().is_ok());
    assert_eq!(kept, value.is_some());
    let Some(value) = value else { return };
    // Encoding a decoded value must yield the same bytes, except for the order of sets.
    let mut out = Encoder::new(Vec::new(), Limits::default());
    value.encode(&mut out);
    let (written, _) = out.finish().expect("a decoded value can be encoded again");
    check(&written);
}

/// Decodes values of types that can grow. A decoded value has the form of this version when it is
/// encoded again, and that form is decoded to the same value.
fn run_growable(bytes: &[u8], handles: Vec<OwnedHandle>) {
    let Some(value) = decode_jobs(bytes, handles) else { return };
    let mut out = Encoder::new(Vec::new(), Limits::default());
    value.encode(&mut out);
    let written = match out.finish() {
        Ok((bytes, lent)) => {
            let handles = lent.iter().map(|handle| handle.try_clone_to_owned());
            (bytes, handles.map(|handle| handle.expect("a descriptor")).collect())
        }
        Err(error) => {
            assert!(matches!(error.kind, EncodeErrorKind::UnknownVariant { .. }), "{error}");
            return;
        }
    };
    let (bytes, handles) = written;
    let again = decode_jobs(&bytes, handles).expect("an encoded value is valid");
    let mut out = Encoder::new(Vec::new(), Limits::default());
    again.encode(&mut out);
    assert_eq!(out.finish().expect("a decoded value can be encoded again").0, bytes);
}

fn decode_jobs(bytes: &[u8], handles: Vec<OwnedHandle>) -> Option<Vec<Job>> {
    let mut input = Decoder::new(bytes, handles, &AlternatingProver);
    let value = input.parameter::<Vec<Job>>(0, None).ok()?;
    input.finish().ok()?;
    Some(value)
}

/// A prover for which each handle is a file or an event, whichever its declaration permits. It
/// rejects declarations that permit neither.
struct AlternatingProver;

impl Prove for AlternatingProver {
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        assert!(handle.as_fd().try_clone_to_owned().is_ok(), "the handle is open");
        let object = match declared.kinds.contains(syshandle::handle::Kind::File) {
            true => Object::RegularFile,
            false => Object::Event,
        };
        let facts = Facts { object, rights: Rights::READ | Rights::SIGNAL | Rights::WAIT };
        declared.check(&facts).map_err(ProofError::Mismatch)?;
        Ok(handle.try_clone_to_owned().ok())
    }

    fn duplicate(
        &self,
        kept: &MessageObject,
        declared: &Declaration,
    ) -> Option<Result<OwnedHandle, ProofError>> {
        let handle = kept.downcast_ref::<OwnedHandle>()?;
        let duplicate = || Ok(handle.try_clone().expect("a descriptor"));
        Some(self.prove(handle.as_fd(), declared).and_then(|_| duplicate()))
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }
}
