//! Stress tests of the sample: failing system calls, signals, forks, and load.
//!
//! `faults` makes the n-th system call of a program fail in the kernel, so that the product needs
//! no special build. The other modules are programs and steps that the tests and
//! `cargo xtask faults` share.

#![cfg(target_os = "linux")]

pub mod calls;
pub mod faults;
pub mod finish;
pub mod inputs;
pub mod large;
pub mod together;

mod supervisor;
