//! Compares two descriptions and finds the changes that break peers built for the old one.
//!
//! `form` resolves every type to its form on the wire. A nested change is therefore found at any
//! depth, and a new name for the same form is no change. `authority` describes what a handle lets
//! its receiver do. `align` matches the members of two lists. `values`, `interfaces` and
//! `definitions` compare the two descriptions.

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
    /// The changed part: `SparkleFinisher::finish::file`. `--accept` takes this name.
    pub name: String,
    /// A description of the change.
    pub what: String,
    /// Whether peers that were built for the old description continue to work: an old client with a
    /// new server, and an old server with a new client that makes only the calls of an old one.
    pub is_compatible: bool,
    /// The authority that a peer gains.
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

/// Returns all changes from one description to another, in the order of the new one.
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

/// Maximum number of steps of a comparison, over all types and their parts. Aliases for tuples of
/// aliases can stand for exponentially many parts. Files written by hand need some thousands of
/// steps.
const STEPS_MAX: u64 = 500_000;

/// The number of steps of a comparison so far.
#[derive(Default)]
struct Budget(Cell<u64>);

impl Budget {
    /// Counts steps. Returns whether the limit is not exceeded.
    fn spend(&self, steps: usize) -> bool {
        self.0.set(self.0.get().saturating_add(steps as u64));
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.0.get() > STEPS_MAX
    }
}

/// Two descriptions and the changes found so far.
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

/// The directions in which values travel.
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

    /// Names the receiver of the values, for a message.
    fn receiver(self) -> &'static str {
        match (self.is_in, self.is_out) {
            (true, false) => "the server",
            (false, true) => "the client",
            _ => "either side",
        }
    }
}
