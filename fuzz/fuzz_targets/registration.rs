//! Any text as a registration file, and any bytes as a program with marks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_torture::inputs::registration::run(data));
