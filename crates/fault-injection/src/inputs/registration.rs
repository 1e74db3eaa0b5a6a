//! Any text as a registration file, and any bytes as a program with marks.

use syshandle_registry::Registration;

/// Checks the input.
pub fn run(data: &[u8]) {
    let _ = syshandle_registry::mark::find(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(registration) = Registration::parse("fuzz", text) {
        let written = registration.write();
        assert_eq!(
            Registration::parse("fuzz", &written).expect("what was written is read"),
            registration
        );
    }
}
