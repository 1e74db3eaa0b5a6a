//! Tests that a message whose values exceed the memory limits is rejected before the memory is
//! allocated.

#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use syshandle_types::{BorrowedHandle, Declaration, OwnedHandle};
use syshandle_types::{
    Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder, GrowableType, Limits,
    ProofError, Prove,
};

/// Counts reserved memory, and refuses more than `max`.
struct Meter {
    reserved: Cell<usize>,
    max: usize,
}

impl Prove for Meter {
    fn prove(
        &self,
        _: BorrowedHandle<'_>,
        _: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        Ok(None)
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }

    fn reserve(&self, bytes: usize) -> Result<(), &'static str> {
        self.reserved.set(self.reserved.get() + bytes);
        if self.reserved.get() <= self.max { Ok(()) } else { Err("a test's limit") }
    }
}

fn decode<T: Decode>(bytes: &[u8]) -> (Result<T, DecodeError>, usize) {
    let meter = Meter { reserved: Cell::new(0), max: usize::MAX };
    let mut input = Decoder::new(bytes, Vec::new(), &meter);
    let value = input.parameter::<T>(0, None);
    drop(input);
    (value, meter.reserved.get())
}

/// Encodes a list of `len` items, each as one zero byte.
fn zeros(len: u32) -> Vec<u8> {
    let mut bytes = len.to_le_bytes().to_vec();
    bytes.resize(4 + len as usize, 0);
    bytes
}

#[track_caller]
fn takes_too_much<T: Decode>(bytes: &[u8]) {
    let (value, reserved) = decode::<T>(bytes);
    let error = value.err().unwrap();
    assert_eq!(error.kind, DecodeErrorKind::TooMuchMemory);
    assert!(error.to_string().contains("134217728 bytes"), "{error}");
    assert!(reserved <= Limits::DECODED_BYTES_MAX);
    assert!(reserved <= Limits::DECODED_PER_BYTE * bytes.len() + Limits::DECODED_BYTES_MIN);
}

/// A struct to which a later version added a text with a long default.
#[derive(Debug)]
struct WithDefault(String);

impl WithDefault {
    const TYPE: GrowableType = GrowableType::Struct { name: "WithDefault", fields: 1 };
}

impl Decode for WithDefault {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.growable(Self::TYPE, |input| {
            Ok(Self(input.added_field("text", None, || "x".repeat(10_000))?))
        })
    }
}

#[test]
fn defaults_count_like_received_values() {
    // Each value is absent from the message, so it takes eight zero bytes.
    let list = |len: u32| [len.to_le_bytes().as_slice(), &vec![0; len as usize * 8]].concat();
    let (value, reserved) = decode::<Vec<WithDefault>>(&list(3));
    assert_eq!(value.unwrap().iter().map(|item| item.0.len()).collect::<Vec<_>>(), [10_000; 3]);
    assert!(reserved >= 3 * 10_000);
    takes_too_much::<Vec<WithDefault>>(&list(1000));
    let (value, _) = decode::<Vec<WithDefault>>(&list(1000));
    assert_eq!(value.unwrap_err().path.as_str(), "[16].text");
    // Defaults without memory of their own are free.
    struct Small;
    impl Decode for Small {
        fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
            let of = GrowableType::Struct { name: "Small", fields: 2 };
            input.growable(of, |input| {
                input.added_field("number", None, || 7_u64)?;
                input.added_field("list", None, Vec::<String>::new)?;
                Ok(Self)
            })
        }
    }
    let (value, reserved) = decode::<Vec<Small>>(&list(100_000));
    assert_eq!(value.map(|list| list.len()).unwrap(), 100_000);
    assert_eq!(reserved, 0);
}

const LARGEST: u32 = Limits::ARENA_BYTES as u32 - 4;

type Large = [u64; 16];

#[test]
fn values_that_are_much_larger_in_memory_than_on_the_wire_are_refused() {
    let largest = zeros(LARGEST);
    takes_too_much::<Vec<Option<String>>>(&largest);
    takes_too_much::<Vec<Option<Large>>>(&largest);
    takes_too_much::<Vec<Option<(Box<Large>, u8)>>>(&largest);
    takes_too_much::<Vec<Result<(), Large>>>(&largest);
    // For a small message, the limit is proportional to the size of the message.
    takes_too_much::<Vec<Option<Large>>>(&zeros(50_000));
}

#[test]
fn boxes_maps_sets_and_nested_lists_count_with_what_they_allocate() {
    fn encoded(value: &impl Encode) -> Vec<u8> {
        let mut out = Encoder::new(Vec::new(), Limits::default());
        value.encode(&mut out);
        out.finish().unwrap().0
    }
    // Each item is small on the wire, but has its own heap allocation in memory.
    takes_too_much::<Vec<Box<Option<Large>>>>(&zeros(LARGEST));
    let nested = encoded(&vec![Vec::<u8>::new(); 4_000_000]);
    takes_too_much::<Vec<Vec<[u64; 4]>>>(&nested);
    let map: HashMap<u32, Option<Large>> = (0..40_000).map(|key| (key, None)).collect();
    takes_too_much::<HashMap<u32, Option<Large>>>(&encoded(&map));
    takes_too_much::<BTreeMap<u32, Option<Large>>>(&encoded(&map));
    let set: HashSet<(u32, Option<Large>)> = map.into_iter().collect();
    takes_too_much::<HashSet<(u32, Option<Large>)>>(&encoded(&set));
    takes_too_much::<BTreeSet<(u32, Option<Large>)>>(&encoded(&set));
}

#[test]
fn ordinary_values_of_any_size_are_within_the_limits() {
    fn crosses<T: Encode + Decode + PartialEq>(value: &T) {
        let mut out = Encoder::new(Vec::new(), Limits::default());
        value.encode(&mut out);
        let (bytes, _) = out.finish().unwrap();
        let (decoded, reserved) = decode::<T>(&bytes);
        assert!(decoded.unwrap() == *value);
        assert!(reserved <= Limits::DECODED_BYTES_MAX);
    }
    crosses(&vec![7_u8; LARGEST as usize]);
    crosses(&vec![7_u64; LARGEST as usize / 32]);
    crosses(&vec!["some text".to_owned(); 200_000]);
    crosses(&vec![None::<String>; 200_000]);
    crosses(&(0..50_000_u32).map(|key| (key, u64::from(key))).collect::<HashMap<_, _>>());
}

#[test]
fn memory_of_small_messages_is_free_and_larger_ones_are_refused_by_name() {
    let (value, reserved) = decode::<Vec<u8>>(&zeros(60_000));
    assert_eq!((value.unwrap().len(), reserved), (60_000, 0));
    let meter = Meter { reserved: Cell::new(0), max: 1_000_000 };
    let bytes = zeros(2_000_000);
    let mut input = Decoder::new(&bytes, Vec::new(), &meter);
    let error = input.parameter::<Vec<u8>>(0, None).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::NoMemory { limit: "a test's limit" });
}
