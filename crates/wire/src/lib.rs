//! The wire of syshandle: values, frames, limits, and the two ends of a call as plain state machines.
