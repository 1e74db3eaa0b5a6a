//! Interfaces of several sizes, which the build script writes.

include!(concat!(env!("OUT_DIR"), "/sizes.rs"));
