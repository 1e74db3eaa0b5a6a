//! Handles Ctrl-C and other signals that end a run. The run ends its processes in order and removes
//! its folders.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bench_harness::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Installs the signal handlers. The first signal ends the run at its next step. A second one ends
/// it at once, and the next run cleans up.
///
/// # Errors
/// The errors of the system.
pub(crate) fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The handlers run in this order. At the first signal the flag is unset, so the first
        // handler does nothing, and the second one sets the flag.
        flag::register_conditional_shutdown(signal, INTERRUPTED, came().clone())?;
        flag::register(signal, came().clone())?;
    }
    Ok(())
}

/// Returns an error if a signal was received.
///
/// # Errors
/// A signal was received.
pub(crate) fn check() -> Result<()> {
    match came().load(Ordering::SeqCst) {
        true => Err("interrupted: all started processes have been ended".into()),
        false => Ok(()),
    }
}

fn came() -> &'static Arc<AtomicBool> {
    static CAME: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    CAME.get_or_init(Arc::default)
}

/// Interval at which waiting code checks for a signal.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// The exit code that a shell reports for a command ended by Ctrl-C.
const INTERRUPTED: i32 = 130;
