//! What people run by hand: cargo demo.

fn main() {}
