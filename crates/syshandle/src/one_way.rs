//! The method by which a client waits for its one-way calls.

/// Number of the method. Every object has it on a connection with one-way calls. It does nothing,
/// and starts after all earlier one-way calls of the object have ended.
pub(crate) const FLUSH: u32 = u32::MAX - 5;
