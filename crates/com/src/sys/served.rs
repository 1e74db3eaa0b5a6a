//! Objects of this process, for COM to serve.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::any::Any;
use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, IntoRawHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use syshandle_os::{Kind, identify, is_pseudo};
use syshandle_wire::{Fault, Guid, Status};
use windows_sys::Win32::System::Com::CoDisconnectObject;
use windows_sys::Win32::System::Rpc::MIDL_STUB_MESSAGE;
use windows_sys::core::{GUID, HRESULT};

use super::allocation::TaskMemory;
use super::layout::{
    E_FAIL, E_NOINTERFACE, E_NOTIMPL, E_POINTER, IID_IUNKNOWN, S_FALSE, S_OK, UnknownVtable,
};
use super::{Bound, Came, ComError, Passing, Remote, caller, error_info, logical_thread, same};
use crate::{Answer, FIRST_METHOD, Hresult, Lent, MethodPlan, Passed, Reply, Sort};

/// What an object does with calls.
pub trait Serve: Any + Send + Sync {
    /// Runs the method of a call, and replies, once.
    fn call(&self, call: Given, reply: &mut Replying<'_>);
}

/// Sends the reply of a call.
pub type Replying<'a> = dyn FnMut(Status, Vec<u8>, Vec<Passing<'_>>) + 'a;

/// A call that has come.
#[derive(Debug)]
pub struct Given {
    /// Which of the object's interfaces, by its place.
    pub interface: usize,
    /// The number of the method, among the interface's own.
    pub method: u32,
    /// The encoded arguments.
    pub arguments: Vec<u8>,
    /// Their handles and references, in order.
    pub handles: Vec<Came>,
    /// Who calls.
    pub caller: Caller,
}

/// Who calls, from the RPC runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The process; none for a call from within this one.
    pub process_id: Option<u32>,
    /// The chain of calls that this one is part of.
    pub logical_thread: Guid,
}

impl Caller {
    /// Who makes the call that this thread serves.
    pub fn current() -> Self {
        Self { process_id: caller::process_id(), logical_thread: logical_thread() }
    }
}

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
struct Face {
    start: Start,
    bound: &'static Bound,
    place: usize,
}

impl Served {
    /// An object with these interfaces, one at least.
    pub fn new(interfaces: &[&'static Bound], object: Arc<dyn Serve>) -> Self {
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

    fn unknown(&self) -> *mut c_void {
        // SAFETY: a reference to an object with one interface at least.
        unsafe { ptr::from_ref(&(*self.0).faces[0]).cast_mut().cast() }
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
        let wanted = &*iid;
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
        match iid.as_ref().and_then(|iid| instance.face(iid)) {
            Some(_) => S_OK,
            None => S_FALSE,
        }
    }
}

unsafe extern "system" fn not_by_table() -> HRESULT {
    E_NOTIMPL
}

/// Runs a method: called by the stub's interpreter in place of the object's vtable, with the
/// arguments in memory.
///
/// # Safety
/// The interpreter's stack for the call begins with a pointer to a [`Face`], as only those have
/// this in their tables, followed by the slots of the method and a place for its result.
pub(super) unsafe extern "system" fn thunk(message: *mut MIDL_STUB_MESSAGE) {
    // SAFETY: see above.
    unsafe {
        let stack = (*message).StackTop.cast::<u64>();
        let this: *const Face = ptr::with_exposed_provenance(stack.read() as usize);
        let face = &*this;
        let number = (*(*message).RpcMsg).ProcNum.wrapping_sub(u32::from(FIRST_METHOD));
        let Some(plan) = face.bound.compiled.methods.get(number as usize) else {
            return;
        };
        let count = plan.slot_count();
        let slots = std::slice::from_raw_parts(stack.add(1), count);
        let memory = TaskMemory::new();
        let hresult = catch_unwind(AssertUnwindSafe(|| run(face, number, plan, slots, memory)));
        let hresult = hresult.unwrap_or(Hresult(E_FAIL));
        stack.add(1 + count).write(hresult.0 as u32 as u64);
    }
}

/// Brings the slots of a call to the object, and what it replies back to them.
fn run(
    face: &Face,
    method: u32,
    plan: &MethodPlan,
    slots: &[u64],
    mut memory: TaskMemory,
) -> Hresult {
    // SAFETY: whoever called holds a reference for the time of the call.
    let object = unsafe { &*face.start.instance }.object.clone();
    let mut answer = None;
    let collected = plan.collect_call(slots, &memory);
    let mut reply = |status: Status, body: Vec<u8>, handles: Vec<Passing<'_>>| {
        answer = Some(lay_out(plan, slots, &mut memory, status, &body, handles));
    };
    let mut refuse = |fault: Fault| reply(Status::Fault, fault.write(), Vec::new());
    match collected {
        Err(error) => refuse(error.into()),
        Ok(call) => {
            let owned = call.handles.iter().map(own_copy);
            match owned.collect::<std::io::Result<Vec<_>>>() {
                Err(error) => {
                    tracing::warn!(%error, "a handle of a call couldn't be had");
                    refuse(Fault::HandlesLost);
                }
                Ok(handles) => {
                    let caller = Caller::current();
                    let arguments = call.arguments;
                    let interface = face.place;
                    let given = Given { interface, method, arguments, handles, caller };
                    object.call(given, &mut reply);
                }
            }
        }
    }
    let answer = answer.unwrap_or_else(|| {
        Answer::of_fault(&Fault::Failed { text: "the method didn't reply".to_owned() })
    });
    error_info::set(answer.info.as_ref(), &face.bound.iid, face.bound.compiled.name);
    answer.hresult
}

/// A handle or reference of our own to what the RPC runtime holds for the time of the call.
fn own_copy(passed: &Passed) -> std::io::Result<Came> {
    let number = passed.value;
    if let Sort::Object(iid) = passed.sort {
        // SAFETY: the runtime keeps its reference until the call is over.
        let own = unsafe { Remote::of(number, iid, true) };
        return own.map(Came::Object).ok_or(std::io::ErrorKind::InvalidInput.into());
    }
    if is_pseudo(number) {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the runtime keeps it open until the call is over.
    let handle =
        unsafe { BorrowedHandle::borrow_raw(ptr::without_provenance_mut(number as usize)) };
    handle.try_clone_to_owned().map(Came::Handle)
}

/// Puts a reply where the stub looks for it.
fn lay_out(
    plan: &MethodPlan,
    slots: &[u64],
    memory: &mut TaskMemory,
    status: Status,
    body: &[u8],
    handles: Vec<Passing<'_>>,
) -> Answer {
    // The stub closes and releases what it has sent: it gets handles and references of its own.
    let own = |passing| match passing {
        Passing::Handle(handle) => handle.try_clone_to_owned().map(Came::Handle),
        Passing::Object(reference) => Ok(Came::Object(reference)),
    };
    let copies = match handles.into_iter().map(own).collect::<std::io::Result<Vec<_>>>() {
        Ok(copies) => copies,
        Err(error) => {
            let fault = Fault::Unsendable { text: error.to_string() }.write();
            let reply = Reply { status: Status::Fault, body: &fault, handles: &[] };
            return plan.lay_out_reply(reply, slots, memory);
        }
    };
    let lend = |copy: &Came| match copy {
        Came::Handle(handle) => lent(handle),
        Came::Object(reference) => Passing::Object(reference.clone()).lent(),
    };
    let lent: Vec<_> = copies.iter().map(lend).collect();
    let answer = plan.lay_out_reply(Reply { status, body, handles: &lent }, slots, memory);
    if answer.gives_handles {
        for copy in copies {
            match copy {
                Came::Handle(handle) => _ = handle.into_raw_handle(),
                Came::Object(reference) => _ = reference.into_pointer(),
            }
        }
    }
    answer
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
        is_face.then(|| (*(*pointer.cast::<Face>()).start.instance).object.clone())
    }
}

/// A handle as plans take it.
pub(super) fn lent(handle: &impl AsRawHandle) -> Lent {
    let raw = handle.as_raw_handle();
    // SAFETY: whoever lends it keeps it open.
    let facts = identify(unsafe { BorrowedHandle::borrow_raw(raw) });
    let kind: Option<Kind> = facts.ok().and_then(|facts| facts.object.kinds().iter().next());
    Lent { value: raw.addr() as u64, kind }
}

/// The vtable of `ISupportErrorInfo`.
#[repr(C)]
struct SupportVtable {
    unknown: UnknownVtable,
    supports: unsafe extern "system" fn(*mut c_void, *const GUID) -> HRESULT,
}

// Its first entries, as those of `vtable`, are what COM expects them to be.
static SUPPORT: SupportVtable = SupportVtable {
    unknown: UnknownVtable { query_interface, add_ref, release },
    supports: supports_error_info,
};

const IID_ISUPPORT_ERROR_INFO: GUID = GUID::from_u128(0xdf0b3d60_548f_101b_8e65_08002b2bd119);

#[cfg(test)]
mod tests {
    use syshandle::Interface;

    use super::*;
    use crate::ErrorInfo;
    use crate::sys::enter_apartment;

    mod described {
        #[syshandle::interface(iid = "5d1f6f0b-53c8-4f0a-9d3d-52f8a1f7c3f1")]
        pub(super) trait Dishes {
            fn wash(&self) -> syshandle::Result<()>;
        }
    }

    use described::Dishes;

    struct Empty;

    impl Serve for Empty {
        fn call(&self, _call: Given, reply: &mut Replying<'_>) {
            let fault = Fault::Failed { text: "out of soap".to_owned() };
            reply(Status::Fault, fault.write(), Vec::new());
        }
    }

    #[test]
    fn a_call_that_fails_leaves_its_text_for_com_to_bring() {
        enter_apartment().unwrap();
        let bound = Bound::of(<dyn Dishes>::DESCRIPTION).unwrap();
        let served = Served::new(&[bound], Arc::new(Empty));
        // SAFETY: a reference to an object.
        let face = unsafe { &(*served.0).faces[0] };
        let plan = &bound.compiled.methods[0];
        // SAFETY: the method has no slots.
        let hresult = run(face, 0, plan, &[], unsafe { TaskMemory::new() });
        assert_eq!(hresult, Hresult(E_FAIL));
        let info = ErrorInfo { description: "out of soap".to_owned() };
        assert_eq!(error_info::take(), Some(info));

        let mut support = ptr::null_mut();
        // SAFETY: a reference to an object, room for another, and its release.
        unsafe {
            assert_eq!(served.query(&IID_ISUPPORT_ERROR_INFO, &mut support), S_OK);
            assert_eq!(supports_error_info(support, &bound.iid), S_OK);
            assert_eq!(supports_error_info(support, &IID_IUNKNOWN), S_FALSE);
            assert_eq!(release(support), 1);
        }
    }
}
