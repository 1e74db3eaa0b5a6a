//! What a value lets its receiver do: the kinds of the handles in it, and the rights.

use std::collections::BTreeSet;
use std::fmt;

use quote::ToTokens;

use crate::model::{DefinitionKind, Description, KINDS, Method, Parameter};

/// What the handles in a value can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    kinds: BTreeSet<String>,
    sockets: BTreeSet<String>,
    at_least: BTreeSet<String>,
    /// Without one, all rights may come.
    at_most: Option<BTreeSet<String>>,
}

impl Authority {
    /// That of a parameter, by its declaration or else by its type; none without a handle.
    pub(super) fn of(parameter: &Parameter) -> Option<Self> {
        let words = |list: &[proc_macro2::Ident]| list.iter().map(ToString::to_string).collect();
        if let Some(handle) = &parameter.handle {
            return Some(Self {
                kinds: words(&handle.kinds),
                sockets: words(&handle.sockets),
                at_least: words(&handle.at_least),
                at_most: handle.at_most.as_ref().map(|most| words(most)),
            });
        }
        let text = parameter.ty.to_token_stream().to_string();
        let names = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let kinds: BTreeSet<_> = names.filter_map(kind).map(str::to_owned).collect();
        let none = BTreeSet::new;
        (!kinds.is_empty()).then(|| Self {
            kinds,
            sockets: none(),
            at_least: none(),
            at_most: None,
        })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |words: &BTreeSet<String>| {
            words.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
        };
        write!(f, "a handle ({}", join(&self.kinds))?;
        if !self.sockets.is_empty() {
            write!(f, " of {}", join(&self.sockets))?;
        }
        if !self.at_least.is_empty() {
            write!(f, ", {}", join(&self.at_least))?;
        }
        if let Some(most) = &self.at_most {
            write!(f, ", at most {}", join(most))?;
        }
        f.write_str(")")
    }
}

/// What is given now that wasn't before.
pub(super) fn more(before: Option<&Authority>, after: Option<&Authority>) -> Option<String> {
    let after = after?;
    let Some(before) = before else { return Some(after.to_string()) };
    let added = |old: &BTreeSet<String>, new: &BTreeSet<String>| -> Vec<String> {
        new.difference(old).cloned().collect()
    };
    let kinds = added(&before.kinds, &after.kinds);
    if !kinds.is_empty() {
        return Some(format!("kind {}", kinds.join(", ")));
    }
    if !before.sockets.is_empty() {
        let sockets = added(&before.sockets, &after.sockets);
        if after.sockets.is_empty() || !sockets.is_empty() {
            return Some("sockets of other sorts".to_owned());
        }
    }
    let rights = added(&before.at_least, &after.at_least);
    if !rights.is_empty() {
        return Some(format!("right {}", rights.join(", ")));
    }
    match (&before.at_most, &after.at_most) {
        (Some(_), None) => Some("any right: there is no maximum any more".to_owned()),
        (Some(old), Some(new)) if !new.is_subset(old) => {
            Some(format!("right {} in the maximum", added(old, new).join(", ")))
        }
        _ => None,
    }
}

/// Whether all that an old peer sends is still taken.
pub(super) fn takes_all(before: Option<&Authority>, after: Option<&Authority>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return before == after };
    let sockets = after.sockets.is_empty()
        || !before.sockets.is_empty() && before.sockets.is_subset(&after.sockets);
    let most = match (&before.at_most, &after.at_most) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => old.is_subset(new),
    };
    let least = after.at_least.is_subset(&before.at_least);
    before.kinds.is_subset(&after.kinds) && sockets && most && least
}

/// The first handle that a method takes or returns, also in the structs that it names.
pub(super) fn of_method(method: &Method, types: &Description) -> Option<String> {
    let result = Parameter {
        name: method.name.clone(),
        ty: method.result.clone(),
        handle: method.result_handle.clone(),
    };
    let mut values: Vec<Parameter> = method.parameters.clone();
    values.push(result);
    for definition in &types.definitions {
        let is_used = values.iter().any(|value| {
            let text = value.ty.to_token_stream().to_string();
            text.split_whitespace().any(|word| definition.name == word)
        });
        if let (true, DefinitionKind::Struct(fields)) = (is_used, &definition.kind) {
            values.extend(fields.iter().map(|field| field.value.clone()));
        }
    }
    values.iter().find_map(Authority::of).map(|given| format!("a method with {given}"))
}

/// The kind of the handle that a type is.
fn kind(name: &str) -> Option<&'static str> {
    let name = match name {
        "PipeReader" | "PipeWriter" => "Pipe",
        "ManualEvent" => "Event",
        "UnsealedSection" => "Section",
        "OwnedFd" | "OwnedHandle" => return Some("any"),
        "UnixStream" | "UnixListener" | "UnixDatagram" | "Seqpacket" | "TcpStream"
        | "TcpListener" | "UdpSocket" => "Socket",
        client if client.ends_with("Client") => return Some("object"),
        name => name,
    };
    KINDS.iter().find(|(_, known)| *known == name).map(|(word, _)| *word)
}
