//! Packs and unpacks the values of opaque methods. The *envelope* consists of one array of bytes,
//! and one array of handles for each kind.
//!
//! ```text
//! bytes:    head ‖ number of handles u16 ‖ kind u8 of each, in order ‖ the encoded values
//! handles:  all handles of one kind, in order; then all of the next kind
//! ```
//!
//! The list of kinds shows which array contains each handle. The head of a reply is its status; a
//! call has no head.

use syshandle_os::Kinds;
use syshandle_types::Limits;
use syshandle_types::describe::Parameter;

use super::handle_kinds::declared_handle_kinds;
use super::message::{HandleType, RawLentHandle, RawReceivedHandle};
use super::problem::{Problem, TranscodeError};
use crate::kinds;
use crate::plan::SlotValue;
use crate::shape::Shape;

/// Packs encoded values of these types into the members (slot values) of an opaque method.
pub(super) fn pack(
    members: &[SlotValue],
    types: &[Parameter],
    head: &[u8],
    encoded: &[u8],
    handles: &[RawLentHandle],
) -> Result<(Vec<u8>, Vec<RawLentHandle>), TranscodeError> {
    let declared = declared_handle_kinds(types, encoded)?;
    if declared.len() != handles.len() {
        return Err(Problem::Encoded.into());
    }
    let numbers = declared.iter().zip(handles).map(|(declared, lent)| number(*declared, lent));
    let numbers: Vec<u8> = numbers.collect::<Result<_, _>>()?;

    let len = head.len() + 2 + numbers.len() + encoded.len();
    if len > Limits::ARENA_BYTES {
        return Err(Problem::TooManyBytes.into());
    }
    let mut bytes = Vec::with_capacity(len + 4);
    bytes.extend((len as u32).to_le_bytes());
    bytes.extend(head);
    bytes.extend((numbers.len() as u16).to_le_bytes());
    bytes.extend(&numbers);
    bytes.extend(encoded);

    let mut sorted: Vec<RawLentHandle> = Vec::with_capacity(handles.len());
    for value in members {
        let Some(wanted) = kind_of(value) else { continue };
        let first = sorted.len();
        let of_kind = handles.iter().zip(&numbers).filter(|(_, number)| **number == wanted);
        sorted.extend(of_kind.map(|(lent, _)| *lent));
        bytes.extend(((sorted.len() - first) as u32).to_le_bytes());
        (first..sorted.len()).for_each(|slot| bytes.extend((slot as u16).to_le_bytes()));
    }
    match sorted.len() == handles.len() {
        true => Ok((bytes, sorted)),
        false => Err(Problem::UndeclaredHandle.into()),
    }
}

/// The contents of an envelope.
pub(super) struct EnvelopeContents {
    pub(super) head: Vec<u8>,
    pub(super) values: Vec<u8>,
    pub(super) handles: Vec<RawReceivedHandle>,
}

/// Unpacks an envelope that [`pack`] has created. `head` is the length of the head in bytes.
pub(super) fn unpack(
    bytes: &[u8],
    handles: Vec<RawReceivedHandle>,
    head: usize,
) -> Result<EnvelopeContents, TranscodeError> {
    let malformed = || Problem::Value("message of an opaque method");
    // The array of bytes comes first, preceded by its length.
    let (len, rest) = bytes.split_first_chunk().ok_or_else(malformed)?;
    let content = rest.get(..u32::from_le_bytes(*len) as usize).ok_or_else(malformed)?;
    let (head, rest) = content.split_at_checked(head).ok_or_else(malformed)?;
    let (count, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
    let count = usize::from(u16::from_le_bytes(*count));
    let (numbers, values) = rest.split_at_checked(count).ok_or_else(malformed)?;
    if count != handles.len() {
        return Err(malformed().into());
    }
    let mut left: Vec<Option<RawReceivedHandle>> = handles.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(count);
    for number in numbers {
        let handle_type = kinds::of_number(*number).map(HandleType::Handle);
        // The handles of each kind are in order. The next handle is therefore the first remaining
        // one of its kind.
        let next = left
            .iter_mut()
            .find(|next| next.map(|next| next.handle_type) == handle_type && handle_type.is_some());
        ordered.extend(next.ok_or_else(malformed)?.take());
    }
    Ok(EnvelopeContents { head: head.to_vec(), values: values.to_vec(), handles: ordered })
}

/// Returns the kind of the handles that a member contains, or `None` for the member that contains
/// the bytes.
fn kind_of(value: &SlotValue) -> Option<u8> {
    match value.shape.counted()? {
        Shape::Handle(number) => Some(*number),
        _ => None,
    }
}

/// Returns the kind under which a handle is passed, as MIDL's number.
fn number(declared: Kinds, lent: &RawLentHandle) -> Result<u8, Problem> {
    if let [number] = kinds::numbers(declared)[..] {
        return Ok(number);
    }
    let kind = lent.kind.filter(|kind| declared.contains(*kind));
    kind.and_then(kinds::number).ok_or(Problem::UndeclaredHandle)
}
