//! What the compiler says of mistakes: each `mistakes/NAME.rs` against `mistakes/NAME.stderr`.
//! `TRYBUILD=overwrite cargo test -p syshandle --test mistakes` writes the latter anew.
//!
//! Mistakes within a trait are tested with the reader of traits, where that takes no compiler.

#[test]
fn every_mistake_is_told_at_its_token_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}
