//! References to COM objects, which usually belong to another process.
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

/// A reference to an object through one of its interfaces. Only threads in the multithreaded
/// apartment may use or drop it.
pub struct InterfacePointer {
    pointer: NonNull<c_void>,
    registered: &'static RegisteredInterface,
}

// SAFETY: all threads of the multithreaded apartment may use a reference that was obtained there.
unsafe impl Send for InterfacePointer {}
// SAFETY: as above.
unsafe impl Sync for InterfacePointer {}

/// A handle or object reference to pass in a call.
#[derive(Debug)]
pub enum LentHandle<'h> {
    /// A handle that stays with the sender.
    Handle(BorrowedHandle<'h>),
    /// An object reference. The receiver gets a reference of its own.
    Object(InterfacePointer),
}

/// A handle or object reference that was received in a call.
#[derive(Debug)]
pub enum ReceivedHandle {
    /// A handle that this process owns.
    Handle(OwnedHandle),
    /// An object reference. The format strings of its interface are registered, because
    /// [`RegisteredInterface::of`] also registers all interfaces whose references an interface
    /// passes.
    Object(InterfacePointer),
}

/// The result of a call.
#[derive(Debug)]
pub struct CallResult {
    /// The HRESULT that COM returned.
    pub hresult: Hresult,
    /// The method's status, its encoded result or error, and the handles and object references that
    /// belong to it.
    pub reply: Result<(Status, Vec<u8>, Vec<ReceivedHandle>), TranscodeError>,
}

impl InterfacePointer {
    /// Activates a class: gets an object from the server of the class. COM starts the server if it
    /// isn't running.
    ///
    /// # Errors
    /// Returns the errors of `CoCreateInstance`.
    pub fn activate(
        clsid: Guid,
        registered: &'static RegisteredInterface,
    ) -> Result<Self, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: both identifiers are valid. On success, the pointer is a reference that this
        // process owns.
        ComError::check(unsafe {
            let clsid = com_guid(clsid);
            let none = ptr::null_mut();
            CoCreateInstance(&clsid, none, CLSCTX_LOCAL_SERVER, &registered.iid, &mut pointer)
        })?;
        Self::from_raw(pointer, registered)
    }

    /// Returns a reference to the same object through another of its interfaces.
    ///
    /// # Errors
    /// Returns `E_NOINTERFACE` if the object doesn't implement the interface, and the errors of a
    /// call.
    pub fn query(&self, registered: &'static RegisteredInterface) -> Result<Self, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: `self` is a reference to an object, whose vtable starts with the methods of
        // `IUnknown`. On success, the pointer is a reference that this process owns.
        ComError::check(unsafe {
            (self.vtable().query_interface)(self.pointer.as_ptr(), &registered.iid, &mut pointer)
        })?;
        Self::from_raw(pointer, registered)
    }

    /// Calls a method. `method` is its index among the interface's own methods.
    pub fn call(&self, method: u32, arguments: &[u8], handles: &[LentHandle<'_>]) -> CallResult {
        let Some(plan) = self.registered.compiled.methods.get(method as usize) else {
            return CallResult::of_fault(&syshandle_wire::Fault::NoSuchMethod(method));
        };
        let lent: Vec<_> = handles.iter().map(LentHandle::to_raw).collect();
        // SAFETY: the memory is used only with the slots of this call and this plan.
        let mut memory = unsafe { ClientMemory::new() };
        let slots = match plan.lay_out_call(arguments, &lent, &mut memory) {
            Ok(slots) => slots,
            Err(error) => {
                return CallResult { hresult: Hresult(super::abi::E_FAIL), reply: Err(error) };
            }
        };
        let entry = method as usize + usize::from(FIRST_METHOD);
        // Clears old error information, so that information found after the call belongs to this
        // call.
        error_info::clear();
        // SAFETY: the proxy's vtable was built from the same plan, so it has this entry, and the
        // entry takes these slots. The slots and the memory that they refer to live until the call
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

    /// Returns the interface through which this reference refers to the object.
    pub fn interface(&self) -> &'static Interface {
        self.registered.interface
    }

    /// Returns the object itself if it belongs to this process. If a process receives a reference
    /// that it has passed earlier, COM returns the pointer to the original object.
    pub fn served(&self) -> Option<Arc<dyn Serve>> {
        // SAFETY: `self` is a reference to an object.
        unsafe { served_object::object(self.pointer.as_ptr(), self.registered) }
    }

    /// Creates a reference from a pointer. If `is_lent` is true, adds a reference for it;
    /// otherwise, takes over the caller's reference.
    ///
    /// # Safety
    /// The pointer must be NULL or refer to an object with this interface. It must be a reference
    /// that the caller gives up, unless `is_lent` is true.
    pub(super) unsafe fn from_address(pointer: u64, iid: Guid, is_lent: bool) -> Option<Self> {
        let pointer = NonNull::new(ptr::with_exposed_provenance_mut::<c_void>(pointer as usize))?;
        let Some(registered) = RegisteredInterface::find(iid) else {
            if !is_lent {
                // SAFETY: the caller upholds this function's contract.
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

    /// Returns the pointer without giving up the reference.
    fn address(&self) -> u64 {
        self.pointer.as_ptr().expose_provenance() as u64
    }

    /// Converts this reference into a pointer, which the caller must release.
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

    /// Returns the `IUnknown` part of the vtable.
    ///
    /// # Safety
    /// `self` must be a valid reference, which it always is.
    unsafe fn vtable(&self) -> &UnknownVtable {
        // SAFETY: a pointer to a COM object points to a pointer to its vtable.
        unsafe { &**self.pointer.cast::<*const UnknownVtable>().as_ptr() }
    }
}

impl LentHandle<'_> {
    /// Converts the handle or reference to the form that a [`MethodPlan`] accepts.
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
        // SAFETY: `self` is a reference to an object, and is released only once.
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

/// Takes ownership of a handle or reference that this process received from the RPC runtime.
/// Returns `None` if the value is invalid.
fn take_ownership(raw: &RawReceivedHandle) -> Option<ReceivedHandle> {
    let number = raw.value;
    if let HandleType::Object(iid) = raw.handle_type {
        // SAFETY: this process owns a received reference.
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

/// Calls a method in an object's vtable with these slots as arguments.
///
/// On x64, a function receives its first four arguments in registers and the others on the stack.
/// Integers and floating-point numbers use separate registers. A call to a variadic function puts
/// floating-point numbers into both kinds of registers, and a function ignores surplus arguments.
/// Therefore, a variadic call with the maximum number of slots works for every method.
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
    // SAFETY: the caller upholds this function's contract. `extern "C"` is the only calling
    // convention of x64.
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

/// Maximum number of slots of a method.
const SLOTS_MAX: usize = 64;
