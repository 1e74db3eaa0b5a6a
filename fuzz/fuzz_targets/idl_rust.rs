//! Any text as an `.idl` file that Rust is made of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_torture::inputs::idl_rust::run(data));
