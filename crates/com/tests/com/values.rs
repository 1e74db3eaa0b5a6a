//! An interface that uses every type that MIDL can express, except handles. Another test converts
//! this source file to an `.idl` file.

use syshandle::{Decode, Encode, Guid, Result, interface};

/// An interface that uses every type that MIDL can express, except handles.
#[interface(iid = "9b2f6a30-0d0c-4c8e-8a55-1f1d1c6a0001")]
pub(crate) trait Values {
    fn nothing(&self) -> Result<()>;
    fn integers(&self, a: u8, b: i8, c: u16, d: i16, e: u32, f: i32) -> Result<i32>;
    fn wide(&self, a: u64, b: i64) -> Result<u64>;
    fn floats(&self, a: f32, b: f64, c: f32, d: f64) -> Result<f64>;
    fn narrow(&self, a: bool, b: i8) -> Result<(bool, u8, i16, u64, f32)>;
    fn enums(&self, color: Color, level: Level) -> Result<(Color, Level)>;
    fn identifier(&self, id: Guid) -> Result<Guid>;
    fn text(&self, text: String) -> Result<String>;
    fn texts(&self, texts: Vec<String>) -> Result<Vec<String>>;
    fn bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;
    fn lists(&self, a: Vec<f64>, b: Vec<bool>, c: Vec<Color>, d: Vec<Level>) -> Result<Vec<Guid>>;
    fn flat(&self, point: Point) -> Result<Point>;
    fn padded(&self, padded: Padded) -> Result<Padded>;
    fn nested(&self, nested: Nested) -> Result<Nested>;
    fn pointers(&self, pointers: Pointers) -> Result<Pointers>;
    fn structs(&self, a: Vec<Point>, b: Vec<Padded>, c: Vec<Pointers>) -> Result<Vec<Pointers>>;
    fn large(&self, large: Large) -> Result<Large>;
    fn optional(
        &self,
        number: Option<u64>,
        color: Option<Color>,
        text: Option<String>,
        point: Option<Point>,
        pointers: Option<Pointers>,
    ) -> Result<(Option<i32>, Option<Nested>)>;
    fn several(&self, text: String, id: Guid) -> Result<(u32, String, Vec<u8>, Point, Color)>;
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) enum Color {
    Red,
    Green = 5,
    Blue,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[repr(i64)]
pub(crate) enum Level {
    Low = -1,
    High = 0x10_0000,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Point {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) id: Guid,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Padded {
    pub(crate) short: i16,
    pub(crate) long: u64,
    pub(crate) byte: u8,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Nested {
    pub(crate) first: u8,
    pub(crate) point: Point,
    pub(crate) level: Level,
    pub(crate) color: Color,
    pub(crate) numbers: [u16; 3],
    pub(crate) ids: [Guid; 2],
    pub(crate) padded: Padded,
    pub(crate) yes: bool,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Pointers {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) names: Vec<String>,
    pub(crate) note: Option<String>,
    pub(crate) number: Option<u32>,
    pub(crate) padded: Option<Padded>,
    pub(crate) points: Vec<Point>,
    pub(crate) end: u8,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Large {
    pub(crate) numbers: [u64; 100],
}
