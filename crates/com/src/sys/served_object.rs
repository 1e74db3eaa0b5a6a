//! Objects of this process that COM serves to clients.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use windows_sys::Win32::System::Com::CoDisconnectObject;
use windows_sys::core::{GUID, HRESULT};

use super::abi::{E_NOINTERFACE, E_NOTIMPL, E_POINTER, IID_IUNKNOWN, S_FALSE, S_OK, UnknownVtable};
use super::com_error::ComError;
use super::dispatch::Serve;
use super::guid::same;
use super::interface_pointer::InterfacePointer;
use super::registered_interface::RegisteredInterface;

/// A reference to an object of this process. COM holds references of its own for clients.
#[derive(Debug)]
pub struct ServedObject(*const Instance);

// SAFETY: the object is `Send` and `Sync`, and the reference count is atomic.
unsafe impl Send for ServedObject {}
// SAFETY: as above.
unsafe impl Sync for ServedObject {}

/// An object in memory: its reference count, its interfaces and its implementation. Releasing the
/// last reference frees it.
struct Instance {
    count: AtomicU32,
    interfaces: Box<[ObjectInterface]>,
    /// The object's implementation of `ISupportErrorInfo`.
    support: InterfaceHeader,
    object: Arc<dyn Serve>,
}

/// The first fields of every interface in an object.
#[repr(C)]
struct InterfaceHeader {
    vtable: *const c_void,
    instance: *const Instance,
}

/// One interface of an object. A COM interface pointer points to this structure.
#[repr(C)]
pub(super) struct ObjectInterface {
    start: InterfaceHeader,
    pub(super) registered: &'static RegisteredInterface,
    pub(super) index: usize,
}

impl ServedObject {
    /// Creates an object that implements these interfaces. At least one interface is required.
    ///
    /// # Errors
    /// Under Wine, returns the errors of `CoMarshalInterface`.
    pub fn new(
        interfaces: &[&'static RegisteredInterface],
        object: Arc<dyn Serve>,
    ) -> Result<Self, ComError> {
        interfaces.iter().try_for_each(|registered| registered.pin())?;
        Ok(Self::new_unpinned(interfaces, object))
    }

    pub(super) fn new_unpinned(
        interfaces: &[&'static RegisteredInterface],
        object: Arc<dyn Serve>,
    ) -> Self {
        let start = |vtable| InterfaceHeader { vtable, instance: ptr::null() };
        let interfaces = interfaces.iter().enumerate().map(|(index, &registered)| {
            ObjectInterface { start: start(registered.vtable), registered, index }
        });
        let support = start((&raw const SUPPORT).cast());
        let count = AtomicU32::new(1);
        let instance = Instance { count, interfaces: interfaces.collect(), support, object };
        let instance = Box::into_raw(Box::new(instance));
        // SAFETY: no other reference to the new object exists.
        unsafe {
            (*instance).support.instance = instance;
            for interface in &mut (*instance).interfaces {
                interface.start.instance = instance;
            }
        }
        Self(instance)
    }

    /// Returns a reference to the object through one of its interfaces. The reference can be passed
    /// in a call.
    ///
    /// # Errors
    /// Returns `E_NOINTERFACE` if the object doesn't implement the interface.
    pub fn reference(
        &self,
        registered: &'static RegisteredInterface,
    ) -> Result<InterfacePointer, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: the identifier is valid. On success, the pointer is a reference that this process
        // owns.
        ComError::check(unsafe { self.query(&registered.iid, &mut pointer) })?;
        InterfacePointer::from_raw(pointer, registered)
    }

    /// Disconnects the object from all clients, which invalidates their references. Needed if a
    /// client died without releasing its references, because Wine doesn't detect that.
    pub fn disconnect(&self) {
        // SAFETY: `self` is a reference to the object.
        unsafe { CoDisconnectObject(self.unknown(), 0) };
    }

    /// Implements `QueryInterface`: writes a new reference to the object through the interface
    /// `iid`.
    ///
    /// # Safety
    /// `iid` and `object` must be as COM passes them.
    pub(super) unsafe fn query(&self, iid: *const GUID, object: *mut *mut c_void) -> HRESULT {
        // SAFETY: `self` is a reference to the object; the caller has promised the rest.
        unsafe { query_interface(self.unknown(), iid, object) }
    }

    pub(super) fn unknown(&self) -> *mut c_void {
        // SAFETY: `self` is a reference to an object, which has at least one interface.
        unsafe { ptr::from_ref(&(*self.0).interfaces[0]).cast_mut().cast() }
    }
}

impl ObjectInterface {
    /// Returns the object that implements this interface.
    ///
    /// # Safety
    /// The caller must ensure that a reference to the object exists.
    pub(super) unsafe fn object(&self) -> Arc<dyn Serve> {
        // SAFETY: the caller upholds this function's contract.
        unsafe { &*self.start.instance }.object.clone()
    }
}

impl Instance {
    fn interface(&self, iid: &GUID) -> Option<&ObjectInterface> {
        self.interfaces.iter().find(|interface| same(iid, &interface.registered.iid))
    }
}

impl Clone for ServedObject {
    fn clone(&self) -> Self {
        // SAFETY: `self` is a reference to the object.
        unsafe { add_ref(self.unknown()) };
        Self(self.0)
    }
}

impl Drop for ServedObject {
    fn drop(&mut self) {
        // SAFETY: `self` is a reference to the object, and is released only once.
        unsafe { release(self.unknown()) };
    }
}

/// Builds the vtable of an interface with `methods` methods besides those of `IUnknown`. The vtable
/// is never freed.
///
/// Stubs call [`thunk`](super::dispatch::thunk) instead of the vtable's methods. Only a client in
/// this process that doesn't use this crate calls them, and gets `E_NOTIMPL`.
pub(super) fn vtable(methods: usize) -> *const c_void {
    let mut table: Vec<*const c_void> =
        vec![query_interface as *const c_void, add_ref as *const c_void, release as *const c_void];
    table.resize(3 + methods, not_implemented as *const c_void);
    Box::leak(table.into_boxed_slice()).as_ptr().cast()
}

/// # Safety
/// `this` must point to an [`InterfaceHeader`] and be a reference to its object. The other
/// arguments must be as COM passes them.
unsafe extern "system" fn query_interface(
    this: *mut c_void,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT {
    if iid.is_null() || object.is_null() {
        return E_POINTER;
    }
    // SAFETY: the caller upholds this function's contract, and the pointers were checked above.
    unsafe {
        *object = ptr::null_mut();
        // The RPC runtime passes IIDs that are part of a format string and may be unaligned.
        let wanted = &iid.read_unaligned();
        let instance = &*(*this.cast::<InterfaceHeader>()).instance;
        let found = match wanted {
            unknown if same(unknown, &IID_IUNKNOWN) => {
                instance.interfaces.first().map(ptr::from_ref)
            }
            support if same(support, &IID_ISUPPORT_ERROR_INFO) => {
                Some(ptr::from_ref(&instance.support).cast())
            }
            iid => instance.interface(iid).map(ptr::from_ref),
        };
        let Some(found) = found else { return E_NOINTERFACE };
        let found = found.cast_mut().cast();
        add_ref(found);
        *object = found;
        S_OK
    }
}

/// # Safety
/// `this` must point to an [`InterfaceHeader`] and be a reference to its object.
unsafe extern "system" fn add_ref(this: *mut c_void) -> u32 {
    // SAFETY: the caller upholds this function's contract.
    let instance = unsafe { &*(*this.cast::<InterfaceHeader>()).instance };
    instance.count.fetch_add(1, Ordering::Relaxed) + 1
}

/// # Safety
/// `this` must point to an [`InterfaceHeader`] and be a reference to its object. The caller gives
/// up this reference.
unsafe extern "system" fn release(this: *mut c_void) -> u32 {
    // SAFETY: the caller upholds this function's contract.
    let instance = unsafe { (*this.cast::<InterfaceHeader>()).instance };
    // SAFETY: the caller gives up its reference, which keeps the object alive until here.
    let before = unsafe { (*instance).count.fetch_sub(1, Ordering::Release) };
    if before == 1 {
        fence(Ordering::Acquire);
        // SAFETY: the last reference was released. `ServedObject::new_unpinned` allocated the
        // object as a `Box`.
        let instance = unsafe { Box::from_raw(instance.cast_mut()) };
        // A panic in a destructor must not unwind into COM.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(instance)));
    }
    before - 1
}

/// Implements `ISupportErrorInfo`: returns `S_OK` for every interface of the object, because all of
/// them set error information.
///
/// # Safety
/// `this` must point to an [`InterfaceHeader`] and be a reference to its object. `iid` must be as
/// COM passes it.
unsafe extern "system" fn supports_error_info(this: *mut c_void, iid: *const GUID) -> HRESULT {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        let instance = &*(*this.cast::<InterfaceHeader>()).instance;
        // An IID that is part of a format string may be unaligned.
        let is_known = !iid.is_null() && instance.interface(&iid.read_unaligned()).is_some();
        if is_known { S_OK } else { S_FALSE }
    }
}

unsafe extern "system" fn not_implemented() -> HRESULT {
    E_NOTIMPL
}

/// Returns the object that a pointer refers to. Returns `None` if the object doesn't belong to this
/// process or the pointer is for another interface.
///
/// # Safety
/// The pointer must be a reference to an object.
pub(super) unsafe fn object(
    pointer: *mut c_void,
    registered: &'static RegisteredInterface,
) -> Option<Arc<dyn Serve>> {
    // SAFETY: a pointer to a COM object points to a pointer to its vtable. Only objects of this
    // process have this vtable.
    unsafe {
        let is_own = pointer.cast::<*const c_void>().read() == registered.vtable;
        is_own.then(|| (*pointer.cast::<ObjectInterface>()).object())
    }
}

/// The vtable of `ISupportErrorInfo`.
#[repr(C)]
pub(super) struct SupportErrorInfoVtable {
    pub(super) unknown: UnknownVtable,
    pub(super) supports: unsafe extern "system" fn(*mut c_void, *const GUID) -> HRESULT,
}

// COM requires that every vtable starts with the methods of `IUnknown`.
static SUPPORT: SupportErrorInfoVtable = SupportErrorInfoVtable {
    unknown: UnknownVtable { query_interface, add_ref, release },
    supports: supports_error_info,
};

pub(super) const IID_ISUPPORT_ERROR_INFO: GUID =
    GUID::from_u128(0xdf0b3d60_548f_101b_8e65_08002b2bd119);
