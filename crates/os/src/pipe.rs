//! Pipes: the kind of the standard library's own pipe ends.
//!
//! | | |
//! |---|---|
//! | object | an end of a [pipe(7)](https://man7.org/linux/man-pages/man7/pipe.7.html) or an open FIFO |
//! | proof | `F_GETPIPE_SZ` succeeds, which it does for no other object; `F_GETFL` shows the direction |
//! | rights | `read` or `write`, or both for a FIFO opened for both: enforced by the kernel on the descriptor. A process that may open `/proc/self/fd` anew can open the other end |
//! | `try_clone` | the same end: each byte reaches only one of several readers, and the pipe ends with its last writer |
//! | Windows | a pipe HANDLE, `sh_pipe` |
//!
//! The type of an end includes its direction: [`PipeReader`] declares `read` and [`PipeWriter`]
//! declares `write`. A reader learns at once that the other end was closed. So a pipe is a one-way
//! signal that also reports the end of the sender.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};

use crate::Waitable;

/// Waits until data can be read or the last writer is closed.
impl Waitable for PipeReader {
    fn handle(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn take(&self) -> io::Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::PipeWriter;

    use super::*;
    use crate::{Handle, Object, Unproven, identify, prove, wait_any};

    #[test]
    fn the_wrong_end_is_refused() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(prove(reader.as_fd(), &PipeReader::DECLARED).is_ok());
        assert!(prove(writer.as_fd(), &PipeWriter::DECLARED).is_ok());
        let refused = prove(reader.as_fd(), &PipeWriter::DECLARED).unwrap_err();
        let Unproven::Mismatch(mismatch) = refused else { panic!("{refused:?}") };
        assert_eq!(mismatch.to_string(), "wanted write, got a pipe with read");
    }

    #[test]
    fn a_fifo_is_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let both = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        assert_eq!(identify(both.as_fd()).unwrap().object, Object::Pipe);
        assert!(prove(both.as_fd(), &PipeReader::DECLARED).is_ok());
        assert!(prove(both.as_fd(), &std::fs::File::DECLARED).is_err());
    }

    #[test]
    fn the_death_of_the_last_writer_ends_a_wait() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        assert_eq!(wait_any(&[&reader], None).unwrap(), Some(0));
    }
}
