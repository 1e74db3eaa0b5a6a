//! The memory of this process that a call's values are in.
#![expect(unsafe_code, reason = "addresses that the RPC runtime gives and takes")]

use std::ptr;

use windows_sys::Win32::System::Com::{CoTaskMemAlloc, CoTaskMemFree};

use crate::{BadAddress, Memory, OutOfMemory};

/// The client's side: what it allocates lives until it is dropped; what it frees the RPC runtime
/// has allocated.
#[derive(Debug, Default)]
pub(super) struct Arena {
    blocks: Vec<Box<[u64]>>,
}

impl Arena {
    /// Memory for one call.
    ///
    /// # Safety
    /// It is only given to plans together with slots that they have laid out, and that the RPC
    /// runtime has filled for the same plan: so all addresses in them are of memory that is there.
    pub(super) unsafe fn new() -> Self {
        Self::default()
    }
}

impl Memory for Arena {
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

/// The server's side: what it allocates the RPC runtime frees.
#[derive(Debug)]
pub(super) struct TaskMemory(());

impl TaskMemory {
    /// Memory for one call.
    ///
    /// # Safety
    /// It is only given to plans together with slots that the RPC runtime has filled for the same
    /// plan: so all addresses in them are of memory that is there.
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Memory for TaskMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
        read(address, into)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        write(address, bytes)
    }

    fn allocate(&mut self, len: usize) -> Result<u64, OutOfMemory> {
        // SAFETY: a length.
        let memory = unsafe { CoTaskMemAlloc(len.max(1)) };
        if memory.is_null() {
            return Err(OutOfMemory);
        }
        // SAFETY: so many bytes were just allocated.
        unsafe { memory.cast::<u8>().write_bytes(0, len.max(1)) };
        Ok(memory.expose_provenance() as u64)
    }

    fn free(&mut self, address: u64) {
        free(address);
    }
}

fn read(address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
    let from = place(address)?;
    // SAFETY: whoever made the memory has promised that what the slots refer to is there; the two
    // don't overlap, as `into` is memory of the plan's own.
    unsafe { into.as_mut_ptr().copy_from_nonoverlapping(from, into.len()) };
    Ok(())
}

fn write(address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
    let to = place(address)?;
    // SAFETY: as in `read`.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(())
}

fn place(address: u64) -> Result<*mut u8, BadAddress> {
    match address {
        0 => Err(BadAddress { address }),
        address => Ok(ptr::with_exposed_provenance_mut(address as usize)),
    }
}

fn free(address: u64) {
    if let Ok(memory) = place(address) {
        // SAFETY: only what COM's allocator has made is freed through a plan.
        unsafe { CoTaskMemFree(memory.cast()) };
    }
}
