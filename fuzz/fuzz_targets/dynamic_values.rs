//! Fuzzes the values of dynamic clients, with descriptions of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| syshandle_fault_injection::inputs::dynamic_values::run(
    data
));
