//! Calls to objects of this process: converts the slots of the stub for the object, and its reply
//! back into the slots.
#![expect(unsafe_code, reason = "the slots of a call are memory of the RPC runtime's")]

use std::any::Any;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, IntoRawHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use syshandle_os::{Kind, identify, is_pseudo};
use syshandle_types::Guid;
use syshandle_wire::{Fault, Status};
use windows_sys::Win32::System::Rpc::MIDL_STUB_MESSAGE;

use super::allocation::TaskMemory;
use super::layout::E_FAIL;
use super::served::Face;
use super::{Came, Passing, Remote, caller, error_info, logical_thread};
use crate::{Answer, FIRST_METHOD, Hresult, Lent, MethodPlan, Passed, Reply, Sort};

/// An object that serves calls.
pub trait Serve: Any + Send + Sync {
    /// Runs the method of a call and sends exactly one reply.
    fn call(&self, call: Given, reply: &mut Replying<'_>);
}

/// Sends the reply of a call.
pub type Replying<'a> = dyn FnMut(Status, Vec<u8>, Vec<Passing<'_>>) + 'a;

/// A received call.
#[derive(Debug)]
pub struct Given {
    /// The interface of the object that was called, as an index.
    pub interface: usize,
    /// The index of the method among the interface's own methods.
    pub method: u32,
    /// The encoded arguments.
    pub arguments: Vec<u8>,
    /// The handles and references of the arguments, in order.
    pub handles: Vec<Came>,
    /// The client that made the call.
    pub caller: Caller,
}

/// The client that made a call, as the RPC runtime reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The client's process; `None` for a call from within this process.
    pub process_id: Option<u32>,
    /// The call chain that this call is part of.
    pub logical_thread: Guid,
}

impl Caller {
    /// The client whose call this thread serves.
    pub fn current() -> Self {
        Self { process_id: caller::process_id(), logical_thread: logical_thread() }
    }
}

/// Runs a method. The stub's interpreter calls this function instead of the entry in the object's
/// vtable, with the arguments in memory.
///
/// # Safety
/// The interpreter's stack for the call must contain a pointer to a [`Face`], then the slots of the
/// method, then a place for its result. The pointer is always a `Face`, because only the tables of
/// faces refer to this function.
pub(super) unsafe extern "system" fn thunk(message: *mut MIDL_STUB_MESSAGE) {
    // SAFETY: the function's contract.
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

/// Passes the call in these slots to the object, and writes its reply to the slots.
fn run(
    face: &Face,
    method: u32,
    plan: &MethodPlan,
    slots: &[u64],
    mut memory: TaskMemory,
) -> Hresult {
    // SAFETY: the caller holds a reference during the call.
    let object = unsafe { face.object() };
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

/// Duplicates a handle or reference that the RPC runtime holds only during the call.
fn own_copy(passed: &Passed) -> std::io::Result<Came> {
    let number = passed.value;
    if let Sort::Object(iid) = passed.sort {
        // SAFETY: the runtime keeps its reference until the call returns.
        let own = unsafe { Remote::of(number, iid, true) };
        return own.map(Came::Object).ok_or(std::io::ErrorKind::InvalidInput.into());
    }
    if is_pseudo(number) {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the runtime keeps the handle open until the call returns.
    let handle =
        unsafe { BorrowedHandle::borrow_raw(ptr::without_provenance_mut(number as usize)) };
    handle.try_clone_to_owned().map(Came::Handle)
}

/// Writes a reply to the slots of a call.
fn lay_out(
    plan: &MethodPlan,
    slots: &[u64],
    memory: &mut TaskMemory,
    status: Status,
    body: &[u8],
    handles: Vec<Passing<'_>>,
) -> Answer {
    // The stub closes the handles and releases the references after it has sent them, so it gets
    // duplicates.
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

/// Converts a handle to the form that plans accept.
pub(super) fn lent(handle: &impl AsRawHandle) -> Lent {
    let raw = handle.as_raw_handle();
    // SAFETY: the lender keeps the handle open.
    let facts = identify(unsafe { BorrowedHandle::borrow_raw(raw) });
    let kind: Option<Kind> = facts.ok().and_then(|facts| facts.object.kinds().iter().next());
    Lent { value: raw.addr() as u64, kind }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use syshandle::Interface;

    use super::*;
    use crate::ErrorInfo;
    use crate::sys::layout::{IID_IUNKNOWN, S_FALSE, S_OK};
    use crate::sys::served::{IID_ISUPPORT_ERROR_INFO, SupportVtable};
    use crate::sys::{Bound, Served, enter_apartment};

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
        let served = Served::new(&[bound], Arc::new(Empty)).unwrap();
        let mut face = ptr::null_mut();
        // SAFETY: the identifier is valid. The reference is never released, so the face lives until
        // the process ends.
        let face = unsafe {
            assert_eq!(served.query(&bound.iid, &mut face), S_OK);
            &*face.cast::<Face>()
        };
        let plan = &bound.compiled.methods[0];
        // SAFETY: the method has no slots.
        let hresult = run(face, 0, plan, &[], unsafe { TaskMemory::new() });
        assert_eq!(hresult, Hresult(E_FAIL));
        let info = ErrorInfo { description: "out of soap".to_owned() };
        assert_eq!(error_info::take(), Some(info));

        let mut support = ptr::null_mut();
        // SAFETY: `served` is a reference to an object, and `support` has room for another. The
        // latter has the interface whose own first method is called.
        unsafe {
            assert_eq!(served.query(&IID_ISUPPORT_ERROR_INFO, &mut support), S_OK);
            let vtable = &**support.cast::<*const SupportVtable>();
            assert_eq!((vtable.supports)(support, &bound.iid), S_OK);
            assert_eq!((vtable.supports)(support, &IID_IUNKNOWN), S_FALSE);
            assert_eq!((vtable.unknown.release)(support), 2);
        }
    }
}
