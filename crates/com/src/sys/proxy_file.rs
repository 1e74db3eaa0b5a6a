//! Builds the tables of interfaces in the form that proxy DLLs use. MIDL generates the same tables
//! as C code (`…_p.c`).
#![expect(unsafe_code, reason = "tables that the RPC runtime reads, and fills in part")]

use std::ffi::c_void;
use std::ptr;

use syshandle_os::under_wine;
use syshandle_types::describe::Interface;
use windows_sys::Win32::System::Rpc::{
    MIDL_SERVER_INFO, MIDL_STUB_DESC, MIDL_STUBLESS_PROXY_INFO, STUB_THUNK,
};
use windows_sys::core::GUID;

use super::abi::{
    IUnknown_AddRef_Proxy, IUnknown_QueryInterface_Proxy, IUnknown_Release_Proxy, LookupFunction,
    NdrCStdStubBuffer_Release, NdrOleAllocate, NdrOleFree, ProxyFile, ProxyHeader, STUB_RELEASE,
    StubBuffer, StubVtable,
};
use super::com_error::ComError;
use super::user_marshal;
use crate::tables::{CompiledInterface, FIRST_METHOD, HandleForm, stub};

/// Builds the format strings of an interface, for the method of handle transfer that this system
/// supports.
pub(super) fn compile(interface: &'static Interface) -> Result<CompiledInterface, ComError> {
    let form = match under_wine() {
        true => HandleForm::UserMarshal,
        false => HandleForm::System,
    };
    CompiledInterface::new(interface, form).map_err(ComError::tables)
}

/// Builds one proxy file for these interfaces, and returns a null-terminated list that contains
/// this file. The tables live until the process ends, because proxies and stubs may use them for
/// that long. They are writable, because the RPC runtime completes them.
///
/// If `thunk` is set, stubs call it instead of the methods in an object's vtable.
pub(super) fn build(
    interfaces: &[(&'static CompiledInterface, &'static GUID)],
    lookup: LookupFunction,
    thunk: STUB_THUNK,
) -> *const *const ProxyFile {
    let (mut proxies, mut stubs, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (compiled, iid) in interfaces {
        let (proxy, stub) = tables(compiled, iid, thunk);
        proxies.push(proxy);
        stubs.push(stub);
        names.push(leak_bytes(format!("I{}\0", compiled.name).as_bytes()).cast_const());
    }
    proxies.push(ptr::null());
    stubs.push(ptr::null());
    names.push(ptr::null());
    let file = ProxyFile {
        proxies: leak(proxies).as_ptr(),
        stubs: leak(stubs).as_ptr(),
        names: leak(names).as_ptr(),
        delegated: ptr::null(),
        lookup,
        table_size: interfaces.len() as u16,
        table_version: stub::TABLE_VERSION,
        async_iids: ptr::null(),
        filler: [0; 3],
    };
    let file: *const ProxyFile = Box::leak(Box::new(file));
    leak(vec![file, ptr::null()]).as_ptr()
}

/// Builds the proxy and stub tables of one interface.
fn tables(
    compiled: &'static CompiledInterface,
    iid: &'static GUID,
    thunk: STUB_THUNK,
) -> (*const ProxyHeader, *const StubVtable) {
    let tables = &compiled.format_strings;
    let count = compiled.methods.len() + FIRST_METHOD as usize;
    // COM numbers methods from the first method of `IUnknown`; `offsets` starts with the first own
    // method.
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
        description.aUserMarshalQuadruple = leak(user_marshal::QUADRUPLES.to_vec()).as_ptr();
    }
    let description: *mut MIDL_STUB_DESC = Box::leak(Box::new(description));

    let proxy_info = MIDL_STUBLESS_PROXY_INFO {
        pStubDesc: description,
        ProcFormatString: procedures,
        FormatStringOffset: offsets,
        ..MIDL_STUBLESS_PROXY_INFO::default()
    };
    // A proxy consists of a header of two pointers, followed by the vtable.
    let mut proxy: Vec<*const c_void> = vec![
        ptr::from_ref(Box::leak(Box::new(proxy_info))).cast(),
        ptr::from_ref(iid).cast(),
        IUnknown_QueryInterface_Proxy as *const c_void,
        IUnknown_AddRef_Proxy as *const c_void,
        IUnknown_Release_Proxy as *const c_void,
    ];
    // The RPC runtime replaces entries of -1 with its own functions.
    proxy.resize(2 + count, ptr::without_provenance(usize::MAX));
    let proxy: *const ProxyHeader = leak(proxy).as_mut_ptr().cast();

    let thunks = thunk.map(|thunk| {
        let mut thunks: Vec<STUB_THUNK> = vec![None; FIRST_METHOD as usize];
        thunks.resize(count, Some(thunk));
        leak(thunks).as_ptr()
    });
    let stub_info = MIDL_SERVER_INFO {
        pStubDesc: description,
        ProcString: procedures,
        FmtStringOffset: offsets,
        ThunkTable: thunks.unwrap_or(ptr::null()),
        ..MIDL_SERVER_INFO::default()
    };
    let mut stub = StubVtable {
        iid,
        info: Box::leak(Box::new(stub_info)),
        count: count as u32,
        dispatch: ptr::null(),
        // The RPC runtime replaces null entries with its own functions. `Release` is set below.
        methods: [ptr::null(); 10],
    };
    stub.methods[STUB_RELEASE] = release_stub as *const c_void;
    (proxy, Box::leak(Box::new(stub)))
}

/// Implements `Release` of a stub. Each proxy DLL must have its own implementation, because the
/// implementation passes the DLL's class object.
unsafe extern "system" fn release_stub(this: *mut StubBuffer) -> u32 {
    // SAFETY: the RPC runtime passes a stub that it has created, with a valid class object.
    unsafe { NdrCStdStubBuffer_Release(this, (*this).factory) }
}

/// Copies bytes to memory that is aligned to 8 bytes and never freed.
fn leak_bytes(bytes: &[u8]) -> *mut u8 {
    let mut words = vec![0_u64; bytes.len().div_ceil(8).max(1)];
    // SAFETY: the allocation has at least `bytes.len()` bytes, and source and target don't overlap.
    unsafe {
        words.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
    };
    leak(words).as_mut_ptr().cast()
}

fn leak<T>(items: Vec<T>) -> &'static mut [T] {
    Box::leak(items.into_boxed_slice())
}
