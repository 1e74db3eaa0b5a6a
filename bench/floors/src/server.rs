//! The server of all floors: a thread per connection, or reactors.

use std::os::fd::OwnedFd;

use bench_harness::Result;

use crate::socket::{Floor, Socket};
use crate::{blocking, epoll};

/// Serves forever.
pub(crate) fn serve(floor: Floor, listener: OwnedFd) -> Result<()> {
    if floor == Floor::Epoll {
        return epoll::serve(listener);
    }
    loop {
        let socket = rustix::net::accept_with(&listener, rustix::net::SocketFlags::CLOEXEC)?;
        let socket = Socket::new(socket, floor);
        // Small stacks suffice, and there may be thousands of threads.
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        thread.spawn(move || {
            // A thread usually ends because its client disconnects.
            let _ = match floor {
                Floor::Batch => crate::batch::serve(&socket),
                _ => blocking::serve(&socket),
            };
        })?;
    }
}
