//! Worker threads of the multithreaded apartment, on which calls are made. The caller only waits
//! for the worker, so it can stop waiting: COM calls can't be cancelled everywhere (Wine has no
//! `CoCancelCall`).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use std::{io, thread};

use syshandle_com::{cancel_call, enter_apartment, take_cancellations};
use syshandle_os::{Event, Thread, Waitable, wait_any};
use syshandle_wire::Fault;

use crate::client::cancel::Cancel;
use crate::{Error, ErrorKind};

/// Deadline of a wait, and the [`Cancel`] that may end it earlier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline<'c> {
    /// Time at which the deadline passes.
    pub(crate) instant: Instant,
    pub(crate) cancel: Option<&'c Cancel>,
}

/// Reason why a wait ended before its object was signalled.
#[derive(Debug)]
pub(crate) enum WaitError {
    TimedOut,
    Cancelled,
    /// Another watched object was signalled: its index among the others.
    OtherSignalled(usize),
    /// A system call failed.
    Failed(io::Error),
}

impl WaitError {
    /// Converts the reason why a wait for an object of the server ended early.
    pub(crate) fn of_object(self) -> Error {
        match self {
            Self::TimedOut => {
                let text = "timed out waiting for the object";
                Error::detected(ErrorKind::TimedOut, text).of_no_call()
            }
            Self::Cancelled => {
                Error::detected(ErrorKind::Cancelled, "the wait was cancelled").of_no_call()
            }
            ended => ended.into(),
        }
    }
}

impl From<WaitError> for Error {
    fn from(ended: WaitError) -> Self {
        match ended {
            WaitError::TimedOut => {
                Self::detected(ErrorKind::TimedOut, "timed out waiting for the reply")
            }
            WaitError::Cancelled => Self::detected(ErrorKind::Cancelled, "the call was cancelled"),
            WaitError::OtherSignalled(_) => {
                Self::detected(ErrorKind::Disconnected, "the server has ended")
            }
            WaitError::Failed(error) => error.into(),
        }
    }
}

impl Deadline<'_> {
    /// Waits for the first of these objects. A signal of another one ends the wait early.
    pub(crate) fn wait(self, objects: &[&dyn Waitable]) -> Result<(), WaitError> {
        let mut watched = objects.to_vec();
        if let Some(cancel) = self.cancel {
            watched.push(cancel.event());
        }
        let timeout = self.instant.saturating_duration_since(Instant::now());
        match wait_any(&watched, Some(timeout)).map_err(WaitError::Failed)? {
            Some(0) => Ok(()),
            Some(index) if index < objects.len() => Err(WaitError::OtherSignalled(index - 1)),
            Some(_) => Err(WaitError::Cancelled),
            None => Err(WaitError::TimedOut),
        }
    }
}

/// Runs work on a thread of the apartment, and waits for it. If the wait ends early, the work is
/// abandoned.
pub(crate) fn run<T: Send + 'static>(
    deadline: Deadline<'_>,
    others: &[&dyn Waitable],
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WaitError> {
    let worker = ApartmentThread::take().map_err(WaitError::Failed)?;
    let result = Arc::new(Mutex::new(None));
    let slot = result.clone();
    let boxed: BoxedWork = Box::new(move || {
        let done = work();
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    });
    if worker.sender.send(boxed).is_err() {
        return Err(WaitError::Failed(io::Error::other("a thread of the apartment has ended")));
    }
    let mut objects: Vec<&dyn Waitable> = vec![&worker.done];
    objects.extend(others);
    if let Err(ended) = deadline.wait(&objects) {
        // This worker is not returned to the pool. Its thread ends with its call.
        cancel_call(worker.thread);
        return Err(ended);
    }
    let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    match result {
        Some(result) => {
            worker.return_to_pool();
            Ok(result)
        }
        // The work panicked. The panic hook has reported that.
        None => Err(WaitError::Failed(io::Error::other("the call panicked"))),
    }
}

/// Converts the fault that has ended all calls of this client.
pub(crate) fn failure(fault: &Fault) -> Error {
    match fault {
        Fault::Draining => Error::detected(ErrorKind::Disconnected, "the server was stopped"),
        fault => Error::from_fault(fault),
    }
}

/// Returns whether an HRESULT says that the server has ended.
pub(crate) fn is_disconnected(hresult: u32) -> bool {
    matches!(
        hresult,
        // COM's codes for a server that is ending or has ended.
        0x8001_0007 | 0x8001_0012 | 0x8001_0108 | 0x8001_0114 | 0x8004_01fd | 0x8008_0008
        // The RPC runtime's codes for that.
        | 0x8007_06ba | 0x8007_06be | 0x8007_06bf | 0x8007_06b5 | 0x8007_06e5 | 0x8007_006d
    )
}

type BoxedWork = Box<dyn FnOnce() + Send>;

/// Thread that waits for work.
struct ApartmentThread {
    sender: Sender<BoxedWork>,
    /// Signalled when the work is done.
    done: Event,
    thread: u32,
}

/// Idle workers.
static IDLE_THREADS: Mutex<Vec<ApartmentThread>> = Mutex::new(Vec::new());

impl ApartmentThread {
    fn take() -> io::Result<Self> {
        let idle = IDLE_THREADS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(Self::start, Ok)
    }

    fn return_to_pool(self) {
        IDLE_THREADS.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    fn start() -> io::Result<Self> {
        let (sender, receiver) = channel();
        let done = Event::new()?;
        let set = done.try_clone()?;
        let (started, begun) = channel();
        thread::Builder::new().name("com".to_owned()).spawn(move || {
            let entered = enter().map_err(io::Error::other);
            let is_in = entered.is_ok();
            let _ = started.send(entered);
            if is_in {
                serve(&receiver, &set);
            }
        })?;
        let thread = begun.recv().unwrap_or_else(|gone| Err(io::Error::other(gone)))?;
        Ok(Self { sender, done, thread })
    }
}

/// Enters the apartment with this thread, and returns the thread's id.
fn enter() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    enter_apartment()?;
    take_cancellations();
    Ok(Thread::current()?.id()?.unwrap_or_default())
}

/// Runs work until all senders are dropped.
fn serve(receiver: &Receiver<BoxedWork>, done: &Event) {
    /// Signals that the work is done or has panicked.
    struct SignalOnDrop<'e>(&'e Event);

    impl Drop for SignalOnDrop<'_> {
        fn drop(&mut self) {
            let _ = self.0.set();
        }
    }

    for work in receiver {
        let _signal = SignalOnDrop(done);
        work();
    }
}
