//! Takes the place of the COM tests on platforms without COM.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Reports the tests as skipped.
pub(crate) fn main() -> ExitCode {
    let skipped = Trial::test("skipped, because COM is there on Windows only", || Ok(()));
    libtest_mimic::run(&Arguments::from_args(), vec![skipped.with_ignored_flag(true)]).exit_code()
}
