//! The server side: accepts clients, runs their calls and replies.

mod background_task;
mod incoming_call;

pub use background_task::BackgroundTask;
pub use incoming_call::IncomingCall;

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub use windows::*;
    } else {
        mod linux;

        pub use linux::*;
    }
}
