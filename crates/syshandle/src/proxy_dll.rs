//! Proxy DLLs, made by a macro.

use syshandle_wire::describe::Interface;

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
/// It doesn't compile for an interface with a method that `syshandle idl rust` or
/// `syshandle_idl::build` marked with `#[com(differs = "…")]`: programs in C or C++ that use the header
/// of the `.idl` file have another layout of its parameters, and memory would be overwritten. An
/// interface that says `com = "private"` is taken as it is: nobody uses that header with it.
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
            const _: () = $crate::generated::assert_layouts(INTERFACES);
            static MARKS: [[u8; $crate::mark::MARK_LEN]; INTERFACES.len()] =
                $crate::mark::proxy_marks(
                    CLSID,
                    [$(<dyn $interface as $crate::Interface>::DESCRIPTION),+],
                );
            $crate::generated::proxy_dll_exports!(CLSID, INTERFACES, MARKS);
        };
    };
}

/// Refuses an interface with a method whose COM layout differs from its `.idl` file's, unless the
/// interface is private. The compiler shows the message where the proxy DLL is declared.
///
/// # Panics
/// An interface has such a method.
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

/// What a proxy DLL exports: nothing, but on Windows, where `syshandle-com` says what.
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
