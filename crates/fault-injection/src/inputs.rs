//! Checks of fuzzing inputs. Each module has one or more functions that check an input.
//!
//! The fuzz targets get their inputs from a coverage-guided engine. An ordinary test uses the
//! corpora and random mutations of them.

use syshandle_registry::Registration;
use syshandle_wire::{ClientEnd, Fault, Features, Greeting, Hello};

pub mod described;
pub mod descriptions;
pub mod dynamic_values;
pub mod ends;
pub mod idl;
pub mod values;

/// A function that checks one input, and panics if the code under test is wrong.
pub type InputCheck = fn(&[u8]);

/// All checks, each with the name of its corpus.
pub const ALL: [(&str, InputCheck); 9] = [
    ("described", described::run),
    ("descriptions", descriptions::run),
    ("dynamic_values", dynamic_values::run),
    ("ends", ends::run),
    ("idl", idl::run),
    ("idl_rust", idl::run_rust),
    ("opening", run_opening),
    ("registration", run_registration),
    ("values", values::run),
];

/// Parses the input as a greeting, a hello, a fault and a first frame.
pub fn run_opening(data: &[u8]) {
    let _ = ClientEnd::<()>::open(data, 0, Features::from_bits(u64::MAX));
    if let Ok(greeting) = Greeting::read(data) {
        assert_eq!(Greeting::read(&greeting.write()), Ok(greeting));
    }
    if let Ok(hello) = Hello::read(data) {
        assert_eq!(Hello::read(&hello.write()), Ok(hello));
    }
    if let Ok(fault) = Fault::read(data) {
        assert_eq!(Fault::read(&fault.write()), Ok(fault));
    }
}

/// Parses the input as a registration file, and as a program file with marks.
pub fn run_registration(data: &[u8]) {
    let _ = syshandle_registry::mark::find(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(registration) = Registration::parse("fuzz", text) {
        let written = registration.write();
        assert_eq!(
            Registration::parse("fuzz", &written).expect("a written registration is valid"),
            registration
        );
    }
}
