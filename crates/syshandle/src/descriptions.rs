//! The descriptions of this program's interfaces, each made once.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use syshandle_types::describe::Interface;
use syshandle_types::describe::owned::Description;
use syshandle_types::{Guid, Limits, Payload};
use syshandle_wire::{Fault, Offer};

/// The method that every object has. Its result is the description of the object's interface.
pub(crate) const METHOD: u32 = u32::MAX - 1;

/// An argument bit of [`METHOD`]: requests the descriptions of all interfaces of the object.
pub(crate) const ALL_INTERFACES: u32 = 1;

/// The description of an interface of this program.
#[derive(Debug)]
pub(crate) struct KnownDescription {
    pub(crate) description: Description,
    pub(crate) hash: u64,
    /// The description in the form in which it is sent. Only a server needs it.
    bytes: OnceLock<Result<Vec<u8>, String>>,
}

/// Returns the description of an interface. The descriptions stay in memory. Their number is
/// limited by the number of interfaces in the program.
pub(crate) fn of(interface: &'static Interface) -> &'static KnownDescription {
    static KNOWN: Mutex<Option<HashMap<(usize, Guid), &'static KnownDescription>>> =
        Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let address = std::ptr::from_ref(interface) as usize;
    known.get_or_insert_default().entry((address, interface.iid)).or_insert_with(|| {
        let (description, hash) = Description::of(interface);
        Box::leak(Box::new(KnownDescription { description, hash, bytes: OnceLock::new() }))
    })
}

/// Returns the offer of an interface, as a greeting contains it.
pub(crate) fn offer(clsid: Guid, interface: &'static Interface) -> Offer {
    Offer { description: of(interface).hash, ..Offer::new(clsid, interface.iid) }
}

/// Encodes descriptions as the result of [`METHOD`].
pub(crate) fn encode(
    interfaces: impl Iterator<Item = &'static Interface>,
) -> Result<Payload<'static>, Fault> {
    let too_large = |text| Fault::TooLarge { text };
    let all = interfaces
        .map(|interface| {
            let known = of(interface);
            let bytes = known
                .bytes
                .get_or_init(|| known.description.to_bytes().map_err(|error| error.to_string()));
            bytes.as_ref().map_err(|text| too_large(text.clone()))
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    let mut out = syshandle_types::Encoder::new(Vec::new(), Limits::default());
    out.put_len(all.len());
    for bytes in all {
        out.put_len(bytes.len());
        out.lend(bytes);
    }
    out.finish_lent().map(|(bytes, _)| bytes).map_err(|error| too_large(error.to_string()))
}
