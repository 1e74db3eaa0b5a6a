//! Class objects, which create objects for clients, and the reference count of the server process.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use syshandle_types::Guid;
use windows_sys::Win32::System::Com::{
    CLSCTX_LOCAL_SERVER, CoAddRefServerProcess, CoRegisterClassObject, CoReleaseServerProcess,
    CoResumeClassObjects, CoRevokeClassObject, REGCLS_MULTIPLEUSE, REGCLS_SUSPENDED,
};

use super::abi::IID_ICLASS_FACTORY;
use super::caller::Caller;
use super::class_factory::{self, ObjectConstructor};
use super::com_error::ComError;
use super::guid::com_guid;
use super::pin;
use super::served_object::ServedObject;

/// A class that this process serves. It is registered with COM until dropped.
#[derive(Debug)]
pub struct ClassObject {
    cookie: u32,
}

impl ClassObject {
    /// Registers a class. `make` creates the object for each client that activates the class.
    /// Clients can't activate it before [`ServerProcess::open`].
    ///
    /// # Errors
    /// The errors of `CoRegisterClassObject` and, under Wine, of `CoMarshalInterface`.
    pub fn register(
        clsid: Guid,
        make: impl Fn(Caller) -> Option<ServedObject> + Send + Sync + 'static,
    ) -> Result<Self, ComError> {
        let make: ObjectConstructor = Box::new(move |caller| {
            catch_unwind(AssertUnwindSafe(|| make(caller))).unwrap_or_else(|_| {
                tracing::error!(target: "syshandle", "a constructor of the program panicked");
                None
            })
        });
        let factory: *mut c_void = class_factory::new(make);
        // SAFETY: `factory` is a reference to an object with this interface.
        unsafe { pin::pin_object(factory, &IID_ICLASS_FACTORY)? };
        let mut cookie = 0;
        let flags = (REGCLS_MULTIPLEUSE | REGCLS_SUSPENDED) as u32;
        // SAFETY: the factory is an object that lives until the process ends.
        ComError::check(unsafe {
            let clsid = com_guid(clsid);
            CoRegisterClassObject(&clsid, factory, CLSCTX_LOCAL_SERVER, flags, &mut cookie)
        })?;
        Ok(Self { cookie })
    }
}

impl Drop for ClassObject {
    fn drop(&mut self) {
        // SAFETY: the registration is revoked only here, once.
        unsafe { CoRevokeClassObject(self.cookie) };
    }
}

/// A reference in COM's count of reasons to keep this process serving. When the count drops to
/// zero, COM atomically stops accepting activations.
#[derive(Debug)]
pub struct ServerProcess(());

impl ServerProcess {
    /// Takes a reference, which keeps the process serving until it is released.
    pub fn hold() -> Self {
        // SAFETY: no arguments.
        unsafe { CoAddRefServerProcess() };
        Self(())
    }

    /// Starts accepting clients.
    ///
    /// # Errors
    /// The errors of `CoResumeClassObjects`.
    pub fn open(&self) -> Result<(), ComError> {
        // SAFETY: no arguments.
        ComError::check(unsafe { CoResumeClassObjects() })
    }

    /// Releases this reference. Returns whether it was the last, in which case no further clients
    /// are accepted.
    pub fn release(self) -> bool {
        std::mem::forget(self);
        // SAFETY: no arguments; this value was one of the references.
        unsafe { CoReleaseServerProcess() == 0 }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // SAFETY: no arguments; this value was one of the references.
        unsafe { CoReleaseServerProcess() };
    }
}
