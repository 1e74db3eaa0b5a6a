//! Tests of format strings and calls. The format strings are compared with MIDL's published ones
//! and with those of `widl`.

#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]
#![expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")]

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
