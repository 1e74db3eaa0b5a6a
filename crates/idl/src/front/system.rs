//! Built-in versions of Windows SDK files, for machines without the SDK.
//!
//! They include the files that interfaces commonly import. Base types are fully defined; most
//! interfaces and structs are only forward-declared. A file with the same name on the search path
//! takes precedence.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

mod rights;

pub(crate) use rights::{mask_text, right, rights};

macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("system/", $name))),)*]
    };
}

/// The built-in files. Each file follows the files that it imports. Therefore, the first file that
/// contains a name declares it.
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

/// Other names of built-in files, and C headers without declarations that matter for IDL.
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
    ("sal.h", ANNOTATIONS),
    ("specstrings.h", ANNOTATIONS),
    ("stdole32.tlb", "import \"stdole2.tlb\";"),
    ("winsdkver.h", "#include \"sdkddkver.h\""),
];

/// Macros for the annotations of Windows' static C code analysis, which IDL ignores.
const ANNOTATIONS: &str = "\
#define _In_
#define _In_opt_
#define _In_z_
#define _In_opt_z_
#define _Inout_
#define _Inout_opt_
#define _Out_
#define _Out_opt_
#define _Outptr_
#define _Outptr_opt_
#define _Outptr_result_maybenull_
#define _COM_Outptr_
#define _Reserved_
#define _Null_terminated_
#define _Check_return_
#define _Must_inspect_result_
#define _Ret_maybenull_
#define _Ret_notnull_
#define _In_reads_(n)
#define _In_reads_opt_(n)
#define _In_reads_bytes_(n)
#define _Out_writes_(n)
#define _Out_writes_opt_(n)
#define _Out_writes_bytes_(n)
#define _Field_size_(n)
#define _Field_size_opt_(n)
#define __in
#define __out
#define __inout
#define __in_opt
#define __out_opt
#define __deref_out
";

/// The names of all other files of the Windows SDK, without extensions. A header and the `.idl`
/// file from which it is generated usually have the same name.
const WINDOWS_NAMES: &str = include_str!("system/windows.txt");

/// Returns the exact name and the text of a built-in file. Ignores case and directory in `name`.
pub(crate) fn file(name: &str) -> Option<(&'static str, &'static str)> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let mut files = FILES.iter().chain(ALIASES);
    files.find(|(known, _)| known.eq_ignore_ascii_case(name)).copied()
}

/// Returns the names of all built-in files.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().chain(ALIASES).map(|(name, _)| *name)
}

/// Returns whether a file with this name belongs to the Windows SDK and isn't built in. If such a
/// file is missing, the file that imports it is not in error.
pub(crate) fn is_windows_own(name: &str) -> bool {
    static NAMES: OnceLock<HashSet<&str>> = OnceLock::new();
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let Some((stem, "h" | "hpp" | "idl" | "acf" | "tlb")) = name.rsplit_once('.') else {
        return false;
    };
    let names = NAMES.get_or_init(|| WINDOWS_NAMES.split_whitespace().collect());
    stem.starts_with("windows.") || names.contains(stem)
}

/// Returns the built-in file that should be imported to get a name.
pub(crate) fn declaring(name: &str) -> Option<&'static str> {
    static WORDS: OnceLock<HashMap<&str, &str>> = OnceLock::new();
    let file = *WORDS.get_or_init(words).get(name)?;
    // `unknwn.idl` imports these files, and is the file that authors usually import.
    let is_base = matches!(file, "basetsd.h" | "guiddef.h" | "wtypesbase.idl" | "unknwnbase.idl");
    Some(if is_base { "unknwn.idl" } else { file })
}

/// Maps each word in the built-in files to the first file that contains it.
fn words() -> HashMap<&'static str, &'static str> {
    let mut words = HashMap::new();
    for (file, text) in FILES {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            words.entry(word).or_insert(*file);
        }
    }
    words
}
