//! Sets `std_pipes` if the standard library has types for the ends of a pipe, which is since Rust
//! 1.87. A `cfg` applies to one crate only, so `crates/os` and `crates/types` have the same script.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(std_pipes)");
    if minor_version().is_none_or(|minor| minor >= 87) {
        println!("cargo::rustc-cfg=std_pipes");
    }
}

/// Returns the compiler's minor version: 85 for `rustc 1.85.0 (4d91de4e4 2025-02-17)`.
fn minor_version() -> Option<u32> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}
