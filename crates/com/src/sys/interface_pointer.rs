//! References to objects, usually of other processes.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::fmt;
use std::os::windows::io::{BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use syshandle_os::is_pseudo;
use syshandle_types::Guid;
use syshandle_types::describe::Interface;
use syshandle_wire::Status;
use windows_sys::Win32::System::Com::{CLSCTX_LOCAL_SERVER, CoCreateInstance};
use windows_sys::core::HRESULT;

use super::abi::UnknownVtable;
use super::com_error::ComError;
use super::dispatch::{Serve, to_raw};
use super::error_info;
use super::guid::com_guid;
use super::process_memory::ClientMemory;
use super::registered_interface::RegisteredInterface;
use super::served_object;
use crate::hresult::Hresult;
use crate::tables::FIRST_METHOD;
use crate::transcode::{HandleType, RawLentHandle, RawReceivedHandle, TranscodeError};

/// A reference to an object by one of its interfaces. Any thread of the multithreaded apartment may
/// use and drop it, but no other thread.
pub struct InterfacePointer {
    pointer: NonNull<c_void>,
    registered: &'static RegisteredInterface,
}

// SAFETY: references of the multithreaded apartment may be used by all its threads.
unsafe impl Send for InterfacePointer {}
// SAFETY: as above.
unsafe impl Sync for InterfacePointer {}

/// A handle or reference to pass.
#[derive(Debug)]
pub enum LentHandle<'h> {
    /// A lent handle.
    Handle(BorrowedHandle<'h>),
    /// A reference. The receiver gets its own.
    Object(InterfacePointer),
}

/// A received handle or reference.
#[derive(Debug)]
pub enum ReceivedHandle {
    /// A handle that this process owns.
    Handle(OwnedHandle),
    /// A reference. The tables of its interface are registered, because [`RegisteredInterface::of`]
    /// registers all interfaces that an interface passes references of.
    Object(InterfacePointer),
}

/// The result of a call.
#[derive(Debug)]
pub struct CallResult {
    /// The HRESULT that COM returned.
    pub hresult: Hresult,
    /// The status of the method, its encoded result or error, and the handles and references of
    /// these.
    pub reply: Result<(Status, Vec<u8>, Vec<ReceivedHandle>), TranscodeError>,
}

impl InterfacePointer {
    /// Activates a class: gets an object from its server, which COM starts if it isn't running.
    ///
    /// # Errors
    /// The errors of `CoCreateInstance`.
    pub fn activate(
        clsid: Guid,
        registered: &'static RegisteredInterface,
    ) -> Result<Self, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: both identifiers are valid; on success, the pointer is a reference of this
        // process.
        ComError::check(unsafe {
            let clsid = com_guid(clsid);
            let none = ptr::null_mut();
            CoCreateInstance(&clsid, none, CLSCTX_LOCAL_SERVER, &registered.iid, &mut pointer)
        })?;
        Self::from_raw(pointer, registered)
    }

    /// Returns a reference to this object by another of its interfaces.
    ///
    /// # Errors
    /// `E_NOINTERFACE`, and the errors of a call.
    pub fn query(&self, registered: &'static RegisteredInterface) -> Result<Self, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: `self` is a reference to an object, whose vtable starts with these entries. On
        // success, the pointer is a reference of this process.
        ComError::check(unsafe {
            (self.vtable().query_interface)(self.pointer.as_ptr(), &registered.iid, &mut pointer)
        })?;
        Self::from_raw(pointer, registered)
    }

    /// Calls a method, given its index among the interface's own methods.
    pub fn call(&self, method: u32, arguments: &[u8], handles: &[LentHandle<'_>]) -> CallResult {
        let Some(plan) = self.registered.compiled.methods.get(method as usize) else {
            return CallResult::of_fault(&syshandle_wire::Fault::NoSuchMethod(method));
        };
        let lent: Vec<_> = handles.iter().map(LentHandle::to_raw).collect();
        // SAFETY: the memory is only used with the slots of this call and this plan.
        let mut memory = unsafe { ClientMemory::new() };
        let slots = match plan.lay_out_call(arguments, &lent, &mut memory) {
            Ok(slots) => slots,
            Err(error) => {
                return CallResult { hresult: Hresult(super::abi::E_FAIL), reply: Err(error) };
            }
        };
        let entry = method as usize + usize::from(FIRST_METHOD);
        // Afterwards, the error information of this thread belongs to this call.
        error_info::clear();
        // SAFETY: the proxy's vtable was built from the same plan, so it has this entry, which
        // takes these slots. The slots and the memory that they refer to live until the call
        // returns.
        let hresult = Hresult(unsafe { invoke(self.pointer.as_ptr(), entry, &slots) });
        let info = hresult.is_failure().then(error_info::take).flatten();
        let collected = plan.collect_reply(hresult, info.as_ref(), &slots, &mut memory);
        for stray in collected.strays {
            drop(take_ownership(&stray));
        }
        let reply = collected.reply.map(|received| {
            let handles = received.handles.iter().filter_map(take_ownership);
            (received.status, received.body, handles.collect())
        });
        CallResult { hresult, reply }
    }

    /// Returns the interface of this reference.
    pub fn interface(&self) -> &'static Interface {
        self.registered.interface
    }

    /// Returns the object itself, if it belongs to this process. COM returns the object's own
    /// pointer when a process receives a reference that it has passed earlier.
    pub fn served(&self) -> Option<Arc<dyn Serve>> {
        // SAFETY: a reference to an object.
        unsafe { served_object::object(self.pointer.as_ptr(), self.registered) }
    }

    /// Takes over a pointer, or adds a reference to it if it is lent.
    ///
    /// # Safety
    /// The pointer must be NULL or refer to an object with this interface. It must be a reference
    /// that the caller gives up, unless `is_lent` is true.
    pub(super) unsafe fn from_address(pointer: u64, iid: Guid, is_lent: bool) -> Option<Self> {
        let pointer = NonNull::new(ptr::with_exposed_provenance_mut::<c_void>(pointer as usize))?;
        let Some(registered) = RegisteredInterface::find(iid) else {
            if !is_lent {
                // SAFETY: the function's contract.
                unsafe { release(pointer.as_ptr()) };
            }
            return None;
        };
        let reference = Self { pointer, registered };
        if is_lent {
            std::mem::forget(reference.clone());
        }
        Some(reference)
    }

    /// Returns the pointer. `self` keeps its reference.
    fn address(&self) -> u64 {
        self.pointer.as_ptr().expose_provenance() as u64
    }

    /// Converts this reference into a pointer, which the caller has to release.
    pub(super) fn into_pointer(self) -> u64 {
        std::mem::ManuallyDrop::new(self).address()
    }

    pub(super) fn from_raw(
        pointer: *mut c_void,
        registered: &'static RegisteredInterface,
    ) -> Result<Self, ComError> {
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { pointer, registered }),
            None => Err(ComError::Failed(Hresult(super::abi::E_POINTER))),
        }
    }

    /// Returns the first entries of the vtable.
    ///
    /// # Safety
    /// None in addition to a valid reference, which `self` is.
    unsafe fn vtable(&self) -> &UnknownVtable {
        // SAFETY: a pointer to a COM object points to a pointer to its vtable.
        unsafe { &**self.pointer.cast::<*const UnknownVtable>().as_ptr() }
    }
}

impl LentHandle<'_> {
    /// Converts this to the form that plans accept.
    pub(super) fn to_raw(&self) -> RawLentHandle {
        match self {
            Self::Handle(handle) => to_raw(handle),
            Self::Object(reference) => RawLentHandle { value: reference.address(), kind: None },
        }
    }
}

impl CallResult {
    fn of_fault(fault: &syshandle_wire::Fault) -> Self {
        let reply = Ok((Status::Fault, fault.write(), Vec::new()));
        Self { hresult: Hresult::of_fault(fault), reply }
    }
}

impl Clone for InterfacePointer {
    fn clone(&self) -> Self {
        // SAFETY: `self` is a reference to an object.
        unsafe { (self.vtable().add_ref)(self.pointer.as_ptr()) };
        Self { pointer: self.pointer, registered: self.registered }
    }
}

impl Drop for InterfacePointer {
    fn drop(&mut self) {
        // SAFETY: `self` is a reference to an object, released once.
        unsafe { release(self.pointer.as_ptr()) };
    }
}

impl fmt::Debug for InterfacePointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterfacePointer")
            .field("iid", &self.registered.iid())
            .finish_non_exhaustive()
    }
}

/// Takes ownership of a handle or reference that the RPC runtime has passed to this process.
/// Returns `None` if the value is invalid.
fn take_ownership(raw: &RawReceivedHandle) -> Option<ReceivedHandle> {
    let number = raw.value;
    if let HandleType::Object(iid) = raw.handle_type {
        // SAFETY: a received reference belongs to this process.
        return unsafe { InterfacePointer::from_address(number, iid, false) }
            .map(ReceivedHandle::Object);
    }
    let raw = ptr::without_provenance_mut(number as usize);
    // SAFETY: the handle was duplicated into this process, which owns it.
    (!is_pseudo(number))
        .then(|| ReceivedHandle::Handle(unsafe { OwnedHandle::from_raw_handle(raw) }))
}

/// Releases a reference.
///
/// # Safety
/// The pointer must be a reference to an object.
unsafe fn release(pointer: *mut c_void) {
    // SAFETY: a pointer to a COM object points to a pointer to its vtable.
    unsafe { ((**pointer.cast::<*const UnknownVtable>()).release)(pointer) };
}

/// Calls an entry of an object's vtable with these slots.
///
/// On x64, a function finds its first four arguments in registers and the others on the stack.
/// Integers and floating-point numbers have separate registers. A function ignores surplus
/// arguments. A call of a variadic function puts floating-point numbers into both kinds of
/// registers. Therefore a variadic call with the largest possible number of slots works for every
/// method.
///
/// # Safety
/// `this` must be a reference to an object whose vtable has this entry, and the entry must take
/// these slots.
unsafe fn invoke(this: *mut c_void, entry: usize, slots: &[u64]) -> HRESULT {
    type VtableEntry = unsafe extern "C" fn(*mut c_void, ...) -> HRESULT;
    let mut all = [0_u64; SLOTS_MAX];
    all[..slots.len()].copy_from_slice(slots);
    let both = |slot: usize| f64::from_bits(all[slot]);
    macro_rules! call {
        ($function:ident, $($slot:literal)*) => {
            $function(this, both(0), both(1), both(2), $(all[$slot]),*)
        };
    }
    // SAFETY: the function's contract; `extern "C"` is the only calling convention of x64.
    unsafe {
        let table = *this.cast::<*const VtableEntry>();
        let function = *table.add(entry);
        match slots.len() {
            ..=12 => call!(function, 3 4 5 6 7 8 9 10 11),
            _ => call!(function, 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26
                27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53
                54 55 56 57 58 59 60 61 62 63),
        }
    }
}

/// Most slots of a plan.
const SLOTS_MAX: usize = 64;
