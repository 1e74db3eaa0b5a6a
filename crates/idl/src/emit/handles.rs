//! Converts handle kinds and rights to `system_handle` attributes.

use super::types::EmitResult;
use syshandle_model::{Handle, KINDS};

/// Returns the `system_handle(…)` attribute for a type, or `None` if the type isn't a handle.
pub(super) fn attribute(ty: &str, declared: Option<&Handle>) -> EmitResult<Option<String>> {
    let Some(kind) = kind(ty, declared)? else { return Ok(None) };
    if let Some(handle) = declared {
        if !handle.sockets.is_empty() {
            return Err("MIDL can't express sorts of sockets".to_owned());
        }
        if !handle.files.is_empty() {
            return Err("MIDL can't express sorts of files".to_owned());
        }
        if handle.at_most.is_some() {
            return Err("MIDL can't express `at_most`: an access mask is a minimum".to_owned());
        }
    }
    let rights = rights(ty, &kind, declared);
    if ty == "UnsealedSection" && !rights.contains(&"resize".to_owned()) {
        return Err("MIDL can't express a resizable section without the right `resize`".into());
    }
    let masks = rights.iter().map(|right| mask(&kind, right)).collect::<EmitResult<Vec<_>>>()?;
    let masks = if masks.is_empty() { String::new() } else { format!(", {}", masks.join(" | ")) };
    Ok(Some(format!("system_handle(sh_{kind}{masks})")))
}

/// Returns MIDL's kind for a handle type, or `None` if the type isn't a handle.
fn kind(ty: &str, declared: Option<&Handle>) -> EmitResult<Option<String>> {
    if WITHOUT_MIDL_KIND.contains(&ty) {
        return Err(format!("MIDL has no kind of handle for `{ty}`"));
    }
    let of_type = match ty {
        "OwnedFd" | "OwnedHandle" if declared.is_none() => {
            return Err("declare the kind: `#[handle(…)]`".to_owned());
        }
        "OwnedFd" | "OwnedHandle" => None,
        "PipeReader" | "PipeWriter" => Some("pipe"),
        "UnsealedSection" => Some("section"),
        ty => match KINDS.iter().find(|(_, known)| *known == ty) {
            Some((word, _)) => Some(*word),
            None => return Ok(None),
        },
    };
    match (of_type, declared.map(|handle| handle.kinds.as_slice())) {
        (Some(kind), Some(kinds)) if !kinds.iter().any(|declared| declared == kind) => {
            Err(format!("the declaration contradicts the type, which accepts only a {kind}"))
        }
        // The type accepts only this kind, even if the declaration names further kinds.
        (Some(kind), _) => Ok(Some(kind.to_owned())),
        (None, Some([kind])) if kind == "directory" || kind == "timer" => {
            Err(format!("MIDL has no kind of handle for `{kind}`"))
        }
        (None, Some([kind])) => Ok(Some(kind.to_string())),
        (None, _) => Err("MIDL can't express a handle of several kinds".to_owned()),
    }
}

/// Returns the rights that the access mask must request. These are the rights that the declaration
/// and the type require, without those that every handle of the kind has.
fn rights(ty: &str, kind: &str, declared: Option<&Handle>) -> Vec<String> {
    let declared = declared.iter().flat_map(|handle| &handle.at_least).map(ToString::to_string);
    let of_type = match ty {
        "PipeReader" => Some("read"),
        "PipeWriter" => Some("write"),
        _ => None,
    };
    let mut rights: Vec<String> = of_type.map(str::to_owned).into_iter().chain(declared).collect();
    rights.retain(|right| !(right == "read" && matches!(kind, "reg_key" | "job")));
    let mut seen = Vec::new();
    rights.retain(|right| {
        let is_new = !seen.contains(right);
        seen.push(right.clone());
        is_new
    });
    rights
}

/// Returns the access mask for a right.
fn mask(kind: &str, right: &str) -> EmitResult<&'static str> {
    Ok(match (kind, right) {
        ("file" | "pipe", "read") => "FILE_GENERIC_READ",
        ("file" | "pipe", "write") => "FILE_GENERIC_WRITE",
        ("file", "append") => "FILE_APPEND_DATA",
        ("event", "signal") => "EVENT_MODIFY_STATE",
        ("semaphore", "signal") => "SEMAPHORE_MODIFY_STATE",
        ("process", "signal") => "PROCESS_TERMINATE",
        ("thread", "signal") => "THREAD_TERMINATE",
        ("event" | "semaphore" | "process" | "thread", "wait") => "SYNCHRONIZE",
        ("section", "read") => "SECTION_MAP_READ",
        ("section", "write") => "SECTION_MAP_WRITE",
        ("section", "resize") => "SECTION_EXTEND_SIZE",
        ("composition", "read") => "COMPOSITIONOBJECT_READ",
        ("composition", "write") => "COMPOSITIONOBJECT_WRITE",
        _ => return Err(format!("MIDL has no access mask for the right `{right}` of a {kind}")),
    })
}

/// Handle types for which MIDL has no kind: certain socket types, events that don't reset
/// themselves, and others.
const WITHOUT_MIDL_KIND: [&str; 10] = [
    "Directory",
    "Timer",
    "ManualEvent",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "Seqpacket",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
];
