//! Rust source files: read into the model, and written from it.

mod file;
mod modules;
mod source;
mod text;

pub use file::file;
pub(crate) use modules::read;
pub(crate) use text::text;
