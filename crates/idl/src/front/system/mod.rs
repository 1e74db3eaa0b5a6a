//! The files that every installation of Windows' tools has, for where it isn't installed.
//!
//! They hold what interfaces are written in terms of: base types with their definitions,
//! interfaces and structs mostly by name alone. Where the search path has a file of the same
//! name, that one is read instead.

mod rights;

pub(crate) use rights::{right, rights};

macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_str!($name)),)*]
    };
}

const FILES: &[(&str, &str)] = files! {
    "asyncinfo.idl",
    "basetsd.h",
    "comcat.idl",
    "dispex.idl",
    "docobj.idl",
    "eventtoken.idl",
    "guiddef.h",
    "hstring.idl",
    "inspectable.idl",
    "msxml.idl",
    "oaidl.idl",
    "objectarray.idl",
    "objidl.idl",
    "objidlbase.idl",
    "objsafe.idl",
    "ocidl.idl",
    "oleacc.idl",
    "olectl.h",
    "oleidl.idl",
    "propidl.idl",
    "propidlbase.idl",
    "propsys.idl",
    "sdkddkver.h",
    "servprov.idl",
    "shobjidl.idl",
    "shobjidl_core.idl",
    "shtypes.idl",
    "stdole2.tlb",
    "structuredquerycondition.idl",
    "unknwn.idl",
    "unknwnbase.idl",
    "urlmon.idl",
    "winapifamily.h",
    "windows.foundation.collections.idl",
    "windows.foundation.idl",
    "windowscontracts.idl",
    "wtypes.idl",
    "wtypesbase.idl",
};

/// Other names of such files, and names of headers that say nothing to IDL.
const ALIASES: &[(&str, &str)] = &[
    ("combaseapi.h", ""),
    ("guiddef.idl", "import \"guiddef.h\";"),
    ("poppack.h", ""),
    ("pshpack1.h", ""),
    ("pshpack2.h", ""),
    ("pshpack4.h", ""),
    ("pshpack8.h", ""),
    ("rpc.h", ""),
    ("rpcndr.h", ""),
    ("sal.h", ""),
    ("specstrings.h", ""),
    ("stdole32.tlb", "import \"stdole2.tlb\";"),
    ("winsdkver.h", "#include \"sdkddkver.h\""),
];

/// The built-in file of this name, whatever its letters' case and its directory: its proper
/// name and its text.
pub(crate) fn file(name: &str) -> Option<(&'static str, &'static str)> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let mut files = FILES.iter().chain(ALIASES);
    files.find(|(known, _)| known.eq_ignore_ascii_case(name)).copied()
}

/// The built-in file that declares a name.
pub(crate) fn declaring(name: &str) -> Option<&'static str> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let declares = |text: &str| text.split(|c| !is_name(c)).any(|word| word == name);
    FILES.iter().find(|(_, text)| declares(text)).map(|(file, _)| *file)
}
