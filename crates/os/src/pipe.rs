//! Pipes, which are represented by the types of the standard library.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | an end of a [pipe(7)](https://man7.org/linux/man-pages/man7/pipe.7.html) or an open FIFO | an end of a [pipe](https://learn.microsoft.com/windows/win32/ipc/pipes), anonymous or named |
//! | proof | `F_GETPIPE_SZ` succeeds, which it does for no other object; `F_GETFL` shows the direction | the object's type is `File`, `GetFileType` returns pipe, and it isn't a socket |
//! | rights | `read` or `write`, or both for a FIFO opened for both: enforced by the kernel on the descriptor. A process that may reopen `/proc/self/fd` can open the other end | `read` or `write`: enforced by the kernel on the handle |
//! | `try_clone` | the same end: each byte reaches only one of several readers, and the pipe ends when its last writer is closed | the same end |
//! | MIDL | | `sh_pipe` |
//!
//! The type of an end determines its direction: [`PipeReader`](std::io::PipeReader) declares `read`
//! and [`PipeWriter`](std::io::PipeWriter) declares `write`. A reader is notified when the last
//! writer is closed. So a pipe can serve as a one-way signal that also reports that the sender has
//! ended.

/// Linux only: waits until data can be read or the last writer is closed.
#[cfg(not(windows))]
#[expect(clippy::incompatible_msrv, reason = "older standard libraries don't set `std_pipes`")]
impl crate::Waitable for std::io::PipeReader {
    fn handle(&self) -> crate::BorrowedHandle<'_> {
        crate::Handle::as_handle(self)
    }

    fn take(&self) -> std::io::Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, PipeReader, PipeWriter};

    use crate::{Handle, ProofFailure, prove};

    #[test]
    fn the_wrong_end_is_refused() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(prove(reader.as_handle(), &PipeReader::DECLARATION).is_ok());
        assert!(prove(writer.as_handle(), &PipeWriter::DECLARATION).is_ok());
        let refused = prove(reader.as_handle(), &PipeWriter::DECLARATION).unwrap_err();
        let ProofFailure::Mismatch(mismatch) = refused else { panic!("{refused:?}") };
        assert_eq!(mismatch.to_string(), "expected write, got a pipe with read");
        assert!(prove(reader.as_handle(), &std::fs::File::DECLARATION).is_err());
    }

    #[cfg(not(windows))]
    #[test]
    fn a_fifo_is_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let both = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        assert_eq!(crate::identify(both.as_handle()).unwrap().object, crate::Object::Pipe);
        assert!(prove(both.as_handle(), &PipeReader::DECLARATION).is_ok());
        assert!(prove(both.as_handle(), &std::fs::File::DECLARATION).is_err());
    }

    #[cfg(not(windows))]
    #[test]
    fn the_death_of_the_last_writer_ends_a_wait() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        assert_eq!(crate::wait_any(&[&reader], None).unwrap(), Some(0));
    }
}
