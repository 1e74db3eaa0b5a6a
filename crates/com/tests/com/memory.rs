//! Simulated memory of a process. Accesses outside of allocated blocks fail. An invalid `free`
//! panics, because it is a defect of this crate.

use std::collections::BTreeMap;

use syshandle_com::{BadAddress, Memory, OutOfMemory};

/// The simulated memory of a process.
#[derive(Default)]
pub(crate) struct Simulated {
    blocks: BTreeMap<u64, Vec<u8>>,
    next: u64,
    /// The number of further allocations that succeed, if limited.
    pub(crate) left: Option<usize>,
}

impl Simulated {
    /// Returns the number of allocated blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Copies bytes to new memory, and returns its address.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = self.allocate(bytes.len()).unwrap();
        self.write(address, bytes).unwrap();
        address
    }

    /// Reads a number of up to eight bytes.
    pub(crate) fn number(&self, address: u64, len: usize) -> u64 {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes[..len]).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Returns the start address of the block that contains a range, and the range's offset in the
    /// block.
    fn block(&self, address: u64, len: usize) -> Result<(u64, usize), BadAddress> {
        let bad = BadAddress { address };
        let (start, block) = self.blocks.range(..=address).next_back().ok_or(bad)?;
        let at = (address - start) as usize;
        match at.checked_add(len).is_some_and(|end| end <= block.len()) {
            true => Ok((*start, at)),
            false => Err(bad),
        }
    }
}

impl Memory for Simulated {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
        let (start, at) = self.block(address, into.len())?;
        into.copy_from_slice(&self.blocks[&start][at..at + into.len()]);
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        let (start, at) = self.block(address, bytes.len())?;
        let block = self.blocks.get_mut(&start).expect("the block");
        block[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn allocate(&mut self, len: usize) -> Result<u64, OutOfMemory> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(OutOfMemory)?;
        }
        let address = self.next.max(0x1_0000);
        // Leaves a gap after the block, so that accesses past its end fail.
        self.next = address + (len as u64).next_multiple_of(16) + 16;
        self.blocks.insert(address, vec![0; len]);
        Ok(address)
    }

    fn free(&mut self, address: u64) {
        assert!(self.blocks.remove(&address).is_some(), "{address:#x} is freed and isn't there");
    }
}
