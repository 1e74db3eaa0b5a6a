//! Handles that are passed often: a device gets the memory of its guest with each request, and
//! maps it once.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::sync::{Arc, Mutex};

use syshandle::handle::{ManualEvent, Registered, Section};
use syshandle::{Error, Result, interface};

/// A device of a virtual machine.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d801")]
trait Device {
    /// Returns the sum of some bytes of the guest's memory.
    fn sum(&self, memory: Arc<Section>, offset: u32, len: u32) -> Result<u64>;

    /// Returns the event that the device signals after each request.
    fn interrupt(&self) -> Result<Registered<ManualEvent>>;

    /// Returns how often the device has mapped memory.
    fn maps(&self) -> Result<u32>;
}

struct Adder {
    interrupt: Registered<ManualEvent>,
    memory: Mutex<Option<Mapped>>,
}

/// The memory of the last request.
struct Mapped {
    memory: Arc<Section>,
    map: syshandle::handle::SectionMap,
    count: u32,
}

impl Device for Adder {
    fn sum(&self, memory: Arc<Section>, offset: u32, len: u32) -> Result<u64> {
        let mut mapped = self.memory.lock().map_err(|_| Error::failed("a call panicked"))?;
        // A registered handle is the same `Arc` in each call.
        let is_known = mapped.as_ref().is_some_and(|known| Arc::ptr_eq(&known.memory, &memory));
        if !is_known {
            let count = mapped.as_ref().map_or(1, |known| known.count + 1);
            *mapped = Some(Mapped { map: memory.map()?, memory, count });
        }
        let Some(known) = &*mapped else { return Err(Error::failed("no memory")) };
        let mut bytes = vec![0; len as usize];
        known.map.read(offset as usize, &mut bytes)?;
        self.interrupt.set()?;
        Ok(bytes.into_iter().map(u64::from).sum())
    }

    fn interrupt(&self) -> Result<Registered<ManualEvent>> {
        Ok(self.interrupt.clone())
    }

    fn maps(&self) -> Result<u32> {
        let mapped = self.memory.lock().map_err(|_| Error::failed("a call panicked"))?;
        Ok(mapped.as_ref().map_or(0, |known| known.count))
    }
}

fn main() -> Result<()> {
    let interrupt = Registered::new(ManualEvent::new()?);
    let device = DeviceClient::in_process(Adder { interrupt, memory: Mutex::default() })?;

    let memory = Registered::new(Section::new(4096)?);
    memory.write(0, &[7; 1000])?;
    let interrupt: Arc<ManualEvent> = device.interrupt()?;
    // The first request passes the memory. The others name it.
    println!("first sum: {}", device.sum(&memory, 0, 100)?);
    println!("signalled: {}", interrupt.poll()?);
    let first = device.maps()?;
    for _ in 0..1000 {
        device.sum(&memory, 500, 500)?;
    }
    println!("last sum: {}", device.sum(&memory, 900, 200)?);
    println!("maps during 1000 requests: {}", device.maps()? - first);
    Ok(())
}
