//! Compares each method's format strings with those of `widl`, and with the reported differences.

use std::panic::{AssertUnwindSafe, catch_unwind};

use syshandle_com::{CompiledInterface, HandleForm};
use syshandle_idl::LoweringOutput;
use syshandle_model::{self as model, plain_name};

use crate::ndr::Reader;
use crate::widl;
use crate::{description, exceptions};

/// The result of the comparison of one method.
pub(crate) struct Verdict {
    /// The name in the form `IFoo::Bar`.
    pub(crate) name: String,
    /// The result of comparing the format strings.
    pub(crate) tables: Comparison,
    /// The reason of a difference that `syshandle_idl` reported, if any.
    pub(crate) reported: Option<String>,
}

/// The result of comparing the format strings of one method.
pub(crate) enum Comparison {
    Same,
    /// The format strings differ in a way that has no effect, according to the list of exceptions.
    Excepted,
    Different {
        ours: String,
        theirs: String,
    },
}

impl Verdict {
    /// Returns whether the format strings differ although no difference was reported.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.tables, Comparison::Different { .. }) && self.reported.is_none()
    }
}

/// Compares the interfaces for which both sides have format strings. Skips methods with handles.
pub(crate) fn compare(
    lowered: &LoweringOutput,
    theirs: &widl::WidlTables,
    found: &mut Vec<Verdict>,
) {
    let reader = Reader { types: &theirs.types, procedures: &theirs.procedures, count_bytes: 4 };
    for interface in &lowered.description.interfaces {
        let names = [format!("I{}", interface.name), interface.name.to_string()];
        let entries = names.iter().find_map(|name| Some((name, theirs.interfaces.get(name)?)));
        let Some((name, entries)) = entries else { continue };
        let described = description::describe(&lowered.description, interface).unwrap();
        let compiled = CompiledInterface::new(described, HandleForm::System).unwrap();
        let roots = ["IUnknown", "IDispatch", "IInspectable"];
        let is_own =
            |entry: &&widl::Entry| entry.interface == **name || !roots.contains(&&*entry.interface);
        let entries = entries.iter().filter(is_own);
        let entries: Vec<_> = entries.collect();
        let ours = Reader {
            types: &compiled.format_strings.types,
            procedures: &compiled.format_strings.procedures,
            count_bytes: 6,
        };
        for (at, method) in interface.methods.iter().enumerate() {
            if method.parameters.iter().any(|of| has_handle(&of.ty)) || has_handle(&method.result) {
                continue;
            }
            let is_opaque =
                compiled.methods[at].is_opaque() || compiled.methods[at].unsupported().is_some();
            let ours = match is_opaque {
                true => "opaque".to_owned(),
                false => ours.methods(&compiled.format_strings.offsets[at..=at]).remove(0),
            };
            let entry = entries.get(at).filter(|entry| is_named(method, &entry.method));
            let theirs = match entry.map(|entry| entry.offset) {
                Some(Some(offset)) => read(&reader, offset),
                Some(None) => "no proxy in this file".to_owned(),
                None => "another method at this place".to_owned(),
            };
            // Inherited methods are compared in the file that declares their interface.
            if theirs == "no proxy in this file" && entries[at].interface != **name {
                continue;
            }
            // A local method, which can't be called from another process, has no proxy.
            let is_local =
                |entry: &&&widl::Entry| entry.interface == **name && entry.offset.is_none();
            let locals = entries[..at.min(entries.len())].iter().filter(is_local).count();
            let tables = exceptions::compare(&ours, &theirs, locals);
            let name = format!("{name}::{}", method.name);
            found.push(Verdict { name, tables, reported: method.differs.clone() });
        }
    }
}

/// Decodes a method's format strings into text. Returns the panic message if the decoder doesn't
/// support them.
fn read(reader: &Reader<'_>, offset: u16) -> String {
    let words = catch_unwind(AssertUnwindSafe(|| reader.methods(&[offset]).remove(0)));
    words.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("unreadable: {}", text.unwrap_or("?"))
    })
}

/// Returns whether a Rust method corresponds to an IDL method of this name.
fn is_named(method: &model::Method, idl: &str) -> bool {
    let letters = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    let rust = letters(&plain_name(&method.name));
    let idl = letters(idl);
    let stripped = idl.strip_prefix("get").or_else(|| idl.strip_prefix("put"));
    let reference = idl.strip_prefix("putref").map(|rest| format!("setreference{rest}"));
    rust == idl
        || stripped.is_some_and(|rest| rust == rest || rust == format!("set{rest}"))
        || reference.is_some_and(|reference| rust == reference)
}

/// Returns whether a type may contain a handle, judging by the names in the type.
fn has_handle(ty: &syn::Type) -> bool {
    let names = model::identifiers(quote::ToTokens::to_token_stream(ty));
    names.iter().any(|name| HANDLES.contains(&name.as_str()))
}

const HANDLES: [&str; 15] = [
    "File",
    "PipeReader",
    "PipeWriter",
    "Semaphore",
    "Event",
    "Mutex",
    "Process",
    "Token",
    "Section",
    "UnsealedSection",
    "RegKey",
    "Thread",
    "Composition",
    "Job",
    "OwnedHandle",
];
