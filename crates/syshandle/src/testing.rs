//! Support for tests of programs that use interfaces.

use crate::error::Origin;
use crate::{Error, ErrorKind};

/// Creates an error for a fake: an implementation of an interface that stands in for a server in a
/// test. The call may have run; [`Error::refused`] states that it did not.
///
/// Callers in the same process get the error with every kind, also with a kind that only the
/// runtime reports, such as [`ErrorKind::Disconnected`]. So a test can check how a program handles
/// each error, over a client that [`in_process`](crate::in_process) made. A caller in another
/// process gets the error as if [`Error::new`] had created it.
///
/// The error is one of a single call: a simulated [`ErrorKind::Disconnected`] does not end the
/// connection.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use syshandle::testing::simulated_error;
/// use syshandle::{ErrorKind, Result, interface};
///
/// #[interface(iid = "1c7d6b0e-7a7c-4b0c-8c5e-53a3c1d1f0b4")]
/// pub trait Printer {
///     fn print(&self, text: String) -> Result<()>;
/// }
///
/// /// The code under test: prints again if the page was certainly not printed.
/// fn print_once(printer: &PrinterClient, text: &str) -> Result<()> {
///     match printer.print(text) {
///         Err(error) if error.kind() == ErrorKind::Disconnected && !error.may_have_run() => {
///             printer.print(text)
///         }
///         other => other,
///     }
/// }
///
/// /// A printer whose server has just ended when it is first used.
/// #[derive(Default)]
/// struct FakePrinter(AtomicU32);
///
/// impl Printer for FakePrinter {
///     fn print(&self, _: String) -> Result<()> {
///         match self.0.fetch_add(1, Ordering::Relaxed) {
///             0 => Err(simulated_error(ErrorKind::Disconnected, "the server has ended").refused()),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// # fn main() -> Result<()> {
/// print_once(&PrinterClient::in_process(FakePrinter::default())?, "a page")?;
/// # Ok(())
/// # }
/// ```
pub fn simulated_error(kind: ErrorKind, text: impl Into<String>) -> Error {
    Error::of_method(kind, text, Origin::Fake)
}
