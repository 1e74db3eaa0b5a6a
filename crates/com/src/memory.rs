//! The memory that a call's pointers refer to.

use std::fmt;

use syshandle_types::Guid;

/// Access to the memory of a process that holds the values of a call.
///
/// The client allocates the pointees of \[in\] parameters and the cells for results, and frees the
/// memory that the RPC runtime allocated for the result. The server allocates the pointees of its
/// result; the RPC runtime frees these.
pub trait Memory {
    /// Reads `into.len()` bytes.
    ///
    /// # Errors
    /// Returns an error if some of the bytes are not readable.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), BadAddress>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Returns an error if some of the bytes are not writable.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress>;

    /// Allocates zeroed memory, aligned to 8 bytes.
    ///
    /// # Errors
    /// Returns an error if no memory is left.
    fn allocate(&mut self, len: usize) -> Result<u64, OutOfMemory>;

    /// Frees memory that was allocated by this type or by the RPC runtime.
    fn free(&mut self, address: u64);

    /// Reads UTF-16 up to its terminating zero. If there is no zero among the first `units_max + 1`
    /// units, returns these.
    ///
    /// # Errors
    /// Returns an error if some of the text is not readable.
    fn read_text(&self, address: u64, units_max: usize) -> Result<Vec<u16>, BadAddress> {
        let mut units = Vec::new();
        for index in 0..=units_max as u64 {
            let mut unit = [0; 2];
            self.read(address.checked_add(2 * index).ok_or(BadAddress { address })?, &mut unit)?;
            match u16::from_le_bytes(unit) {
                0 => break,
                unit => units.push(unit),
            }
        }
        Ok(units)
    }
}

/// Returns the bytes of a GUID in Windows' memory layout: the first three numbers are little
/// endian.
pub(crate) fn guid_in_memory(guid: Guid) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid.to_bytes();
    let mut bytes = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&rest);
    bytes
}

/// An address that is not accessible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress {
    /// The address of the failed access.
    pub address: u64,
}

/// No memory is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing is at address {:#x}", self.address)
    }
}

impl std::error::Error for BadAddress {}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory left")
    }
}

impl std::error::Error for OutOfMemory {}
