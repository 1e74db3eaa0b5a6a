//! What each layer costs.

/// Prints one line for each rung.
pub(crate) fn climb() -> bench_harness::Result<()> {
    Ok(())
}
