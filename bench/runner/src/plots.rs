//! The results as plots.

use crate::results::Results;

/// All plots that there are results for: name and SVG.
pub(crate) fn all(_results: &Results) -> Vec<(&'static str, String)> {
    Vec::new()
}
