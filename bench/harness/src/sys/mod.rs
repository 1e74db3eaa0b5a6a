//! The system calls of the floors, as thin as they can be. The only `unsafe` of the benchmark.

pub mod batch;
pub mod clock;
pub mod map;
pub mod message;
