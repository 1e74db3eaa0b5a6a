//! A crate that re-exports the library under another name.

pub use syshandle as ipc;

/// Declares a service with one method, by the path of the library in this crate.
#[macro_export]
macro_rules! service {
    ($name:ident, $class:ident, $iid:literal, $clsid:literal) => {
        #[$crate::ipc::interface(iid = $iid, crate = $crate::ipc)]
        pub trait $name {
            fn serve(&self, request: String) -> $crate::ipc::Result<Vec<u8>>;
        }

        $crate::ipc::class! { pub $class: $name = $clsid; }
    };
}
