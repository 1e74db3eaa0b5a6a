//! Serves calls: reads a call from the stub's slots, passes it to the object, and writes the reply
//! to the slots.
#![expect(unsafe_code, reason = "the slots of a call are memory of the RPC runtime's")]

use std::any::Any;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, IntoRawHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use syshandle_os::{Kind, identify, is_pseudo};
use syshandle_wire::{Fault, Status};
use windows_sys::Win32::System::Rpc::MIDL_STUB_MESSAGE;

use super::abi::E_FAIL;
use super::caller::Caller;
use super::error_info;
use super::interface_pointer::{InterfacePointer, LentHandle, ReceivedHandle};
use super::process_memory::ServerMemory;
use super::served_object::ObjectInterface;
use crate::hresult::Hresult;
use crate::plan::MethodPlan;
use crate::tables::FIRST_METHOD;
use crate::transcode::{HandleType, MethodReturn, RawLentHandle, RawReceivedHandle, Reply};

/// An object of this process that serves calls.
pub trait Serve: Any + Send + Sync {
    /// Runs the called method and sends exactly one reply through `reply`.
    fn call(&self, call: IncomingCall, reply: &mut ReplySender<'_>);
}

/// A callback that sends the reply of a call: its status, encoded body and handles.
pub type ReplySender<'a> = dyn FnMut(Status, Vec<u8>, Vec<LentHandle<'_>>) + 'a;

/// A received call.
#[derive(Debug)]
pub struct IncomingCall {
    /// The index of the called interface among the object's interfaces.
    pub interface: usize,
    /// The index of the method among the interface's own methods.
    pub method: u32,
    /// The encoded arguments.
    pub arguments: Vec<u8>,
    /// The handles and object references in the arguments, in order.
    pub handles: Vec<ReceivedHandle>,
    /// The client that made the call.
    pub caller: Caller,
}

/// Runs a method. The RPC runtime's interpreter, which executes the format strings, calls this
/// function instead of the method in the object's vtable. The arguments are on the interpreter's
/// stack, in memory.
///
/// # Safety
/// The interpreter's stack for the call must contain a pointer to an [`ObjectInterface`], then the
/// slots of the method, then space for its result. The pointer is always an `ObjectInterface`,
/// because only the stub tables of such objects contain this function.
pub(super) unsafe extern "system" fn thunk(message: *mut MIDL_STUB_MESSAGE) {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        let stack = (*message).StackTop.cast::<u64>();
        let this: *const ObjectInterface = ptr::with_exposed_provenance(stack.read() as usize);
        let interface = &*this;
        let number = (*(*message).RpcMsg).ProcNum.wrapping_sub(u32::from(FIRST_METHOD));
        let Some(plan) = interface.registered.compiled.methods.get(number as usize) else {
            return;
        };
        let count = plan.slot_count();
        let slots = std::slice::from_raw_parts(stack.add(1), count);
        let memory = ServerMemory::new();
        let hresult =
            catch_unwind(AssertUnwindSafe(|| run(interface, number, plan, slots, memory)));
        let hresult = hresult.unwrap_or(Hresult(E_FAIL));
        stack.add(1 + count).write(hresult.0 as u32 as u64);
    }
}

/// Reads the call from these slots, passes it to the object, and writes the reply to the slots.
fn run(
    interface: &ObjectInterface,
    method: u32,
    plan: &MethodPlan,
    slots: &[u64],
    mut memory: ServerMemory,
) -> Hresult {
    // SAFETY: the caller holds a reference to the object during the call.
    let object = unsafe { interface.object() };
    let mut method_return = None;
    let collected = plan.collect_call(slots, &memory);
    let mut reply = |status: Status, body: Vec<u8>, handles: Vec<LentHandle<'_>>| {
        method_return = Some(write_reply(plan, slots, &mut memory, status, &body, handles));
    };
    let mut refuse = |fault: Fault| reply(Status::Fault, fault.write(), Vec::new());
    match collected {
        Err(error) => refuse(error.into()),
        Ok(call) => {
            let owned = call.handles.iter().map(duplicate);
            match owned.collect::<std::io::Result<Vec<_>>>() {
                Err(error) => {
                    tracing::warn!(target: "syshandle", %error, "a handle of a call couldn't be received");
                    refuse(Fault::HandlesLost);
                }
                Ok(handles) => {
                    let caller = Caller::current();
                    let arguments = call.arguments;
                    let interface = interface.index;
                    let call = IncomingCall { interface, method, arguments, handles, caller };
                    object.call(call, &mut reply);
                }
            }
        }
    }
    let method_return = method_return.unwrap_or_else(|| {
        MethodReturn::of_fault(&Fault::Failed { text: "the method didn't reply".to_owned() })
    });
    error_info::set(
        method_return.info.as_ref(),
        &interface.registered.iid,
        interface.registered.compiled.name,
    );
    method_return.hresult
}

/// Duplicates a handle or object reference that the RPC runtime keeps only during the call.
fn duplicate(raw: &RawReceivedHandle) -> std::io::Result<ReceivedHandle> {
    let number = raw.value;
    if let HandleType::Object(iid) = raw.handle_type {
        // SAFETY: the RPC runtime keeps its reference until the call returns.
        let own = unsafe { InterfacePointer::from_address(number, iid, true) };
        return own.map(ReceivedHandle::Object).ok_or(std::io::ErrorKind::InvalidInput.into());
    }
    if is_pseudo(number) {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the RPC runtime keeps the handle open until the call returns.
    let handle =
        unsafe { BorrowedHandle::borrow_raw(ptr::without_provenance_mut(number as usize)) };
    handle.try_clone_to_owned().map(ReceivedHandle::Handle)
}

/// Writes a reply to the slots of a call.
fn write_reply(
    plan: &MethodPlan,
    slots: &[u64],
    memory: &mut ServerMemory,
    status: Status,
    body: &[u8],
    handles: Vec<LentHandle<'_>>,
) -> MethodReturn {
    // The stub closes handles and releases references after it has sent them. It therefore gets
    // duplicates.
    let own = |lent| match lent {
        LentHandle::Handle(handle) => handle.try_clone_to_owned().map(ReceivedHandle::Handle),
        LentHandle::Object(reference) => Ok(ReceivedHandle::Object(reference)),
    };
    let copies = match handles.into_iter().map(own).collect::<std::io::Result<Vec<_>>>() {
        Ok(copies) => copies,
        Err(error) => {
            let fault = Fault::Unsendable { text: error.to_string() }.write();
            let reply = Reply { status: Status::Fault, body: &fault, handles: &[] };
            return plan.lay_out_reply(reply, slots, memory);
        }
    };
    let lend = |copy: &ReceivedHandle| match copy {
        ReceivedHandle::Handle(handle) => to_raw(handle),
        ReceivedHandle::Object(reference) => LentHandle::Object(reference.clone()).to_raw(),
    };
    let lent: Vec<_> = copies.iter().map(lend).collect();
    let method_return = plan.lay_out_reply(Reply { status, body, handles: &lent }, slots, memory);
    if method_return.gives_handles {
        for copy in copies {
            match copy {
                ReceivedHandle::Handle(handle) => _ = handle.into_raw_handle(),
                ReceivedHandle::Object(reference) => _ = reference.into_pointer(),
            }
        }
    }
    method_return
}

/// Converts a handle to the form that a [`MethodPlan`] accepts.
pub(super) fn to_raw(handle: &impl AsRawHandle) -> RawLentHandle {
    let raw = handle.as_raw_handle();
    // SAFETY: the owner of the handle keeps it open during this function.
    let facts = identify(unsafe { BorrowedHandle::borrow_raw(raw) });
    let kind: Option<Kind> = facts.ok().and_then(|facts| facts.object.kinds().iter().next());
    RawLentHandle { value: raw.addr() as u64, kind }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use syshandle::object::Interface;

    use super::*;
    use crate::ErrorInfo;
    use crate::sys::abi::{IID_IUNKNOWN, S_FALSE, S_OK};
    use crate::sys::served_object::{IID_ISUPPORT_ERROR_INFO, SupportErrorInfoVtable};
    use crate::sys::{RegisteredInterface, ServedObject, enter_apartment};

    mod described {
        #[syshandle::interface(iid = "5d1f6f0b-53c8-4f0a-9d3d-52f8a1f7c3f1")]
        pub(super) trait Sample {
            fn run(&self) -> syshandle::Result<()>;
        }
    }

    use described::Sample;

    struct FailingObject;

    impl Serve for FailingObject {
        fn call(&self, _call: IncomingCall, reply: &mut ReplySender<'_>) {
            let fault = Fault::Failed { text: "no space left".to_owned() };
            reply(Status::Fault, fault.write(), Vec::new());
        }
    }

    #[test]
    fn a_failed_call_sets_its_error_information() {
        enter_apartment().unwrap();
        let registered = RegisteredInterface::of(<dyn Sample>::DESCRIPTION).unwrap();
        let served = ServedObject::new(&[registered], Arc::new(FailingObject)).unwrap();
        let mut interface = ptr::null_mut();
        // SAFETY: the identifier is valid. The reference is never released, so it lives until
        // the process ends.
        let interface = unsafe {
            assert_eq!(served.query(&registered.iid, &mut interface), S_OK);
            &*interface.cast::<ObjectInterface>()
        };
        let plan = &registered.compiled.methods[0];
        // SAFETY: the method has no slots.
        let hresult = run(interface, 0, plan, &[], unsafe { ServerMemory::new() });
        assert_eq!(hresult, Hresult(E_FAIL));
        let info = ErrorInfo { description: "no space left".to_owned() };
        assert_eq!(error_info::take(), Some(info));

        let mut support = ptr::null_mut();
        // SAFETY: `served` is a reference to an object, and `support` has room for another
        // reference. The object implements `ISupportErrorInfo`, whose first own method is called.
        unsafe {
            assert_eq!(served.query(&IID_ISUPPORT_ERROR_INFO, &mut support), S_OK);
            let vtable = &**support.cast::<*const SupportErrorInfoVtable>();
            assert_eq!((vtable.supports)(support, &registered.iid), S_OK);
            assert_eq!((vtable.supports)(support, &IID_IUNKNOWN), S_FALSE);
            assert_eq!((vtable.unknown.release)(support), 2);
        }
    }
}
