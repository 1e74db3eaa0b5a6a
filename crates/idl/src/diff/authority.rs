//! What a handle lets its receiver do: the kinds that it can be of, and the rights.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::{Handle, KINDS};

/// What a handle can be, by its type and by what is declared of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    kinds: BTreeSet<String>,
    /// Without any, sockets of all sorts.
    sockets: BTreeSet<String>,
    at_least: BTreeSet<String>,
    /// Without one, all rights may come.
    at_most: Option<BTreeSet<String>>,
}

impl Authority {
    /// That of a type which is a handle, within what is declared of it: both have to be met.
    pub(super) fn of(ty: &str, declared: Option<&Handle>) -> Option<Self> {
        let of_type = Self::of_type(ty)?;
        let Some(declared) = declared else { return Some(of_type) };
        let words = |list: &[proc_macro2::Ident]| -> BTreeSet<String> {
            list.iter().map(ToString::to_string).collect()
        };
        let mut kinds = words(&declared.kinds);
        if !of_type.kinds.is_empty() {
            // What an event's type says of its mode, a declaration doesn't.
            let is_manual = of_type.kinds.contains(MANUAL_EVENT) && kinds.contains("event");
            kinds = kinds.intersection(&of_type.kinds).cloned().collect();
            kinds.extend(is_manual.then(|| MANUAL_EVENT.to_owned()));
        }
        let sockets = words(&declared.sockets);
        let sockets = match (of_type.sockets.is_empty(), sockets.is_empty()) {
            (true, _) => sockets,
            (false, true) => of_type.sockets,
            (false, false) => sockets.intersection(&of_type.sockets).cloned().collect(),
        };
        let mut at_least: BTreeSet<String> =
            words(&declared.at_least).union(&of_type.at_least).cloned().collect();
        // To write is to append and more.
        if at_least.contains("write") {
            at_least.remove("append");
        }
        let at_most = match (declared.at_most.as_deref().map(words), of_type.at_most) {
            (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
            (one, other) => one.or(other),
        };
        Some(Self { kinds, sockets, at_least, at_most })
    }

    /// That of a handle of which nothing is declared.
    pub(super) fn any() -> Self {
        Self {
            kinds: BTreeSet::new(),
            sockets: BTreeSet::new(),
            at_least: BTreeSet::new(),
            at_most: None,
        }
    }

    /// What a type says by itself.
    fn of_type(ty: &str) -> Option<Self> {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let of = |kinds: &[&str], sockets: &[&str], at_least: &[&str]| Self {
            kinds: set(kinds),
            sockets: set(sockets),
            at_least: set(at_least),
            at_most: None,
        };
        if let Some((_, sort)) = SOCKETS.iter().find(|(known, _)| *known == ty) {
            return Some(of(&["socket"], &[sort], &[]));
        }
        Some(match ty {
            "OwnedFd" | "OwnedHandle" => Self::any(),
            "PipeReader" => of(&["pipe"], &[], &["read"]),
            "PipeWriter" => of(&["pipe"], &[], &["write"]),
            "ManualEvent" => of(&[MANUAL_EVENT], &[], &[]),
            "UnsealedSection" => of(&["section"], &[], &[]),
            "Section" => Self { at_most: Some(set(&OF_FIXED_SIZE)), ..of(&["section"], &[], &[]) },
            ty => {
                let (kind, _) = KINDS.iter().find(|(_, known)| *known == ty)?;
                let reads = matches!(*kind, "reg_key" | "job" | "directory");
                of(&[kind], &[], if reads { &["read"] } else { &[] })
            }
        })
    }

    /// What is given now that wasn't before.
    pub(super) fn more_than(&self, before: &Self) -> Option<String> {
        let added = |old: &BTreeSet<String>, new: &BTreeSet<String>| -> Vec<String> {
            new.difference(old).cloned().collect()
        };
        let kinds = added(&before.kinds, &self.kinds);
        match (before.kinds.is_empty(), self.kinds.is_empty()) {
            (false, true) => return Some("a handle of any kind".to_owned()),
            (false, false) if !kinds.is_empty() => {
                return Some(format!("kind {}", kinds.join(", ")));
            }
            _ => {}
        }
        if !before.sockets.is_empty() {
            let sockets = added(&before.sockets, &self.sockets);
            if self.sockets.is_empty() || !sockets.is_empty() {
                return Some("sockets of other sorts".to_owned());
            }
        }
        let rights = added(&before.at_least, &self.at_least);
        if !rights.is_empty() {
            return Some(format!("right {}", rights.join(", ")));
        }
        match (&before.at_most, &self.at_most) {
            (Some(_), None) => Some("any right: there is no maximum any more".to_owned()),
            (Some(old), Some(new)) if !new.is_subset(old) => {
                Some(format!("right {} in the maximum", added(old, new).join(", ")))
            }
            _ => None,
        }
    }

    /// Whether a receiver of this takes all that a sender of `other` may send.
    pub(super) fn takes(&self, other: &Self) -> bool {
        // An empty set is no bound.
        let within = |inner: &BTreeSet<String>, outer: &BTreeSet<String>| {
            outer.is_empty() || !inner.is_empty() && inner.is_subset(outer)
        };
        let most = match (&other.at_most, &self.at_most) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(sent), Some(taken)) => sent.is_subset(taken),
        };
        within(&other.kinds, &self.kinds)
            && within(&other.sockets, &self.sockets)
            && most
            && self.at_least.is_subset(&other.at_least)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |words: &BTreeSet<String>| {
            words.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
        };
        let kinds = if self.kinds.is_empty() { "any".to_owned() } else { join(&self.kinds) };
        write!(f, "a handle ({kinds}")?;
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

/// An event that stays set is another object to those who wait for it.
const MANUAL_EVENT: &str = "manual event";

/// What a section whose size never changes may let its holder do.
const OF_FIXED_SIZE: [&str; 5] = ["read", "write", "append", "map", "seal"];

/// The types of sockets, and their sorts.
const SOCKETS: [(&str, &str); 7] = [
    ("UnixStream", "unix_stream"),
    ("UnixListener", "unix_listener"),
    ("UnixDatagram", "unix_datagram"),
    ("Seqpacket", "seqpacket"),
    ("TcpStream", "tcp_stream"),
    ("TcpListener", "tcp_listener"),
    ("UdpSocket", "udp_socket"),
];
