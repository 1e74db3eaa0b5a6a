//! Interfaces that this process has tables for.
#![expect(unsafe_code, reason = "tables that the RPC runtime reads, and fills in part")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use syshandle_os::under_wine;
use syshandle_wire::Guid;
use syshandle_wire::describe::Interface;
use windows_sys::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, CoRegisterClassObject, CoRegisterPSClsid, REGCLS_MULTIPLEUSE,
};
use windows_sys::Win32::System::Rpc::{
    MIDL_SERVER_INFO, MIDL_STUB_DESC, MIDL_STUBLESS_PROXY_INFO, STUB_THUNK,
};
use windows_sys::core::GUID;

use super::layout::{
    FactoryBuffer, IID_IPS_FACTORY_BUFFER, IUnknown_AddRef_Proxy, IUnknown_QueryInterface_Proxy,
    IUnknown_Release_Proxy, NdrCStdStubBuffer_Release, NdrDllGetClassObject, NdrOleAllocate,
    NdrOleFree, ProxyFile, ProxyHeader, STUB_RELEASE, StubBuffer, StubVtable,
};
use super::{ComError, com_guid, own_guid, served, transfer};
use crate::{Compiled, FIRST_METHOD, HandleForm, stub};

/// An interface that this process has tables for, so that its objects can be called and served.
pub struct Bound {
    pub(super) compiled: Compiled,
    pub(super) iid: GUID,
    /// The vtable of an object of this process.
    pub(super) vtable: *const c_void,
}

// SAFETY: the vtable is read only, and as lasting as the program.
unsafe impl Send for Bound {}
// SAFETY: as above.
unsafe impl Sync for Bound {}

/// What has tables already, by its IID. It stays: stubs and proxies may be there until the end.
static BOUND: Mutex<Option<HashMap<Guid, &'static Bound>>> = Mutex::new(None);

impl Bound {
    /// The tables of an interface, made and registered when they are first asked for. The thread
    /// has to be in the multithreaded apartment.
    ///
    /// # Errors
    /// The interface can't be one of COM's; those of registering.
    pub fn of(interface: &'static Interface) -> Result<&'static Self, ComError> {
        let mut bound = BOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = bound.get_or_insert_default();
        if let Some(known) = bound.get(&interface.iid) {
            return Ok(known);
        }
        let form = match under_wine() {
            true => HandleForm::UserMarshal,
            false => HandleForm::System,
        };
        let compiled = Compiled::new(interface, form).map_err(ComError::tables)?;
        let iid = com_guid(interface.iid);
        let vtable = served::vtable(compiled.methods.len());
        let made: &'static Self = Box::leak(Box::new(Self { compiled, iid, vtable }));
        made.register()?;
        bound.insert(interface.iid, made);
        Ok(made)
    }

    /// The identifier of the interface.
    pub fn iid(&self) -> Guid {
        own_guid(&self.iid)
    }

    /// Registers its proxies and stubs for this process, under a class of the same identifier.
    fn register(&'static self) -> Result<(), ComError> {
        let file = self.file();
        let buffer = FactoryBuffer { vtable: ptr::null(), count: 0, files: file, filler: 0 };
        let buffer: *mut FactoryBuffer = Box::leak(Box::new(buffer));
        let mut factory = ptr::null_mut();
        let mut cookie = 0;
        // SAFETY: all tables are as the runtime wants them (see `file`), writable, and stay.
        unsafe {
            let (iid, factory_iid) = (&raw const self.iid, &raw const IID_IPS_FACTORY_BUFFER);
            let got = NdrDllGetClassObject(iid, factory_iid, &mut factory, file, iid, buffer);
            ComError::check(got)?;
            let context = CLSCTX_INPROC_SERVER;
            let flags = REGCLS_MULTIPLEUSE as u32;
            ComError::check(CoRegisterClassObject(iid, factory, context, flags, &mut cookie))?;
            ComError::check(CoRegisterPSClsid(iid, iid))
        }
    }

    /// The tables of one interface as those of a proxy DLL would be.
    fn file(&'static self) -> *const *const ProxyFile {
        let tables = &self.compiled.tables;
        let count = self.compiled.methods.len() + FIRST_METHOD as usize;
        // The runtime counts methods from those of `IUnknown`, the table from the first own one.
        let mut offsets = vec![0; FIRST_METHOD as usize];
        offsets.extend(&tables.offsets);
        let offsets = leak(offsets).as_ptr();
        let procedures = leak_bytes(&tables.procedures);
        let mut description = MIDL_STUB_DESC {
            pfnAllocate: Some(NdrOleAllocate),
            pfnFree: Some(NdrOleFree),
            pFormatTypes: leak_bytes(&tables.types),
            fCheckBounds: stub::CHECK_BOUNDS,
            Version: stub::VERSION,
            MIDLVersion: stub::MIDL_VERSION,
            mFlags: stub::FLAGS,
            ..MIDL_STUB_DESC::default()
        };
        if under_wine() {
            description.aUserMarshalQuadruple = leak(transfer::QUADRUPLES.to_vec()).as_ptr();
        }
        let description: *mut MIDL_STUB_DESC = Box::leak(Box::new(description));

        let proxy_info = MIDL_STUBLESS_PROXY_INFO {
            pStubDesc: description,
            ProcFormatString: procedures,
            FormatStringOffset: offsets,
            ..MIDL_STUBLESS_PROXY_INFO::default()
        };
        // The header's two words, and the vtable behind it.
        let mut proxy: Vec<*const c_void> = vec![
            ptr::from_ref(Box::leak(Box::new(proxy_info))).cast(),
            (&raw const self.iid).cast(),
            IUnknown_QueryInterface_Proxy as *const c_void,
            IUnknown_AddRef_Proxy as *const c_void,
            IUnknown_Release_Proxy as *const c_void,
        ];
        // The runtime puts its own functions where -1 is.
        proxy.resize(2 + count, ptr::without_provenance(usize::MAX));
        let proxy: *const ProxyHeader = leak(proxy).as_mut_ptr().cast();

        let thunk: STUB_THUNK = Some(served::thunk);
        let mut thunks = vec![None; FIRST_METHOD as usize];
        thunks.resize(count, thunk);
        let stub_info = MIDL_SERVER_INFO {
            pStubDesc: description,
            ProcString: procedures,
            FmtStringOffset: offsets,
            ThunkTable: leak(thunks).as_ptr(),
            ..MIDL_SERVER_INFO::default()
        };
        let mut stub = StubVtable {
            iid: &raw const self.iid,
            info: Box::leak(Box::new(stub_info)),
            count: count as u32,
            dispatch: ptr::null(),
            // The runtime puts its own functions where nothing is, but for this one.
            methods: [ptr::null(); 10],
        };
        stub.methods[STUB_RELEASE] = release_stub as *const c_void;

        let name = leak_bytes(format!("{}\0", self.compiled.name).as_bytes());
        let stub: *const StubVtable = Box::leak(Box::new(stub));
        let file = ProxyFile {
            proxies: leak(vec![proxy, ptr::null()]).as_ptr(),
            stubs: leak(vec![stub, ptr::null()]).as_ptr(),
            names: leak(vec![name.cast_const(), ptr::null()]).as_ptr(),
            delegated: ptr::null(),
            lookup,
            table_size: 1,
            table_version: stub::TABLE_VERSION,
            async_iids: ptr::null(),
            filler: [0; 3],
        };
        let file: *const ProxyFile = Box::leak(Box::new(file));
        leak(vec![file, ptr::null()]).as_ptr()
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("compiled", &self.compiled).finish_non_exhaustive()
    }
}

/// Whether an interface is in a file, and where: each has just one, and is only asked for that.
unsafe extern "system" fn lookup(iid: *const GUID, index: *mut i32) -> i32 {
    // SAFETY: the runtime passes both.
    unsafe {
        *index = 0;
        // Not under the lock of those that are bound: that one is held while they are registered.
        i32::from(!iid.is_null())
    }
}

/// Lets go of a stub; what a proxy DLL has to have of its own, as it names its class object.
unsafe extern "system" fn release_stub(this: *mut StubBuffer) -> u32 {
    // SAFETY: the runtime passes a stub that it has made, which knows its class object.
    unsafe { NdrCStdStubBuffer_Release(this, (*this).factory) }
}

/// Bytes that stay, aligned for what they begin with.
fn leak_bytes(bytes: &[u8]) -> *mut u8 {
    let mut words = vec![0_u64; bytes.len().div_ceil(8).max(1)];
    // SAFETY: so many bytes are there; the two don't overlap.
    unsafe {
        words.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
    };
    leak(words).as_mut_ptr().cast()
}

fn leak<T>(items: Vec<T>) -> &'static mut [T] {
    Box::leak(items.into_boxed_slice())
}
