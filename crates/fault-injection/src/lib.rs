//! Stress tests of the sample with failing system calls, signals, forks, and load.
//!
//! `injection` makes the n-th system call of a program fail in the kernel, so the program needs no
//! special build. The other modules contain programs and steps that the tests and `cargo xtask
//! faults` share.

#![cfg(target_os = "linux")]

pub mod injection;
pub mod inputs;
pub mod large_values;
pub mod pipelined_calls;
pub mod sample_client;
pub mod system_calls;

mod supervisor;
