//! Bytes that do not form a value cause an error, never a panic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroI64, NonZeroI128, NonZeroU8};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use syshandle::{
    Decode, Encode, Guid,
    handle::{Event, OwnedHandle},
};
use syshandle_os::{BorrowedHandle, Declaration};
use syshandle_types::{DecodeErrorKind, Decoder, Encoder, GrowableType, Limits, ProofError, Prove};

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

#[derive(Encode, Decode)]
#[grows]
struct Growing {
    number: u8,
    #[added]
    events: Vec<Event>,
    #[added(required)]
    inner: Option<Box<Growing>>,
    #[added]
    kind: Option<GrowingKind>,
}

#[derive(Encode, Decode)]
#[grows]
enum GrowingKind {
    Plain,
    Held(Event, String),
    #[unknown]
    Unknown,
}

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
        UNIX_EPOCH + Duration::new(1, 2),
        UNIX_EPOCH - Duration::new(1, 2),
        PathBuf::from("/a/b"),
        OsString::from("a"),
        NonZeroU8::MIN,
        NonZeroI128::MAX,
        1_u16..2,
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        SocketAddr::from(([127, 0, 0, 1], 80)),
        SocketAddr::from(([7_u8; 16], 80)),
        io::Error::from_raw_os_error(13),
        io::Error::from(io::ErrorKind::NotFound),
        io::Error::new(io::ErrorKind::InvalidData, "no"),
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
        Growing::new(1),
        Growing::new(1)
            .with_events(vec![Event::new().unwrap(), Event::new().unwrap()])
            .with_inner(Some(Box::new(Growing::new(2).with_events(vec![Event::new().unwrap()]))))
            .with_kind(Some(GrowingKind::Held(Event::new().unwrap(), "text".into()))),
        vec![GrowingKind::Plain, GrowingKind::Held(Event::new().unwrap(), String::new())],
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
    let lists: [&dyn Sample; 9] = [
        &Holds(Vec::<u8>::new()),
        &Holds(Vec::<()>::new()),
        &Holds(Vec::<Vec<[u64; 512]>>::new()),
        &Holds(String::new()),
        &Holds(PathBuf::new()),
        &Holds(OsString::new()),
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
    // A billion nanoseconds or more.
    for nanoseconds in [billion.as_slice(), &[0xff; 4]] {
        for seconds in [0_i64, -1, i64::MAX, i64::MIN] {
            let time = [&seconds.to_le_bytes(), nanoseconds].concat();
            assert_eq!(Holds(UNIX_EPOCH).read(&time, none()), wrong("SystemTime"));
        }
    }
    assert_eq!(Holds(NonZeroU8::MIN).read(&[0], none()), wrong("NonZeroU8"));
    assert_eq!(Holds(NonZeroI64::MIN).read(&[0; 8], none()), wrong("NonZeroI64"));
    let (ip, socket) = (IpAddr::V4(Ipv4Addr::LOCALHOST), SocketAddr::from(([127, 0, 0, 1], 80)));
    for version in [0, 1, 5, 7] {
        assert_eq!(Holds(ip).read(&[version; 17], none()), wrong("IpAddr"));
        assert_eq!(Holds(socket).read(&[version; 27], none()), wrong("SocketAddr"));
    }
    let error = || Holds(io::Error::from_raw_os_error(13));
    assert_eq!(error().read(&[0, 0, 0, 0, 0], none()), wrong("io::Error"));
    assert_eq!(error().read(&[3, 0, 0, 0, 0], none()), wrong("io::Error"));
    assert_eq!(error().read(&[2, 0, 1, 0, 0, 0, 0xff], none()), wrong("UTF-8"));
    assert_eq!(Holds(Tree::Leaf(0)).read(&[3, 0, 0, 0, 0], none()), wrong("variant of Tree"));
    let twice = [2, 0, 0, 0, 7, 1, 7, 2];
    assert_eq!(
        Holds(BTreeMap::from([(0_u8, 0_u8)])).read(&twice, none()),
        Err(DecodeErrorKind::Duplicate)
    );
    let twice = [2, 0, 0, 0, 7, 7];
    assert_eq!(Holds(BTreeSet::from([0_u8])).read(&twice, none()), Err(DecodeErrorKind::Duplicate));
}

/// Returns the header of a growable value, and then these bytes.
fn growable(size: u32, handles: u16, required: u16, content: &[u8]) -> Vec<u8> {
    let (size, handles, required) =
        (size.to_le_bytes(), handles.to_le_bytes(), required.to_le_bytes());
    [size.as_slice(), &handles, &required, content].concat()
}

/// Reads a growable struct, and then a byte and a handle.
fn read_growing(bytes: &[u8], handles: usize) -> Result<(), DecodeErrorKind> {
    let of_type = Holds((Growing::new(0), 0_u8, OwnedHandle::from(file())));
    of_type.read(bytes, (0..handles).map(|_| file().into()).collect())
}

#[test]
fn a_growable_value_ends_where_its_header_says() {
    let last = |slot: u8| [9, slot, 0];
    let read = |size, content: &[u8]| {
        read_growing(&[growable(size, 0, 0, content), last(0).to_vec()].concat(), 1)
    };
    let complete = [7, 0, 0, 0, 0, 0, 0];
    // Fields that were added later may be absent, and unknown ones are skipped.
    for len in [1, 5, 6, 7] {
        assert_eq!(read(len, &complete[..len as usize]), Ok(()));
    }
    assert_eq!(read(10, &[&complete[..], &[1, 2, 3]].concat()), Ok(()));
    // A size that cuts a field.
    for len in [0, 2, 3, 4] {
        assert_eq!(read(len, &complete[..len as usize]), Err(DecodeErrorKind::Truncated));
    }
    // A size beyond the message.
    for size in [11, 12, 1 << 16, u32::MAX] {
        assert_eq!(read(size, &complete), Err(DecodeErrorKind::Truncated));
    }
    // A count of items beyond the value.
    assert_eq!(read(7, &[7, 3, 0, 0, 0, 0, 0]), Err(DecodeErrorKind::Truncated));
    // A nested value beyond its outer one.
    let inner = growable(2, 0, 0, &[8]);
    let outer = [&[7, 0, 0, 0, 0, 1], inner.as_slice()].concat();
    assert_eq!(read(outer.len() as u32, &outer), Err(DecodeErrorKind::Truncated));
    let inner = growable(1, 0, 0, &[8]);
    let outer = [&[7, 0, 0, 0, 0, 1], inner.as_slice()].concat();
    assert_eq!(read(outer.len() as u32, &outer), Ok(()));
}

#[test]
fn a_growable_value_has_as_many_handles_as_its_header_says() {
    let of = GrowableType::Struct { name: "Growing", fields: 4 };
    let read = |counted, content: &[u8], last: u8, handles| {
        let value = growable(content.len() as u32, counted, 0, content);
        read_growing(&[value.as_slice(), &[9, last, 0]].concat(), handles)
    };
    let one_event = [7, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(read(1, &one_event, 1, 2), Ok(()));
    let missing = |slot| Err(DecodeErrorKind::MissingHandle { slot });
    // Fewer than there are.
    assert_eq!(read(0, &one_event, 1, 2), missing(0));
    // More than the message has.
    assert_eq!(read(3, &one_event, 1, 2), missing(2));
    assert_eq!(read(u16::MAX, &one_event, 1, 2), missing(2));
    // More than there are.
    assert_eq!(read(2, &one_event, 1, 2), Err(DecodeErrorKind::ExtraHandles { count: 1 }));
    // In a part that this version doesn't know.
    let with_unknown = [&one_event[..], &[1, 0]].concat();
    let unknown = |count| Err(DecodeErrorKind::UnknownHandles { of, count });
    assert_eq!(read(2, &with_unknown, 2, 3), unknown(1));
    assert_eq!(read(3, &with_unknown, 2, 3), unknown(2));
    // A part that hides its handle.
    assert_eq!(read(1, &with_unknown, 2, 3), Err(DecodeErrorKind::WrongSlot { slot: 2 }));
    assert_eq!(read(1, &with_unknown, 1, 3), Err(DecodeErrorKind::ExtraHandles { count: 1 }));
    // A nested value with a handle of its outer one.
    let inner = growable(7, 2, 0, &[8, 1, 0, 0, 0, 0, 0]);
    let outer = [&[7, 0, 0, 0, 0, 1], inner.as_slice(), &[0]].concat();
    assert_eq!(read(1, &outer, 1, 2), missing(1));
}

#[test]
fn a_required_field_and_an_unknown_variant_are_refused_where_they_would_be_misread() {
    let of = GrowableType::Struct { name: "Growing", fields: 4 };
    for (required, expected) in [
        (0, Ok(())),
        (4, Ok(())),
        (5, Err(DecodeErrorKind::RequiredField { of, number: 5 })),
        (u16::MAX, Err(DecodeErrorKind::RequiredField { of, number: u16::MAX })),
    ] {
        let value = growable(1, 0, required, &[7]);
        assert_eq!(read_growing(&[value.as_slice(), &[9, 0, 0]].concat(), 1), expected);
    }
    let of = GrowableType::Enum { name: "GrowingKind", variants: 2 };
    let kinds = Holds(Vec::<GrowingKind>::new());
    let list = |value: Vec<u8>| [&[1, 0, 0, 0], value.as_slice()].concat();
    assert_eq!(kinds.read(&list(growable(6, 0, 0, &[2, 0, 0, 0, 7, 7])), vec![]), Ok(()));
    assert_eq!(kinds.read(&list(growable(4, 0, 0, &[0xff; 4])), vec![]), Ok(()));
    assert_eq!(
        kinds.read(&list(growable(6, 1, 0, &[2, 0, 0, 0, 0, 0])), vec![file().into()]),
        Err(DecodeErrorKind::UnknownHandles { of, count: 1 })
    );
    assert_eq!(
        kinds.read(&list(growable(4, 0, 1, &[0; 4])), vec![]),
        Err(DecodeErrorKind::RequiredField { of, number: 1 })
    );
    assert_eq!(
        kinds.read(&list(growable(3, 0, 0, &[0; 3])), vec![]),
        Err(DecodeErrorKind::Truncated)
    );
}

#[test]
fn keys_that_differ_only_in_unknown_fields_are_the_same_key() {
    #[derive(PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
    #[grows]
    struct Key {
        number: u8,
    }
    let read = |keys: [&[u8]; 2]| {
        let [one, other] = keys.map(|fields| growable(fields.len() as u32, 0, 0, fields));
        let set = [&[2, 0, 0, 0], one.as_slice(), &other].concat();
        Holds(BTreeSet::<Key>::new()).read(&set, vec![])
    };
    assert_eq!(read([&[1, 7], &[2, 7]]), Ok(()));
    assert_eq!(read([&[1, 7], &[1, 8]]), Err(DecodeErrorKind::Duplicate));
}

#[test]
fn growable_values_are_nested_up_to_the_limit() {
    let nested = |depth| {
        let mut value = growable(1, 0, 0, &[7]);
        for _ in 1..depth {
            let content = [&[7, 0, 0, 0, 0, 1], value.as_slice()].concat();
            value = growable(content.len() as u32, 0, 0, &content);
        }
        read_growing(&[value.as_slice(), &[9, 0, 0]].concat(), 1)
    };
    assert_eq!(nested(Limits::DEPTH_MAX), Ok(()));
    assert_eq!(nested(Limits::DEPTH_MAX + 1), Err(DecodeErrorKind::TooDeep));
}

#[test]
fn handles_come_in_order_and_once() {
    let two = || vec![OwnedHandle::from(file()), OwnedHandle::from(file())];
    let pair = Holds((OwnedHandle::from(file()), OwnedHandle::from(file())));
    assert_eq!(pair.read(&[0, 0, 1, 0], two()), Ok(()));
    assert_eq!(pair.read(&[1, 0, 0, 0], two()), Err(DecodeErrorKind::WrongSlot { slot: 1 }));
    assert_eq!(pair.read(&[0, 0, 0, 0], two()), Err(DecodeErrorKind::WrongSlot { slot: 0 }));
}

/// An error number has no invalid values, an unknown kind is `Other`, and text from a peer is
/// escaped.
#[test]
fn an_io_error_from_a_peer_is_displayed_safely() {
    let read = |bytes: &[u8]| {
        let mut input = Decoder::new(bytes, Vec::new(), &Anything);
        input.parameter::<io::Error>(0, None).unwrap()
    };
    for errno in [i32::MIN, -1, 0, i32::MAX] {
        let error = read(&[&[1], errno.to_le_bytes().as_slice()].concat());
        assert_eq!(error.raw_os_error(), Some(errno));
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(read(&[2, 250, 0, 0, 0, 0]).kind(), io::ErrorKind::Other);
    let error = read(&[2, 1, 5, 0, 0, 0, b'a', 0x1b, b'\n', b']', b'b']);
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), r"a\u{1b}\n]b");
}
