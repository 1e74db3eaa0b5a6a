//! Fuzzes arguments that are generated from an interface's description and then modified.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::described::run(data));
