//! Objects of this process that can be called. A client in this process calls the object directly.
//! For clients in other processes, COM calls it.

use std::fmt::Debug;
use std::sync::Arc;

use syshandle_com::{Caller, IncomingCall, ReplySender, Serve, ServedObject};
use syshandle_os::{BorrowedHandle, ManualEvent};
use syshandle_types::describe::Interface as Description;
use syshandle_wire::{Fault, Status};

use crate::Result;
use crate::stand_in::HandleOrObject;

/// An object of this process that clients call. The server side implements this trait, and the
/// client side calls it.
pub(crate) trait CallTarget: Debug + Serve {
    /// Returns the interfaces, in the order of their indices.
    fn interfaces(&self) -> &[&'static Description];

    /// Makes a COM object for one more client of this object. Must run on a thread of the
    /// apartment.
    fn serve_another_client(&self) -> Result<ServedObject>;

    /// Returns the event that is signalled when an error has ended all calls of the client.
    fn failed(&self) -> &ManualEvent;

    /// Returns the fault that has ended all calls of the client.
    fn failure(&self) -> Option<Fault>;

    /// Runs the method of a call, and replies once.
    fn serve(&self, call: ComCall, reply: &mut ReplyHandler<'_>);
}

/// A function that receives the reply of a call. The handles are lent to it.
pub(crate) type ReplyHandler<'a> = dyn FnMut(Status, Vec<u8>, &[BorrowedHandle<'_>]) + 'a;

/// A call of an object's method.
#[derive(Debug)]
pub(crate) struct ComCall {
    /// Index of the interface.
    pub(crate) interface: usize,
    pub(crate) method: u32,
    pub(crate) arguments: Vec<u8>,
    pub(crate) handles: Vec<HandleOrObject>,
    pub(crate) caller: Caller,
}

/// A target in the form that COM serves. A client in this process that receives a reference to it
/// calls the target directly.
#[derive(Debug)]
pub(crate) struct ComTarget(pub(crate) Arc<dyn CallTarget>);

impl Serve for ComTarget {
    fn call(&self, call: IncomingCall, reply: &mut ReplySender<'_>) {
        self.0.call(call, reply);
    }
}
