//! Any bytes as a greeting, a hello, a fault or a first frame.

use syshandle_wire::{ClientEnd, Fault, Greeting, Hello};

/// Checks the input.
pub fn run(data: &[u8]) {
    let _ = ClientEnd::<()>::open(data, 0);
    if let Ok(greeting) = Greeting::read(data) {
        assert_eq!(Greeting::read(&greeting.write()), Ok(greeting));
    }
    if let Ok(hello) = Hello::read(data) {
        assert_eq!(hello.write(), *data);
    }
    if let Ok(fault) = Fault::read(data) {
        assert_eq!(Fault::read(&fault.write()), Ok(fault));
    }
}
