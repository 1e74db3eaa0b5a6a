//! The files that every installation of Windows' tools has, for where it isn't installed.
//!
//! They hold what interfaces are written in terms of: base types with their definitions,
//! interfaces and structs mostly by name alone. Where the search path has a file of the same
//! name, that one is read instead.

use std::collections::HashMap;
use std::sync::OnceLock;

mod rights;

pub(crate) use rights::{right, rights};

macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("system/", $name))),)*]
    };
}

/// Each after those that it imports, so that the first one with a name is who declares it.
const FILES: &[(&str, &str)] = files! {
    "basetsd.h",
    "guiddef.h",
    "wtypesbase.idl",
    "wtypes.idl",
    "unknwnbase.idl",
    "unknwn.idl",
    "objidlbase.idl",
    "objidl.idl",
    "oaidl.idl",
    "oleidl.idl",
    "servprov.idl",
    "urlmon.idl",
    "ocidl.idl",
    "propidlbase.idl",
    "propidl.idl",
    "shtypes.idl",
    "hstring.idl",
    "inspectable.idl",
    "eventtoken.idl",
    "asyncinfo.idl",
    "comcat.idl",
    "dispex.idl",
    "docobj.idl",
    "msxml.idl",
    "objectarray.idl",
    "objsafe.idl",
    "oleacc.idl",
    "olectl.h",
    "propsys.idl",
    "sdkddkver.h",
    "shobjidl.idl",
    "shobjidl_core.idl",
    "stdole2.tlb",
    "structuredquerycondition.idl",
    "winapifamily.h",
    "windows.foundation.collections.idl",
    "windows.foundation.idl",
    "windowscontracts.idl",
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

/// The built-in file to import for a name that is declared in one.
pub(crate) fn declaring(name: &str) -> Option<&'static str> {
    static WORDS: OnceLock<HashMap<&str, &str>> = OnceLock::new();
    let file = *WORDS.get_or_init(words).get(name)?;
    // These are what `unknwn.idl` imports, which is what people write.
    let is_base = matches!(file, "basetsd.h" | "guiddef.h" | "wtypesbase.idl" | "unknwnbase.idl");
    Some(if is_base { "unknwn.idl" } else { file })
}

/// All words of the built-in files, with the first file that each is in.
fn words() -> HashMap<&'static str, &'static str> {
    let mut words = HashMap::new();
    for (file, text) in FILES {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            words.entry(word).or_insert(*file);
        }
    }
    words
}
