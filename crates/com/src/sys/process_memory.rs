//! Implementations of [`Memory`] for this process.
#![expect(unsafe_code, reason = "addresses that the RPC runtime gives and takes")]

use std::ptr;

use windows_sys::Win32::System::Com::{CoTaskMemAlloc, CoTaskMemFree};

use crate::memory::{BadAddress, Memory, OutOfMemory};

/// The client's memory. It frees its own allocations on drop; `free` takes memory that the RPC
/// runtime allocated.
#[derive(Debug, Default)]
pub(super) struct ClientMemory {
    blocks: Vec<Box<[u64]>>,
}

impl ClientMemory {
    /// Creates the memory of one call.
    ///
    /// # Safety
    /// The memory must only be passed to a plan together with slots which that plan has laid out
    /// and the RPC runtime has filled for the same plan. All addresses in such slots are valid.
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

/// The server's memory. The RPC runtime frees its allocations.
#[derive(Debug)]
pub(super) struct ServerMemory(());

impl ServerMemory {
    /// Creates the memory of one call.
    ///
    /// # Safety
    /// The memory must only be passed to a plan together with slots that the RPC runtime has filled
    /// for the same plan. All addresses in such slots are valid.
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
    // which the slots refer to is valid. The ranges don't overlap, because `into` is memory of the
    // plan itself.
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
        // SAFETY: a plan only frees memory that COM's allocator has allocated.
        unsafe { CoTaskMemFree(memory.cast()) };
    }
}
