//! The form of handles: the slot as `u16`, and the handle itself beside the bytes.

use std::fs::File;

use syshandle_os::{Event, Handle, ManualEvent, OwnedHandle};

use crate::describe::{Describe, Type};
use crate::{Decode, DecodeError, Decoder, Encode, Encoder};

macro_rules! impl_handles {
    ($($type:ty),+ $(,)?) => {$(
        impl Encode for $type {
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                out.put_handle(self.as_handle());
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                input.take_handle()
            }
        }

        impl Describe for $type {
            const TYPE: Type =
                Type::Handle { name: stringify!($type), declared: <$type as Handle>::DECLARED };
        }
    )+};
}
impl_handles!(Event, File, ManualEvent, OwnedHandle);
