//! Converts `system_handle(kind, mask)` to a Rust handle type and declared rights.

use proc_macro2::Ident;

use super::resolved_type::ResolvedType;
use super::types::RustType;
use super::{Lowering, Result, ident};
use crate::front::ast::{Argument, AttributeName};
use crate::front::check::system_handle::MaskEnvironment;
use crate::front::constant;
use syshandle_model::Handle;

impl<'a> Lowering<'_, 'a> {
    /// Returns the Rust type of a handle, with its declaration.
    pub(super) fn handle(&mut self, resolved: &ResolvedType<'a>) -> Result<RustType> {
        let Some(attribute) = resolved.find(AttributeName::SystemHandle) else {
            let what = "a HANDLE that isn't a `system_handle` is only a number in another process";
            let hint = "declare its kind, as in `[in, system_handle(sh_file)] HANDLE file`";
            return self.refuse(resolved.span, what, hint);
        };
        let mut arguments = attribute.arguments.iter();
        let kind = match arguments.next() {
            Some(Argument::Value(kind)) => kind.as_name().map_or("", |name| name),
            _ => "",
        };
        let mask = match arguments.next() {
            Some(Argument::Value(mask)) => {
                match constant::evaluate(mask, &MaskEnvironment(self.view.copied())) {
                    Ok(constant::Value::Integer(mask)) => Some(mask.value as u32),
                    _ => return self.refuse(mask.span, "this access mask can't be evaluated", ""),
                }
            }
            _ => None,
        };
        let Some(value) = typed(kind, mask.unwrap_or(0)) else {
            return self.refuse(attribute.span, "unknown kind of handle", "");
        };
        Ok(value)
    }
}

/// Returns the Rust type for a kind, with the rights that the mask requests in addition.
fn typed(kind: &str, mask: u32) -> Option<RustType> {
    let kind = kind.strip_prefix("sh_")?;
    let rights = rights(kind, mask);
    let mut is_declared = !rights.is_empty();
    let ty: syn::Type = match kind {
        "file" => syn::parse_quote!(std::fs::File),
        "semaphore" => syn::parse_quote!(syshandle::handle::Semaphore),
        "event" => syn::parse_quote!(syshandle::handle::Event),
        "mutex" => syn::parse_quote!(syshandle::handle::Mutex),
        "process" => syn::parse_quote!(syshandle::handle::Process),
        "token" => syn::parse_quote!(syshandle::handle::Token),
        "section" if rights.contains(&"resize") => {
            syn::parse_quote!(syshandle::handle::UnsealedSection)
        }
        "section" => syn::parse_quote!(syshandle::handle::Section),
        // The type `RegKey` already requires the right `read`.
        "reg_key" => {
            is_declared = false;
            syn::parse_quote!(syshandle::handle::RegKey)
        }
        "job" => {
            is_declared = false;
            syn::parse_quote!(syshandle::handle::Job)
        }
        "thread" => syn::parse_quote!(syshandle::handle::Thread),
        "composition" => syn::parse_quote!(syshandle::handle::Composition),
        "pipe" => match rights.as_slice() {
            ["read"] => {
                is_declared = false;
                syn::parse_quote!(std::io::PipeReader)
            }
            ["write"] => {
                is_declared = false;
                syn::parse_quote!(std::io::PipeWriter)
            }
            _ => {
                is_declared = true;
                syn::parse_quote!(syshandle::handle::OwnedHandle)
            }
        },
        "socket" => {
            is_declared = true;
            syn::parse_quote!(syshandle::handle::OwnedHandle)
        }
        _ => return None,
    };
    let words = |words: &[&str]| -> Vec<Ident> { words.iter().map(|word| ident(word)).collect() };
    let handle = is_declared.then(|| Handle {
        kinds: words(&[kind]),
        sockets: Vec::new(),
        files: Vec::new(),
        at_least: words(&rights),
        at_most: None,
    });
    Some(RustType { ty, handle, range: None })
}

/// Returns the rights in a mask that a receiver on Linux can prove. Other rights don't exist on
/// Linux. For example, the right to change a file's attributes depends on the file and not on the
/// file descriptor.
fn rights(kind: &str, mask: u32) -> Vec<&'static str> {
    let table: &[(u32, &str)] = match kind {
        "file" => &[(READ | 0x1, "read"), (WRITE | 0x2, "write")],
        "pipe" => &[(READ | 0x1, "read"), (WRITE | 0x2, "write")],
        "event" | "semaphore" => &[(WRITE | 0x2, "signal"), (SYNCHRONIZE, "wait")],
        "process" => &[(WRITE | 0x1, "signal"), (SYNCHRONIZE, "wait")],
        "thread" => &[(WRITE | 0x1, "signal"), (SYNCHRONIZE, "wait")],
        "section" => &[(READ | 0x4, "read"), (WRITE | 0x2, "write"), (ALL | 0x10, "resize")],
        "composition" => &[(READ | 0x1, "read"), (WRITE | 0x2, "write")],
        _ => &[],
    };
    let named = table.iter().filter(|(bits, _)| mask & bits != 0).map(|(_, word)| *word);
    let mut rights: Vec<_> = named.collect();
    // The right `write` includes the right `append`.
    let appends = mask & 0x4 != 0 && !rights.contains(&"write");
    if kind == "file" && appends {
        rights.push("append");
    }
    rights
}

const ALL: u32 = 0x1000_0000;
const READ: u32 = 0x8000_0000 | ALL;
const WRITE: u32 = 0x4000_0000 | ALL;
const SYNCHRONIZE: u32 = 0x0010_0000;
