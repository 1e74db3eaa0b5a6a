//! The worker of a broker, which confines itself and then receives handles of all kinds. It does
//! nothing on Windows.

#[cfg(not(windows))]
mod linux;
#[cfg(not(windows))]
mod sandbox;

#[cfg(not(windows))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(windows)]
fn main() {}
