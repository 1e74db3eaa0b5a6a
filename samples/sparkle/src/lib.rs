//! The interface of the sparkle sample, which client and server share.

#![forbid(unsafe_code)]

pub mod timeline;

use std::fs::File;

use syshandle::{Context, Event, Result, class, interface};

/// Puts the finishing touches on a file, as soon as the client says that it is ready.
#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
pub trait SparkleFinisher {
    /// Adds a sparkle finish to a file: when `when_this_event_fires` does, the server writes where
    /// the file stands, and then sets the event that it returns. If it can't, it says why, and
    /// that ends the client's wait.
    fn add_sparkle_finish_to_file(
        &self,
        context: &Context,
        #[handle(file, read | write)] decorate_this_file: File,
        when_this_event_fires: Event,
    ) -> Result<Event>;
}

class! {
    /// The finisher that `sparkle-server` serves.
    pub SPARKLE_FINISHER: SparkleFinisher = "ea27c73a-48c2-4714-9d20-a9d2c4f6aed3";
}

/// What the client writes, with one write.
pub const CLIENT_LINES: &str = "\
Loading dishes.
Loading detergent.
Pre-washing.
Rinsing.
Washing.
Rinsing.
";

/// What the server writes, with one write.
pub const SERVER_LINES: &str = "\
Dispensing sparkle finisher.
Rinsing.
Drying.
Sparkly!
";
