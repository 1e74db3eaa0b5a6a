//! Encoded arguments of a call, as the stub received them.

use syshandle_os::OwnedHandle;
use syshandle_types::{Decoder, Prove};

/// Encoded arguments.
pub(crate) struct Arguments(pub(super) Vec<u8>);

impl Arguments {
    /// Decodes the arguments with these handles.
    pub(crate) fn decode<T>(
        &self,
        handles: Vec<OwnedHandle>,
        prove: &dyn Prove,
        decode: impl FnOnce(Decoder<'_>) -> T,
    ) -> T {
        decode(Decoder::new(&self.0, handles, prove))
    }
}
