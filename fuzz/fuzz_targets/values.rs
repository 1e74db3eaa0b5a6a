//! Fuzzes the decoding of many types, some with handles, with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::values::run(data));
