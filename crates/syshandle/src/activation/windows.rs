//! Activation: COM connects to the running server of a class, or starts it.

use std::time::{Duration, Instant};

use syshandle_com::{ComError, InterfacePointer, RegisteredInterface};
use syshandle_os::under_wine;
use syshandle_types::Guid;
use syshandle_types::describe::Interface as Description;

use super::Activation;
use crate::class_locks::ClassLocks;
use crate::client::Client;
use crate::client::windows::calls::{self, Deadline};
use crate::{Error, ErrorKind, Result};

/// Connects to the running server of a class or starts it, through COM. Retries after errors that
/// may pass.
pub(super) fn connect(
    _: &Activation,
    clsid: Guid,
    interface: &'static Description,
    deadline: Instant,
) -> Result<Client> {
    let locks = ClassLocks::of([clsid])?;
    let _lock = locks.take(deadline.saturating_duration_since(Instant::now()))?;
    let mut attempts = 0;
    loop {
        let attempt_deadline = match under_wine() {
            true => deadline.min(Instant::now() + ATTEMPT_TIMEOUT),
            false => deadline,
        };
        let attempt = Deadline { instant: attempt_deadline, cancel: None };
        let result = calls::run(attempt, &[], move || {
            let registered =
                RegisteredInterface::of(interface).map_err(|error| failed(&error, clsid))?;
            let remote = InterfacePointer::activate(clsid, registered)
                .map_err(|error| failed(&error, clsid))?;
            Client::from_remote(remote)
        });
        let error = match result {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => error,
            Err(calls::WaitError::TimedOut) => {
                Error::detected(ErrorKind::TimedOut, "timed out connecting to a server")
            }
            Err(ended) => ended.into(),
        };
        attempts += 1;
        let may_retry = is_temporary(&error)
            && attempts < ATTEMPTS_MAX
            && Instant::now() + RETRY_PAUSE < deadline;
        if !may_retry {
            return Err(error);
        }
        crate::log::debug!(%error, "an activation is tried again");
        std::thread::sleep(RETRY_PAUSE);
    }
}

/// Returns whether another attempt may succeed: the server was just ending, or (under Wine) another
/// client was starting it at the same time.
fn is_temporary(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Disconnected | ErrorKind::StartFailed => true,
        ErrorKind::NoSuchInterface
        | ErrorKind::NoSuchClass
        | ErrorKind::System
        | ErrorKind::TimedOut => under_wine(),
        _ => false,
    }
}

/// Converts an error of COM.
fn failed(error: &ComError, clsid: Guid) -> Error {
    let number = error.hresult().map_or(0, |hresult| hresult.0 as u32);
    let (kind, text) = match number {
        0x8004_0154 => (ErrorKind::NotRegistered, format!("class {clsid} is not registered")),
        0x8004_0111 => (ErrorKind::NoSuchClass, format!("the server doesn't serve class {clsid}")),
        0x8000_4002 => (
            ErrorKind::NoSuchInterface,
            "the object doesn't have the interface, or its server ended at once".to_owned(),
        ),
        0x8007_0005 => {
            (ErrorKind::ActivationDenied, "this process may not start the server".into())
        }
        0x8008_0005 | 0x8007_0002 | 0x8007_0003 | 0x8007_00c1 => {
            (ErrorKind::StartFailed, "the server's program couldn't be started".to_owned())
        }
        0x8001_0105 => (ErrorKind::Panicked, "the constructor of the object panicked".to_owned()),
        _ if calls::is_disconnected(number) => {
            (ErrorKind::Disconnected, "the server has ended".to_owned())
        }
        _ => (ErrorKind::System, "the class couldn't be activated".to_owned()),
    };
    Error::detected(kind, text).because(error.to_string())
}

/// Maximum number of attempts. It suffices for 48 simultaneous clients under Wine.
const ATTEMPTS_MAX: u32 = 10;

/// Timeout of one attempt under Wine, far longer than a server takes to start. There an activation
/// hangs if the server ends in the middle of it without leaving COM.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
