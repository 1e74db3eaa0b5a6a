//! A reactor without threads: the program's own event loop dispatches its events.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Reactor;
use super::event_loop::LoopContext;
use super::worker_slot::WorkerSlot;

impl Reactor {
    /// Creates the slot of the thread that dispatches.
    pub(crate) fn dispatching_slot(&self) -> Arc<WorkerSlot> {
        self.event_loop(Self::FIRST).is_run.store(true, Ordering::SeqCst);
        self.watchdog.new_slot()
    }

    /// Returns the descriptor that is readable while there is something to dispatch.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.event_loop(Self::FIRST).poller().as_fd()
    }

    /// Handles the sources that are ready, for one round. Never waits. If any sources are left, the
    /// descriptor stays readable.
    pub(crate) fn dispatch(self: &Arc<Self>, slot: &WorkerSlot) -> io::Result<()> {
        let context = LoopContext { reactor: self, slot };
        let event_loop = self.event_loop(Self::FIRST);
        event_loop.look()?;
        while let Some(ready) = event_loop.next() {
            // No other thread could take the loop over.
            let _ = event_loop.handle(context, ready);
        }
        if event_loop.has_more() {
            event_loop.wake(&self.stop);
        }
        Ok(())
    }

    /// Ends the server at once, as if its drain timeout had passed. All user code that is left runs
    /// on this thread.
    pub(crate) fn end_now(self: &Arc<Self>, slot: &WorkerSlot) {
        let context = LoopContext { reactor: self, slot };
        self.drain();
        self.run_all(context);
        self.tell_tasks();
        self.run_all(context);
        if !self.closed.load(Ordering::SeqCst) {
            self.finish();
        }
        self.run_all(context);
        self.stop();
    }

    /// Runs all user code that may start.
    fn run_all(self: &Arc<Self>, context: LoopContext<'_>) {
        loop {
            let is_done = self.queued().is_empty();
            let _ = self.run_queued(context);
            if !self.workers.run_item(context) && is_done {
                return;
            }
        }
    }
}
