//! Any sequence of frames, at either end of a connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_torture::inputs::ends::run(data));
