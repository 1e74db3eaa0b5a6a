//! The front end for `.idl` files: reads them, checks them and reports diagnostics.
//!
//! The modules `source` and `diagnostic` contain positions and diagnostics. `lexer`, `preprocess`
//! and `parser` convert the text of a file to the syntax tree in [`ast`]. `program` loads imported
//! files, either from disk or from the built-in files in `system`. The module `check` checks names,
//! attributes and values. The function [`check`](check()) runs all of these steps.

#[expect(
    dead_code,
    reason = "a syntax tree keeps what was written, whether anybody reads it yet or not"
)]
pub(crate) mod ast;
pub(crate) mod check;
pub(crate) mod constant;
pub(crate) mod diagnostic;
mod dialect;
mod lexer;
pub(crate) mod limits;
mod loader;
mod midl3;
pub(crate) mod packing;
mod parser;
mod preprocess;
pub(crate) mod program;
pub(crate) mod report;
mod source;
pub(crate) mod steps;
pub(crate) mod system;
pub(crate) mod token;

pub use diagnostic::{Color, Diagnostic, Severity};
pub use report::{Options, Preprocessor, Report, Statistics, check, check_text};
pub use source::Location;
pub(crate) use source::Span;
