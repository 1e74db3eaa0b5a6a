//! Ctrl-C, and being told to end: what was started is ended in order, and folders are removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bench_harness::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// From now on signals end the run at its next step. A second one ends it at once, and leaves to
/// the next run what there is to clean up.
///
/// # Errors
/// The system's.
pub(crate) fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first one finds the flag unset.
        flag::register_conditional_shutdown(signal, INTERRUPTED, came().clone())?;
        flag::register(signal, came().clone())?;
    }
    Ok(())
}

/// Goes on, unless a signal came.
///
/// # Errors
/// One came.
pub(crate) fn check() -> Result<()> {
    match came().load(Ordering::SeqCst) {
        true => Err("interrupted: what was started has been ended".into()),
        false => Ok(()),
    }
}

fn came() -> &'static Arc<AtomicBool> {
    static CAME: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    CAME.get_or_init(Arc::default)
}

/// How often whoever waits looks.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// What a shell says of a command that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
