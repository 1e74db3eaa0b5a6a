//! Refuses targets on which no part of the library was designed to run. Lengths and positions have 64
//! bits, and words that processes share have the byte order of the machine.

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("syshandle supports only 64-bit little-endian targets");
