//! Checks the traits that the types of the public API promise to implement.

use syshandle::handle::{
    Declaration, Event, Facts, Files, Kind, Kinds, ManualEvent, Mismatch, Mutex, OwnedHandle,
    Process, ProofFailure, Requirement, Rights, Section, Semaphore, Sockets, Thread, Timer, Token,
    WrongHandle,
};
use syshandle::object::ParseGuidError;
use syshandle::wait::BackgroundTask;
use syshandle::{
    Activation, CallError, Cancel, Client, Context, Credentials, Error, ErrorKind, Guid, Server,
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
fn sets_and_facts_have_the_common_traits() {
    have!(Default: Files, Kinds, Rights, Sockets);
    have!(std::hash::Hash: Declaration, Facts, Mismatch, Requirement, WrongHandle);
    let mut kinds: Kinds = [Kind::File, Kind::Pipe].into_iter().collect();
    kinds.extend([Kind::Timer]);
    assert_eq!(kinds, Kinds::of(Kind::File).or(Kind::Pipe).or(Kind::Timer));
    let guid = Guid::from([7; 16]);
    assert_eq!((guid, <[u8; 16]>::from(guid)), (Guid::from_bytes([7; 16]), [7; 16]));
}

#[test]
fn errors_are_errors_and_everything_is_debug() {
    have!(std::error::Error: Error, CallError<std::fmt::Error>, ParseGuidError);
    have!(std::error::Error: Mismatch, ProofFailure);
    have!(std::fmt::Debug: Activation, BackgroundTask, Cancel, Client, Context, Server);
    have!(std::fmt::Debug: Event, Mutex, Process, ProofFailure, Section, Timer, Token);
}
