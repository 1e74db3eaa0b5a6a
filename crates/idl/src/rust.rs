//! Converts Rust source files to the model and back.

mod file;
mod modules;
mod source;
mod text;

pub use file::describe;
pub(crate) use modules::read;
pub(crate) use text::text;
