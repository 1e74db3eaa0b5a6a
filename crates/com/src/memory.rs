//! Access to the memory that the pointers in a call refer to.

use std::fmt;

use syshandle_types::Guid;

/// The memory of a process, which holds the values that the pointers in a call refer to.
///
/// The client allocates the pointees of \[in\] parameters and the memory that \[out\] parameters
/// are written to. It frees the memory that the RPC runtime allocated for the result. The server
/// allocates the pointees of its result, which the RPC runtime frees.
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

    /// Frees memory that `allocate` or the RPC runtime allocated.
    fn free(&mut self, address: u64);

    /// Reads a UTF-16 string without its terminating zero. Returns `units_max + 1` code units if
    /// none of them is zero.
    ///
    /// # Errors
    /// Returns an error if part of the string is not readable.
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

/// Returns the 16 bytes of a GUID as Windows stores it in memory, with the first three numbers
/// little-endian.
pub(crate) fn guid_in_memory(guid: Guid) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid.to_bytes();
    let mut bytes = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&rest);
    bytes
}

/// The error for an inaccessible address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress {
    /// The address of the failed access.
    pub address: u64,
}

/// The error for a failed allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {:#x} is not accessible", self.address)
    }
}

impl std::error::Error for BadAddress {}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory left")
    }
}

impl std::error::Error for OutOfMemory {}
