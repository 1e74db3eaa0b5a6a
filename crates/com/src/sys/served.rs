//! Objects of this process, for COM to serve.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use windows_sys::Win32::System::Com::CoDisconnectObject;
use windows_sys::core::{GUID, HRESULT};

use super::layout::{
    E_NOINTERFACE, E_NOTIMPL, E_POINTER, IID_IUNKNOWN, S_FALSE, S_OK, UnknownVtable,
};
use super::{Bound, ComError, Remote, Serve, same};

/// A reference to an object of this process; COM has others.
#[derive(Debug)]
pub struct Served(*const Instance);

// SAFETY: what it refers to is Send and Sync, and counted.
unsafe impl Send for Served {}
// SAFETY: as above.
unsafe impl Sync for Served {}

/// An object, which goes when its last reference does.
struct Instance {
    count: AtomicU32,
    faces: Box<[Face]>,
    /// `ISupportErrorInfo`.
    support: Start,
    object: Arc<dyn Serve>,
}

/// What all interfaces of an object begin with.
#[repr(C)]
struct Start {
    vtable: *const c_void,
    instance: *const Instance,
}

/// One interface of an object: what a pointer to it points at.
#[repr(C)]
pub(super) struct Face {
    start: Start,
    pub(super) bound: &'static Bound,
    pub(super) place: usize,
}

impl Served {
    /// An object with these interfaces, one at least.
    ///
    /// # Errors
    /// Under Wine, those of `CoMarshalInterface`.
    pub fn new(interfaces: &[&'static Bound], object: Arc<dyn Serve>) -> Result<Self, ComError> {
        interfaces.iter().try_for_each(|bound| bound.pin())?;
        Ok(Self::with(interfaces, object))
    }

    pub(super) fn with(interfaces: &[&'static Bound], object: Arc<dyn Serve>) -> Self {
        let start = |vtable| Start { vtable, instance: ptr::null() };
        let faces = interfaces.iter().enumerate().map(|(place, &bound)| Face {
            start: start(bound.vtable),
            bound,
            place,
        });
        let support = start((&raw const SUPPORT).cast());
        let count = AtomicU32::new(1);
        let instance = Instance { count, faces: faces.collect(), support, object };
        let instance = Box::into_raw(Box::new(instance));
        // SAFETY: nobody else knows it yet.
        unsafe {
            (*instance).support.instance = instance;
            for face in &mut (*instance).faces {
                face.start.instance = instance;
            }
        }
        Self(instance)
    }

    /// A reference to it by one of its interfaces, to be passed.
    ///
    /// # Errors
    /// `E_NOINTERFACE`.
    pub fn reference(&self, bound: &'static Bound) -> Result<Remote, ComError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: the identifier is there; on success the pointer is a reference of ours.
        ComError::check(unsafe { self.query(&bound.iid, &mut pointer) })?;
        Remote::own(pointer, bound)
    }

    /// Takes the object away from all clients: their references are of nothing from now on. For a
    /// client that has died without letting go, which Wine doesn't notice.
    pub fn disconnect(&self) {
        // SAFETY: this is a reference to the object.
        unsafe { CoDisconnectObject(self.unknown(), 0) };
    }

    /// The object by one of its interfaces, with a reference more; what `QueryInterface` does.
    ///
    /// # Safety
    /// `iid` and `object` are as COM passes them.
    pub(super) unsafe fn query(&self, iid: *const GUID, object: *mut *mut c_void) -> HRESULT {
        // SAFETY: this is a reference to the object; the rest is the caller's promise.
        unsafe { query_interface(self.unknown(), iid, object) }
    }

    pub(super) fn unknown(&self) -> *mut c_void {
        // SAFETY: a reference to an object with one interface at least.
        unsafe { ptr::from_ref(&(*self.0).faces[0]).cast_mut().cast() }
    }
}

impl Face {
    /// The object that it is an interface of.
    ///
    /// # Safety
    /// Somebody holds a reference to it.
    pub(super) unsafe fn object(&self) -> Arc<dyn Serve> {
        // SAFETY: the caller's promise.
        unsafe { &*self.start.instance }.object.clone()
    }
}

impl Instance {
    fn face(&self, iid: &GUID) -> Option<&Face> {
        self.faces.iter().find(|face| same(iid, &face.bound.iid))
    }
}

impl Clone for Served {
    fn clone(&self) -> Self {
        // SAFETY: this is a reference to the object.
        unsafe { add_ref(self.unknown()) };
        Self(self.0)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // SAFETY: this is a reference to the object, given back once.
        unsafe { release(self.unknown()) };
    }
}

/// The vtable of an object's interface with so many methods of its own, which stays.
///
/// Calls come by [`thunk`]: nobody calls the methods by the table but a client in this process that
/// isn't ours, which is told that they aren't there.
pub(super) fn vtable(methods: usize) -> *const c_void {
    let mut table: Vec<*const c_void> =
        vec![query_interface as *const c_void, add_ref as *const c_void, release as *const c_void];
    table.resize(3 + methods, not_by_table as *const c_void);
    Box::leak(table.into_boxed_slice()).as_ptr().cast()
}

/// # Safety
/// `this` is a [`Start`] that there is a reference to; the rest is as COM passes it.
unsafe extern "system" fn query_interface(
    this: *mut c_void,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT {
    if iid.is_null() || object.is_null() {
        return E_POINTER;
    }
    // SAFETY: see above.
    unsafe {
        *object = ptr::null_mut();
        // Not aligned if it points into a format string: the RPC runtime passes an identifier from there.
        let wanted = &iid.read_unaligned();
        let instance = &*(*this.cast::<Start>()).instance;
        let found = match wanted {
            unknown if same(unknown, &IID_IUNKNOWN) => instance.faces.first().map(ptr::from_ref),
            support if same(support, &IID_ISUPPORT_ERROR_INFO) => {
                Some(ptr::from_ref(&instance.support).cast())
            }
            iid => instance.face(iid).map(ptr::from_ref),
        };
        let Some(found) = found else { return E_NOINTERFACE };
        let found = found.cast_mut().cast();
        add_ref(found);
        *object = found;
        S_OK
    }
}

/// # Safety
/// `this` is a [`Start`] that there is a reference to.
unsafe extern "system" fn add_ref(this: *mut c_void) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { &*(*this.cast::<Start>()).instance };
    instance.count.fetch_add(1, Ordering::Relaxed) + 1
}

/// # Safety
/// `this` is a [`Start`] that there is a reference to, which is given back.
unsafe extern "system" fn release(this: *mut c_void) -> u32 {
    // SAFETY: see above.
    let instance = unsafe { (*this.cast::<Start>()).instance };
    // SAFETY: the reference is given back by this.
    let before = unsafe { (*instance).count.fetch_sub(1, Ordering::Release) };
    if before == 1 {
        fence(Ordering::Acquire);
        // SAFETY: that was the last; it was made by `Served::new`.
        let instance = unsafe { Box::from_raw(instance.cast_mut()) };
        // What its end does must not come back to COM as a panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(instance)));
    }
    before - 1
}

/// Whether calls of an interface say why they fail: all do.
///
/// # Safety
/// `this` is a [`Start`] that there is a reference to; `iid` is as COM passes it.
unsafe extern "system" fn supports_error_info(this: *mut c_void, iid: *const GUID) -> HRESULT {
    // SAFETY: see above.
    unsafe {
        let instance = &*(*this.cast::<Start>()).instance;
        // Not aligned if it points into a format string.
        let is_known = !iid.is_null() && instance.face(&iid.read_unaligned()).is_some();
        if is_known { S_OK } else { S_FALSE }
    }
}

unsafe extern "system" fn not_by_table() -> HRESULT {
    E_NOTIMPL
}

/// The object that a pointer leads to, if it is one of this process by this interface.
///
/// # Safety
/// The pointer is a reference to an object.
pub(super) unsafe fn object(pointer: *mut c_void, bound: &'static Bound) -> Option<Arc<dyn Serve>> {
    // SAFETY: a pointer to an object of COM points to a pointer to its vtable; this one only faces
    // have.
    unsafe {
        let is_face = pointer.cast::<*const c_void>().read() == bound.vtable;
        is_face.then(|| (*pointer.cast::<Face>()).object())
    }
}

/// The vtable of `ISupportErrorInfo`.
#[repr(C)]
pub(super) struct SupportVtable {
    pub(super) unknown: UnknownVtable,
    pub(super) supports: unsafe extern "system" fn(*mut c_void, *const GUID) -> HRESULT,
}

// Its first entries, as those of `vtable`, are what COM expects them to be.
static SUPPORT: SupportVtable = SupportVtable {
    unknown: UnknownVtable { query_interface, add_ref, release },
    supports: supports_error_info,
};

pub(super) const IID_ISUPPORT_ERROR_INFO: GUID =
    GUID::from_u128(0xdf0b3d60_548f_101b_8e65_08002b2bd119);
