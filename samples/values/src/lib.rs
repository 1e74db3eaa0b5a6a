//! An interface with a value of each form that a program in C++ can pass through the tables of a trait.
//! It comes from `values.idl`, and `proxy_dll!` takes it because none of its methods is marked.
//!
//! `ci/windows` compiles `tests/cpp/client.cpp` with the header that another compiler makes of the
//! file, and has it call the server. Guard bytes around every `[out]` show what is written beside it.

#![forbid(unsafe_code)]
#![expect(missing_docs, reason = "an .idl file documents what has a helpstring")]

include!(concat!(env!("OUT_DIR"), "/values.rs"));

syshandle::proxy_dll! {
    Values = "c1a7d2f4-5d0e-4a53-9f62-0a7f3f0b9e12"
}
