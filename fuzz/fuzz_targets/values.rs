//! Any bytes as values of many types, with handles among them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_torture::inputs::values::run(data));
