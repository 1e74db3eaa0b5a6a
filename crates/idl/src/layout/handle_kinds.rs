//! MIDL's handle kinds.

use syshandle_model::{Handle, KINDS};

/// Returns MIDL's kind for a handle with this type and declaration.
pub(super) fn kind(name: &str, handle: Option<&Handle>) -> Option<&'static str> {
    // Sockets and pipes have several handle types each, none of which is named after the kind.
    let by_name = KINDS.iter().filter(|(kind, _)| *kind != "socket" && *kind != "pipe");
    let mut types = by_name.map(|(kind, ty)| (*ty, *kind)).chain(OTHER_HANDLES);
    if let Some((_, kind)) = types.find(|(ty, _)| *ty == name) {
        return midl_kind(kind);
    }
    if name != "OwnedHandle" && name != "OwnedFd" {
        return None;
    }
    let kinds = handle?.kinds.iter().map(|kind| midl_kind(&kind.to_string()));
    let kinds = kinds.collect::<Option<Vec<_>>>()?;
    let first = *kinds.first()?;
    kinds.iter().all(|kind| *kind == first).then_some(first)
}

/// Returns the MIDL kind for a kind of this project. A directory is a file in Windows, and MIDL has
/// no kind for timers.
pub(crate) fn midl_kind(name: &str) -> Option<&'static str> {
    match name {
        "directory" => Some("file"),
        "timer" => None,
        name => KINDS.iter().map(|(kind, _)| *kind).find(|kind| *kind == name),
    }
}

/// The handle types that aren't named after their kinds.
const OTHER_HANDLES: [(&str, &str); 4] = [
    ("ManualEvent", "event"),
    ("UnsealedSection", "section"),
    ("PipeReader", "pipe"),
    ("PipeWriter", "pipe"),
];
