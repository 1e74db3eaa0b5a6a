//! The interface of the sparkle sample.
