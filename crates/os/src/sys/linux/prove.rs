//! Queries that identify a handle of a declared kind at less cost than
//! [`identify_with`](crate::identify_with).

use std::io;

use rustix::fs::SealFlags;
use rustix::io::Errno;

use super::fdinfo::{self, Eventfd};
use super::identify::{WAIT_AND_SIGNAL, access_rights};
use super::{device, section, socket};
use crate::socket::RIGHTS;
use crate::{BorrowedHandle, Declaration, Facts, Kind, Object};

/// Identifies a handle by a query that is specific to the declared kind and cheaper than
/// [`identify_with`](crate::identify_with). Returns `None` if several kinds are declared, if the
/// kind has no such query, or if the result isn't conclusive.
pub(crate) fn quick(
    handle: BorrowedHandle<'_>,
    declared: &Declaration,
) -> io::Result<Option<Facts>> {
    match declared.kinds.only() {
        Some(Kind::Pipe) => Ok(pipe(handle)),
        Some(Kind::Socket) => quick_socket(handle, declared),
        Some(Kind::Event) => eventfd(handle, Object::Event),
        Some(Kind::Semaphore) => eventfd(handle, Object::Semaphore),
        Some(Kind::Timer) => Ok(timer(handle)),
        Some(Kind::Section | Kind::Mutex) => memory(handle),
        _ => Ok(None),
    }
}

/// Recognizes a pipe by its buffer size, a property that only pipes have.
fn pipe(handle: BorrowedHandle<'_>) -> Option<Facts> {
    rustix::pipe::fcntl_getpipe_size(handle).ok()?;
    let rights = access_rights(rustix::fs::fcntl_getfl(handle).ok()?);
    Some(Facts { object: Object::Pipe, rights })
}

fn quick_socket(handle: BorrowedHandle<'_>, declared: &Declaration) -> io::Result<Option<Facts>> {
    let object = match declared.sockets {
        None => rustix::net::sockopt::socket_type(handle).map(|_| Object::Socket),
        Some(_) => socket::identify(handle),
    };
    match object {
        Ok(object) => Ok(Some(Facts { object, rights: RIGHTS })),
        // `EBADF` means that the descriptor was opened with `O_PATH`, so it is not a socket.
        Err(Errno::NOTSOCK | Errno::BADF) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Recognizes an eventfd by its count in `fdinfo`, which the kernel prints for no other object.
/// `stat` rules out files of mounted file systems first, because reading `fdinfo` involves a close,
/// which a file system can delay.
fn eventfd(handle: BorrowedHandle<'_>, wanted: Object) -> io::Result<Option<Facts>> {
    let stat = device::stat(handle)?;
    if !device::is_anonymous(&stat) {
        return Ok(None);
    }
    let object = match fdinfo::read(handle, &stat, &mut fdinfo::Room::new())?.eventfd() {
        Some(Eventfd::Event) => Object::Event,
        Some(Eventfd::Semaphore) => Object::Semaphore,
        // Without the mode, the eventfd is accepted as either kind.
        Some(Eventfd::Unknown) => wanted,
        None => return Ok(None),
    };
    Ok(Some(Facts { object, rights: WAIT_AND_SIGNAL }))
}

/// Recognizes a timer by its remaining time, a property that only timers have.
fn timer(handle: BorrowedHandle<'_>) -> Option<Facts> {
    rustix::time::timerfd_gettime(handle).ok()?;
    Some(Facts { object: Object::Timer, rights: WAIT_AND_SIGNAL })
}

/// Recognizes memory by its seals. The result isn't conclusive if the only seal is the one against
/// more seals: an ordinary file on a tmpfs has it too.
fn memory(handle: BorrowedHandle<'_>) -> io::Result<Option<Facts>> {
    match rustix::fs::fcntl_get_seals(handle) {
        Ok(SealFlags::SEAL) | Err(Errno::INVAL | Errno::BADF) => Ok(None),
        Ok(seals) => {
            let access = access_rights(rustix::fs::fcntl_getfl(handle)?);
            section::memory_facts(handle, access, seals).map(Some)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::EventfdFlags;

    use super::*;
    use crate::sys::feature::{Feature, seam::without};
    use crate::{ProofFailure, prove};

    #[test]
    fn an_eventfd_of_hidden_mode_passes_as_either_kind() {
        let eventfd = rustix::event::eventfd(0, EventfdFlags::SEMAPHORE).unwrap();
        let event = Declaration::kind(Kind::Event);
        let semaphore = Declaration::kind(Kind::Semaphore);
        assert!(prove(eventfd.as_fd(), &event).is_err());
        assert!(prove(eventfd.as_fd(), &semaphore).is_ok());
        without(Feature::SemaphoreMode, || {
            assert!(prove(eventfd.as_fd(), &event).is_ok());
            assert!(prove(eventfd.as_fd(), &semaphore).is_ok());
        });
    }

    #[test]
    fn without_proc_an_event_is_refused_with_the_reason() {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let refused = without(Feature::Proc, || {
            prove(event.as_fd(), &Declaration::kind(Kind::Event)).unwrap_err()
        });
        assert!(
            matches!(refused, ProofFailure::Failed(error) if error.to_string().contains("/proc"))
        );
    }

    #[test]
    fn pipes_timers_sockets_and_sections_are_proven_without_proc() {
        let (reader, _writer) = io::pipe().unwrap();
        let memory = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        without(Feature::Proc, || {
            assert!(prove(reader.as_fd(), &Declaration::kind(Kind::Pipe)).is_ok());
            assert!(prove(memory.as_fd(), &Declaration::kind(Kind::Section)).is_ok());
        });
    }
}
