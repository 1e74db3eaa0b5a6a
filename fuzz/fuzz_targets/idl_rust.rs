//! Fuzzes the conversion of `.idl` files to Rust with any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::idl::run_rust(data));
