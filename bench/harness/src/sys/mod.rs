//! Thin wrappers of the floors' system calls. This module contains the only `unsafe` code of the
//! benchmark except for the bindings of the sd-bus peer.

pub mod batch;
pub mod clock;
pub mod map;
pub mod message;
