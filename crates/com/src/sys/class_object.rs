//! Class objects, through which clients create objects, and the reference count that keeps the
//! server process serving.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use syshandle_types::Guid;
use syshandle_wire::Fault;
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

/// A class that this process has registered with COM. Dropping the value revokes the registration.
#[derive(Debug)]
pub struct ClassObject {
    cookie: u32,
}

impl ClassObject {
    /// Registers a class. `make` creates the object for each client that activates the class. If
    /// `make` fails, COM passes the HRESULT of the fault to the client. Clients can activate the
    /// class only after [`ServerProcess::open`].
    ///
    /// # Errors
    /// Returns the errors of `CoRegisterClassObject` and, under Wine, of `CoMarshalInterface`.
    pub fn register(
        clsid: Guid,
        make: impl Fn(Caller) -> Result<ServedObject, Fault> + Send + Sync + 'static,
    ) -> Result<Self, ComError> {
        let make: ObjectConstructor = Box::new(move |caller| {
            catch_unwind(AssertUnwindSafe(|| make(caller))).unwrap_or_else(|_| {
                tracing::error!(target: "syshandle", "a constructor of the program panicked");
                Err(Fault::Panicked { text: "the constructor".to_owned() })
            })
        });
        let factory: *mut c_void = class_factory::new(make);
        // SAFETY: `factory` is a reference to an object that implements `IClassFactory`.
        unsafe { pin::pin_object(factory, &IID_ICLASS_FACTORY)? };
        let mut cookie = 0;
        let flags = (REGCLS_MULTIPLEUSE | REGCLS_SUSPENDED) as u32;
        // SAFETY: `factory` refers to an object that lives until the process ends.
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

/// A reference to this process in COM's server process count, which each server of the process
/// holds. When the count drops to zero, COM atomically stops accepting activations.
#[derive(Debug)]
pub struct ServerProcess(());

/// Number of values of [`ServerProcess`]. COM's count also includes the locks of clients.
static HELD: Mutex<u32> = Mutex::new(0);

impl ServerProcess {
    /// Increments the count. The process keeps serving until the reference is released.
    pub fn hold() -> Self {
        let mut held = held();
        // SAFETY: the function takes no arguments.
        unsafe { CoAddRefServerProcess() };
        *held += 1;
        Self(())
    }

    /// Makes the registered classes available to clients.
    ///
    /// # Errors
    /// Returns the errors of `CoResumeClassObjects`.
    pub fn open(&self) -> Result<(), ComError> {
        // SAFETY: the function takes no arguments.
        ComError::check(unsafe { CoResumeClassObjects() })
    }

    /// Decrements the count. Returns `false` if a client keeps the process alive
    /// (`IClassFactory::LockServer`). If no other server of this process holds a reference either,
    /// COM accepts no further activations.
    pub fn release(self) -> bool {
        std::mem::forget(self);
        release()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        release();
    }
}

/// Decrements the count. Returns whether all remaining references belong to servers.
fn release() -> bool {
    let mut held = held();
    *held -= 1;
    // SAFETY: the function takes no arguments. The caller gives up a value that has incremented the
    // count once.
    unsafe { CoReleaseServerProcess() <= *held }
}

fn held() -> MutexGuard<'static, u32> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
