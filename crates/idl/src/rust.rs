//! Converts Rust source files to the model and back.

mod crate_path;
mod file;
mod modules;
mod source;
mod text;

pub use crate_path::{CratePath, CratePathError};
pub use file::describe;
pub(crate) use modules::read;
pub(crate) use text::text;
