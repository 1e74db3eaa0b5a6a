//! The server for the tests. It does nothing on Windows, because activation without COM is tested
//! only on Linux.

#![forbid(unsafe_code)]

#[cfg(not(windows))]
mod linux;

#[cfg(not(windows))]
fn main() -> syshandle::Result<()> {
    linux::main()
}

#[cfg(windows)]
fn main() {}
