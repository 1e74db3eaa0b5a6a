//! Tests of the server, under a scheduler.

mod interleavings;
mod numbers;
mod turns;
