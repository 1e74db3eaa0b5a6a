//! Streams: sequences of values, with handles in them, from a method to its caller or from a caller
//! to a method.
//!
//! [`channel`] makes a pair of ends. The [`Stream`] is the end that a program passes: as a result it
//! streams from the server to the client, and as a parameter from the client to the server. The
//! program keeps the [`Sink`] and writes the items, from any thread or task.
//!
//! ```
//! use syshandle::stream::{Stream, channel};
//! use syshandle::{Result, interface};
//!
//! #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a41")]
//! pub trait Counter {
//!     fn count(&self, end: u32) -> Result<Stream<u32>>;
//! }
//!
//! struct Plain;
//!
//! impl Counter for Plain {
//!     fn count(&self, end: u32) -> Result<Stream<u32>> {
//!         let (sink, stream) = channel();
//!         std::thread::spawn(move || {
//!             for number in 1..=end {
//!                 sink.send(number)?; // Waits if the reader is slow.
//!             }
//!             sink.finish()
//!         });
//!         Ok(stream)
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! // Without a connection, the pair is a queue. So a test can call the object itself.
//! let numbers: Result<Vec<u32>> = Plain.count(100)?.collect();
//! assert_eq!(numbers?.len(), 100);
//! # Ok(())
//! # }
//! ```
//!
//! # Places
//! A parameter or a result can be a stream, or have one in an `Option` or a tuple. No other type can
//! contain a stream, and so no item of a stream can. The compiler refuses an interface that breaks
//! this rule. A received stream can't be passed on.
//!
//! A client's method takes a stream by value, because the call takes it.
//!
//! # Errors
//! The reader gets an error if the writer fails the stream, if the writer drops its sink without
//! [`Sink::finish`], if an item doesn't match the interface, or if the other process ends. Such an
//! error is the last item. [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) ends only the wait.
//!
//! The writer gets [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) after the reader has
//! dropped its stream, and [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) after the
//! other process has ended.
//!
//! # Windows
//! COM has no form for a stream. A call of a method with a stream fails there, while both ends work
//! within a program.

mod pair;
mod reader;
mod sink;
mod waiting;

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        use windows as transport;
    } else {
        mod linux;

        use linux as transport;
    }
}

pub use self::reader::Stream;
pub use self::sink::{Sink, TrySendError};

use std::sync::Arc;

use self::pair::Pair;

/// Makes the two ends of a stream.
///
/// Until the stream is passed or read, the sink takes up to 16 items, which wait in a queue.
pub fn channel<T>() -> (Sink<T>, Stream<T>) {
    let pair = Arc::new(Pair::default());
    (Sink::new(pair.clone()), Stream::local(pair))
}
