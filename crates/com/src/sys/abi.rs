//! The structures of `rpcproxy.h` that proxies and stubs consist of, and functions of the RPC
//! runtime that use them.

use std::ffi::c_void;
use std::ptr;

use windows_sys::Win32::System::Rpc::{MIDL_SERVER_INFO, MIDL_STUBLESS_PROXY_INFO};
use windows_sys::core::{GUID, HRESULT};

/// The two pointers that precede a proxy's vtable in memory.
#[repr(C)]
pub(super) struct ProxyHeader {
    pub(super) info: *const MIDL_STUBLESS_PROXY_INFO,
    pub(super) iid: *const GUID,
}

/// A stub's vtable with its preceding header: `CInterfaceStubVtbl`.
#[repr(C)]
pub(super) struct StubVtable {
    pub(super) iid: *const GUID,
    pub(super) info: *const MIDL_SERVER_INFO,
    /// The number of methods, including the three methods of `IUnknown`.
    pub(super) count: u32,
    pub(super) dispatch: *const c_void,
    /// The ten methods of `IRpcStubBuffer`.
    pub(super) methods: [*const c_void; 10],
}

/// The index of `Release` in `StubVtable::methods`.
pub(super) const STUB_RELEASE: usize = 2;

/// An instance of a stub: `CStdStubBuffer`.
#[repr(C)]
pub(super) struct StubBuffer {
    pub(super) vtable: *const c_void,
    pub(super) count: i32,
    pub(super) server: *mut c_void,
    pub(super) call_factory: *const c_void,
    pub(super) async_iid: *const GUID,
    pub(super) factory: *mut c_void,
}

/// A callback that returns whether a proxy file contains an interface, and writes the interface's
/// index.
pub(super) type LookupFunction = unsafe extern "system" fn(*const GUID, *mut i32) -> i32;

/// The proxies and stubs of one or more interfaces: `ProxyFileInfo`.
#[repr(C)]
pub(super) struct ProxyFile {
    pub(super) proxies: *const *const ProxyHeader,
    pub(super) stubs: *const *const StubVtable,
    pub(super) names: *const *const u8,
    pub(super) delegated: *const *const GUID,
    pub(super) lookup: LookupFunction,
    pub(super) table_size: u16,
    pub(super) table_version: u16,
    pub(super) async_iids: *const *const GUID,
    pub(super) filler: [isize; 3],
}

/// The class object that creates proxies and stubs: `CStdPSFactoryBuffer`. The RPC runtime
/// initializes it.
#[repr(C)]
pub(super) struct PsFactoryBuffer {
    pub(super) vtable: *const c_void,
    pub(super) count: i32,
    pub(super) files: *const *const ProxyFile,
    pub(super) filler: i32,
}

impl PsFactoryBuffer {
    /// Creates a class object for these proxy files. The class object is never freed, because the
    /// RPC runtime keeps a pointer to it.
    pub(super) fn leak(files: *const *const ProxyFile) -> *mut Self {
        Box::leak(Box::new(Self { vtable: ptr::null(), count: 0, files, filler: 0 }))
    }
}

windows_link::link!("rpcrt4.dll" "system" fn NdrDllGetClassObject(
    clsid: *const GUID,
    iid: *const GUID,
    object: *mut *mut c_void,
    files: *const *const ProxyFile,
    own: *const GUID,
    buffer: *mut PsFactoryBuffer,
) -> HRESULT);
windows_link::link!("rpcrt4.dll" "system" fn NdrDllRegisterProxy(
    module: *mut c_void,
    files: *const *const ProxyFile,
    clsid: *const GUID,
) -> HRESULT);
windows_link::link!("rpcrt4.dll" "system" fn NdrDllUnregisterProxy(
    module: *mut c_void,
    files: *const *const ProxyFile,
    clsid: *const GUID,
) -> HRESULT);
windows_link::link!("rpcrt4.dll" "system" fn NdrCStdStubBuffer_Release(
    stub: *mut StubBuffer,
    factory: *mut c_void,
) -> u32);
windows_link::link!("rpcrt4.dll" "system" fn IUnknown_QueryInterface_Proxy(
    this: *mut c_void,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT);
windows_link::link!("rpcrt4.dll" "system" fn IUnknown_AddRef_Proxy(this: *mut c_void) -> u32);
windows_link::link!("rpcrt4.dll" "system" fn IUnknown_Release_Proxy(this: *mut c_void) -> u32);
windows_link::link!("rpcrt4.dll" "system" fn NdrOleAllocate(len: usize) -> *mut c_void);
windows_link::link!("rpcrt4.dll" "system" fn NdrOleFree(memory: *mut c_void));

/// The methods of `IUnknown`, with which every COM vtable starts.
#[repr(C)]
pub(super) struct UnknownVtable {
    pub(super) query_interface:
        unsafe extern "system" fn(*mut c_void, *const GUID, *mut *mut c_void) -> HRESULT,
    pub(super) add_ref: unsafe extern "system" fn(*mut c_void) -> u32,
    pub(super) release: unsafe extern "system" fn(*mut c_void) -> u32,
}

pub(super) const IID_IUNKNOWN: GUID = GUID::from_u128(0x00000000_0000_0000_c000_000000000046);
pub(super) const IID_ICLASS_FACTORY: GUID = GUID::from_u128(0x00000001_0000_0000_c000_000000000046);
pub(super) static IID_IPS_FACTORY_BUFFER: GUID =
    GUID::from_u128(0xd5f569d0_593b_101a_b569_08002b2dbf7a);

pub(super) const S_OK: HRESULT = 0;
pub(super) const S_FALSE: HRESULT = 1;
pub(super) const E_NOTIMPL: HRESULT = 0x8000_4001_u32 as i32;
pub(super) const E_NOINTERFACE: HRESULT = 0x8000_4002_u32 as i32;
pub(super) const E_POINTER: HRESULT = 0x8000_4003_u32 as i32;
pub(super) const E_FAIL: HRESULT = 0x8000_4005_u32 as i32;
pub(super) const CLASS_E_NOAGGREGATION: HRESULT = 0x8004_0110_u32 as i32;
