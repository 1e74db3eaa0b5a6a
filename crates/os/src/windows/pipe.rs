//! Pipes: the kind of the standard library's own pipe ends.
//!
//! | | |
//! |---|---|
//! | object | an end of a [pipe](https://learn.microsoft.com/windows/win32/ipc/pipes), anonymous or named |
//! | proof | the object's type is `File`, `GetFileType` returns pipe, and it isn't a socket |
//! | rights | `read` or `write`: enforced by the kernel on the handle |
//! | `try_clone` | the same end |
//! | MIDL | `sh_pipe` |

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter};

    use crate::{Handle, Unproven, prove};

    #[test]
    fn the_wrong_end_is_refused() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert!(prove(reader.as_handle(), &PipeReader::DECLARED).is_ok());
        assert!(prove(writer.as_handle(), &PipeWriter::DECLARED).is_ok());
        let refused = prove(reader.as_handle(), &PipeWriter::DECLARED).unwrap_err();
        let Unproven::Mismatch(mismatch) = refused else { panic!("{refused:?}") };
        assert_eq!(mismatch.to_string(), "wanted write, got a pipe with read");
        assert!(prove(reader.as_handle(), &std::fs::File::DECLARED).is_err());
    }
}
