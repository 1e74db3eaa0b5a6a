//! Compares two descriptions and tells which changes break peers made for the old one.
//!
//! `form` follows every type to what is on the wire, so that a change is found however deep it
//! is, and a new name for the same is none; `authority` is what a handle lets its receiver do;
//! `align` finds out which members of two lists are the same ones; `values`, `interfaces` and
//! `definitions` compare.

mod align;
mod authority;
mod definitions;
mod form;
mod interfaces;
mod layouts;
mod values;

use std::cell::Cell;
use std::fmt;

use definitions::Uses;
use form::{Index, Types};
use syshandle_model::Description;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The part that changed: `SparkleFinisher::finish::file`. `--accept` takes this name.
    pub name: String,
    /// How it changed.
    pub what: String,
    /// Whether peers that were made for the old description go on working: an old client with a
    /// new server, and a new client that only does what it did before with an old server.
    pub is_compatible: bool,
    /// The authority that a peer gets and didn't have before.
    pub gives: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = if self.is_compatible { "old peers go on" } else { "BREAKS old peers" };
        write!(f, "{}: {} ({peers})", self.name, self.what)?;
        match &self.gives {
            Some(gives) => write!(f, "\n  GIVES MORE: {gives}"),
            None => Ok(()),
        }
    }
}

/// All changes from one description to another, in the order of the new one.
pub fn diff(old: &Description, new: &Description) -> Vec<Change> {
    let budget = Budget::default();
    let (old, new) = (Index::of(old, &budget), Index::of(new, &budget));
    let (old, new) = (Types(&old), Types(&new));
    let uses = Uses::of(old).and(&Uses::of(new));
    let mut comparison =
        Comparison { old, new, uses, changes: Vec::new(), layout_changes: Vec::new() };
    comparison.interfaces();
    comparison.definitions();
    comparison.classes();
    comparison.add_layout_changes();
    if budget.is_spent() {
        let what = format!(
            "not compared completely: the types of the files need more than {STEPS_MAX} steps"
        );
        comparison.add("description", what, false, None);
    }
    comparison.changes
}

/// How many steps a comparison takes at most, over all types and their parts. Names for tuples of
/// names can stand for exponentially many parts. Files written by hand need some thousands.
const STEPS_MAX: u64 = 500_000;

/// The steps of a comparison so far.
#[derive(Default)]
struct Budget(Cell<u64>);

impl Budget {
    /// Counts steps. Returns whether there is room for more.
    fn spend(&self, steps: usize) -> bool {
        self.0.set(self.0.get().saturating_add(steps as u64));
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.0.get() > STEPS_MAX
    }
}

/// Two descriptions, and what was found so far.
struct Comparison<'d> {
    old: Types<'d>,
    new: Types<'d>,
    uses: Uses,
    changes: Vec<Change>,
    layout_changes: Vec<layouts::LayoutChange>,
}

impl Comparison<'_> {
    fn add(
        &mut self,
        name: impl ToString,
        what: impl ToString,
        is_compatible: bool,
        gives: Option<String>,
    ) {
        let (name, what) = (name.to_string(), what.to_string());
        self.changes.push(Change { name, what, is_compatible, gives });
    }
}

/// Which way values go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ways {
    /// From clients to servers.
    is_in: bool,
    /// From servers to clients.
    is_out: bool,
}

impl Ways {
    const IN: Self = Self { is_in: true, is_out: false };
    const OUT: Self = Self { is_in: false, is_out: true };

    /// Who receives them, for a message.
    fn receiver(self) -> &'static str {
        match (self.is_in, self.is_out) {
            (true, false) => "the server",
            (false, true) => "the client",
            _ => "either side",
        }
    }
}
