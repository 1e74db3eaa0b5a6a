//! Targets of 32 bits and big-endian targets are refused at compile time.
//!
//! The compiler knows targets whose standard library isn't installed. So the module with the check is
//! compiled alone and without a standard library. There, the name of the macro is an error too.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::env;
use std::process::Command;

/// Returns whether the check lets a target pass.
fn is_supported(target: &str) -> bool {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--crate-type=lib", "--emit=metadata", "--target", target])
        .args(["-Zcrate-attr=feature(no_core)", "-Zcrate-attr=no_core"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/targets.rs"))
        .args(["--out-dir", env!("CARGO_TARGET_TMPDIR")])
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let is_refused = errors.contains("compile_error");
    assert_ne!(output.status.success(), is_refused, "{target}: {errors}");
    !is_refused
}

#[test]
fn other_than_64_bit_little_endian_targets_are_refused() {
    assert!(is_supported("x86_64-unknown-linux-gnu"));
    assert!(is_supported("aarch64-unknown-linux-musl"));
    assert!(is_supported("x86_64-pc-windows-gnu"));
    assert!(!is_supported("i686-unknown-linux-gnu"));
    assert!(!is_supported("i686-pc-windows-gnu"));
    assert!(!is_supported("x86_64-unknown-linux-gnux32"));
    assert!(!is_supported("s390x-unknown-linux-gnu"));
}
