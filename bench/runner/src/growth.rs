//! How time and memory grow.

use bench_harness::Result;

use crate::machine::Folder;
use crate::options::Options;
use crate::results::Results;

/// Measures all curves.
pub(crate) fn grow(_options: &Options, _folder: &Folder, _results: &mut Results) -> Result<()> {
    Ok(())
}
