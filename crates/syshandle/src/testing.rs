//! Support for tests of programs that use interfaces.

mod context_recorder;

use std::sync::Arc;
use std::time::Instant;

use syshandle_os::Credentials;

use crate::client::cancel::Cancel;
use crate::error::Origin;
use crate::limits::CALL_TIMEOUT;
use crate::server::context::{Context, SimulatedCall};
use crate::{Error, ErrorKind, Result};

/// Creates an error for a fake: an implementation of an interface that stands in for a server in a
/// test. The call may have run; [`Error::refused`] states that it did not.
///
/// Callers in the same process get the error with every kind, also with a kind that only the
/// runtime reports, such as [`ErrorKind::Disconnected`]. So a test can check how a program handles
/// each error, over a client that [`in_process`](crate::in_process) made. A caller in another
/// process gets the error as if [`Error::new`] had created it.
///
/// The error affects a single call: a simulated [`ErrorKind::Disconnected`] does not end the
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

/// Makes a [`Context`] for a test that calls a method directly, without a client.
///
/// Without further settings the client is this process, and the call has the default timeout.
///
/// Everything else works as in a call from a client. Background tasks run on threads that the
/// context starts, and continue after the context is dropped. [`Context::serve`] serves objects.
/// [`Context::abort`] ends the connection of the context, so that
/// [`Context::is_cancelled`] returns `true`.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use syshandle::testing::ContextBuilder;
/// use syshandle::{Cancel, Context, Credentials, Error, ErrorKind, Result};
///
/// /// The code under test: the beginning of a method.
/// fn check(context: &Context) -> Result<()> {
///     if context.is_stopping() || context.is_cancelled() {
///         return Err(Error::new(ErrorKind::Busy, "try another server").refused());
///     }
///     Ok(())
/// }
///
/// # fn main() -> Result<()> {
/// let mut client = Credentials::current();
/// client.pid = 17;
/// let cancel = Cancel::new()?;
/// let context = ContextBuilder::new()
///     .client(client)
///     .deadline(Instant::now() + Duration::from_secs(60))
///     .cancelled_by(&cancel)
///     .build()?;
/// assert_eq!(context.client().pid, 17);
/// check(&context)?;
/// cancel.cancel();
/// assert_eq!(check(&context).unwrap_err().kind(), ErrorKind::Busy);
/// assert!(check(&ContextBuilder::new().stopping().build()?).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContextBuilder {
    client: Option<Credentials>,
    deadline: Option<Instant>,
    cancel: Option<Cancel>,
    is_stopping: bool,
}

impl ContextBuilder {
    /// Creates a builder for a call of this process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the client that [`Context::client`] returns. [`Context::client_process`] opens the
    /// process by its number. Quotas still count for this process.
    #[must_use]
    pub fn client(mut self, client: Credentials) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the deadline of the call. When it has passed, [`Context::is_cancelled`] returns `true`.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Makes [`Context::is_cancelled`] return `true` when `cancel` is cancelled.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Makes [`Context::is_stopping`] return `true`.
    #[must_use]
    pub fn stopping(mut self) -> Self {
        self.is_stopping = true;
        self
    }

    /// Makes the context.
    ///
    /// # Errors
    /// No handle, or no thread, left.
    pub fn build(self) -> Result<Context> {
        let (Context(context, _), client) = context_recorder::record()?;
        let Self { client: credentials, deadline, cancel, is_stopping } = self;
        let is_cancelled = move || cancel.as_ref().is_some_and(Cancel::is_cancelled);
        let call = SimulatedCall {
            client: credentials,
            deadline: deadline.unwrap_or_else(|| Instant::now() + CALL_TIMEOUT),
            is_cancelled: Box::new(is_cancelled),
            is_stopping,
            _keep_alive: Box::new(client),
        };
        Ok(Context(context, Some(Arc::new(call))))
    }
}
