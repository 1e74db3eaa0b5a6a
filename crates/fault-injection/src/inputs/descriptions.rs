//! Decodes arbitrary bytes as the description of an interface, and compares the description with the
//! one of another interface.

use syshandle::describe::compatibility::differences;
use syshandle::describe::owned::Description;
use syshandle::object::Interface;

use super::described::HandleForms;

/// Checks one input.
///
/// # Panics
/// Panics if a description that was read changes when it is written and read again.
pub fn run(data: &[u8]) {
    let Ok(description) = Description::from_bytes(data) else { return };
    let written = description.to_bytes().expect("a description that was read can be written");
    assert_eq!(Description::from_bytes(&written).as_ref(), Ok(&description));
    let (known, _) = Description::of(<dyn HandleForms as Interface>::DESCRIPTION);
    differences(&known, &description);
    differences(&description, &known);
    assert!(differences(&known, &known).is_empty());
}
