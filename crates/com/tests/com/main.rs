//! Tests of tables and calls against MIDL's published tables, against `widl`, and against each
//! other.

#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

mod calls;
mod golden;
mod hostile;
mod memory;
mod ndr;
mod random;
mod runtime;
mod traits;
mod values;
mod widl;
