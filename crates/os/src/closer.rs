//! Closes handles on other threads, because closing a handle can block.
//!
//! The process that closes the last descriptor of an object also releases the object
//! ([close(2)](https://man7.org/linux/man-pages/man2/close.2.html)). The release can take long: a
//! TCP socket with `SO_LINGER` waits for its peer, a file waits for its file system, the last file
//! of a detached mount waits for the unmount, and a UNIX socket closes every handle in its queue.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{OwnedHandle, PerProcess, ProcessMark};

/// Closes the handles that one peer has sent, on a background thread.
///
/// At most one thread at a time closes handles of a given closer. So a peer whose handles block
/// delays neither the caller nor the handles of other peers.
///
/// A process that has called [`prepare`](crate::prepare) and runs no server starts no threads and
/// closes handles on the calling thread. Such a process has only one peer, so no other peer is
/// delayed.
///
/// A forked child has none of these threads and closes handles on the calling thread. Its
/// descriptors are not the last ones while the parent has them open.
#[derive(Clone)]
pub struct Closer(Arc<CloserState>);

static USES_THREADS: AtomicBool = AtomicBool::new(true);

struct CloserState {
    owner: ProcessMark,
    queue: Mutex<Queue>,
    /// The number of handles that are queued or being closed.
    pending: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    handles: VecDeque<OwnedHandle>,
    /// Whether the pool has queued this closer, or one of its threads serves it.
    is_scheduled: bool,
}

impl Closer {
    /// Maximum number of threads that close handles in one process. As many peers can block at once
    /// without delaying other peers.
    pub const THREADS_MAX: usize = 64;

    /// Creates a closer without handles.
    pub fn new() -> Self {
        let (queue, pending) = (Mutex::default(), AtomicUsize::new(0));
        Self(Arc::new(CloserState { owner: ProcessMark::current(), queue, pending }))
    }

    /// Sets whether threads close the handles, which is the default, or the caller of
    /// [`Closer::close`] does.
    pub fn use_threads(uses_threads: bool) {
        USES_THREADS.store(uses_threads, Ordering::Relaxed);
    }

    /// Returns whether unwanted handles are closed by threads that this process starts for that.
    pub fn uses_threads() -> bool {
        USES_THREADS.load(Ordering::Relaxed)
    }

    /// Closes a handle in the background.
    pub fn close(&self, handle: OwnedHandle) {
        if !self.0.owner.is_current() || !Self::uses_threads() {
            return;
        }
        self.0.pending.fetch_add(1, Ordering::Relaxed);
        let mut queue = self.0.queue();
        queue.handles.push_back(handle);
        if !std::mem::replace(&mut queue.is_scheduled, true) {
            drop(queue);
            pool().schedule(self.0.clone());
        }
    }

    /// Returns the number of handles that are not closed yet.
    pub fn pending(&self) -> usize {
        self.0.pending.load(Ordering::Relaxed)
    }
}

impl Default for Closer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closer").field("pending", &self.pending()).finish()
    }
}

impl CloserState {
    /// Closes one handle, and returns whether another one is queued.
    fn close_one(&self) -> bool {
        let mut queue = self.queue();
        if let Some(handle) = queue.handles.pop_front() {
            drop(queue);
            drop(handle);
            self.pending.fetch_sub(1, Ordering::Relaxed);
            queue = self.queue();
        }
        queue.is_scheduled = !queue.handles.is_empty();
        queue.is_scheduled
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads that serve all closers of this process.
#[derive(Default)]
struct Pool {
    state: Mutex<PoolState>,
    wake: Condvar,
}

#[derive(Default)]
struct PoolState {
    /// Closers that wait for a thread, in the order in which they are served.
    ready: VecDeque<Arc<CloserState>>,
    threads: usize,
    idle_threads: usize,
}

/// Returns the pool of this process. If the kernel cannot clear memory on `fork`, a forked child
/// sees the parent's pool but does not use it.
fn pool() -> &'static Pool {
    static POOL: PerProcess<Pool> = PerProcess::new();
    static ONLY: LazyLock<Pool> = LazyLock::new(Pool::default);
    POOL.get().unwrap_or_else(|| &ONLY)
}

impl Pool {
    fn schedule(&self, closer: Arc<CloserState>) {
        let mut state = self.state();
        state.ready.push_back(closer);
        if state.idle_threads >= state.ready.len() {
            self.wake.notify_one();
        } else if state.threads < Closer::THREADS_MAX {
            let started = thread::Builder::new().name("closer".to_owned()).spawn(|| pool().run());
            // If no thread could be started, a running thread or the next call serves the closer.
            state.threads += usize::from(started.is_ok());
        }
    }

    /// Serves the closers in turn, one handle at a time. Returns when no closer has had a handle
    /// for [`IDLE`].
    fn run(&self) {
        let mut state = self.state();
        while let Some(closer) = state.ready.pop_front() {
            drop(state);
            let has_more = closer.close_one();
            state = self.state();
            if has_more {
                state.ready.push_back(closer);
            }
            if state.ready.is_empty() {
                state.idle_threads += 1;
                let waited =
                    self.wake.wait_timeout_while(state, IDLE, |state| state.ready.is_empty());
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                state.idle_threads -= 1;
            }
        }
        state.threads -= 1;
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time after which an idle thread ends. Starting a thread costs more than waking one.
const IDLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;

    /// Creates a TCP socket whose last close blocks for up to `linger`. Also returns the other end,
    /// which must stay open for the close to block.
    fn lingering(linger: Duration) -> (OwnedHandle, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = listener.accept().unwrap().0;
        rustix::net::sockopt::set_socket_linger(&stream, Some(linger)).unwrap();
        stream.set_nonblocking(true).unwrap();
        while stream.write(&[0; 65_536]).is_ok() {}
        (stream.into(), peer)
    }

    #[test]
    fn handles_are_closed_in_the_background() {
        let closer = Closer::new();
        for _ in 0..10 {
            let (mut reader, writer) = io::pipe().unwrap();
            closer.close(writer.into());
            // The read returns 0 once the writer is closed.
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn a_peer_whose_handles_block_delays_neither_the_caller_nor_other_peers() {
        const LINGER: Duration = Duration::from_secs(4);
        let blocked = [(); 8].map(|()| (Closer::new(), lingering(LINGER)));
        let begin = Instant::now();
        let peers = blocked.map(|(closer, (handle, peer))| {
            closer.close(handle);
            (closer, peer)
        });
        let (mut reader, writer) = io::pipe().unwrap();
        Closer::new().close(writer.into());
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        // If the machine was too slow, the closes did not block for the whole time, and the check
        // would prove nothing.
        if begin.elapsed() < LINGER / 2 {
            assert!(peers.iter().all(|(closer, _)| closer.pending() == 1), "the closes block");
        }
    }
}
