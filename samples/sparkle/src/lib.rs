//! The interface of the sparkle sample, which the client and the server share.

#![forbid(unsafe_code)]

pub mod timeline;

use std::fs::File;

use syshandle::{Context, Result, class, handle::Event, interface};

/// Finishes a file as soon as the client signals that the file is ready.
#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
pub trait SparkleFinisher {
    /// Adds a sparkle finish to a file. After `when_this_event_fires` is signalled, the server
    /// writes at the file's current position and signals the returned event. If the server can't
    /// write, it reports an error, which ends the client's wait.
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

/// The lines that the client writes in a single write.
pub const CLIENT_LINES: &str = "\
Loading dishes.
Loading detergent.
Pre-washing.
Rinsing.
Washing.
Rinsing.
";

/// The lines that the server writes in a single write.
pub const SERVER_LINES: &str = "\
Dispensing sparkle finisher.
Rinsing.
Drying.
Sparkly!
";
