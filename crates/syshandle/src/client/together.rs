//! Calls that are begun together, and go to the server with one system call.
//!
//! A call that is begun goes at once, since nobody but its caller knows whether others follow. Who
//! does know says so: [`together`]. The calls of what it is given are held until that returns, until
//! there are [`HELD_MAX`] of them, or until somebody waits for one; so none waits for what its caller
//! does elsewhere.

use std::io::IoSlice;
use std::sync::{Arc, PoisonError};

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX};
use syshandle_wire::{Header, Payload};

use super::Client;
use super::connection::{Begun, Connection};
use super::patience::Patience;
use super::reply::WaiterNumber;
use super::starting::NewCall;
use crate::link::append_frame;
use crate::sync::{Mutex, MutexGuard};
use crate::{Error, Result};

/// What begins the calls of an interface: the `…Starter` that [`interface`](crate::interface) makes.
pub trait Starter: Sized {
    /// Wraps a reference to an object that is known to have the interface.
    #[doc(hidden)]
    fn from_client(client: Client) -> Self;

    /// The reference itself.
    #[doc(hidden)]
    fn as_client(&self) -> &Client;
}

/// Begins calls that go to the server together: those that `begin` begins by the starter that it is
/// given, a copy of `starter`.
///
/// Many small calls cost less so than one after the other. They go when `begin` returns; before that
/// when there are sixteen, or when one of them is waited for, or has handles, or is large. What keeps
/// them from going is the error of each, from its [`Pending::wait`](crate::Pending::wait). Those of
/// which the [`Pending`](crate::Pending) is dropped before they go never go.
///
/// ```
/// use syshandle::{Result, interface, together};
///
/// #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a12")]
/// pub trait Squares {
///     fn square(&self, number: u64) -> Result<u64>;
/// }
///
/// struct Plain;
///
/// impl Squares for Plain {
///     fn square(&self, number: u64) -> Result<u64> {
///         Ok(number * number)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let squares = SquaresClient::in_process(Plain)?;
/// let calls: Vec<_> = together(&SquaresStarter::from(&squares), |starter| {
///     (1..=3).map(|number| starter.square(number)).collect()
/// });
/// let sum: u64 = calls.into_iter().map(|call| call.wait()).sum::<Result<u64>>()?;
/// assert_eq!(sum, 14);
/// # Ok(())
/// # }
/// ```
pub fn together<S: Starter, R>(starter: &S, begin: impl FnOnce(&S) -> R) -> R {
    let client = starter.as_client();
    // Those that were begun before go before.
    client.send_gathered();
    let gathered = Some(Arc::new(Gathered::new()));
    let held = S::from_client(Client { gathered, ..client.clone() });
    let _end = End(held.as_client());
    begin(&held)
}

/// Sends what is held at the end, also when that is a panic.
struct End<'c>(&'c Client);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Some(gathered) = &self.0.gathered {
            // Copies of the starter may live on, and nobody would send what they begin.
            gathered.held().ended = true;
        }
        self.0.send_gathered();
    }
}

impl Client {
    /// Sends what this reference has begun and holds.
    fn send_gathered(&self) {
        if let (Some(gathered), Some(connection)) = (&self.gathered, self.own_connection()) {
            gathered.send(connection, &mut self.patience());
        }
    }
}

/// Calls that were begun and are held.
#[derive(Debug)]
pub(crate) struct Gathered(Mutex<Held>);

#[derive(Debug)]
struct Held {
    /// Their frames, one after the other.
    bytes: Vec<u8>,
    calls: Vec<HeldCall>,
    /// Those that couldn't be sent, and why.
    failed: Vec<(WaiterNumber, Error)>,
    /// Nothing is held any more.
    ended: bool,
}

#[derive(Debug)]
struct HeldCall {
    header: Header,
    waiter: WaiterNumber,
    /// Where its frame is.
    start: usize,
    end: usize,
}

impl Gathered {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Held {
            bytes: Vec::new(),
            calls: Vec::new(),
            failed: Vec::new(),
            ended: false,
        }))
    }

    /// Sends what is held; waits for room where there is none.
    pub(super) fn send(&self, connection: &Connection, patience: &mut Patience<'_>) {
        let mut held = self.held();
        while !held.calls.is_empty() {
            let Held { bytes, calls, .. } = &mut *held;
            let mut frames = [IoSlice::new(&[]); HELD_MAX];
            for (frame, call) in frames.iter_mut().zip(&*calls) {
                *frame = IoSlice::new(&bytes[call.start..call.end]);
            }
            let count = calls.len().min(HELD_MAX);
            match connection.link.socket.send_several(&frames[..count]) {
                Ok(sent) => drop(calls.drain(..sent)),
                Err(error) => {
                    drop(held);
                    let room = connection.make_room(error, false, patience);
                    held = self.held();
                    if let Err(error) = room {
                        held.fail(connection, error);
                    }
                }
            }
        }
        held.bytes.clear();
    }

    /// Why a call was not sent; `None` if it was.
    pub(super) fn take_error(&self, begun: &Begun) -> Option<Error> {
        let mut held = self.held();
        let place = held.failed.iter().position(|(waiter, _)| *waiter == begun.waiter)?;
        Some(held.failed.swap_remove(place).1)
    }

    /// Nobody waits for a call: takes it out, if it wasn't sent yet.
    pub(super) fn withdraw(&self, connection: &Connection, begun: &Begun) -> bool {
        let mut held = self.held();
        let failed = held.failed.len();
        held.failed.retain(|(waiter, _)| *waiter != begun.waiter);
        if held.failed.len() < failed {
            return true;
        }
        let Some(place) = held.calls.iter().position(|call| call.waiter == begun.waiter) else {
            return false;
        };
        let call = held.calls.remove(place);
        drop(held);
        connection.unsent(&call.header);
        true
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// None of those that are held can be sent.
    fn fail(&mut self, connection: &Connection, error: Error) {
        let mut error = Some(error);
        for HeldCall { header, waiter, .. } in self.calls.drain(..) {
            connection.unsent(&header);
            let next = error.as_ref().map(Error::of_another_call);
            self.failed.extend(error.take().map(|error| (waiter, error)));
            error = next;
        }
    }
}

impl Connection {
    /// Makes a call with others, and doesn't wait for its reply.
    pub(crate) fn begin_together(
        &self,
        gathered: &Gathered,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        patience: &mut Patience<'_>,
    ) -> Result<Begun> {
        // Handles are lent only now, and what is large takes its time anyway.
        if !handles.is_empty() || body.size().len > HELD_BYTES_MAX {
            gathered.send(self, patience);
            return self.begin(method, body, handles, patience);
        }
        patience.check()?;
        let call = NewCall { method, handles: 0, body: body.size(), later: true };
        let started = self.try_to_start(call, patience);
        let (header, waiter) = match started {
            Some(started) => started,
            None => {
                // It has to wait, and the others are not to.
                gathered.send(self, patience);
                self.start(call, patience)?
            }
        };
        let begun = Begun { call: header.call, waiter };
        let mut held = gathered.held();
        let start = held.bytes.len();
        append_frame(&header, &body.as_slice(), &mut held.bytes);
        let end = held.bytes.len();
        held.calls.push(HeldCall { header, waiter, start, end });
        let goes = held.ended || held.calls.len() >= HELD_MAX;
        drop(held);
        if goes {
            gathered.send(self, patience);
        }
        Ok(begun)
    }
}

/// As many as one system call sends.
const HELD_MAX: usize = MESSAGES_AT_ONCE_MAX;

/// A body that is larger isn't copied once more.
const HELD_BYTES_MAX: usize = 1024;
