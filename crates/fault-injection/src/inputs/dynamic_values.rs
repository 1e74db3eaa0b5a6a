//! Decodes arbitrary bytes as a result of a dynamic client, whose description may be arbitrary too,
//! and encodes the result again as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use syshandle::describe::owned::Description;
use syshandle::object::Interface;
use syshandle::{Decode, Encode, Guid, Result, interface};
use syshandle_dynamic::offline::{read_result, write_arguments};

/// An interface with values of all forms except handles. Its method has the same type as parameter
/// and as result.
#[interface(iid = "5b0a4a4e-77a1-4e5c-9a3b-1f9f2b6f0d02")]
pub trait ValueForms {
    /// Returns the value.
    fn same(&self, value: Vec<AnyValue>) -> Result<Vec<AnyValue>>;
}

/// A value of any form.
#[derive(Debug, Encode, Decode)]
pub enum AnyValue {
    /// Numbers with and without bounds.
    Numbers(#[range(-5..=5)] i8, #[range(1..=3)] Option<u64>, (f64, NonZeroU16, u128)),
    /// Texts with and without bounds.
    Texts {
        /// A text.
        #[range(0..=4)]
        text: String,
        /// A path.
        path: PathBuf,
        /// A character and a truth value.
        rest: (char, bool),
    },
    /// Values of the standard library.
    Standard(Guid, Duration, SystemTime, SocketAddr, Range<i16>),
    /// Values that contain others.
    Nested(BTreeMap<String, Vec<AnyValue>>, BTreeSet<u8>, Option<Box<AnyValue>>),
    /// An array and a result.
    Fixed([u16; 2], std::result::Result<u8, String>, Vec<u8>),
    /// A struct that can grow.
    Growing(GrowingValue),
}

/// A struct that can grow.
#[derive(Debug, Encode, Decode)]
#[grows]
pub struct GrowingValue {
    /// A number.
    pub number: u8,
    /// An enum that can grow.
    #[added]
    pub state: Option<GrowingState>,
}

/// An enum that can grow.
#[derive(Debug, Encode, Decode)]
#[grows]
pub enum GrowingState {
    /// A variant without fields.
    Idle,
    /// A variant with a field.
    Busy(u16),
    /// A variant that this version doesn't know.
    #[unknown]
    Unknown,
}

/// Checks one input. Its first two bytes are the length of a description, which follows. If it is 0,
/// the description is that of [`ValueForms`]. The remaining bytes are the result.
///
/// # Panics
/// Panics if a value that was read changes when it is written and read again.
pub fn run(data: &[u8]) {
    let Some((len, rest)) = data.split_first_chunk() else { return };
    let len = usize::from(u16::from_le_bytes(*len)).min(rest.len());
    let (description, bytes) = rest.split_at(len);
    let mut description = match Description::from_bytes(description) {
        Ok(description) => description,
        Err(_) if len == 0 => Description::of(<dyn ValueForms as Interface>::DESCRIPTION).0,
        Err(_) => return,
    };
    // The method returns what it takes.
    let Some(method) = description.methods.first_mut() else { return };
    method.parameters.truncate(1);
    let Some(parameter) = method.parameters.first_mut() else { return };
    let mut result = method.result.clone();
    std::mem::swap(&mut result.name, &mut parameter.name);
    method.parameters = vec![result];
    method.result.name.clear();
    let name = method.name.clone();
    let Ok(value) = read_result(&description, &name, bytes) else { return };
    let shown = format!("{value:?}");
    // A variant that the description lacks is read, and can't be written.
    let Ok(written) = write_arguments(&description, &name, &[value]) else { return };
    let again = read_result(&description, &name, &written);
    let again = again.expect("a value that was written can be read");
    assert_eq!(format!("{again:?}"), shown, "{bytes:?} became {written:?}");
}
