//! Fuzzes the check of `.idl` files with any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::idl::run(data));
