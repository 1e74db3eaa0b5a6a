//! References to objects, mostly of other processes.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::fmt;
use std::os::windows::io::{BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use syshandle_os::is_pseudo;
use syshandle_wire::describe::Interface;
use syshandle_wire::{Guid, Status};
use windows_sys::Win32::System::Com::{CLSCTX_LOCAL_SERVER, CoCreateInstance};
use windows_sys::core::HRESULT;

use super::allocation::Arena;
use super::incoming::lent;
use super::layout::UnknownVtable;
use super::{Bound, Serve, com_guid, error_info, served};
use crate::{FIRST_METHOD, Hresult, Lent, Passed, Sort, TableError, TranscodeError};

/// A reference to an object by one of its interfaces. To be used and dropped in the multithreaded
/// apartment, by any of its threads.
pub struct Remote {
    pointer: NonNull<c_void>,
    bound: &'static Bound,
}

// SAFETY: references of the multithreaded apartment belong to all its threads.
unsafe impl Send for Remote {}
// SAFETY: as above.
unsafe impl Sync for Remote {}

/// A handle to pass, or a reference.
#[derive(Debug)]
pub enum Passing<'h> {
    /// A handle, which is lent.
    Handle(BorrowedHandle<'h>),
    /// A reference; whom it is passed to gets one of its own.
    Object(Remote),
}

/// A handle that came, or a reference.
#[derive(Debug)]
pub enum Came {
    /// A handle, this process's own.
    Handle(OwnedHandle),
    /// A reference. Of an interface whose tables are there by then, as those of all that an
    /// interface with tables passes are.
    Object(Remote),
}

/// What came back from a call.
#[derive(Debug)]
pub struct Outcome {
    /// What COM says of it.
    pub hresult: Hresult,
    /// What it means: how the method ended, its result or error as bytes, and what goes with that.
    pub reply: Result<(Status, Vec<u8>, Vec<Came>), TranscodeError>,
}

impl Remote {
    /// Gets an object of a class from its server, which COM starts if it isn't running.
    ///
    /// # Errors
    /// Those of `CoCreateInstance`.
    pub fn activate(clsid: Guid, bound: &'static Bound) -> Result<Self, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: both identifiers are there; on success the pointer is a reference of ours.
        ComError::check(unsafe {
            let clsid = com_guid(clsid);
            let none = ptr::null_mut();
            CoCreateInstance(&clsid, none, CLSCTX_LOCAL_SERVER, &bound.iid, &mut pointer)
        })?;
        Self::own(pointer, bound)
    }

    /// The same object by another of its interfaces.
    ///
    /// # Errors
    /// `E_NOINTERFACE`, and those of a call.
    pub fn query(&self, bound: &'static Bound) -> Result<Self, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: a reference to an object, whose vtable begins like this; on success the pointer is
        // a reference of ours.
        ComError::check(unsafe {
            (self.vtable().query_interface)(self.pointer.as_ptr(), &bound.iid, &mut pointer)
        })?;
        Self::own(pointer, bound)
    }

    /// Calls a method, by its number among the interface's own.
    pub fn call(&self, method: u32, arguments: &[u8], handles: &[Passing<'_>]) -> Outcome {
        let Some(plan) = self.bound.compiled.methods.get(method as usize) else {
            return Outcome::of_fault(&syshandle_wire::Fault::NoSuchMethod(method));
        };
        let lent: Vec<_> = handles.iter().map(Passing::lent).collect();
        // SAFETY: it is only used with the slots of this call and this plan.
        let mut memory = unsafe { Arena::new() };
        let slots = match plan.lay_out_call(arguments, &lent, &mut memory) {
            Ok(slots) => slots,
            Err(error) => {
                return Outcome { hresult: Hresult(super::layout::E_FAIL), reply: Err(error) };
            }
        };
        let entry = method as usize + usize::from(FIRST_METHOD);
        // What is there after the call is of this one.
        error_info::clear();
        // SAFETY: the proxy's vtable was made from the same plan, and so has this entry, which takes
        // these slots; they and what they refer to stay for the time of the call.
        let hresult = Hresult(unsafe { invoke(self.pointer.as_ptr(), entry, &slots) });
        let info = hresult.is_failure().then(error_info::take).flatten();
        let collected = plan.collect_reply(hresult, info.as_ref(), &slots, &mut memory);
        for stray in collected.strays {
            drop(owned(&stray));
        }
        let reply = collected.reply.map(|received| {
            let handles = received.handles.iter().filter_map(owned);
            (received.status, received.body, handles.collect())
        });
        Outcome { hresult, reply }
    }

    /// The interface that it is by.
    pub fn interface(&self) -> &'static Interface {
        self.bound.interface
    }

    /// The object itself, if it is one of this process, as COM gives it to whoever gets a reference
    /// back that it has passed.
    pub fn served(&self) -> Option<Arc<dyn Serve>> {
        // SAFETY: a reference to an object.
        unsafe { served::object(self.pointer.as_ptr(), self.bound) }
    }

    /// A reference of our own to what somebody else has a pointer to, or whose reference it becomes.
    ///
    /// # Safety
    /// The pointer is one to an object with this interface, or NULL; a reference of ours, unless
    /// `is_lent` says otherwise.
    pub(super) unsafe fn of(pointer: u64, iid: Guid, is_lent: bool) -> Option<Self> {
        let pointer = NonNull::new(ptr::with_exposed_provenance_mut::<c_void>(pointer as usize))?;
        let Some(bound) = Bound::known(iid) else {
            if !is_lent {
                // SAFETY: see above.
                unsafe { release(pointer.as_ptr()) };
            }
            return None;
        };
        let reference = Self { pointer, bound };
        if is_lent {
            std::mem::forget(reference.clone());
        }
        Some(reference)
    }

    /// The pointer, which stays this reference's.
    fn address(&self) -> u64 {
        self.pointer.as_ptr().expose_provenance() as u64
    }

    /// The pointer, as a reference of whoever takes it.
    pub(super) fn into_pointer(self) -> u64 {
        std::mem::ManuallyDrop::new(self).address()
    }

    pub(super) fn own(pointer: *mut c_void, bound: &'static Bound) -> Result<Self, ComError> {
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { pointer, bound }),
            None => Err(ComError::Failed(Hresult(super::layout::E_POINTER))),
        }
    }

    /// The first entries of the vtable.
    ///
    /// # Safety
    /// None beyond that of having a reference, which `self` is.
    unsafe fn vtable(&self) -> &UnknownVtable {
        // SAFETY: a pointer to an object of COM points to a pointer to its vtable.
        unsafe { &**self.pointer.cast::<*const UnknownVtable>().as_ptr() }
    }
}

impl Passing<'_> {
    /// As plans take it.
    pub(super) fn lent(&self) -> Lent {
        match self {
            Self::Handle(handle) => lent(handle),
            Self::Object(reference) => Lent { value: reference.address(), kind: None },
        }
    }
}

impl Outcome {
    fn of_fault(fault: &syshandle_wire::Fault) -> Self {
        let reply = Ok((Status::Fault, fault.write(), Vec::new()));
        Self { hresult: Hresult::of_fault(fault), reply }
    }
}

impl Clone for Remote {
    fn clone(&self) -> Self {
        // SAFETY: a reference to an object.
        unsafe { (self.vtable().add_ref)(self.pointer.as_ptr()) };
        Self { pointer: self.pointer, bound: self.bound }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // SAFETY: a reference to an object, given back once.
        unsafe { release(self.pointer.as_ptr()) };
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("iid", &self.bound.iid()).finish_non_exhaustive()
    }
}

/// What the RPC runtime has given to this process; `None` for what is none.
fn owned(passed: &Passed) -> Option<Came> {
    let number = passed.value;
    if let Sort::Object(iid) = passed.sort {
        // SAFETY: a reference that came is ours.
        return unsafe { Remote::of(number, iid, false) }.map(Came::Object);
    }
    let raw = ptr::without_provenance_mut(number as usize);
    // SAFETY: it was duplicated into this process for us.
    (!is_pseudo(number)).then(|| Came::Handle(unsafe { OwnedHandle::from_raw_handle(raw) }))
}

/// Gives a reference back.
///
/// # Safety
/// The pointer is a reference to an object.
unsafe fn release(pointer: *mut c_void) {
    // SAFETY: a pointer to an object of COM points to a pointer to its vtable.
    unsafe { ((**pointer.cast::<*const UnknownVtable>()).release)(pointer) };
}

/// Calls an entry of an object's vtable with these slots.
///
/// On x64 a function finds its first four arguments in registers, integers and floating-point
/// numbers in different ones, and the others on the stack; it doesn't mind more of them than it
/// takes. A call of a variadic function puts floating-point numbers into both kinds of registers: so
/// one form of call, with as many slots as there may be, serves all methods.
///
/// # Safety
/// `this` is a reference to an object, whose vtable has that entry, which takes these slots.
unsafe fn invoke(this: *mut c_void, entry: usize, slots: &[u64]) -> HRESULT {
    type Entry = unsafe extern "C" fn(*mut c_void, ...) -> HRESULT;
    let mut all = [0_u64; SLOTS_MAX];
    all[..slots.len()].copy_from_slice(slots);
    let both = |slot: usize| f64::from_bits(all[slot]);
    macro_rules! call {
        ($function:ident, $($slot:literal)*) => {
            $function(this, both(0), both(1), both(2), $(all[$slot]),*)
        };
    }
    // SAFETY: see above; `extern "C"` is the one convention that x64 has.
    unsafe {
        let table = *this.cast::<*const Entry>();
        let function = *table.add(entry);
        match slots.len() {
            ..=12 => call!(function, 3 4 5 6 7 8 9 10 11),
            _ => call!(function, 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26
                27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53
                54 55 56 57 58 59 60 61 62 63),
        }
    }
}

/// The most slots that a plan has.
const SLOTS_MAX: usize = 64;

/// Why COM, or the tables for it, failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ComError {
    /// A call of COM's, with this result.
    Failed(Hresult),
    /// The interface can't be one of COM's.
    Tables(TableError),
}

impl ComError {
    /// What a call of COM's returned.
    pub(super) fn check(hresult: HRESULT) -> Result<(), Self> {
        match hresult {
            0.. => Ok(()),
            failed => Err(Self::Failed(Hresult(failed))),
        }
    }

    pub(super) fn tables(error: TableError) -> Self {
        Self::Tables(error)
    }

    /// What COM returned, if that is what failed.
    pub fn hresult(&self) -> Option<Hresult> {
        match self {
            Self::Failed(hresult) => Some(*hresult),
            Self::Tables(_) => None,
        }
    }
}

/// The HRESULT, with what the system says of it.
impl fmt::Display for ComError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(hresult) => {
                let text = std::io::Error::from_raw_os_error(hresult.0);
                write!(f, "{hresult}: {text}")
            }
            Self::Tables(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ComError {}
