//! MIDL's kinds of handles.

use syshandle_model::{Handle, KINDS};

/// Returns MIDL's kind of a handle with this type and declaration.
pub(super) fn kind(name: &str, handle: Option<&Handle>) -> Option<&'static str> {
    // Handles of sockets and pipes have several types, none of which has the name of its kind.
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

/// Returns MIDL's kind with this name. A directory is a file to Windows, and MIDL has no timers.
pub(crate) fn midl_kind(name: &str) -> Option<&'static str> {
    match name {
        "directory" => Some("file"),
        "timer" => None,
        name => KINDS.iter().map(|(kind, _)| *kind).find(|kind| *kind == name),
    }
}

/// Handle types that don't have the names of their kinds.
const OTHER_HANDLES: [(&str, &str); 4] = [
    ("ManualEvent", "event"),
    ("UnsealedSection", "section"),
    ("PipeReader", "pipe"),
    ("PipeWriter", "pipe"),
];
