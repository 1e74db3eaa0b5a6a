//! Fuzzes registration files with any text, and the search for marks with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::run_registration(
    data
));
