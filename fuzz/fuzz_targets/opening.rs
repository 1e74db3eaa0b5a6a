//! Fuzzes the handshake with any bytes as a greeting, a hello, a fault or a first frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::run_opening(data));
