//! Fuzzes the check of `.idl` files with any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_torture::inputs::idl::run(data));
