//! Arguments made of an interface's own description, and spoiled.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_torture::inputs::described::run(data));
