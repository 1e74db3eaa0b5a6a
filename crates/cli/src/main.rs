//! The syshandle command: register, list and clean classes, and work with interfaces.

fn main() {}
