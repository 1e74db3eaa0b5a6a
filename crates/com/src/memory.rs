//! The memory that a call's pointers point into.

use std::fmt;

/// The memory of a process, as far as a call's values are in it.
///
/// The client's side of a call allocates what its \[in\] pointers point at, and cells for what comes
/// out; it frees what the RPC runtime allocated for the result. The server's side allocates what
/// its result points at, which the RPC runtime frees.
pub trait Memory {
    /// Reads as many bytes as `into` has.
    ///
    /// # Errors
    /// They are not all there.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), BadAddress>;

    /// Writes bytes.
    ///
    /// # Errors
    /// There is no place for all of them.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress>;

    /// Allocates zeros, at a multiple of 8.
    ///
    /// # Errors
    /// There is no memory left.
    fn allocate(&mut self, len: usize) -> Result<u64, OutOfMemory>;

    /// Frees what was allocated, here or by the RPC runtime.
    fn free(&mut self, address: u64);

    /// Reads UTF-16 up to its zero, or so many units and one more where there is none by then.
    ///
    /// # Errors
    /// The text isn't all there.
    fn read_text(&self, address: u64, units_max: usize) -> Result<Vec<u16>, BadAddress> {
        let mut units = Vec::new();
        for place in 0..=units_max as u64 {
            let mut unit = [0; 2];
            self.read(address.checked_add(2 * place).ok_or(BadAddress { address })?, &mut unit)?;
            match u16::from_le_bytes(unit) {
                0 => break,
                unit => units.push(unit),
            }
        }
        Ok(units)
    }
}

/// There is no such memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress {
    /// Where it was looked for.
    pub address: u64,
}

/// There is no memory left.
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
