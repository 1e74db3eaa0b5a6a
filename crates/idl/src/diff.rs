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

use definitions::TypeDirections;
use form::{Index, TypeResolver};
use syshandle_model::Description;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The changed part: `SparkleFinisher::finish::file`. `--accept` takes this name.
    pub name: String,
    /// A description of the change.
    pub description: String,
    /// Whether peers that were built for the old description continue to work: an old client with a
    /// new server, and an old server with a new client that makes only the calls of an old one.
    pub is_compatible: bool,
    /// The authority that a peer gains.
    pub gained_authority: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = if self.is_compatible { "old peers go on" } else { "BREAKS old peers" };
        write!(f, "{}: {} ({peers})", self.name, self.description)?;
        match &self.gained_authority {
            Some(gained_authority) => write!(f, "\n  GIVES MORE: {gained_authority}"),
            None => Ok(()),
        }
    }
}

/// Returns all changes from one description to another, in the order of the new one.
pub fn diff(old: &Description, new: &Description) -> Vec<Change> {
    let budget = Budget::default();
    let (old, new) = (Index::of(old, &budget), Index::of(new, &budget));
    let (old, new) = (TypeResolver(&old), TypeResolver(&new));
    let uses = TypeDirections::of(old).and(&TypeDirections::of(new));
    let mut comparison =
        Comparison { old, new, uses, changes: Vec::new(), layout_changes: Vec::new() };
    comparison.interfaces();
    comparison.definitions();
    comparison.classes();
    comparison.add_layout_changes();
    if budget.is_spent() {
        let description = format!(
            "not compared completely: the types of the files need more than {STEPS_MAX} steps"
        );
        comparison.add("description", description, false, None);
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
    old: TypeResolver<'d>,
    new: TypeResolver<'d>,
    uses: TypeDirections,
    changes: Vec<Change>,
    layout_changes: Vec<layouts::LayoutChange>,
}

impl Comparison<'_> {
    fn add(
        &mut self,
        name: impl ToString,
        description: impl ToString,
        is_compatible: bool,
        gained_authority: Option<String>,
    ) {
        let (name, description) = (name.to_string(), description.to_string());
        self.changes.push(Change { name, description, is_compatible, gained_authority });
    }
}
