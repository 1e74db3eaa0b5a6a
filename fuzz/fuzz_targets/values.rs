//! Fuzzes the decoding of many types, some with handles, with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_torture::inputs::values::run(data));
