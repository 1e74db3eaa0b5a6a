//! What makes objects for clients that activate a class, and how long the process serves them.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use syshandle_wire::Guid;
use windows_sys::Win32::System::Com::{
    CLSCTX_LOCAL_SERVER, CoAddRefServerProcess, CoRegisterClassObject, CoReleaseServerProcess,
    CoResumeClassObjects, CoRevokeClassObject, REGCLS_MULTIPLEUSE, REGCLS_SUSPENDED,
};

use super::factory::{self, Make};
use super::layout::IID_ICLASS_FACTORY;
use super::{Caller, ComError, Served, com_guid, pinned};

/// A class that this process serves: known to COM until it is dropped.
#[derive(Debug)]
pub struct ClassObject {
    cookie: u32,
}

impl ClassObject {
    /// Offers a class: `make` makes the object for each client that activates it. Nobody comes
    /// before [`ServerProcess::open`].
    ///
    /// # Errors
    /// Those of `CoRegisterClassObject`; under Wine, of `CoMarshalInterface`.
    pub fn register(
        clsid: Guid,
        make: impl Fn(Caller) -> Option<Served> + Send + Sync + 'static,
    ) -> Result<Self, ComError> {
        let make: Make = Box::new(move |caller| {
            catch_unwind(AssertUnwindSafe(|| make(caller))).unwrap_or_else(|_| {
                tracing::error!("the making of an object panicked");
                None
            })
        });
        let factory: *mut c_void = factory::new(make);
        // SAFETY: a reference to an object with this interface.
        unsafe { pinned::pin_object(factory, &IID_ICLASS_FACTORY)? };
        let mut cookie = 0;
        let flags = (REGCLS_MULTIPLEUSE | REGCLS_SUSPENDED) as u32;
        // SAFETY: the factory is an object, which stays.
        ComError::check(unsafe {
            let clsid = com_guid(clsid);
            CoRegisterClassObject(&clsid, factory, CLSCTX_LOCAL_SERVER, flags, &mut cookie)
        })?;
        Ok(Self { cookie })
    }
}

impl Drop for ClassObject {
    fn drop(&mut self) {
        // SAFETY: what was registered is revoked once.
        unsafe { CoRevokeClassObject(self.cookie) };
    }
}

/// COM's count of what keeps this process serving: while it isn't zero, clients come; when it
/// becomes zero, none does any more, at that same moment.
#[derive(Debug)]
pub struct ServerProcess(());

impl ServerProcess {
    /// A reference that keeps the process serving, before anybody comes.
    pub fn hold() -> Self {
        // SAFETY: no arguments.
        unsafe { CoAddRefServerProcess() };
        Self(())
    }

    /// Lets clients come.
    ///
    /// # Errors
    /// Those of `CoResumeClassObjects`.
    pub fn open(&self) -> Result<(), ComError> {
        // SAFETY: no arguments.
        ComError::check(unsafe { CoResumeClassObjects() })
    }

    /// Gives this reference up; says whether it was the last, so that nobody comes any more.
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
