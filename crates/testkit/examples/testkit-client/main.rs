//! The client for the tests. It does nothing on Windows, because activation without COM is tested
//! only on Linux.

#[cfg(not(windows))]
mod confine;
#[cfg(not(windows))]
mod linux;

#[cfg(not(windows))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(windows)]
fn main() {}
