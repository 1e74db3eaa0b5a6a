//! Values of all types to and from a server that uses the typed interface.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]
#![expect(clippy::type_complexity, reason = "the types of parameters are the subject")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use syshandle::handle::{Event, Kind, OwnedHandle};
use syshandle::stream::{Stream, channel};
use syshandle::{CallError, Decode, Encode, ErrorKind, Guid, Result, Serde, interface};
use syshandle_dynamic::{DynamicClient, Error, Value};

/// Returns its arguments.
#[interface(iid = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c10")]
trait Echo {
    fn numbers(
        &self,
        a: (u8, u16, u32, u64, u128, usize),
        b: (i8, i16, i32, i64, i128, isize),
        c: (f32, f64, NonZeroU16),
    ) -> Result<(
        (u8, u16, u32, u64, u128, usize),
        (i8, i16, i32, i64, i128, isize),
        (f32, f64, NonZeroU16),
    )>;
    fn texts(
        &self,
        a: (String, char, bool, ()),
        b: PathBuf,
        c: OsString,
    ) -> Result<(String, PathBuf)>;
    fn standard(
        &self,
        a: (Guid, Duration, SystemTime, Range<u32>),
        b: (IpAddr, SocketAddr),
        c: io::Error,
    ) -> Result<((Guid, Duration, SystemTime, Range<u32>), (IpAddr, SocketAddr), io::Error)>;
    fn lists(
        &self,
        a: (Vec<u8>, Vec<u16>, [u8; 3], [u16; 2], [u32; 0]),
        b: (BTreeSet<u8>, BTreeMap<String, Vec<bool>>),
        c: (Option<u8>, Option<u8>, std::result::Result<u8, String>),
    ) -> Result<(
        (Vec<u8>, Vec<u16>, [u8; 3], [u16; 2], [u32; 0]),
        (BTreeSet<u8>, BTreeMap<String, Vec<bool>>),
        (Option<u8>, Option<u8>, std::result::Result<u8, String>),
    )>;
    fn shapes(&self, shapes: Vec<Shape>) -> Result<Vec<Shape>>;
    fn growing(&self, grown: Grown, state: State) -> Result<(Grown, State)>;
    fn settings(&self, settings: Serde<Settings>) -> Result<Serde<Settings>>;
    fn handles(
        &self,
        #[handle(file, read)] file: File,
        holder: Holder,
        #[handle(file | event)] any: OwnedHandle,
    ) -> Result<(File, Holder, OwnedHandle)>;
    fn object(&self, echo: Option<EchoClient>) -> Result<EchoClient>;
    fn failing(&self, code: u32) -> Result<(), CallError<Wrong>>;
    fn stream(&self) -> Result<(u8, Stream<u32>)>;
}

#[derive(Debug, Encode, Decode)]
enum Shape {
    Point,
    Circle(f64, i32),
    Named { name: String, inner: Option<Box<Shape>> },
    Empty(Nothing),
}

#[derive(Debug, Encode, Decode)]
struct Nothing;

#[derive(Debug, Encode, Decode)]
#[grows]
struct Grown {
    first: String,
    #[added]
    more: Option<u32>,
}

#[derive(Debug, Encode, Decode)]
#[grows]
enum State {
    Idle,
    Busy {
        jobs: u32,
    },
    #[unknown]
    Unknown,
}

#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    volume: u8,
}

#[derive(Debug, Encode, Decode)]
struct Holder {
    event: Event,
    #[handle(file, read)]
    files: Vec<File>,
}

#[derive(Debug, Encode, Decode)]
enum Wrong {
    Code { code: u32 },
}

struct Same;

impl Echo for Same {
    fn numbers(
        &self,
        a: (u8, u16, u32, u64, u128, usize),
        b: (i8, i16, i32, i64, i128, isize),
        c: (f32, f64, NonZeroU16),
    ) -> Result<(
        (u8, u16, u32, u64, u128, usize),
        (i8, i16, i32, i64, i128, isize),
        (f32, f64, NonZeroU16),
    )> {
        Ok((a, b, c))
    }

    fn texts(
        &self,
        a: (String, char, bool, ()),
        b: PathBuf,
        c: OsString,
    ) -> Result<(String, PathBuf)> {
        Ok((format!("{}{}{}{}", a.0, a.1, a.2, c.to_string_lossy()), b))
    }

    fn standard(
        &self,
        a: (Guid, Duration, SystemTime, Range<u32>),
        b: (IpAddr, SocketAddr),
        c: io::Error,
    ) -> Result<((Guid, Duration, SystemTime, Range<u32>), (IpAddr, SocketAddr), io::Error)> {
        Ok((a, b, c))
    }

    fn lists(
        &self,
        a: (Vec<u8>, Vec<u16>, [u8; 3], [u16; 2], [u32; 0]),
        b: (BTreeSet<u8>, BTreeMap<String, Vec<bool>>),
        c: (Option<u8>, Option<u8>, std::result::Result<u8, String>),
    ) -> Result<(
        (Vec<u8>, Vec<u16>, [u8; 3], [u16; 2], [u32; 0]),
        (BTreeSet<u8>, BTreeMap<String, Vec<bool>>),
        (Option<u8>, Option<u8>, std::result::Result<u8, String>),
    )> {
        Ok((a, b, c))
    }

    fn shapes(&self, shapes: Vec<Shape>) -> Result<Vec<Shape>> {
        Ok(shapes)
    }

    fn growing(&self, grown: Grown, state: State) -> Result<(Grown, State)> {
        Ok((grown, state))
    }

    fn settings(&self, settings: Serde<Settings>) -> Result<Serde<Settings>> {
        Ok(Serde(Settings { volume: settings.0.volume + 1 }))
    }

    fn handles(
        &self,
        file: File,
        holder: Holder,
        any: OwnedHandle,
    ) -> Result<(File, Holder, OwnedHandle)> {
        Ok((file, holder, any))
    }

    fn object(&self, echo: Option<EchoClient>) -> Result<EchoClient> {
        match echo {
            Some(echo) => Ok(echo),
            None => EchoClient::in_process(Same),
        }
    }

    fn stream(&self) -> Result<(u8, Stream<u32>)> {
        Ok((1, channel().1))
    }

    fn failing(&self, code: u32) -> Result<(), CallError<Wrong>> {
        match code {
            0 => Ok(()),
            1 => Err(syshandle::Error::failed("one").into()),
            code => Err(CallError::Method(Wrong::Code { code })),
        }
    }
}

fn echo() -> DynamicClient {
    let door = syshandle::direct::make_door::<dyn Echo, _>(Same).unwrap();
    DynamicClient::from_door(door, None).unwrap()
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

/// Makes the same arguments twice, because a value can't be cloned.
fn returns_them(method: &str, arguments: impl Fn() -> Vec<Value>) {
    let result = echo().call(method, &arguments()).unwrap();
    assert_eq!(result, Value::List(arguments()), "{method}");
}

#[test]
fn numbers_of_all_types_go_both_ways() {
    let unsigned = |numbers: [u128; 6]| list(numbers.map(Value::Unsigned));
    let signed = |numbers: [i128; 6]| list(numbers.map(Value::Signed));
    for (least, largest) in [(true, false), (false, true)] {
        assert_ne!(least, largest);
        let pick = |low: i128, high: i128| if least { low } else { high };
        returns_them("numbers", || {
            vec![
                unsigned(match least {
                    true => [0; 6],
                    false => [
                        u8::MAX.into(),
                        u16::MAX.into(),
                        u32::MAX.into(),
                        u64::MAX.into(),
                        u128::MAX,
                        usize::MAX as u128,
                    ],
                }),
                signed([
                    pick(i8::MIN.into(), i8::MAX.into()),
                    pick(i16::MIN.into(), i16::MAX.into()),
                    pick(i32::MIN.into(), i32::MAX.into()),
                    pick(i64::MIN.into(), i64::MAX.into()),
                    pick(i128::MIN, i128::MAX),
                    pick(isize::MIN as i128, isize::MAX as i128),
                ]),
                list([Value::Float(-0.5), Value::Float(1e300), Value::Unsigned(7)]),
            ]
        });
    }
}

#[test]
fn texts_and_values_of_the_standard_library_go_both_ways() {
    let result = echo().call(
        "texts",
        &[
            list(["a".into(), "\u{e9}".into(), true.into(), Value::Unit]),
            PathBuf::from("/tmp/x").into(),
            "name".into(),
        ],
    );
    assert_eq!(result.unwrap(), list(["a\u{e9}truename".into(), PathBuf::from("/tmp/x").into()]));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    returns_them("standard", || {
        let first = [
            Guid::from_bytes([7; 16]).into(),
            Duration::from_millis(1500).into(),
            time.into(),
            list([1_u32.into(), 5_u32.into()]),
        ];
        vec![list(first), list(["fe80::1".into(), "127.0.0.1:80".into()]), "broken".into()]
    });
}

#[test]
fn lists_maps_and_optional_values_go_both_ways() {
    returns_them("lists", || {
        vec![
            list([
                Value::Bytes(vec![1, 2]),
                vec![3_u16, 4].into(),
                list([1_u8, 2, 3].map(Value::from)),
                vec![5_u16, 6].into(),
                list([]),
            ]),
            list([vec![1_u8, 2].into(), Value::Map(vec![("a".into(), vec![true, false].into())])]),
            list([
                Value::Option(None),
                Value::some(1_u8),
                Value::Result(Err(Box::new("no".into()))),
            ]),
        ]
    });
    // Other values are accepted for these types.
    let result = echo().call(
        "lists",
        &[
            list([
                vec![1_u8].into(),
                list([]),
                Value::Bytes(vec![1, 2, 3]),
                vec![5_i64, 6].into(),
                list([]),
            ]),
            list([list([]), Value::Map(vec![])]),
            list([7_u8.into(), Value::Option(None), Value::Result(Ok(Box::new(1_u8.into())))]),
        ],
    );
    let Value::List(parts) = result.unwrap() else { panic!("three results") };
    assert_eq!(format!("{:?}", parts[0]), "[[1], [], [1, 2, 3], [5, 6], []]");
}

#[test]
fn structs_and_enums_have_names_and_recursive_and_growable_ones_work() {
    let shapes = || {
        let inner = Value::variant("Circle", [("0", 0.5_f64.into()), ("1", (-3_i32).into())]);
        let named = Value::variant("Named", [("name", "x".into()), ("inner", Value::some(inner))]);
        let empty = Value::variant("Empty", [("0", Value::fields([]))]);
        list([Value::variant("Point", []), named, empty])
    };
    assert_eq!(echo().call("shapes", &[shapes()]).unwrap(), shapes());
    assert_eq!(
        echo().call("shapes", &[list(["Point".into()])]).unwrap(),
        list([Value::variant("Point", [])])
    );
    returns_them("growing", || {
        vec![
            Value::fields([("first", "a".into()), ("more", Value::some(5_u32))]),
            Value::variant("Busy", [("jobs", 3_u32.into())]),
        ]
    });
    let settings = Value::Bytes(vec![10]);
    assert_eq!(echo().call("settings", &[settings]).unwrap(), Value::Bytes(vec![11]));
}

#[test]
fn handles_arrive_with_the_kind_that_the_kernel_reports() {
    let file = || Value::handle(File::open("/proc/self/exe").unwrap());
    let holder = || {
        let event = Value::handle(Event::new().unwrap());
        Value::fields([("event", event), ("files", list([file(), file()]))])
    };
    let any = Value::handle(Event::new().unwrap());
    let result = echo().call("handles", &[file(), holder(), any]).unwrap();
    assert_eq!(format!("{result:?}"), r#"[file, {"event": event, "files": [file, file]}, event]"#);
    let Value::List(mut parts) = result else { panic!("three results") };
    let Some(Value::Handle(last)) = parts.pop() else { panic!("a handle") };
    assert_eq!(last.kind(), Some(Kind::Event));
    let _: OwnedHandle = last.into_handle().unwrap();
    // A wrong handle is refused before the call.
    let event = Value::handle(Event::new().unwrap());
    let error = echo().call("handles", &[event, holder(), file()]).unwrap_err();
    assert!(
        error.to_string().starts_with("Echo::handles: parameter `file`: expected a file, got"),
        "{error}"
    );
}

#[test]
fn objects_are_called_and_passed_on() {
    let echo = echo();
    let object = echo.call("object", &[Value::Option(None)]).unwrap();
    let Value::Object(first) = object else { panic!("{object:?}") };
    let same = echo.call("object", &[first.clone().into()]).unwrap();
    let Value::Object(same) = same else { panic!("{same:?}") };
    for object in [first, same] {
        assert_eq!(object.description().unwrap().name, "Echo");
        let result = object.call("shapes", &[list([])]).unwrap();
        assert_eq!(result, list([]));
    }
}

#[test]
fn a_methods_own_error_is_a_value() {
    let echo = echo();
    assert_eq!(echo.call("failing", &[0_u8.into()]).unwrap(), Value::Unit);
    match echo.call("failing", &[1_u8.into()]) {
        Err(Error::Call(error)) => assert_eq!(error.kind(), ErrorKind::Failed),
        other => panic!("{other:?}"),
    }
    match echo.call("failing", &[7_u8.into()]) {
        Err(Error::Method(value)) => assert_eq!(value.field("code"), Some(&Value::Unsigned(7))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_argument_is_named_with_its_place_and_the_call_is_not_sent() {
    let echo = echo();
    let wrong = |method: &str, arguments: &[Value], text: &str| match echo.call(method, arguments) {
        Err(Error::Argument(found)) => assert_eq!(found, format!("Echo::{method}: {text}")),
        other => panic!("{other:?}"),
    };
    wrong("nothing", &[], "the interface has no such method");
    wrong("failing", &[], "expected 1 argument, got 0");
    wrong("failing", &[(-1_i32).into()], "parameter `code`: expected u32, got -1");
    wrong("failing", &[(1_u64 << 32).into()], "parameter `code`: expected u32, got 4294967296");
    let circle = |value| {
        list(["Point".into(), Value::variant("Circle", [("0", 1.0_f64.into()), ("1", value)])])
    };
    wrong(
        "shapes",
        &[circle("x".into())],
        "parameter `shapes[1].Circle.1`: expected i32, got a text",
    );
    wrong(
        "shapes",
        &[list(["Square".into()])],
        "parameter `shapes[0]`: expected one of the variants Point, Circle, Named, Empty, got `Square`",
    );
    wrong(
        "growing",
        &[Value::fields([("first", "a".into())]), "Idle".into()],
        "parameter `grown.more`: expected Option<u32> once",
    );
    wrong(
        "growing",
        &[Value::fields([("second", "a".into())]), "Idle".into()],
        "parameter `grown`: expected the fields first, more, got `second`",
    );
    wrong(
        "settings",
        &[1_u8.into()],
        &format!(
            "parameter `settings`: expected Serde<{}>, got 1",
            std::any::type_name::<Settings>()
        ),
    );
    // The server's own check names the place too.
    let twice = list([vec![1_u8, 1].into(), Value::Map(vec![])]);
    let lists = list([
        vec![1_u8].into(),
        list([]),
        vec![1_u8, 2, 3].into(),
        vec![5_i64, 6].into(),
        list([]),
    ]);
    let rest =
        list([Value::Option(None), Value::Option(None), Value::Result(Ok(Box::new(1_u8.into())))]);
    let error = echo.call("lists", &[lists, twice, rest]).unwrap_err();
    assert_eq!(error.to_string(), "Echo::lists: parameter `b.0[1]`: a key is there twice");
    // Nested deeper than any receiver accepts.
    let mut deep = Value::variant("Point", []);
    for _ in 0..200 {
        deep = Value::variant("Named", [("name", "x".into()), ("inner", Value::some(deep))]);
    }
    match echo.call("shapes", &[list([deep])]) {
        Err(Error::Argument(text)) => {
            assert!(text.ends_with("nested values is exceeded"), "{text}")
        }
        other => panic!("{other:?}"),
    }
}

#[interface(iid = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c19")]
trait Notes {
    #[oneway]
    fn note(&self, number: u32) -> Result<()>;
}

struct Pad;

impl Notes for Pad {
    fn note(&self, number: u32) -> Result<()> {
        match number {
            0 => Err(syshandle::Error::failed("no paper")),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_one_way_method_is_called_with_a_reply() {
    let door = syshandle::direct::make_door::<dyn Notes, _>(Pad).unwrap();
    let notes = DynamicClient::from_door(door, None).unwrap();
    assert!(notes.description().unwrap().methods[0].one_way);
    assert_eq!(notes.call("note", &[1_u32.into()]).unwrap(), Value::Unit);
    let error = notes.call("note", &[0_u32.into()]).unwrap_err();
    assert!(error.to_string().contains("no paper"), "{error}");
}

#[test]
fn a_method_with_a_stream_is_refused_before_its_call() {
    let error = echo().call("stream", &[]).unwrap_err();
    assert!(matches!(error, Error::Argument(_)), "{error:?}");
    let text = "Echo::stream: the method takes or returns a stream, and this client has none";
    assert_eq!(error.to_string(), text);
}
