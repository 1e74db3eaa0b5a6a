//! If a message does not decode, the decoder passes its handles to `Prove::refuse`, which may close
//! them in the background. Dropping the values decoded so far is never the last close of a handle.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use syshandle_types::{BorrowedHandle, Declaration, OwnedHandle};
use syshandle_types::{Decode, DecodeError, Decoder, ProofError, Prove};

/// A prover that collects the refused handles.
#[derive(Default)]
struct Refusals(RefCell<Vec<OwnedHandle>>);

impl Prove for Refusals {
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        _: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        Ok(Some(handle.try_clone_to_owned().unwrap()))
    }

    fn refuse(&self, handle: OwnedHandle) {
        self.0.borrow_mut().push(handle);
    }
}

/// A value that decodes a handle and then panics.
struct Panics(#[expect(dead_code, reason = "the handle must be part of the value")] OwnedHandle);

impl Decode for Panics {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let value = Self(input.field(None)?);
        let bytes: u8 = input.field(None)?;
        assert_eq!(bytes, 0, "injected panic");
        Ok(value)
    }
}

/// Decodes a message with two sockets as a `T`, which must fail. Returns the number of sockets that
/// stayed open until `refuse` received their last handle.
fn refused<T: Decode>(bytes: &[u8]) -> usize {
    let (mut readers, mut handles): (Vec<UnixStream>, Vec<OwnedHandle>) = Default::default();
    for _ in 0..2 {
        let (reader, writer) = UnixStream::pair().unwrap();
        readers.push(reader);
        handles.push(writer.into());
    }
    let refusals = Refusals::default();
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let mut input = Decoder::new(bytes, handles, &refusals);
        let value = input.parameter::<T>(0, None).ok()?;
        input.finish().ok()?;
        Some(value)
    }));
    assert!(!matches!(decoded, Ok(Some(_))), "the message does not decode");
    let refused = refusals.0.into_inner();
    for mut reader in &readers {
        reader.set_nonblocking(true).unwrap();
        // A read would return end of file if the other end were closed.
        let error = reader.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
    let count = refused.len();
    drop(refused);
    for reader in &mut readers {
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "something else keeps a handle open");
    }
    count
}

#[test]
fn handles_that_were_decoded_before_an_error_are_refused() {
    // The second field is not a valid `bool`.
    assert_eq!(refused::<(OwnedHandle, bool, OwnedHandle)>(&[0, 0, 7, 1, 0]), 2);
    // The message ends after its handles.
    assert_eq!(refused::<(OwnedHandle, OwnedHandle, u32)>(&[0, 0, 1, 0]), 2);
    assert_eq!(refused::<Vec<OwnedHandle>>(&[3, 0, 0, 0, 0, 0, 1, 0]), 2);
    // One byte is left over.
    assert_eq!(refused::<(OwnedHandle, OwnedHandle)>(&[0, 0, 1, 0, 0]), 2);
    // One handle is left over.
    assert_eq!(refused::<OwnedHandle>(&[0, 0]), 2);
    // A key of the map occurs twice.
    let twice = [2, 0, 0, 0, 9, 0, 0, 9, 1, 0];
    assert_eq!(refused::<BTreeMap<u8, OwnedHandle>>(&twice), 2);
}

#[test]
fn handles_that_were_decoded_before_a_panic_are_refused() {
    assert_eq!(refused::<(OwnedHandle, Panics)>(&[0, 0, 1, 0, 1]), 2);
}

#[test]
fn handles_of_a_decoded_message_belong_to_its_values_alone() {
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let refusals = Refusals::default();
    let mut input = Decoder::new(&[0, 0, 7], vec![OwnedHandle::from(writer)], &refusals);
    let value = input.parameter::<(OwnedHandle, u8)>(0, None).unwrap();
    input.finish().unwrap();
    drop(value);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the decoder has no duplicate any more");
    drop(input);
    assert!(refusals.0.into_inner().is_empty());
}
