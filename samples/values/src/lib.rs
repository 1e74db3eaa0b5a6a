//! An interface with every form of value that a program in C++ can pass through the tables of a
//! trait. It is generated from `values.idl`. `proxy_dll!` accepts it because no method is marked as
//! having a layout that differs from the file.
//!
//! `ci/windows` compiles `tests/cpp/client.cpp` with the header that `widl` generates from the same
//! file, and lets it call the server. Guard bytes around every `[out]` parameter detect writes
//! outside of it.

#![forbid(unsafe_code)]
#![expect(missing_docs, reason = "an .idl file documents what has a helpstring")]

include!(concat!(env!("OUT_DIR"), "/values.rs"));

syshandle::proxy_dll! {
    Values = "c1a7d2f4-5d0e-4a53-9f62-0a7f3f0b9e12"
}
