//! Values of every form that MIDL can express. The RPC runtime reads them from the client's memory
//! and writes them to the server's memory, according to the tables of this library.

use syshandle::{Decode, Encode, Guid, Result, class, interface};

use super::Test;

/// Returns its arguments.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f20")]
pub(crate) trait Layouts {
    fn enums(&self, color: Color, level: Level) -> Result<(Level, Color)>;
    fn flat(&self, point: Point) -> Result<Point>;
    fn padded(&self, padded: Padded) -> Result<Padded>;

    fn nested(&self, nested: Nested) -> Result<Nested>;
    fn large(&self, large: Large) -> Result<Large>;
    fn pointers(&self, pointers: Pointers) -> Result<Pointers>;
    fn bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;
    fn texts(&self, texts: Vec<String>) -> Result<Vec<String>>;
    fn lists(&self, a: Vec<f64>, b: Vec<bool>, c: Vec<Color>, d: Vec<Level>) -> Result<Lists>;
    fn structs(&self, a: Vec<Point>, b: Vec<Padded>, c: Vec<Pointers>) -> Result<Vec<Pointers>>;
    fn optional(
        &self,
        number: Option<u64>,
        color: Option<Color>,
        text: Option<String>,
        point: Option<Point>,
        pointers: Option<Pointers>,
    ) -> Result<Maybe>;
}

class! {
    /// A class that implements [`Layouts`].
    pub LAYOUTS: Layouts = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f21";
}

type Lists = (Vec<f64>, Vec<bool>, Vec<Color>, Vec<Level>);
type Maybe = (Option<u64>, Option<Color>, Option<String>, Option<Point>, Option<Pointers>);

/// An ordinary MIDL enum: two bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(crate) enum Color {
    Red,
    Green = 5,
    Blue,
}

/// A MIDL enum with the attribute `v1_enum`: four bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(crate) enum Level {
    Low = -1,
    High = 0x10_0000,
}

/// A struct with the same layout in memory and on the wire.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Point {
    pub x: i32,
    pub y: i32,
    pub id: Guid,
}

/// A struct with padding between its fields and at the end.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Padded {
    pub short: i16,
    pub long: u64,
    pub byte: u8,
}

/// A struct that contains structs and arrays.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Nested {
    pub first: u8,
    pub point: Point,
    pub level: Level,
    pub color: Color,
    pub numbers: [u16; 3],
    pub ids: [Guid; 2],
    pub padded: Padded,
    pub inner: Inner,
    pub yes: bool,
}

/// A struct that contains a pointer after its first field.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Inner {
    pub color: Color,
    pub name: String,
    pub end: u8,
}

/// A struct that contains pointers.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Pointers {
    pub name: String,
    pub data: Vec<u8>,
    pub names: Vec<String>,
    pub note: Option<String>,
    pub number: Option<u32>,
    pub padded: Option<Padded>,
    pub points: Vec<Point>,
    pub nested: Vec<Nested>,
    pub end: u8,
}

/// A struct that is too large for a stub's stack.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Large {
    pub numbers: [u64; 100],
}

/// Returns its arguments.
pub(crate) struct Echo;

impl Layouts for Echo {
    fn enums(&self, color: Color, level: Level) -> Result<(Level, Color)> {
        Ok((level, color))
    }

    fn flat(&self, point: Point) -> Result<Point> {
        Ok(point)
    }

    fn padded(&self, padded: Padded) -> Result<Padded> {
        Ok(padded)
    }

    fn nested(&self, nested: Nested) -> Result<Nested> {
        Ok(nested)
    }

    fn large(&self, large: Large) -> Result<Large> {
        Ok(large)
    }

    fn pointers(&self, pointers: Pointers) -> Result<Pointers> {
        Ok(pointers)
    }

    fn bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    fn texts(&self, texts: Vec<String>) -> Result<Vec<String>> {
        Ok(texts)
    }

    fn lists(&self, a: Vec<f64>, b: Vec<bool>, c: Vec<Color>, d: Vec<Level>) -> Result<Lists> {
        Ok((a, b, c, d))
    }

    fn structs(&self, a: Vec<Point>, b: Vec<Padded>, c: Vec<Pointers>) -> Result<Vec<Pointers>> {
        // The result contains the first two arguments.
        Ok(c.into_iter()
            .map(|pointers| Pointers { points: a.clone(), padded: b.last().cloned(), ..pointers })
            .collect())
    }

    fn optional(
        &self,
        number: Option<u64>,
        color: Option<Color>,
        text: Option<String>,
        point: Option<Point>,
        pointers: Option<Pointers>,
    ) -> Result<Maybe> {
        Ok((number, color, text, point, pointers))
    }
}

pub(crate) const TESTS: &[Test] = &[
    ("enums_cross_by_their_values", enums),
    ("structs_cross_whatever_their_gaps", structs),
    ("structs_with_pointers_cross", pointers),
    ("lists_of_all_that_there_is_cross", lists),
    ("what_is_there_or_isnt_crosses", optional),
    ("large_values_cross", large),
];

fn client() -> LayoutsClient {
    LayoutsClient::activate(LAYOUTS).unwrap()
}

fn enums() {
    let client = client();
    for color in [Color::Red, Color::Green, Color::Blue] {
        for level in [Level::Low, Level::High] {
            assert_eq!(client.enums(&color, &level).unwrap(), (level, color));
        }
    }
}

fn structs() {
    let client = client();
    assert_eq!(client.flat(&point(1)).unwrap(), point(1));
    assert_eq!(client.padded(&padded(2)).unwrap(), padded(2));
    for at in 0..4 {
        assert_eq!(client.nested(&nested(at)).unwrap(), nested(at));
    }
}

fn pointers() {
    let client = client();
    for size in 0..5 {
        let value = pointer(size);
        assert_eq!(client.pointers(&value).unwrap(), value, "{size}");
    }
}

fn lists() {
    let client = client();
    for size in [0, 1, 2, 9] {
        let numbers: Vec<f64> = (0..size).map(|at| at as f64 / 3.0).collect();
        let truths: Vec<bool> = (0..size).map(|at| at % 3 == 0).collect();
        let colors: Vec<Color> = (0..size).map(color).collect();
        let levels: Vec<Level> = (0..size).map(level).collect();
        let back = client.lists(&numbers, &truths, &colors, &levels).unwrap();
        assert_eq!(back, (numbers, truths, colors, levels));

        let texts: Vec<String> = (0..size).map(|at| "ä\u{1fae7}".repeat(at)).collect();
        assert_eq!(client.texts(&texts).unwrap(), texts);

        let (points, gaps): (Vec<_>, Vec<_>) = (0..size).map(|at| (point(at), padded(at))).unzip();
        let many: Vec<_> = (0..size).map(pointer).collect();
        let expected = many.iter().map(|pointers| Pointers {
            points: points.clone(),
            padded: gaps.last().cloned(),
            ..pointers.clone()
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(client.structs(&points, &gaps, &many).unwrap(), expected, "{size}");
    }
}

fn optional() {
    let client = client();
    assert_eq!(client.optional(None, None, None, None, None).unwrap(), Maybe::default());
    let all: Maybe =
        (Some(7), Some(Color::Blue), Some("so".to_owned()), Some(point(4)), Some(pointer(3)));
    let (number, color, text, point, pointers) = &all;
    let back = client.optional(
        *number,
        color.as_ref(),
        text.as_deref(),
        point.as_ref(),
        pointers.as_ref(),
    );
    assert_eq!(back.unwrap(), all);
    let some = client.optional(None, color.as_ref(), None, point.as_ref(), None).unwrap();
    assert_eq!(some, (None, Some(Color::Blue), None, all.3, None));
}

fn large() {
    let client = client();
    let large = Large { numbers: std::array::from_fn(|at| u64::MAX / (at as u64 + 1)) };
    assert_eq!(client.large(&large).unwrap(), large);
    let bytes: Vec<u8> = (0..1 << 20).map(|at: u32| (at / 7) as u8).collect();
    assert_eq!(client.bytes(&bytes).unwrap(), bytes);
}

fn color(at: usize) -> Color {
    [Color::Red, Color::Green, Color::Blue][at % 3]
}

fn level(at: usize) -> Level {
    [Level::Low, Level::High][at % 2]
}

fn point(at: usize) -> Point {
    let id = Guid::from_bytes(std::array::from_fn(|place| (at * 16 + place) as u8));
    Point { x: -(at as i32), y: i32::MAX - at as i32, id }
}

fn padded(at: usize) -> Padded {
    Padded { short: -1 - at as i16, long: u64::MAX - at as u64, byte: at as u8 }
}

fn nested(at: usize) -> Nested {
    Nested {
        first: at as u8,
        point: point(at),
        level: level(at),
        color: color(at),
        numbers: [1, 2, at as u16],
        ids: [point(at + 1).id, point(at + 2).id],
        padded: padded(at + 1),
        inner: Inner { color: color(at + 1), name: "inner".repeat(at), end: 0xdd },
        yes: at % 2 == 0,
    }
}

fn pointer(at: usize) -> Pointers {
    Pointers {
        name: "dishes ".repeat(at),
        data: (0..at as u8).collect(),
        names: (0..at).map(|at| format!("{at}")).collect(),
        note: (at % 2 == 1).then(|| "größer".to_owned()),
        number: (at % 3 == 1).then_some(at as u32),
        padded: (at % 2 == 0).then(|| padded(at)),
        points: (0..at).map(point).collect(),
        nested: (0..at % 3).map(nested).collect(),
        end: 0xee,
    }
}
