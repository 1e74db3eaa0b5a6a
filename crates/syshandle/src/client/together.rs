//! Calls that are begun together are sent in one system call.
//!
//! By default a call is sent when it is begun, because the runtime can't know whether others
//! follow. [`together`] tells it that they do. The calls that its closure begins are held back
//! until the closure returns, until there are [`HELD_MAX`] of them, or until a thread waits for one
//! of them. So no waiting thread depends on what the closure does next.

use std::io::IoSlice;
use std::sync::{Arc, PoisonError};

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX};
use syshandle_wire::{Header, Payload};

use super::Client;
use super::connection::{Begun, Connection};
use super::deadline::Deadline;
use super::reply::WaiterNumber;
use super::starting::NewCall;
use crate::link::append_frame;
use crate::sync::{Mutex, MutexGuard};
use crate::{Error, Result};

/// Begins calls of an interface without waiting for their replies. [`interface`](crate::interface)
/// generates an implementation, the `…Starter`.
pub trait Starter: Sized {
    /// Wraps a reference to an object that is known to have the interface.
    #[doc(hidden)]
    fn from_client(client: Client) -> Self;

    /// Returns the wrapped reference.
    #[doc(hidden)]
    fn as_client(&self) -> &Client;
}

/// Begins calls that are sent to the server together: the calls that `begin` begins with its argument,
/// a copy of `starter`.
///
/// Many small calls cost less this way than one after the other. They are sent when `begin` returns, or
/// earlier: after sixteen calls, when one of them is waited for, or when one has handles, has to wait
/// for a call slot or has more than 1 KiB of arguments. If sending fails, each call returns the error
/// from its [`Pending::wait`](crate::Pending::wait). A call whose [`Pending`](crate::Pending) is dropped
/// before the call is sent is never sent.
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
    // Keeps the order: calls that were begun earlier are sent first.
    client.send_gathered();
    let gathered = Some(Arc::new(Gathered::new()));
    let held = S::from_client(Client { gathered, ..client.clone() });
    let _end = End(held.as_client());
    begin(&held)
}

/// Sends the held calls on drop, also during a panic.
struct End<'c>(&'c Client);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Some(gathered) = &self.0.gathered {
            // Copies of the starter may live on. The calls that they begin later must not be held.
            gathered.held().ended = true;
        }
        self.0.send_gathered();
    }
}

impl Client {
    /// Sends the calls that this client holds.
    fn send_gathered(&self) {
        if let (Some(gathered), Some(connection)) = (&self.gathered, self.own_connection()) {
            gathered.send(connection, &mut self.deadline());
        }
    }
}

/// Calls that were begun and are held back.
#[derive(Debug)]
pub(crate) struct Gathered(Mutex<Held>);

#[derive(Debug)]
struct Held {
    /// Frames of the calls, one after the other.
    bytes: Vec<u8>,
    calls: Vec<HeldCall>,
    /// Waiters whose calls couldn't be sent, with their errors.
    failed: Vec<(WaiterNumber, Error)>,
    /// Whether new calls are sent at once.
    ended: bool,
}

#[derive(Debug)]
struct HeldCall {
    header: Header,
    waiter: WaiterNumber,
    /// Range of the call's frame in `bytes`.
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

    /// Sends the held calls. Waits if the socket is full.
    pub(super) fn send(&self, connection: &Connection, deadline: &mut Deadline<'_>) {
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
                    let room = connection.make_room(error, false, deadline);
                    held = self.held();
                    if let Err(error) = room {
                        held.fail(connection, error);
                    }
                }
            }
        }
        held.bytes.clear();
    }

    /// Takes the error of a call that couldn't be sent; `None` if it was sent.
    pub(super) fn take_error(&self, begun: &Begun) -> Option<Error> {
        let mut held = self.held();
        let place = held.failed.iter().position(|(waiter, _)| *waiter == begun.waiter)?;
        Some(held.failed.swap_remove(place).1)
    }

    /// Removes a call that is no longer wanted. Returns `false` if it was sent already.
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
    /// Gives up all held calls with this error.
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
    /// Begins a call that is held back to be sent with others.
    pub(crate) fn begin_together(
        &self,
        gathered: &Gathered,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        deadline: &mut Deadline<'_>,
    ) -> Result<Begun> {
        // Borrowed handles can only be sent now. For a large call the system call hardly matters.
        if !handles.is_empty() || body.size().len > HELD_BYTES_MAX {
            gathered.send(self, deadline);
            return self.begin(method, body, handles, deadline);
        }
        deadline.check()?;
        let call = NewCall { method, handles: 0, body: body.size(), later: true };
        let started = self.try_to_start(call, deadline);
        let (header, waiter) = match started {
            Some(started) => started,
            None => {
                // This call has to wait for a slot. The held calls must not wait with it.
                gathered.send(self, deadline);
                self.start(call, deadline)?
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
            gathered.send(self, deadline);
        }
        Ok(begun)
    }
}

/// Number of messages that one system call sends.
const HELD_MAX: usize = MESSAGES_AT_ONCE_MAX;

/// A larger body is not copied into the held frames.
const HELD_BYTES_MAX: usize = 1024;
