//! Implementations of [`Memory`] for the memory of this process.
#![expect(unsafe_code, reason = "addresses that the RPC runtime gives and takes")]

use std::ptr;

use windows_sys::Win32::System::Com::{CoTaskMemAlloc, CoTaskMemFree};

use crate::memory::{BadAddress, Memory, OutOfMemory};

/// The memory of a client's call. Dropping it frees its own allocations; `free` frees memory that
/// the RPC runtime allocated.
#[derive(Debug, Default)]
pub(super) struct ClientMemory {
    blocks: Vec<Box<[u64]>>,
}

impl ClientMemory {
    /// Creates the memory for one call.
    ///
    /// # Safety
    /// The memory must be passed only to the plan that has laid out the slots of this call,
    /// together with these slots. The RPC runtime fills the slots according to the same plan, so
    /// all addresses in them are valid.
    pub(super) unsafe fn new() -> Self {
        Self::default()
    }
}

impl Memory for ClientMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
        read(address, into)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        write(address, bytes)
    }

    fn allocate(&mut self, len: usize) -> Result<u64, OutOfMemory> {
        let mut block = vec![0_u64; len.div_ceil(8).max(1)].into_boxed_slice();
        let address = block.as_mut_ptr().expose_provenance() as u64;
        self.blocks.push(block);
        Ok(address)
    }

    fn free(&mut self, address: u64) {
        free(address);
    }
}

/// The memory of a call that this process serves. The RPC runtime frees the allocations.
#[derive(Debug)]
pub(super) struct ServerMemory(());

impl ServerMemory {
    /// Creates the memory for one call.
    ///
    /// # Safety
    /// The memory must be passed only to a plan together with slots that the RPC runtime has filled
    /// according to the same plan, so that all addresses in these slots are valid.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Memory for ServerMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
        read(address, into)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        write(address, bytes)
    }

    fn allocate(&mut self, len: usize) -> Result<u64, OutOfMemory> {
        // SAFETY: the argument is a length.
        let memory = unsafe { CoTaskMemAlloc(len.max(1)) };
        if memory.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: `len.max(1)` bytes were just allocated.
        unsafe { memory.cast::<u8>().write_bytes(0, len.max(1)) };
        Ok(memory.expose_provenance() as u64)
    }

    fn free(&mut self, address: u64) {
        free(address);
    }
}

fn read(address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
    let from = pointer(address)?;
    // SAFETY: the caller of `ClientMemory::new` or `ServerMemory::new` has promised that the memory
    // which the slots refer to is valid. The ranges don't overlap, because `into` belongs to the
    // plan.
    unsafe { into.as_mut_ptr().copy_from_nonoverlapping(from, into.len()) };
    Ok(())
}

fn write(address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
    let to = pointer(address)?;
    // SAFETY: as in `read`.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(())
}

fn pointer(address: u64) -> Result<*mut u8, BadAddress> {
    match address {
        0 => Err(BadAddress { address }),
        address => Ok(ptr::with_exposed_provenance_mut(address as usize)),
    }
}

fn free(address: u64) {
    if let Ok(memory) = pointer(address) {
        // SAFETY: a plan frees only memory that COM's allocator has allocated.
        unsafe { CoTaskMemFree(memory.cast()) };
    }
}
