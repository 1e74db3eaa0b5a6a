//! Reads Rust source files into the model and writes them from it.

mod file;
mod modules;
mod source;
mod text;

pub use file::describe;
pub(crate) use modules::read;
pub(crate) use text::text;
