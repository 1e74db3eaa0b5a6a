//! The causes that an [`Error`](crate::Error) contains.

use std::error::Error as StdError;
use std::{fmt, io};

use syshandle_os::raw_os_error;
use syshandle_types::{Printable, is_printable};

/// A copy of a cause whose text contains characters that must be escaped ([`Printable`]).
#[derive(Debug)]
pub(super) struct PrintableCause {
    text: String,
    source: Option<Box<Self>>,
}

impl PrintableCause {
    /// Returns the error unchanged if all texts of its chain are printable, or else a copy with
    /// escaped texts.
    pub(super) fn printable(
        error: Box<dyn StdError + Send + Sync>,
    ) -> Box<dyn StdError + Send + Sync> {
        let mut next: Option<&dyn StdError> = Some(&*error);
        while let Some(cause) = next {
            if !is_printable(&cause.to_string()) {
                return Box::new(Self::copy(&*error));
            }
            next = cause.source();
        }
        error
    }

    fn copy(error: &dyn StdError) -> Self {
        let source = error.source().map(|source| Box::new(Self::copy(source)));
        Self { text: Printable(error).to_string(), source }
    }
}

impl fmt::Display for PrintableCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for PrintableCause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// The cause of a system error whose own text is already in the error.
#[derive(Debug)]
pub(super) struct IoErrorCause(pub(super) io::Error);

impl fmt::Display for IoErrorCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source().map_or(Ok(()), |cause| write!(f, "{cause}"))
    }
}

impl StdError for IoErrorCause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()?.source()
    }
}

/// Returns whether the cause is a lack of resources of the system or process: memory, descriptors,
/// buffers or files.
pub(super) fn is_lack(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOSPC: i32 = 28;
    const ENOBUFS: i32 = 105;
    const EDQUOT: i32 = 122;
    matches!(raw_os_error(error), Some(ENOMEM | ENFILE | EMFILE | ENOSPC | ENOBUFS | EDQUOT))
}
