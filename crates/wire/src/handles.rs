//! The form of handles: the slot as `u16`, and the handle itself beside the bytes.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::net::{TcpListener, TcpStream, UdpSocket};

use smallvec::SmallVec;
use syshandle_os::{
    BorrowedHandle, Composition, Directory, Event, Handle, Job, ManualEvent, Mutex, OwnedHandle,
    Process, RegKey, Section, Semaphore, Thread, Timer, Token,
};

use crate::describe::{Describe, Type};
use crate::{Decode, DecodeError, Decoder, Encode, Encoder};

/// The handles that came with a message: a few of them take no memory of their own.
pub type Handles = SmallVec<[OwnedHandle; FEW]>;

/// The handles that are lent to a message.
pub type LentHandles<'a> = SmallVec<[BorrowedHandle<'a>; FEW]>;

/// As many as take no more room on Linux than the pointer and the length of more would.
const FEW: usize = 4;

macro_rules! impl_handles {
    ($($type:ty),+ $(,)?) => {$(
        impl Encode for $type {
            #[inline]
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                out.put_handle(self.as_handle());
            }
        }

        impl Decode for $type {
            #[inline]
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
impl_handles!(
    Composition,
    Directory,
    Event,
    File,
    Job,
    ManualEvent,
    Mutex,
    OwnedHandle,
    PipeReader,
    PipeWriter,
    Process,
    RegKey,
    Section,
    Semaphore,
    TcpListener,
    TcpStream,
    Thread,
    Timer,
    Token,
    UdpSocket,
);
