//! Proxy DLLs. COM loads a proxy DLL into a program that doesn't use this crate, to get the proxies
//! and stubs of interfaces.
#![expect(unsafe_code, reason = "tables that the RPC runtime reads, and pointers that COM passes")]

use std::ffi::c_void;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::OnceLock;

use syshandle_types::Guid;
use syshandle_types::describe::Interface;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
    GetModuleHandleExW,
};
use windows_sys::core::{GUID, HRESULT};

use super::abi::{
    E_FAIL, E_POINTER, NdrDllGetClassObject, NdrDllRegisterProxy, NdrDllUnregisterProxy, ProxyFile,
    PsFactoryBuffer, S_FALSE,
};
use super::com_error::ComError;
use super::guid::{com_guid, same};
use super::proxy_file;

/// The contents of a proxy DLL: a CLSID, and the interfaces for which the DLL has proxies and
/// stubs. A DLL can contain only one `ProxyDll`.
#[derive(Clone, Copy, Debug)]
pub struct ProxyDll {
    /// The CLSID under which the proxies and stubs are registered.
    pub clsid: Guid,
    /// The interfaces that the DLL has proxies and stubs for.
    pub interfaces: &'static [&'static Interface],
}

impl ProxyDll {
    /// Implements `DllGetClassObject`.
    ///
    /// # Safety
    /// The pointers must be as COM passes them: `clsid` and `iid` point to GUIDs, and `object`
    /// points to space for a pointer.
    pub unsafe fn class_object(
        self,
        clsid: *const c_void,
        iid: *const c_void,
        object: *mut *mut c_void,
    ) -> HRESULT {
        if clsid.is_null() || iid.is_null() || object.is_null() {
            return E_POINTER;
        }
        with_tables(self, |tables| {
            let buffer = tables.buffer;
            // SAFETY: the tables have the form that the RPC runtime requires, are writable and live
            // until the process ends. The caller has promised that the pointers are valid.
            unsafe {
                *object = ptr::null_mut();
                let (clsid, iid) = (clsid.cast(), iid.cast());
                NdrDllGetClassObject(
                    clsid,
                    iid,
                    object,
                    tables.files,
                    &raw const tables.clsid,
                    buffer,
                )
            }
        })
    }

    /// Implements `DllCanUnloadNow`. Always refuses, because proxies and stubs use the DLL's tables
    /// until the process ends.
    pub fn can_unload() -> HRESULT {
        S_FALSE
    }

    /// Implements `DllRegisterServer`, which `regsvr32` calls. Registers the DLL for all users,
    /// which requires administrator rights.
    pub fn register(self) -> HRESULT {
        with_tables(self, |tables| {
            // SAFETY: as in `class_object`; `this_module` is the handle of this DLL.
            unsafe { NdrDllRegisterProxy(this_module(), tables.files, &raw const tables.clsid) }
        })
    }

    /// Implements `DllUnregisterServer`.
    pub fn unregister(self) -> HRESULT {
        with_tables(self, |tables| {
            // SAFETY: as in `register`.
            unsafe { NdrDllUnregisterProxy(this_module(), tables.files, &raw const tables.clsid) }
        })
    }
}

/// Defines the exports of a proxy DLL. `marks` is the data by which tools recognize the DLL's
/// contents in its file. The reference to `marks` keeps the linker from removing it.
#[doc(hidden)]
#[macro_export]
macro_rules! proxy_dll_exports {
    ($clsid:ident, $interfaces:ident, $marks:ident) => {
        const DLL: $crate::ProxyDll = $crate::ProxyDll { clsid: $clsid, interfaces: $interfaces };

        /// # Safety
        /// Only COM may call this function.
        #[unsafe(export_name = "DllGetClassObject")]
        unsafe extern "system" fn class_object(
            clsid: *const ::core::ffi::c_void,
            iid: *const ::core::ffi::c_void,
            object: *mut *mut ::core::ffi::c_void,
        ) -> i32 {
            ::core::hint::black_box(&$marks);
            // SAFETY: COM passes valid pointers.
            unsafe { DLL.class_object(clsid, iid, object) }
        }

        #[unsafe(export_name = "DllCanUnloadNow")]
        extern "system" fn can_unload() -> i32 {
            $crate::ProxyDll::can_unload()
        }

        #[unsafe(export_name = "DllRegisterServer")]
        extern "system" fn register() -> i32 {
            DLL.register()
        }

        #[unsafe(export_name = "DllUnregisterServer")]
        extern "system" fn unregister() -> i32 {
            DLL.unregister()
        }
    };
}

/// The tables of this DLL, in the form that the RPC runtime reads.
struct DllTables {
    clsid: GUID,
    iids: Vec<&'static GUID>,
    files: *const *const ProxyFile,
    buffer: *mut PsFactoryBuffer,
}

// SAFETY: this crate only reads the tables. The RPC runtime changes them in the same thread-safe
// way as the tables in MIDL's proxy DLLs.
unsafe impl Send for DllTables {}
// SAFETY: as above.
unsafe impl Sync for DllTables {}

static DLL_TABLES: OnceLock<Option<DllTables>> = OnceLock::new();

impl DllTables {
    fn new(dll: ProxyDll) -> Result<Self, ComError> {
        let mut entries = Vec::new();
        for interface in dll.interfaces {
            let compiled = &*Box::leak(Box::new(proxy_file::compile(interface)?));
            entries.push((compiled, &*Box::leak(Box::new(com_guid(interface.iid)))));
        }
        // The objects belong to the program that loads this DLL. Stubs call them through their
        // vtables, so no thunk is needed.
        let files = proxy_file::build(&entries, lookup, None);
        let buffer = PsFactoryBuffer::leak(files);
        let iids = entries.iter().map(|(_, iid)| *iid).collect();
        Ok(Self { clsid: com_guid(dll.clsid), iids, files, buffer })
    }
}

/// Calls `work` with the DLL's tables, which are built on first use. Returns `E_FAIL` if the tables
/// can't be built or if a panic occurs.
fn with_tables(
    dll: ProxyDll,
    work: impl FnOnce(&'static DllTables) -> HRESULT + std::panic::UnwindSafe,
) -> HRESULT {
    let done = catch_unwind(|| {
        let tables = DLL_TABLES.get_or_init(|| match DllTables::new(dll) {
            Ok(tables) => Some(tables),
            Err(error) => {
                tracing::error!(target: "syshandle", %error, "an interface has no COM form");
                None
            }
        });
        tables.as_ref().map_or(E_FAIL, work)
    });
    done.unwrap_or(E_FAIL)
}

/// Implements the lookup of an interface's index by IID.
unsafe extern "system" fn lookup(iid: *const GUID, index: *mut i32) -> i32 {
    // SAFETY: the RPC runtime passes valid pointers. `DLL_TABLES` is set, because the RPC runtime
    // got this function from the tables in it.
    unsafe {
        let tables = DLL_TABLES.get().and_then(Option::as_ref);
        let position = tables
            .and_then(|tables| tables.iids.iter().position(|own| same(own, &iid.read_unaligned())));
        *index = position.unwrap_or_default() as i32;
        i32::from(position.is_some())
    }
}

/// Returns the handle of the DLL that contains this code.
fn this_module() -> *mut c_void {
    let mut module = ptr::null_mut();
    let flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    // SAFETY: the address is in this module. `module` has room for the handle, which isn't
    // reference-counted.
    unsafe { GetModuleHandleExW(flags, (&raw const DLL_TABLES).cast(), &mut module) };
    module
}
