//! Fuzzes the decoding and the comparison of descriptions of interfaces with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::descriptions::run(
    data
));
