//! The bytes of a call's arguments, as its stub made them.

use syshandle_os::OwnedHandle;
use syshandle_wire::{Decoder, Prove};

/// The bytes of the arguments.
pub(super) struct Arguments(pub(super) Vec<u8>);

impl Arguments {
    /// Has them decoded, with these handles.
    pub(super) fn decode<T>(
        &self,
        handles: Vec<OwnedHandle>,
        prove: &dyn Prove,
        decode: impl FnOnce(Decoder<'_>) -> T,
    ) -> T {
        decode(Decoder::new(&self.0, handles, prove))
    }
}
