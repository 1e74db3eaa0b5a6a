//! Macro that makes proxy DLLs.

use syshandle_types::describe::Interface;

/// Makes a library a proxy DLL. Programs that don't use this crate (for instance, C++ programs)
/// need the DLL to call or serve these interfaces on Windows.
///
/// The identifier is the CLSID of the proxy class. The library is a crate of its own with
/// `crate-type = ["cdylib"]` in its `Cargo.toml`. The macro call is its whole code:
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
/// Compilation fails for an interface with a method that `syshandle idl rust` or
/// `syshandle_idl::build` marked with `#[com(differs = "…")]`. Programs in C or C++ that use the
/// header of the `.idl` file lay out the parameters of such a method differently, and memory would
/// be overwritten. An interface with `com = "private"` is accepted, because no program uses that
/// header with it.
///
/// ```compile_fail
/// # mod greeting {
/// #[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
/// pub trait Greeter {
///     #[com(differs = "parameter `count`: the file passes a 2-byte integer")]
///     fn greet(&self, count: bool) -> syshandle::Result<String>;
/// }
/// # }
/// # mod library {
/// syshandle::proxy_dll! { crate::greeting::Greeter = "086bfa6b-3c18-4b61-9d4b-120e64f165dc" }
/// # }
/// # fn main() {}
/// ```
///
/// `syshandle register --proxy` registers the DLL for the current user, `regsvr32` for all users.
/// The DLL exports the functions that COM expects: `DllGetClassObject`, `DllCanUnloadNow`,
/// `DllRegisterServer` and `DllUnregisterServer`. Programs that use this crate don't need the DLL.
/// On other systems than Windows the library is empty.
#[macro_export]
macro_rules! proxy_dll {
    ($($interface:path),+ $(,)? = $clsid:literal) => {
        const _: () = {
            const CLSID: $crate::Guid = match $crate::Guid::parse($clsid) {
                ::core::result::Result::Ok(clsid) => clsid,
                ::core::result::Result::Err(_) => ::core::panic!("the class of proxies is a GUID"),
            };
            const INTERFACES: &[&$crate::describe::Interface] =
                &[$(<dyn $interface as $crate::object::Interface>::DESCRIPTION),+];
            const _: () = $crate::generated::assert_layouts(INTERFACES);
            static MARKS: [[u8; $crate::generated::MARK_LEN]; INTERFACES.len()] =
                $crate::generated::mark::of_proxies(
                    CLSID,
                    [$(<dyn $interface as $crate::object::Interface>::DESCRIPTION),+],
                );
            $crate::generated::proxy_dll_exports!(CLSID, INTERFACES, MARKS);
        };
    };
}

/// Rejects an interface with a method whose COM layout differs from its `.idl` file's, unless the
/// interface is private. The compiler shows the message at the declaration of the proxy DLL.
///
/// # Panics
/// Panics if an interface has such a method.
#[doc(hidden)]
pub const fn assert_layouts(interfaces: &[&Interface]) {
    let mut i = 0;
    while i < interfaces.len() {
        let Interface { methods, is_private, .. } = interfaces[i];
        let mut j = 0;
        while j < methods.len() && !*is_private {
            if let Some(what) = methods[j].differs {
                panic!("{}", what);
            }
            j += 1;
        }
        i += 1;
    }
}

/// Exports nothing, because proxy DLLs exist only on Windows. There the macro of the same name is
/// in `syshandle-com`.
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
