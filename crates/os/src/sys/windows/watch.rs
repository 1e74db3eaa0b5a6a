//! Waits on a thread of the system's thread pool.
#![expect(unsafe_code, reason = "a system callback with a raw context pointer")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Threading::{
    GetCurrentThreadId, INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx,
    WT_EXECUTELONGFUNCTION, WT_EXECUTEONLYONCE,
};

use super::{check, milliseconds};
use crate::WatchOutcome;

type Work = Box<dyn FnOnce(WatchOutcome) + Send>;

/// A wait by the thread pool. Dropping it cancels the wait. If the callback is already running on
/// another thread, the drop waits until it returns.
pub(crate) struct PoolWait {
    wait: HANDLE,
    state: *const WatchState,
}

struct WatchState {
    work: Mutex<Option<Work>>,
    /// Whether the callback has taken over its reference to this state.
    entered: AtomicBool,
    /// The ID of the thread that runs the callback.
    thread: AtomicU32,
}

// SAFETY: the wait isn't tied to a thread, and `state` points to a reference-counted value that is
// `Sync`.
unsafe impl Send for PoolWait {}
// SAFETY: as above. Nothing can be done through a shared reference.
unsafe impl Sync for PoolWait {}

impl PoolWait {
    /// Starts the wait. The object must stay open until this value is dropped.
    pub(crate) fn new(
        object: BorrowedHandle<'_>,
        timeout: Option<Duration>,
        work: Work,
    ) -> io::Result<Self> {
        let work = Mutex::new(Some(work));
        let entered = AtomicBool::new(false);
        let state = Arc::new(WatchState { work, entered, thread: AtomicU32::new(0) });
        // Creates two references: one for the callback and one for this value.
        let context = Arc::into_raw(state.clone());
        let state = Arc::into_raw(state);
        let mut wait = ptr::null_mut();
        let time = timeout.map_or(INFINITE, milliseconds);
        let flags = WT_EXECUTEONLYONCE | WT_EXECUTELONGFUNCTION;
        // SAFETY: the object is open. The context is a reference that the callback takes over once.
        let registered = check(unsafe {
            let context = context.cast::<c_void>();
            RegisterWaitForSingleObject(
                &mut wait,
                object.as_raw_handle(),
                Some(ended),
                context,
                time,
                flags,
            )
        });
        if let Err(error) = registered {
            // SAFETY: both pointers come from `into_raw` above, and no callback was registered that
            // would take the context.
            unsafe { drop((Arc::from_raw(context), Arc::from_raw(state))) };
            return Err(error);
        }
        Ok(Self { wait, state })
    }
}

impl Drop for PoolWait {
    fn drop(&mut self) {
        // SAFETY: this value owns the reference, which is released below.
        let state = unsafe { &*self.state };
        // SAFETY: the call takes no arguments.
        let inside = state.thread.load(Ordering::SeqCst) == unsafe { GetCurrentThreadId() };
        // If the callback itself drops this value, the drop must not wait for the callback.
        let wait_for = if inside { ptr::null_mut() } else { INVALID_HANDLE_VALUE };
        // SAFETY: the wait was registered in `new`, and is unregistered only here.
        let ended = unsafe { UnregisterWaitEx(self.wait, wait_for) };
        // SAFETY: the call has waited for the callback. So the callback either has taken over its
        // reference, or will never run and its reference is released here. The reference of this
        // value is released once.
        unsafe {
            if ended != 0 && !inside && !state.entered.load(Ordering::SeqCst) {
                drop(Arc::from_raw(self.state));
            }
            drop(Arc::from_raw(self.state));
        }
    }
}

/// The callback. The thread pool calls it when the wait ends.
///
/// # Safety
/// `context` must be a counted reference to a [`WatchState`], which this call takes over.
unsafe extern "system" fn ended(context: *mut c_void, timed_out: bool) {
    // SAFETY: the caller passes a counted reference.
    let state = unsafe { Arc::from_raw(context.cast::<WatchState>().cast_const()) };
    // SAFETY: the call takes no arguments.
    state.thread.store(unsafe { GetCurrentThreadId() }, Ordering::SeqCst);
    state.entered.store(true, Ordering::SeqCst);
    let work = state.work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let watched = if timed_out { WatchOutcome::TimedOut } else { WatchOutcome::Signalled };
    if let Some(work) = work {
        // A panic must not unwind into the thread pool, which owns this thread. The panic hook has
        // already reported it.
        let _ = catch_unwind(AssertUnwindSafe(|| work(watched)));
    }
    state.thread.store(0, Ordering::SeqCst);
}

impl std::fmt::Debug for PoolWait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolWait").finish_non_exhaustive()
    }
}
