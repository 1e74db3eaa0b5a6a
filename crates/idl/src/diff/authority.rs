//! The *authority* of a handle: its possible kinds and rights, which determine what its receiver
//! can do with it.

use std::collections::BTreeSet;
use std::fmt;

use syshandle_model::{Handle, KINDS};

/// The possible kinds and rights of a handle, as given by its Rust type and its declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    /// The possible kinds; `None` for any kind.
    kinds: Option<BTreeSet<String>>,
    /// The possible socket types; `None` if the socket type isn't restricted.
    sockets: Option<BTreeSet<String>>,
    /// The possible file types; `None` if the file type isn't restricted.
    files: Option<BTreeSet<String>>,
    at_least: BTreeSet<String>,
    /// The maximum rights; `None` for all rights.
    at_most: Option<BTreeSet<String>>,
}

impl Authority {
    /// Returns the authority of a handle: the intersection of its type's and its declaration's.
    /// Returns `None` if the type isn't a handle.
    pub(super) fn of(ty: &str, declared: Option<&Handle>) -> Option<Self> {
        let of_type = Self::of_type(ty)?;
        let Some(declared) = declared else { return Some(of_type) };
        let words = |list: &[proc_macro2::Ident]| -> BTreeSet<String> {
            list.iter().map(ToString::to_string).collect()
        };
        let mut kinds = words(&declared.kinds);
        if let Some(of_type) = &of_type.kinds {
            // The Rust type determines whether an event resets itself. A declaration can't.
            let is_manual = of_type.contains(MANUAL_EVENT) && kinds.contains("event");
            kinds = kinds.intersection(of_type).cloned().collect();
            kinds.extend(is_manual.then(|| MANUAL_EVENT.to_owned()));
        }
        let sockets = (!declared.sockets.is_empty()).then(|| words(&declared.sockets));
        let sockets = intersection(sockets, of_type.sockets);
        let files = (!declared.files.is_empty()).then(|| words(&declared.files));
        let files = intersection(files, of_type.files);
        let mut at_least: BTreeSet<String> =
            words(&declared.at_least).union(&of_type.at_least).cloned().collect();
        // The right to write includes the right to append.
        if at_least.contains("write") {
            at_least.remove("append");
        }
        let at_most = intersection(declared.at_most.as_deref().map(words), of_type.at_most);
        Some(Self { kinds: Some(kinds), sockets, files, at_least, at_most })
    }

    /// Returns the authority of a handle without restrictions.
    pub(super) fn any() -> Self {
        Self { kinds: None, sockets: None, files: None, at_least: BTreeSet::new(), at_most: None }
    }

    /// Returns the authority that a Rust type implies. Returns `None` if the type isn't a handle.
    fn of_type(ty: &str) -> Option<Self> {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let of = |kind: &str, at_least: &[&str]| Self {
            kinds: Some(set(&[kind])),
            sockets: None,
            files: None,
            at_least: set(at_least),
            at_most: None,
        };
        if let Some((_, sort)) = SOCKETS.iter().find(|(known, _)| *known == ty) {
            return Some(Self { sockets: Some(set(&[sort])), ..of("socket", &[]) });
        }
        Some(match ty {
            "OwnedFd" | "OwnedHandle" => Self::any(),
            "PipeReader" => of("pipe", &["read"]),
            "PipeWriter" => of("pipe", &["write"]),
            "ManualEvent" => of(MANUAL_EVENT, &[]),
            "UnsealedSection" => of("section", &[]),
            "Section" => Self { at_most: Some(set(&OF_FIXED_SIZE)), ..of("section", &[]) },
            ty => {
                let (kind, _) = KINDS.iter().find(|(_, known)| *known == ty)?;
                let reads = matches!(*kind, "reg_key" | "job" | "directory");
                of(kind, if reads { &["read"] } else { &[] })
            }
        })
    }

    /// Returns the possible kinds; `None` for any kind. A manual event is an event.
    pub(super) fn kinds(&self) -> Option<impl Iterator<Item = &str>> {
        let plain = |kind| if kind == MANUAL_EVENT { "event" } else { kind };
        Some(self.kinds.as_ref()?.iter().map(move |kind| plain(kind.as_str())))
    }

    /// Describes the authority that `self` has in addition to `before`, if any.
    pub(super) fn more_than(&self, before: &Self) -> Option<String> {
        let added = |old: &BTreeSet<String>, new: &BTreeSet<String>| -> Vec<String> {
            new.difference(old).cloned().collect()
        };
        match (&before.kinds, &self.kinds) {
            (Some(_), None) => return Some("a handle of any kind".to_owned()),
            (Some(old), Some(new)) if !new.is_subset(old) => {
                return Some(format!("kind {}", added(old, new).join(", ")));
            }
            _ => {}
        }
        if !is_within(self.sockets.as_ref(), before.sockets.as_ref()) {
            return Some("other socket types".to_owned());
        }
        if !is_within(self.files.as_ref(), before.files.as_ref()) {
            return Some("other file types".to_owned());
        }
        let rights = added(&before.at_least, &self.at_least);
        if !rights.is_empty() {
            return Some(format!("right {}", rights.join(", ")));
        }
        match (&before.at_most, &self.at_most) {
            (Some(_), None) => Some("all rights: the maximum was removed".to_owned()),
            (Some(old), Some(new)) if !new.is_subset(old) => {
                Some(format!("right {} added to the maximum", added(old, new).join(", ")))
            }
            _ => None,
        }
    }

    /// Returns whether a receiver with this declaration accepts every handle that a sender with the
    /// declaration `other` may send.
    pub(super) fn accepts(&self, other: &Self) -> bool {
        is_within(other.kinds.as_ref(), self.kinds.as_ref())
            && is_within(other.sockets.as_ref(), self.sockets.as_ref())
            && is_within(other.files.as_ref(), self.files.as_ref())
            && is_within(other.at_most.as_ref(), self.at_most.as_ref())
            && self.at_least.is_subset(&other.at_least)
    }
}

/// Returns the intersection of two sets. `None` is the set of all values.
fn intersection(
    one: Option<BTreeSet<String>>,
    other: Option<BTreeSet<String>>,
) -> Option<BTreeSet<String>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
        (one, other) => one.or(other),
    }
}

/// Returns whether `inner` is a subset of `outer`. `None` is the set of all values.
fn is_within(inner: Option<&BTreeSet<String>>, outer: Option<&BTreeSet<String>>) -> bool {
    match (inner, outer) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(inner), Some(outer)) => inner.is_subset(outer),
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |words: &BTreeSet<String>| {
            words.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
        };
        let kinds = match &self.kinds {
            None => "any".to_owned(),
            Some(kinds) if kinds.is_empty() => "of no kind".to_owned(),
            Some(kinds) => join(kinds),
        };
        write!(f, "a handle ({kinds}")?;
        for sorts in [&self.files, &self.sockets].into_iter().flatten() {
            let sorts = if sorts.is_empty() { "no sort".to_owned() } else { join(sorts) };
            write!(f, " of {sorts}")?;
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

/// The kind name of an event that doesn't reset itself. It is different from that of an event that
/// does, because the two behave differently for waiting threads.
const MANUAL_EVENT: &str = "manual event";

/// The rights that are possible for a section of fixed size.
const OF_FIXED_SIZE: [&str; 5] = ["read", "write", "append", "map", "seal"];

/// The Rust types of sockets, with the corresponding socket types of declarations.
const SOCKETS: [(&str, &str); 7] = [
    ("UnixStream", "unix_stream"),
    ("UnixListener", "unix_listener"),
    ("UnixDatagram", "unix_datagram"),
    ("Seqpacket", "seqpacket"),
    ("TcpStream", "tcp_stream"),
    ("TcpListener", "tcp_listener"),
    ("UdpSocket", "udp_socket"),
];
