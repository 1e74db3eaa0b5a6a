//! What the sample must hold: system calls that fail, signals, forks, and load.
//!
//! `faults` makes the n-th of a program's system calls fail, in the kernel, so that nothing of the
//! product has to be built otherwise. The rest is programs and steps that tests and
//! `cargo xtask torture` have in common.

#![cfg(target_os = "linux")]

pub mod calls;
pub mod faults;
pub mod finish;
pub mod inputs;
pub mod large;
pub mod together;

mod supervisor;
