//! Every kind of error, as a client in another process gets it from a method.

use syshandle::{
    CallError, Context, Decode, Encode, Error, ErrorKind, Result, class, interface,
    testing::simulated_error,
};

use super::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_method_of_another_process_fails_and_refuses_with_each_kind", method),
    ("a_method_with_its_own_error_fails_and_refuses_with_each_kind", typed),
    ("a_method_of_another_process_forges_no_kind", simulated),
    ("an_error_that_a_method_passes_on_becomes_a_failure", passed_on),
    ("an_error_of_the_system_keeps_its_number", system),
    ("an_interface_that_the_object_lacks_is_told", no_interface),
    ("a_connection_that_the_server_aborts_ends_all_calls", aborted),
];

/// Fails in the way that the caller requests.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f60")]
pub(crate) trait Failing {
    /// Fails with a kind, given by its index, or refuses with it.
    fn fail(&self, number: u8, may_have_run: bool) -> Result<()>;

    /// Fails as a fake of a test does.
    fn simulate(&self, number: u8, may_have_run: bool) -> Result<()>;

    /// Fails like every call can, or with its own error.
    fn typed(&self, number: Option<u8>, may_have_run: bool) -> Result<(), CallError<Own>>;

    /// Passes on the error of another call.
    fn pass_on(&self) -> Result<()>;

    /// Fails with an error of the system.
    fn system(&self, number: i32) -> Result<()>;

    /// Ends the connection with an error, and succeeds itself.
    fn abort(&self, context: &Context) -> Result<()>;
}

/// An interface that no object has.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f61")]
trait Absent {
    fn nothing(&self) -> Result<()>;
}

/// An error that COM carries as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Own {
    /// The only error.
    Only,
}

class! {
    /// The class of the tests.
    pub FAILING: Failing = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f62";
}

/// The kinds that a method may report.
const KINDS: [ErrorKind; 15] = [
    ErrorKind::Failed,
    ErrorKind::NotAllowed,
    ErrorKind::Busy,
    ErrorKind::TimedOut,
    ErrorKind::WrongHandle,
    ErrorKind::Malformed,
    ErrorKind::TooLarge,
    ErrorKind::System,
    ErrorKind::NotRegistered,
    ErrorKind::BadRegistration,
    ErrorKind::Insecure,
    ErrorKind::NoRuntimeDirectory,
    ErrorKind::StartFailed,
    ErrorKind::ActivationDenied,
    ErrorKind::AlreadyRunning,
];

/// The kinds that only the runtime may report. Clients get `Failed` instead.
const RUNTIME_KINDS: [ErrorKind; 11] = [
    ErrorKind::NoSuchClass,
    ErrorKind::NoSuchInterface,
    ErrorKind::NoSuchMethod,
    ErrorKind::Unproven,
    ErrorKind::HandlesLost,
    ErrorKind::Cancelled,
    ErrorKind::OtherProcess,
    ErrorKind::Disconnected,
    ErrorKind::Violation,
    ErrorKind::Aborted,
    ErrorKind::Panicked,
];

fn kind(number: u8) -> ErrorKind {
    *KINDS.iter().chain(&RUNTIME_KINDS).nth(number.into()).unwrap()
}

/// Returns the index of every kind, and the kind that a client gets.
fn kinds() -> impl Iterator<Item = (u8, ErrorKind)> {
    let count = (KINDS.len() + RUNTIME_KINDS.len()) as u8;
    (0..count).map(|number| {
        let kind = kind(number);
        (number, if KINDS.contains(&kind) { kind } else { ErrorKind::Failed })
    })
}

pub(crate) struct Failer;

impl Failing for Failer {
    fn fail(&self, number: u8, may_have_run: bool) -> Result<()> {
        let error = Error::new(kind(number), "so it is");
        Err(if may_have_run { error } else { error.refused() })
    }

    fn simulate(&self, number: u8, may_have_run: bool) -> Result<()> {
        let error = simulated_error(kind(number), "so it is");
        Err(if may_have_run { error } else { error.refused() })
    }

    fn typed(&self, number: Option<u8>, may_have_run: bool) -> Result<(), CallError<Own>> {
        let Some(number) = number else { return Err(CallError::Method(Own::Only)) };
        Ok(self.fail(number, may_have_run)?)
    }

    fn pass_on(&self) -> Result<()> {
        let other: FailingClient = FAILING.in_process(Self)?;
        other.fail(2, false)
    }

    fn system(&self, number: i32) -> Result<()> {
        Err(std::io::Error::from_raw_os_error(number).into())
    }

    fn abort(&self, context: &Context) -> Result<()> {
        context.abort("enough");
        Ok(())
    }
}

fn failing() -> FailingClient {
    FailingClient::activate(FAILING).unwrap()
}

fn method() {
    let failing = failing();
    for (number, expected) in kinds() {
        for may_have_run in [false, true] {
            let error = failing.fail(number, may_have_run).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (expected, may_have_run));
            assert_eq!(error.to_string(), "Failing::fail: so it is");
        }
    }
}

fn typed() {
    let failing = failing();
    let own = failing.typed(None, true).unwrap_err();
    assert!(matches!(own, CallError::Method(Own::Only)), "{own:?}");
    for (number, expected) in kinds() {
        for may_have_run in [false, true] {
            let Err(CallError::Call(error)) = failing.typed(Some(number), may_have_run) else {
                panic!("another result");
            };
            assert_eq!((error.kind(), error.may_have_run()), (expected, may_have_run));
            assert_eq!(error.to_string(), "Failing::typed: so it is");
        }
    }
}

fn simulated() {
    let remote = failing();
    let own: FailingClient = FAILING.in_process(Failer).unwrap();
    for (number, expected) in kinds() {
        for may_have_run in [false, true] {
            let error = remote.simulate(number, may_have_run).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (expected, may_have_run));
            // A fake in the same process produces every kind.
            let error = own.simulate(number, may_have_run).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (kind(number), may_have_run));
        }
    }
}

fn passed_on() {
    let error = failing().pass_on().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Failed, true));
    assert_eq!(error.to_string(), "Failing::pass_on: Failing::fail: so it is");
}

fn system() {
    let error = failing().system(5).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Failed, true));
    assert_eq!(error.raw_os_error(), Some(5));
    assert_eq!(error.io_kind(), Some(std::io::ErrorKind::PermissionDenied));
}

fn no_interface() {
    let error = failing().cast::<AbsentClient>().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::NoSuchInterface, false));
}

fn aborted() {
    let (failing, other) = (failing(), failing());
    let error = failing.abort().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, true));
    assert_eq!(error.to_string(), "Failing::abort: enough");
    let error = failing.fail(0, true).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, false));
    assert_eq!(failing.cast::<FailingClient>().unwrap_err().kind(), ErrorKind::Aborted);
    // The other clients of the server are not affected.
    assert_eq!(other.fail(0, true).unwrap_err().kind(), ErrorKind::Failed);
}
