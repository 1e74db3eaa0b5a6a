//! Proxy DLLs, made by a macro.

/// Makes a library a proxy DLL: what programs that aren't of this crate, in C++ say, need to call
/// these interfaces on Windows, or to serve them.
///
/// The identifier is that of the class of proxies. The library is a crate of its own, whose
/// `Cargo.toml` says `crate-type = ["cdylib"]`; this is all of its code:
///
/// ```
/// # use syshandle::{interface, Result};
/// # mod greeting {
/// # #[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
/// # pub trait Greeter { fn greet(&self) -> syshandle::Result<String>; }
/// # #[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ec76")]
/// # pub trait Parrot { fn say(&self) -> syshandle::Result<String>; }
/// # }
/// # mod library {
/// syshandle::proxy_dll! {
///     crate::greeting::Greeter, crate::greeting::Parrot = "086bfa6b-3c18-4b61-9d4b-120e64f165dc"
/// }
/// # }
/// # fn main() {}
/// ```
///
/// `syshandle register --proxy` registers it for this user, `regsvr32` for all. It has what COM
/// expects of it: `DllGetClassObject`, `DllCanUnloadNow`, `DllRegisterServer`,
/// `DllUnregisterServer`. Programs of this crate don't need it. Elsewhere than on Windows the
/// library is empty.
#[macro_export]
macro_rules! proxy_dll {
    ($($interface:path),+ $(,)? = $clsid:literal) => {
        const _: () = {
            const CLSID: $crate::Guid = match $crate::Guid::parse($clsid) {
                ::core::result::Result::Ok(clsid) => clsid,
                ::core::result::Result::Err(_) => ::core::panic!("the class of proxies is a GUID"),
            };
            const INTERFACES: &[&$crate::describe::Interface] =
                &[$(<dyn $interface as $crate::Interface>::DESCRIPTION),+];
            static MARKS: [[u8; $crate::mark::MARK_LEN]; INTERFACES.len()] =
                $crate::mark::proxy_marks(
                    CLSID,
                    [$(<dyn $interface as $crate::Interface>::DESCRIPTION),+],
                );
            $crate::generated::proxy_dll_exports!(CLSID, INTERFACES, MARKS);
        };
    };
}

/// What a proxy DLL exports.
#[cfg(windows)]
#[doc(hidden)]
#[macro_export]
macro_rules! proxy_dll_exports {
    ($clsid:ident, $interfaces:ident, $marks:ident) => {
        const DLL: $crate::generated::ProxyDll =
            $crate::generated::ProxyDll { clsid: $clsid, interfaces: $interfaces };

        /// # Safety
        /// COM calls it.
        #[unsafe(export_name = "DllGetClassObject")]
        unsafe extern "system" fn class_object(
            clsid: *const ::core::ffi::c_void,
            iid: *const ::core::ffi::c_void,
            object: *mut *mut ::core::ffi::c_void,
        ) -> i32 {
            // What `syshandle register` looks for in the file.
            ::core::hint::black_box(&$marks);
            // SAFETY: COM passes what this takes.
            unsafe { DLL.class_object(clsid, iid, object) }
        }

        #[unsafe(export_name = "DllCanUnloadNow")]
        extern "system" fn can_unload() -> i32 {
            $crate::generated::ProxyDll::can_unload()
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

/// What a proxy DLL exports: nothing, but on Windows.
#[cfg(not(windows))]
#[doc(hidden)]
#[macro_export]
macro_rules! proxy_dll_exports {
    ($clsid:ident, $interfaces:ident, $marks:ident) => {
        const _: fn() = || {
            ::core::hint::black_box((&$interfaces, &$marks));
        };
    };
}
