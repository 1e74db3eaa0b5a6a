//! The front end for `.idl` files: it reads them, checks them, and says what is wrong.
//!
//! `source` and `diagnostic` say where things are and what is wrong with them; `lexer`,
//! `preprocess` and `parser` go from a file's text to the syntax tree in [`ast`]; `program`
//! brings in what a file imports, from disk or from `system`; `check` sees whether it makes
//! sense. [`check`](check()) is all of it in one call.

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
mod modern;
pub(crate) mod packing;
mod parser;
mod preprocess;
pub(crate) mod program;
pub(crate) mod report;
mod source;
pub(crate) mod system;
pub(crate) mod token;
pub(crate) mod work;

pub use diagnostic::{Color, Diagnostic, Severity};
pub use report::{Options, Preprocessor, Report, Statistics, check, check_text};
pub use source::Location;
pub(crate) use source::Span;
