//! Checks the traits that the types of the public API promise to implement.

use syshandle::handle::{
    Event, Facts, Kind, Kinds, ManualEvent, Mutex, OwnedHandle, Process, ProofFailure, Rights,
    Section, Semaphore, Thread, Timer, Token, WrongHandle,
};
use syshandle::object::ParseGuidError;
use syshandle::{
    Activation, BackgroundTask, CallError, Cancel, Client, Context, Credentials, Error, ErrorKind,
    Guid, Server,
};

/// Compiles only if each type has all of the traits.
macro_rules! have {
    ($traits:path: $($type:ty),+ $(,)?) => {{
        fn has<T: $traits>() {}
        $(has::<$type>();)+
    }};
}

#[test]
fn types_that_threads_share_are_send_and_sync() {
    have!(Send: Activation, BackgroundTask, Cancel, Client, Context, Error, Server);
    have!(Sync: Activation, BackgroundTask, Cancel, Client, Context, Error, Server);
    have!(Send: Event, ManualEvent, Mutex, OwnedHandle, Process, Section, Semaphore, Thread);
    have!(Sync: Event, ManualEvent, Mutex, OwnedHandle, Process, Section, Semaphore, Thread);
    have!(Send: Timer, Token, CallError<Guid>, Credentials);
    have!(Sync: Timer, Token, CallError<Guid>, Credentials);
}

#[test]
fn clients_options_and_facts_are_clone() {
    have!(Clone: Activation, Cancel, Client, Credentials, ErrorKind, Facts, Guid);
    have!(Clone: Kind, Kinds, Rights, WrongHandle);
    have!(Copy: ErrorKind, Facts, Guid, Kind, Kinds, Rights, WrongHandle);
}

#[test]
fn errors_are_errors_and_everything_is_debug() {
    have!(std::error::Error: Error, CallError<std::fmt::Error>, ParseGuidError);
    have!(std::fmt::Debug: Activation, BackgroundTask, Cancel, Client, Context, Server);
    have!(std::fmt::Debug: Event, Mutex, Process, ProofFailure, Section, Timer, Token);
}
