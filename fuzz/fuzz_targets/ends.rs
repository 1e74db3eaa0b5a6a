//! Fuzzes either end of a connection with sequences of frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::ends::run(data));
