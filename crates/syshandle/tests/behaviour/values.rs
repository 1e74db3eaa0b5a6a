//! Values of every sort arrive complete over every transport, with handles at any depth.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroI128, NonZeroU8, NonZeroUsize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use syshandle::{
    CallError, Decode, Encode, Error, ErrorKind, Guid, Result,
    handle::{Event, ManualEvent},
    interface,
};

use crate::support::world::{file, identity};

/// Returns its arguments.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b01")]
trait Echo {
    fn bytes(&self, a: u8, b: i8) -> Result<(u8, i8)>;
    fn halves(&self, a: u16, b: i16) -> Result<(u16, i16)>;
    fn words(&self, a: u32, b: i32) -> Result<(u32, i32)>;
    fn longs(&self, a: u64, b: i64) -> Result<(u64, i64)>;
    fn longest(&self, a: u128, b: i128) -> Result<(u128, i128)>;
    fn sizes(&self, a: usize, b: isize) -> Result<(usize, isize)>;
    fn floats(&self, a: f32, b: f64) -> Result<(f32, f64)>;
    fn scalars(&self, a: bool, b: char, c: ()) -> Result<(bool, char, ())>;
    fn texts(
        &self,
        a: String,
        b: Vec<String>,
        c: Option<String>,
    ) -> Result<(String, Vec<String>, Option<String>)>;
    fn nested(&self, value: Vec<Option<Vec<Option<u16>>>>)
    -> Result<Vec<Option<Vec<Option<u16>>>>>;
    fn maps(
        &self,
        a: BTreeMap<String, Vec<u8>>,
        b: HashMap<u64, BTreeMap<bool, char>>,
    ) -> Result<Maps>;
    fn sets(&self, a: BTreeSet<(u8, String)>, b: HashSet<Guid>) -> Result<Sets>;
    fn arrays(&self, a: [u32; 4], b: [[u8; 3]; 2], c: [u64; 0]) -> Result<Arrays>;
    fn tuples(&self, value: Eight) -> Result<Eight>;
    fn times(&self, a: Duration, b: Option<Duration>) -> Result<(Duration, Option<Duration>)>;
    fn path(&self, path: PathBuf) -> Result<PathBuf>;
    fn os_text(&self, a: OsString, b: Option<OsString>) -> Result<(OsString, Option<OsString>)>;
    fn moments(&self, a: SystemTime, b: Vec<SystemTime>) -> Result<(SystemTime, Vec<SystemTime>)>;
    fn ips(&self, a: IpAddr, b: Ipv4Addr, c: Ipv6Addr) -> Result<(IpAddr, Ipv4Addr, Ipv6Addr)>;
    fn sockets(&self, a: SocketAddr, b: SocketAddrV4, c: SocketAddrV6) -> Result<SocketAddrs>;
    fn non_zero(&self, a: NonZeroU8, b: NonZeroI128, c: Option<NonZeroUsize>) -> Result<NonZeros>;
    fn ranges(&self, a: Range<u64>, b: Range<String>) -> Result<(Range<u64>, Range<String>)>;
    fn io_error(&self, error: io::Error) -> Result<(io::Error, String)>;
    fn open(&self, path: PathBuf) -> Result<File, io::Error>;
    fn read_all(&self, path: PathBuf) -> Result<Vec<u8>, CallError<io::Error>>;
    fn result(&self, a: Result<u8, String>, b: Result<(), u64>) -> Result<(Results, u8)>;
    fn own(&self, point: Point, pair: Pair, unit: Unit) -> Result<(Point, Pair, Unit)>;
    fn generic(&self, value: Wrap<Vec<Wrap<u8>>, String>) -> Result<Wrap<Vec<Wrap<u8>>, String>>;
    fn shape(&self, shape: Shape) -> Result<Shape>;
    fn tree(&self, tree: Tree) -> Result<Tree>;

    fn option(&self, #[handle(file, read)] file: Option<File>) -> Result<Option<File>>;
    fn list(&self, files: Vec<File>, events: Vec<Event>) -> Result<(Vec<Event>, Vec<File>)>;
    fn map(&self, files: BTreeMap<String, File>) -> Result<BTreeMap<String, File>>;
    fn tuple(&self, value: (u8, File, (Event, ManualEvent))) -> Result<(ManualEvent, Event, File)>;
    fn array(&self, files: [File; 3]) -> Result<[File; 2]>;
    fn held(&self, held: Held) -> Result<Held>;
    fn one_of(&self, one: OneOf) -> Result<OneOf>;
    fn boxed(&self, file: Box<File>) -> Result<Box<Option<Box<File>>>>;
    fn r#type(&self, r#match: u8, self_: u8, out: u8, input: u8, call: u8) -> Result<u8>;
    fn dispatch(&self, context: u8, result: u8, method: u8, client: u8, value: u8) -> Result<u8>;
}

type Maps = (BTreeMap<String, Vec<u8>>, HashMap<u64, BTreeMap<bool, char>>);
type Sets = (BTreeSet<(u8, String)>, HashSet<Guid>);
type Eight = (u8, u16, u32, u64, i8, i16, i32, String);
type Arrays = ([u32; 4], [[u8; 3]; 2], [u64; 0]);
type SocketAddrs = (SocketAddr, SocketAddrV4, SocketAddrV6);
type NonZeros = (NonZeroU8, NonZeroI128, Option<NonZeroUsize>);
type Results = (Result<u8, String>, Result<(), u64>);

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Point {
    x: f64,
    y: f64,
    name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Pair(u8, Vec<Point>);

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Wrap<T, U = ()> {
    value: T,
    other: U,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
enum Shape {
    Nothing,
    Dot(Point),
    Line { from: Point, to: Point },
    Many(Vec<Shape>, Unit),
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
enum Tree {
    Leaf(u8),
    Branch(Box<Tree>, Box<Tree>),
}

/// Handles within a struct, some with declarations on the field.
#[derive(Debug, Encode, Decode)]
struct Held {
    number: u32,
    #[handle(file, read)]
    file: File,
    events: Vec<Event>,
    spare: Option<ManualEvent>,
}

/// A handle of one of several kinds.
#[derive(Debug, Encode, Decode)]
enum OneOf {
    File(#[handle(file, read | write)] File),
    Event(Event),
    Both { file: File, event: Event },
    Neither,
}

struct Says;

impl Echo for Says {
    fn bytes(&self, a: u8, b: i8) -> Result<(u8, i8)> {
        Ok((a, b))
    }
    fn halves(&self, a: u16, b: i16) -> Result<(u16, i16)> {
        Ok((a, b))
    }
    fn words(&self, a: u32, b: i32) -> Result<(u32, i32)> {
        Ok((a, b))
    }
    fn longs(&self, a: u64, b: i64) -> Result<(u64, i64)> {
        Ok((a, b))
    }
    fn longest(&self, a: u128, b: i128) -> Result<(u128, i128)> {
        Ok((a, b))
    }
    fn sizes(&self, a: usize, b: isize) -> Result<(usize, isize)> {
        Ok((a, b))
    }
    fn floats(&self, a: f32, b: f64) -> Result<(f32, f64)> {
        Ok((a, b))
    }
    fn scalars(&self, a: bool, b: char, c: ()) -> Result<(bool, char, ())> {
        Ok((a, b, c))
    }
    fn texts(
        &self,
        a: String,
        b: Vec<String>,
        c: Option<String>,
    ) -> Result<(String, Vec<String>, Option<String>)> {
        Ok((a, b, c))
    }
    fn nested(
        &self,
        value: Vec<Option<Vec<Option<u16>>>>,
    ) -> Result<Vec<Option<Vec<Option<u16>>>>> {
        Ok(value)
    }
    fn maps(
        &self,
        a: BTreeMap<String, Vec<u8>>,
        b: HashMap<u64, BTreeMap<bool, char>>,
    ) -> Result<Maps> {
        Ok((a, b))
    }
    fn sets(&self, a: BTreeSet<(u8, String)>, b: HashSet<Guid>) -> Result<Sets> {
        Ok((a, b))
    }
    fn arrays(&self, a: [u32; 4], b: [[u8; 3]; 2], c: [u64; 0]) -> Result<Arrays> {
        Ok((a, b, c))
    }
    fn tuples(&self, value: Eight) -> Result<Eight> {
        Ok(value)
    }
    fn times(&self, a: Duration, b: Option<Duration>) -> Result<(Duration, Option<Duration>)> {
        Ok((a, b))
    }
    fn path(&self, path: PathBuf) -> Result<PathBuf> {
        Ok(path)
    }
    fn os_text(&self, a: OsString, b: Option<OsString>) -> Result<(OsString, Option<OsString>)> {
        Ok((a, b))
    }
    fn moments(&self, a: SystemTime, b: Vec<SystemTime>) -> Result<(SystemTime, Vec<SystemTime>)> {
        Ok((a, b))
    }
    fn ips(&self, a: IpAddr, b: Ipv4Addr, c: Ipv6Addr) -> Result<(IpAddr, Ipv4Addr, Ipv6Addr)> {
        Ok((a, b, c))
    }
    fn sockets(&self, a: SocketAddr, b: SocketAddrV4, c: SocketAddrV6) -> Result<SocketAddrs> {
        Ok((a, b, c))
    }
    fn non_zero(&self, a: NonZeroU8, b: NonZeroI128, c: Option<NonZeroUsize>) -> Result<NonZeros> {
        Ok((a, b, c))
    }
    fn ranges(&self, a: Range<u64>, b: Range<String>) -> Result<(Range<u64>, Range<String>)> {
        Ok((a, b))
    }
    fn io_error(&self, error: io::Error) -> Result<(io::Error, String)> {
        let text = format!("{:?} {:?} {error}", error.kind(), error.raw_os_error());
        Ok((error, text))
    }
    fn open(&self, path: PathBuf) -> Result<File, io::Error> {
        File::open(path)
    }
    fn read_all(&self, path: PathBuf) -> Result<Vec<u8>, CallError<io::Error>> {
        if path.as_os_str().is_empty() {
            return Err(Error::new(ErrorKind::Busy, "later").refused().into());
        }
        std::fs::read(path).map_err(CallError::Method)
    }
    fn result(&self, a: Result<u8, String>, b: Result<(), u64>) -> Result<(Results, u8)> {
        Ok(((a, b), 7))
    }
    fn own(&self, point: Point, pair: Pair, unit: Unit) -> Result<(Point, Pair, Unit)> {
        Ok((point, pair, unit))
    }
    fn generic(&self, value: Wrap<Vec<Wrap<u8>>, String>) -> Result<Wrap<Vec<Wrap<u8>>, String>> {
        Ok(value)
    }
    fn shape(&self, shape: Shape) -> Result<Shape> {
        Ok(shape)
    }
    fn tree(&self, tree: Tree) -> Result<Tree> {
        Ok(tree)
    }
    fn option(&self, file: Option<File>) -> Result<Option<File>> {
        Ok(file)
    }
    fn list(&self, files: Vec<File>, events: Vec<Event>) -> Result<(Vec<Event>, Vec<File>)> {
        Ok((events, files))
    }
    fn map(&self, files: BTreeMap<String, File>) -> Result<BTreeMap<String, File>> {
        Ok(files)
    }
    fn tuple(&self, value: (u8, File, (Event, ManualEvent))) -> Result<(ManualEvent, Event, File)> {
        let (_, file, (event, manual)) = value;
        Ok((manual, event, file))
    }
    fn array(&self, [a, _, c]: [File; 3]) -> Result<[File; 2]> {
        Ok([c, a])
    }
    fn held(&self, held: Held) -> Result<Held> {
        Ok(held)
    }
    fn one_of(&self, one: OneOf) -> Result<OneOf> {
        Ok(one)
    }
    fn boxed(&self, file: Box<File>) -> Result<Box<Option<Box<File>>>> {
        Ok(Box::new(Some(file)))
    }
    fn r#type(&self, r#match: u8, self_: u8, out: u8, input: u8, call: u8) -> Result<u8> {
        Ok(r#match + self_ + out + input + call)
    }
    fn dispatch(&self, context: u8, result: u8, method: u8, client: u8, value: u8) -> Result<u8> {
        Ok(context + result + method + client + value)
    }
}

/// Returns two clients of an object in this process: one made by `in_process`, and one through a
/// door. The encoding of values does not depend on whether the server is another process.
fn echoes() -> [EchoClient; 2] {
    let echo = EchoClient::in_process(Says).unwrap();
    [echo.cast().unwrap(), echo]
}

#[test]
fn numbers_cross_at_their_limits() {
    for echo in echoes() {
        for (a, b) in [(0, i8::MIN), (u8::MAX, i8::MAX)] {
            assert_eq!(echo.bytes(a, b).unwrap(), (a, b));
        }
        for (a, b) in [(0, i16::MIN), (u16::MAX, i16::MAX)] {
            assert_eq!(echo.halves(a, b).unwrap(), (a, b));
        }
        for (a, b) in [(0, i32::MIN), (u32::MAX, i32::MAX)] {
            assert_eq!(echo.words(a, b).unwrap(), (a, b));
        }
        for (a, b) in [(0, i64::MIN), (u64::MAX, i64::MAX)] {
            assert_eq!(echo.longs(a, b).unwrap(), (a, b));
        }
        for (a, b) in [(0, i128::MIN), (u128::MAX, i128::MAX)] {
            assert_eq!(echo.longest(a, b).unwrap(), (a, b));
        }
        for (a, b) in [(0, isize::MIN), (usize::MAX, isize::MAX)] {
            assert_eq!(echo.sizes(a, b).unwrap(), (a, b));
        }
    }
}

#[test]
fn floats_cross_bit_by_bit() {
    for echo in echoes() {
        for bits in [0, 1, 0x7fc0_0001, 0xffc1_2345, 0x7f80_0000, 0x8000_0000, u32::MAX] {
            let wide = u64::from(bits) << 32 | 7;
            let (a, b) = echo.floats(f32::from_bits(bits), f64::from_bits(wide)).unwrap();
            assert_eq!((a.to_bits(), b.to_bits()), (bits, wide));
        }
    }
}

#[test]
fn scalars_and_texts_cross() {
    for echo in echoes() {
        for c in ['\0', 'a', 'é', '\u{d7ff}', '\u{e000}', char::MAX] {
            assert_eq!(echo.scalars(c > 'b', c, &()).unwrap(), (c > 'b', c, ()));
        }
        let many = ["", "é\0", "日本"].map(String::from).to_vec();
        let back = echo.texts("one", &many, Some("two")).unwrap();
        assert_eq!(back, ("one".into(), many, Some("two".into())));
        assert_eq!(echo.texts("", &[], None).unwrap(), (String::new(), Vec::new(), None));
    }
}

#[test]
fn values_within_values_cross() {
    for echo in echoes() {
        let nested = vec![None, Some(vec![]), Some(vec![Some(7), None])];
        assert_eq!(echo.nested(&nested).unwrap(), nested);
        let a = BTreeMap::from([("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![])]);
        let b = HashMap::from([(7, BTreeMap::from([(true, 'x'), (false, 'y')]))]);
        assert_eq!(echo.maps(&a, &b).unwrap(), (a, b));
        let a = BTreeSet::from([(1, "a".to_owned()), (1, "b".to_owned())]);
        let b = (0..100).map(|i| Guid::from_bytes([i; 16])).collect();
        assert_eq!(echo.sets(&a, &b).unwrap(), (a, b));
        let arrays = ([1, 2, 3, u32::MAX], [[1, 2, 3], [4, 5, 6]], []);
        assert_eq!(echo.arrays(&arrays.0, &arrays.1, &arrays.2).unwrap(), arrays);
        let eight = (1, 2, 3, 4, -1, -2, -3, "eight".to_owned());
        assert_eq!(echo.tuples(&eight).unwrap(), eight);
        let times = (Duration::new(u64::MAX, 999_999_999), Some(Duration::ZERO));
        assert_eq!(echo.times(&times.0, times.1.as_ref()).unwrap(), times);
        let (a, b) = (Err("no".to_owned()), Ok(()));
        let ((a_back, b_back), seven) = echo.result(&a, &b).unwrap();
        assert_eq!((a_back.unwrap_err(), b_back, seven), ("no".to_owned(), b, 7));
    }
}

#[test]
fn paths_need_not_be_text() {
    use std::os::unix::ffi::OsStringExt;
    for echo in echoes() {
        let path = PathBuf::from(OsString::from_vec(vec![b'/', 0xff, b'a', 0x80]));
        assert_eq!(echo.path(&path).unwrap(), path);
    }
}

#[test]
fn texts_of_the_system_need_not_be_unicode() {
    use std::os::unix::ffi::OsStringExt;
    for echo in echoes() {
        let text = OsString::from_vec(vec![0xff, b'a', 0x80]);
        let both = (text.clone(), Some(OsString::new()));
        assert_eq!(echo.os_text(&text, both.1.as_deref()).unwrap(), both);
    }
}

#[test]
fn times_before_and_after_1970_cross_to_the_nanosecond() {
    let longest = Duration::new(i64::MAX as u64, 999_999_999);
    let moments = [
        UNIX_EPOCH,
        UNIX_EPOCH + Duration::from_nanos(1),
        UNIX_EPOCH - Duration::from_nanos(1),
        UNIX_EPOCH - Duration::from_secs(1),
        UNIX_EPOCH - Duration::new(1, 999_999_999),
        UNIX_EPOCH + longest,
        UNIX_EPOCH - longest,
        UNIX_EPOCH - Duration::from_secs(1 << 63),
        UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789),
    ];
    for echo in echoes() {
        for moment in moments {
            let back = echo.moments(&moment, &moments).unwrap();
            assert_eq!(back, (moment, moments.to_vec()));
        }
    }
}

#[test]
fn addresses_cross() {
    let (v4, v6) = (Ipv4Addr::new(192, 0, 2, 1), "2001:db8::1".parse::<Ipv6Addr>().unwrap());
    let (socket4, socket6) = (SocketAddrV4::new(v4, 80), SocketAddrV6::new(v6, u16::MAX, 7, 8));
    for echo in echoes() {
        for ip in [IpAddr::V4(v4), IpAddr::V6(v6)] {
            assert_eq!(echo.ips(&ip, &v4, &v6).unwrap(), (ip, v4, v6));
        }
        for socket in [SocketAddr::V4(socket4), SocketAddr::V6(socket6)] {
            let back = echo.sockets(&socket, &socket4, &socket6).unwrap();
            assert_eq!(back, (socket, socket4, socket6));
        }
    }
}

#[test]
fn numbers_that_are_not_zero_and_ranges_cross() {
    for echo in echoes() {
        for c in [None, Some(NonZeroUsize::MAX)] {
            let back = echo.non_zero(NonZeroU8::MIN, NonZeroI128::MIN, c).unwrap();
            assert_eq!(back, (NonZeroU8::MIN, NonZeroI128::MIN, c));
        }
        // A range whose end is before its start is empty, and a valid value.
        let ranges = (Range { start: 9, end: 3 }, "a".to_owned().."b".to_owned());
        assert_eq!(echo.ranges(&ranges.0, &ranges.1).unwrap(), ranges);
    }
}

/// An error with a cause.
#[derive(Debug)]
struct Caused(io::Error);

impl std::fmt::Display for Caused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a")
    }
}

impl std::error::Error for Caused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_io_error_keeps_its_kind_its_number_and_its_text() {
    let errors = || {
        [
            io::Error::from_raw_os_error(2),
            io::Error::from_raw_os_error(123_456),
            io::Error::from(io::ErrorKind::WouldBlock),
            io::Error::new(io::ErrorKind::InvalidData, "no header"),
            io::Error::other("something"),
            std::fs::read("\0").unwrap_err(),
        ]
    };
    let text = |error: &io::Error| format!("{:?} {:?} {error}", error.kind(), error.raw_os_error());
    for echo in echoes() {
        for error in errors() {
            let (back, in_method) = echo.io_error(&error).unwrap();
            assert_eq!((text(&back), in_method), (text(&error), text(&error)));
        }
        // Causes and characters that control a terminal.
        let cause = io::Error::new(io::ErrorKind::Interrupted, "b\u{1b}");
        let error = io::Error::new(io::ErrorKind::NotFound, Caused(cause));
        let (back, _) = echo.io_error(&error).unwrap();
        assert_eq!(text(&back), r"NotFound None a: b\u{1b}");
    }
}

#[test]
fn the_error_of_a_method_may_be_an_io_error() {
    for echo in echoes() {
        echo.open(Path::new("/dev/null")).unwrap();
        let Err(CallError::Method(error)) = echo.open(Path::new("/nowhere/at/all")) else {
            panic!("the file exists, or the call failed");
        };
        assert_eq!((error.kind(), error.raw_os_error()), (io::ErrorKind::NotFound, Some(2)));
        assert_eq!(echo.read_all(Path::new("/dev/null")).unwrap(), []);
        let Err(CallError::Method(error)) = echo.read_all(Path::new("/")) else {
            panic!("a directory has bytes, or the call failed");
        };
        assert_eq!((error.kind(), error.raw_os_error()), (io::ErrorKind::IsADirectory, Some(21)));
        let Err(CallError::Call(error)) = echo.read_all(Path::new("")) else {
            panic!("the method doesn't refuse the call");
        };
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
    }
}

#[test]
fn types_of_the_users_own_cross() {
    for echo in echoes() {
        let point = Point { x: -0.0, y: f64::INFINITY, name: Some("here".into()) };
        let pair = Pair(7, vec![point.clone(), Point { name: None, ..point.clone() }]);
        let own = (point.clone(), pair, Unit);
        assert_eq!(echo.own(&own.0, &own.1, &own.2).unwrap(), own);
        let wrap = |value| Wrap { value, other: () };
        let generic = Wrap { value: vec![wrap(1), wrap(2)], other: "other".into() };
        assert_eq!(echo.generic(&generic).unwrap(), generic);
        let line = Shape::Line { from: point.clone(), to: point.clone() };
        let all = vec![Shape::Nothing, Shape::Dot(point), line, Shape::Many(vec![], Unit)];
        let many = Shape::Many(all, Unit);
        assert_eq!(echo.shape(&many).unwrap(), many);
    }
}

fn tree(depth: u32) -> Tree {
    (0..depth).fold(Tree::Leaf(7), |tree, _| Tree::Branch(Box::new(tree), Box::new(Tree::Leaf(0))))
}

#[test]
fn types_that_refer_to_themselves_cross_up_to_a_depth_that_the_error_names() {
    for echo in echoes() {
        assert_eq!(echo.tree(&tree(63)).unwrap(), tree(63));
        let error = echo.tree(&tree(64)).unwrap_err();
        let text = error.to_string();
        // The path is shortened, because an error has limited space for it.
        assert!(text.starts_with("Echo::tree: parameter `tree…Branch.0.Branch.0"), "{text}");
        assert!(text.ends_with("Branch.0`: the limit of 64 nested values is exceeded"), "{text}");
        assert!(text.len() < 400, "{text}");
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, false));
    }
}

#[test]
fn a_value_of_any_depth_is_refused_before_it_overflows_the_clients_stack() {
    let mut deep = tree(1_000_000);
    let error = echoes()[0].tree(&deep).unwrap_err();
    // The value is taken apart level by level, because its destructor would recurse too deeply.
    while let Tree::Branch(inner, _) = deep {
        deep = *inner;
    }
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, false));
    assert!(error.to_string().ends_with("the limit of 64 nested values is exceeded"), "{error}");
}

#[test]
fn any_name_that_rust_allows_is_one_for_a_parameter_or_a_method() {
    for echo in echoes() {
        assert_eq!(echo.r#type(1, 2, 3, 4, 5).unwrap(), 15);
        assert_eq!(echo.dispatch(1, 2, 3, 4, 5).unwrap(), 15);
    }
}

#[test]
fn handles_cross_wherever_they_are_and_are_the_same_objects() {
    for echo in echoes() {
        let (a, b, c) = (file(), file(), file());
        let (event, manual) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        let ids = [&a, &b, &c].map(identity);

        assert_eq!(echo.option(None).unwrap().map(identity), None);
        assert_eq!(echo.option(Some(&a)).unwrap().map(identity), Some(ids[0]));

        let clones = [&a, &b].map(|file| file.try_clone().unwrap());
        let (events, files) = echo.list(&clones, &[event.try_clone().unwrap()]).unwrap();
        assert_eq!(files.iter().map(identity).collect::<Vec<_>>(), ids[..2]);
        is_same(&events[0], &event);

        let map = [("a", &a), ("b", &b)].map(|(k, v)| (k.to_owned(), v.try_clone().unwrap()));
        let back = echo.map(&BTreeMap::from(map)).unwrap();
        assert_eq!((identity(&back["a"]), identity(&back["b"])), (ids[0], ids[1]));

        let tuple = (7, c.try_clone().unwrap(), (event.try_clone().unwrap(), manual));
        let (_, event_back, file_back) = echo.tuple(&tuple).unwrap();
        assert_eq!(identity(file_back), ids[2]);
        is_same(&event_back, &event);

        let [third, first] = echo.array(&[a, b, c].map(|file| file.try_clone().unwrap())).unwrap();
        assert_eq!((identity(&third), identity(&first)), (ids[2], ids[0]));
        assert_eq!(echo.boxed(&Box::new(first)).unwrap().map(identity), Some(ids[0]));
        let held = Held { number: 1, file: third, events: vec![event_back], spare: None };
        let back = echo.held(&held).unwrap();
        assert_eq!((back.number, identity(&back.file)), (1, ids[2]));
        assert!(back.spare.is_none());
        is_same(&back.events[0], &event);
    }
}

/// Asserts that two handles refer to the same event. Events have no inode of their own, so the test
/// sets one and checks the other.
fn is_same(one: &Event, other: &Event) {
    one.set().unwrap();
    assert!(other.poll().unwrap());
    assert!(!one.poll().unwrap());
}

#[test]
fn a_union_of_kinds_is_an_enum() {
    for echo in echoes() {
        let (own, event) = (file(), Event::new().unwrap());
        let id = identity(&own);
        let both =
            OneOf::Both { file: own.try_clone().unwrap(), event: event.try_clone().unwrap() };
        let back = echo.one_of(&both).unwrap();
        assert!(matches!(back, OneOf::Both { file, .. } if identity(&file) == id));
        let back = echo.one_of(&OneOf::Event(event)).unwrap();
        assert!(matches!(back, OneOf::Event(_)));
        assert!(matches!(echo.one_of(&OneOf::Neither).unwrap(), OneOf::Neither));
        assert!(matches!(echo.one_of(&OneOf::File(own)).unwrap(), OneOf::File(_)));
        let unwritable = OneOf::File(File::open("/dev/null").unwrap());
        let error = echo.one_of(&unwritable).unwrap_err();
        let text =
            "Echo::one_of: parameter `one.File.0`: expected read | write, got a device with read";
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_declaration_of_a_whole_value_applies_to_all_its_handles() {
    #[derive(Debug, Encode, Decode)]
    struct Two(File, #[handle(file)] File);

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b02")]
    trait Writes {
        fn list(&self, #[handle(file, write)] files: Vec<File>) -> Result<()>;
        fn two(&self, #[handle(file, write)] two: Two) -> Result<()>;
        fn map(&self, #[handle(file, write)] files: BTreeMap<u8, Option<File>>) -> Result<()>;
    }

    struct Ignores;

    impl Writes for Ignores {
        fn list(&self, _: Vec<File>) -> Result<()> {
            Ok(())
        }
        fn two(&self, _: Two) -> Result<()> {
            Ok(())
        }
        fn map(&self, _: BTreeMap<u8, Option<File>>) -> Result<()> {
            Ok(())
        }
    }

    let writes = WritesClient::in_process(Ignores).unwrap();
    let unwritable = || File::open("/dev/null").unwrap();
    assert!(writes.list(&[file(), unwritable()]).is_err());
    assert!(writes.two(&Two(unwritable(), file())).is_err());
    assert!(writes.two(&Two(file(), unwritable())).is_ok(), "it declares less for itself");
    assert!(writes.map(&BTreeMap::from([(1, Some(unwritable()))])).is_err());
    writes.list(&[file(), file()]).unwrap();
    writes.map(&BTreeMap::from([(1, Some(file())), (2, None)])).unwrap();
}

#[test]
fn out_of_range_values_never_reach_the_method() {
    #[derive(Debug, Encode, Decode)]
    struct Page(#[range(1..=3)] u8, #[range(0..=2)] Vec<File>);

    #[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
    enum Level {
        Low = 10,
        Middle = 20,
        High,
    }

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b04")]
    trait Bounded {
        fn number(&self, #[range(-2..=9)] number: i64) -> Result<i64>;
        fn list(&self, #[range(1..=2)] list: Vec<u8>) -> Result<()>;
        fn text(&self, #[range(0..=3)] text: String) -> Result<()>;
        fn maybe(&self, #[range(5..=5)] number: Option<u32>) -> Result<()>;
        fn page(&self, page: Page) -> Result<()>;
        fn level(&self, #[range(15..=21)] level: Level) -> Result<()>;
    }

    struct Takes;

    impl Bounded for Takes {
        fn number(&self, number: i64) -> Result<i64> {
            assert!((-2..=9).contains(&number));
            Ok(number)
        }
        fn list(&self, list: Vec<u8>) -> Result<()> {
            assert!((1..=2).contains(&list.len()));
            Ok(())
        }
        fn text(&self, text: String) -> Result<()> {
            assert!(text.encode_utf16().count() <= 3);
            Ok(())
        }
        fn maybe(&self, number: Option<u32>) -> Result<()> {
            assert!(number.is_none_or(|number| number == 5));
            Ok(())
        }
        fn page(&self, Page(number, files): Page) -> Result<()> {
            assert!((1..=3).contains(&number) && files.len() <= 2);
            Ok(())
        }
        fn level(&self, level: Level) -> Result<()> {
            assert_ne!(level, Level::Low);
            Ok(())
        }
    }

    let bounded = BoundedClient::in_process(Takes).unwrap();
    assert_eq!(bounded.number(-2).unwrap(), -2);
    assert_eq!(bounded.number(9).unwrap(), 9);
    let error = bounded.number(10).unwrap_err();
    let text = "Bounded::number: parameter `number`: expected -2 to 9, got 10";
    assert_eq!(error.to_string(), text);
    assert!(!error.may_have_run());
    assert!(bounded.number(i64::MIN).is_err());
    bounded.list(&[1]).unwrap();
    assert!(bounded.list(&[]).is_err());
    let error = bounded.list(&[1, 2, 3]).unwrap_err();
    let text = "Bounded::list: parameter `list`: expected 1 to 2 items, got 3";
    assert_eq!(error.to_string(), text);
    bounded.text("añb").unwrap();
    assert!(bounded.text("a😀b").is_err(), "four letters as UTF-16 has them");
    bounded.maybe(None).unwrap();
    bounded.maybe(Some(5)).unwrap();
    assert!(bounded.maybe(Some(6)).is_err());
    bounded.page(&Page(1, vec![file(), file()])).unwrap();
    assert!(bounded.page(&Page(0, vec![])).is_err());
    assert!(bounded.page(&Page(1, vec![file(), file(), file()])).is_err());
    bounded.level(&Level::Middle).and(bounded.level(&Level::High)).unwrap();
    let error = bounded.level(&Level::Low).unwrap_err();
    assert_eq!(error.to_string(), "Bounded::level: parameter `level`: expected 15 to 21, got 10");
    assert_eq!(bounded.number(0).unwrap(), 0, "the connection goes on");
}

#[cfg(feature = "serde")]
mod with_serde {
    use serde::{Deserialize, Serialize};
    use syshandle::describe::Type;
    use syshandle::{ErrorKind, Serde, describe::Describe};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Json {
        Null,
        Number(f64),
        Text(String),
        List(Vec<Json>),
        Object(BTreeMap<String, Json>),
        Unit(Nothing),
        Pair { a: (u8, i128), b: Option<char> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Nothing;

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b03")]
    trait Any {
        fn json(&self, value: Serde<Json>) -> Result<Serde<Json>>;
        fn empty(&self, value: Serde<Vec<()>>) -> Result<u64>;
        fn bytes(&self, value: Vec<u8>) -> Result<Serde<Json>>;
        fn mixed(&self, file: File, value: Serde<String>, more: Option<Serde<u8>>) -> Result<File>;
    }

    struct Same;

    impl Any for Same {
        fn json(&self, value: Serde<Json>) -> Result<Serde<Json>> {
            Ok(value)
        }
        fn empty(&self, Serde(value): Serde<Vec<()>>) -> Result<u64> {
            Ok(value.len() as u64)
        }
        fn bytes(&self, value: Vec<u8>) -> Result<Serde<Json>> {
            Ok(Serde(Json::Number(value.len() as f64)))
        }
        fn mixed(&self, file: File, _: Serde<String>, _: Option<Serde<u8>>) -> Result<File> {
            Ok(file)
        }
    }

    fn same() -> AnyClient {
        AnyClient::in_process(Same).unwrap()
    }

    /// Calls a method with arbitrary bytes as its `Serde` value. Both types have the same form on the
    /// wire.
    fn send<T: Decode>(method: u32, bytes: &[u8]) -> Result<T> {
        syshandle::object::Proxy::as_client(&same())
            .call(method, None, |out| out.parameter(0, bytes))
    }

    const JSON: u32 = 0;
    const EMPTY: u32 = 1;

    #[test]
    fn any_type_that_knows_serde_crosses() {
        let text = Json::Text("é".into());
        let object = BTreeMap::from([
            ("null".to_owned(), Json::Null),
            ("pair".to_owned(), Json::Pair { a: (1, i128::MIN), b: Some('é') }),
        ]);
        let all =
            Json::List(vec![Json::Number(0.5), text, Json::Object(object), Json::Unit(Nothing)]);
        assert_eq!(same().json(&Serde(all.clone())).unwrap().0, all);
        let own = file();
        let back = same().mixed(&own, &Serde("text".into()), Some(&Serde(7))).unwrap();
        assert_eq!(identity(back), identity(own));
    }

    #[test]
    fn a_serde_value_is_no_larger_than_a_message() {
        let large = |len| Json::Text("x".repeat(len));
        let most = large(16 * 1024 * 1024 - 9);
        assert!(same().json(&Serde(most.clone())).unwrap().0 == most);
        let error = same().json(&Serde(large(16 * 1024 * 1024))).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TooLarge, false));
        let text =
            "Any::json: parameter `value`: the limit of 16777216 bytes in one call is exceeded";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_serde_value_nests_no_deeper_than_others() {
        let deep = |depth: u32| (0..depth).fold(Json::Null, |inner, _| Json::List(vec![inner]));
        same().json(&Serde(deep(20))).unwrap();
        let error = same().json(&Serde(deep(200))).unwrap_err();
        let text = "Any::json: parameter `value`: the limit of 64 nested values is exceeded";
        assert_eq!((error.may_have_run(), error.to_string().as_str()), (false, text));
        // Lists within lists, nested as deeply as the maximum size of a message allows.
        let error = send::<Vec<u8>>(JSON, &[3, 1].repeat(4_000_000)).unwrap_err();
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn items_without_bytes_are_counted() {
        assert_eq!(same().empty(&Serde(vec![(); 1000])).unwrap(), 1000);
        // A list of 2⁶³ empty items. Its encoding takes only ten bytes.
        let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        let error = send::<u64>(EMPTY, &many).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Malformed, false));
    }

    #[test]
    fn bytes_that_are_no_such_value_are_refused() {
        for bytes in [&[][..], &[9], &[2, 200], &[0, 0], &[2, 1, 0xff]] {
            let error = send::<Vec<u8>>(JSON, bytes).unwrap_err();
            assert_eq!(
                (error.kind(), error.may_have_run()),
                (ErrorKind::Malformed, false),
                "{bytes:?}"
            );
            assert!(error.to_string().ends_with("Json"), "{error}");
        }
        assert_eq!(send::<Vec<u8>>(JSON, &[0]).unwrap(), [0]);
    }

    #[test]
    fn the_description_names_the_type() {
        let Type::Serde(name) = <Serde<Json> as Describe>::TYPE else { panic!("another type") };
        assert!(name().ends_with("with_serde::Json"));
    }

    #[test]
    fn serde_values_take_memory_within_the_limits_of_all_values() {
        use crate::malformed::Anything;
        use syshandle::Decode;
        use syshandle_types::{DecodeErrorKind, Decoder};

        fn refused<T: serde::de::DeserializeOwned>(items: usize) {
            // postcard encodes the number of items in groups of seven bits.
            let mut postcard: Vec<u8> =
                [0, 7, 14].map(|shift| (items >> shift) as u8 | 0x80).to_vec();
            postcard.push((items >> 21) as u8);
            // A zero byte is the encoding of `None` and of an empty text.
            postcard.resize(postcard.len() + items, 0);
            let mut bytes = (postcard.len() as u32).to_le_bytes().to_vec();
            bytes.extend(postcard);
            let mut input = Decoder::new(&bytes, Vec::new(), &Anything);
            let error = Serde::<T>::decode(&mut input).err().unwrap();
            assert_eq!(error.kind, DecodeErrorKind::TooMuchMemory);
        }
        type Large = [u64; 16];
        refused::<Vec<Option<String>>>(8_000_000);
        refused::<Vec<Option<Large>>>(100_000);
        refused::<Vec<Box<Option<Large>>>>(100_000);
    }
}
