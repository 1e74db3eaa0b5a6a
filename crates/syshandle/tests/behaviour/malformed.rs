//! Bytes that do not form a value cause an error, never a panic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use syshandle::{
    Decode, Encode, Guid,
    handle::{Event, OwnedHandle},
};
use syshandle_os::{BorrowedHandle, Declaration};
use syshandle_types::{DecodeErrorKind, Decoder, Encoder, Limits, ProofError, Prove};

use crate::support::world::file;

#[derive(Encode, Decode)]
enum Tree {
    Leaf(u8),
    Named { name: String, inner: Option<Box<Tree>> },
    Many(Vec<Tree>),
}

#[derive(Encode, Decode)]
struct Own {
    tree: Tree,
    file: OwnedHandle,
    events: Vec<Event>,
    nothing: Nothing,
}

#[derive(Encode, Decode)]
struct Nothing;

/// Runs a test with a value of every sort.
fn for_each_value(mut test: impl FnMut(&str, &dyn Sample)) {
    macro_rules! test {
        ($($value:expr),+ $(,)?) => {
            $(test(stringify!($value), &Holds($value));)+
        };
    }
    test!(
        7_u8,
        -7_i16,
        7_u32,
        7_u64,
        7_u128,
        7_usize,
        0.5_f32,
        0.5_f64,
        true,
        'é',
        (),
        "text".to_owned(),
        vec![1_u8, 2, 3],
        vec!["a".to_owned(), String::new()],
        vec![(1_u8, ()), (2, ())],
        Some(Some(7_u16)),
        None::<u8>,
        Ok::<u8, String>(7),
        Err::<u8, String>("no".into()),
        Box::new(7_u64),
        [1_u16, 2, 3],
        [0_u8; 0],
        BTreeMap::from([(1_u8, "one".to_owned()), (2, String::new())]),
        HashMap::from([(1_u64, vec![true])]),
        BTreeSet::from(["a".to_owned(), "b".to_owned()]),
        Duration::new(1, 2),
        PathBuf::from("/a/b"),
        Guid::from_bytes([7; 16]),
        Tree::Many(vec![
            Tree::Leaf(1),
            Tree::Named { name: "n".into(), inner: Some(Box::new(Tree::Leaf(2))) },
        ]),
        OwnedHandle::from(file()),
        Own {
            tree: Tree::Leaf(7),
            file: file().into(),
            events: vec![Event::new().unwrap(), Event::new().unwrap()],
            nothing: Nothing,
        },
        Nothing,
    );
}

/// A value of any type, which can be encoded and decoded.
trait Sample {
    fn bytes(&self) -> (Vec<u8>, Vec<OwnedHandle>);

    /// Decodes a value of the same type.
    fn read(&self, bytes: &[u8], handles: Vec<OwnedHandle>) -> Result<(), DecodeErrorKind>;
}

struct Holds<T>(T);

impl<T: Encode + Decode> Sample for Holds<T> {
    fn bytes(&self) -> (Vec<u8>, Vec<OwnedHandle>) {
        let mut out = Encoder::new(Vec::new(), Limits::default());
        self.0.encode(&mut out);
        let (bytes, handles) = out.finish().unwrap();
        (bytes, handles.iter().map(|handle| handle.try_clone_to_owned().unwrap()).collect())
    }

    fn read(&self, bytes: &[u8], handles: Vec<OwnedHandle>) -> Result<(), DecodeErrorKind> {
        let mut input = Decoder::new(bytes, handles, &Anything);
        let value = input.parameter::<T>(0, None).map_err(|error| error.kind)?;
        input.finish().map_err(|error| error.kind)?;
        drop(value);
        Ok(())
    }
}

/// Accepts every handle without proof, because only bytes matter here.
pub(crate) struct Anything;

impl Prove for Anything {
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
}

/// A pseudorandom generator (xorshift64*) that returns the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[test]
fn every_value_takes_a_byte_at_least_and_reads_back() {
    for_each_value(|what, value| {
        let (bytes, handles) = value.bytes();
        assert!(!bytes.is_empty(), "{what}");
        assert_eq!(value.read(&bytes, handles), Ok(()), "{what}");
    });
}

#[test]
fn no_truncation_of_a_value_is_one() {
    for_each_value(|what, value| {
        let (bytes, _) = value.bytes();
        for len in 0..bytes.len() {
            let (_, handles) = value.bytes();
            assert_eq!(
                value.read(&bytes[..len], handles),
                Err(DecodeErrorKind::Truncated),
                "{what}"
            );
        }
        let (mut bytes, handles) = value.bytes();
        bytes.push(0);
        let error = value.read(&bytes, handles).unwrap_err();
        assert_eq!(error, DecodeErrorKind::TrailingBytes { count: 1 }, "{what}");
    });
}

#[test]
fn a_value_without_one_of_its_handles_or_with_one_more_is_none() {
    for_each_value(|what, value| {
        let (bytes, mut handles) = value.bytes();
        if let Some(last) = handles.pop() {
            let slot = handles.len() as u16;
            let error = value.read(&bytes, handles).unwrap_err();
            assert_eq!(error, DecodeErrorKind::MissingHandle { slot }, "{what}");
            drop(last);
        }
        let (bytes, mut handles) = value.bytes();
        handles.push(file().into());
        let error = value.read(&bytes, handles).unwrap_err();
        assert_eq!(error, DecodeErrorKind::ExtraHandles { count: 1 }, "{what}");
    });
}

#[test]
fn no_byte_changed_makes_a_panic() {
    for_each_value(|_, value| {
        let (bytes, _) = value.bytes();
        for at in 0..bytes.len() {
            for change in [1, 0x7f, 0x80, 0xff] {
                let (mut changed, handles) = value.bytes();
                changed[at] ^= change;
                let _ = value.read(&changed, handles);
            }
        }
    });
}

#[test]
fn no_random_bytes_make_a_panic() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for_each_value(|_, value| {
        for _ in 0..300 {
            let len = numbers.next() as usize % 40;
            // Small numbers are generated more often, because they are plausible lengths.
            let mut byte = || match numbers.next() % 3 {
                0 => numbers.next() as u8,
                _ => numbers.next() as u8 % 4,
            };
            let bytes: Vec<u8> = (0..len).map(|_| byte()).collect();
            let _ = value.read(&bytes, vec![file().into()]);
        }
    });
}

#[test]
fn a_length_beyond_what_is_there_is_refused_before_memory_is_taken() {
    let bomb = [u32::MAX.to_le_bytes().as_slice(), &[0; 64]].concat();
    let lists: [&dyn Sample; 8] = [
        &Holds(Vec::<u8>::new()),
        &Holds(Vec::<()>::new()),
        &Holds(Vec::<Vec<[u64; 512]>>::new()),
        &Holds(String::new()),
        &Holds(PathBuf::new()),
        &Holds(HashMap::<u8, [u64; 512]>::new()),
        &Holds(BTreeSet::<()>::new()),
        &Holds(Vec::<OwnedHandle>::new()),
    ];
    for list in lists {
        assert_eq!(list.read(&bomb, Vec::new()), Err(DecodeErrorKind::Truncated));
    }
}

#[test]
fn values_that_rust_does_not_have_are_refused() {
    let none = Vec::new;
    let wrong = |expected| Err(DecodeErrorKind::Value { expected });
    assert_eq!(Holds(true).read(&[2], none()), wrong("bool"));
    assert_eq!(Holds(Some(1_u8)).read(&[2, 1], none()), wrong("bool"));
    assert_eq!(Holds('a').read(&[0, 0xd8, 0, 0], none()), wrong("char"));
    assert_eq!(Holds(()).read(&[1], none()), wrong("()"));
    assert_eq!(Holds(String::new()).read(&[1, 0, 0, 0, 0xff], none()), wrong("UTF-8"));
    let billion = 1_000_000_000_u32.to_le_bytes();
    let duration = [&[0; 8], billion.as_slice()].concat();
    assert_eq!(Holds(Duration::ZERO).read(&duration, none()), wrong("Duration"));
    assert_eq!(Holds(Tree::Leaf(0)).read(&[3, 0, 0, 0, 0], none()), wrong("variant of Tree"));
    let twice = [2, 0, 0, 0, 7, 1, 7, 2];
    assert_eq!(
        Holds(BTreeMap::from([(0_u8, 0_u8)])).read(&twice, none()),
        Err(DecodeErrorKind::Duplicate)
    );
    let twice = [2, 0, 0, 0, 7, 7];
    assert_eq!(Holds(BTreeSet::from([0_u8])).read(&twice, none()), Err(DecodeErrorKind::Duplicate));
}

#[test]
fn handles_come_in_order_and_once() {
    let two = || vec![OwnedHandle::from(file()), OwnedHandle::from(file())];
    let pair = Holds((OwnedHandle::from(file()), OwnedHandle::from(file())));
    assert_eq!(pair.read(&[0, 0, 1, 0], two()), Ok(()));
    assert_eq!(pair.read(&[1, 0, 0, 0], two()), Err(DecodeErrorKind::WrongSlot { slot: 1 }));
    assert_eq!(pair.read(&[0, 0, 0, 0], two()), Err(DecodeErrorKind::WrongSlot { slot: 0 }));
}
