//! Compares two versions of a description and finds the changes that break peers built for the old
//! version.
//!
//! The module `form` resolves every type to its wire format. Changes of nested types are therefore
//! found at any depth, and a new name for the same wire format is not a change. `authority`
//! describes what a handle permits its receiver to do. `align` matches the members of two lists.
//! `values`, `interfaces`, `definitions` and `growth` compare the two descriptions. `com_handles`
//! finds a change that only COM doesn't permit.

mod align;
mod authority;
mod com_handles;
mod definitions;
mod form;
mod growth;
mod interfaces;
mod layouts;
mod values;

use std::cell::Cell;
use std::fmt;

use definitions::TypeDirections;
use form::{Index, TypeResolver};
use syshandle_model::Description;

/// A difference between two versions of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path of the changed element, such as `SparkleFinisher::finish::file`. The option
    /// `--accept` takes this path.
    pub name: String,
    /// A description of the change.
    pub description: String,
    /// Whether peers built for the old version still work. This requires that an old client works
    /// with a new server, and that an old server works with a new client that makes only calls
    /// known to the old version.
    pub is_compatible: bool,
    /// The authority over handles or objects that a peer gains, if any.
    pub gained_authority: Option<String>,
    /// Behaviour of old peers that the author may not expect, if any.
    pub warning: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers =
            if self.is_compatible { "compatible with old peers" } else { "BREAKS old peers" };
        write!(f, "{}: {} ({peers})", self.name, self.description)?;
        if let Some(gained_authority) = &self.gained_authority {
            write!(f, "\n  MORE AUTHORITY: {gained_authority}")?;
        }
        match &self.warning {
            Some(warning) => write!(f, "\n  WARNING: {warning}"),
            None => Ok(()),
        }
    }
}

/// Returns all changes from one version of a description to another, in the order of the new
/// version.
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

/// Maximum number of steps of a comparison. Without a limit, tuple aliases that contain other tuple
/// aliases several times could take exponential time. Hand-written files need a few thousand steps.
const STEPS_MAX: u64 = 500_000;

/// The number of steps of a comparison so far.
#[derive(Default)]
struct Budget(Cell<u64>);

impl Budget {
    /// Counts steps. Returns whether the total is within the limit.
    fn spend(&self, steps: usize) -> bool {
        self.0.set(self.0.get().saturating_add(steps as u64));
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.0.get() > STEPS_MAX
    }
}

/// A part of a COM interface that can't grow.
#[derive(Clone, Copy)]
enum ComPart {
    /// The list of methods.
    Method,
    /// The parameters of a method, the fields of a struct, or the variants of an enum.
    Member,
}

/// The two descriptions, and the changes found so far.
struct Comparison<'d> {
    old: TypeResolver<'d>,
    new: TypeResolver<'d>,
    uses: TypeDirections,
    changes: Vec<Change>,
    layout_changes: Vec<layouts::LayoutChange>,
}

impl Comparison<'_> {
    /// Warns that the last change concerns a part of COM that can't grow, if both descriptions come
    /// from `.idl` files.
    fn warn_of_com(&mut self, what: ComPart) {
        let is_com = |types: TypeResolver<'_>| !types.description().layouts.is_empty();
        if !is_com(self.old) || !is_com(self.new) {
            return;
        }
        let Some(last) = self.changes.last_mut() else { return };
        let warning = match what {
            ComPart::Method => {
                "a COM program can't tell an old object from a new one: declare a new interface \
                 with the method"
            }
            ComPart::Member => {
                "a COM program contains the layout, which can't grow: declare a new interface"
            }
        };
        last.warning.get_or_insert_with(|| warning.to_owned());
    }

    fn add(
        &mut self,
        name: impl ToString,
        description: impl ToString,
        is_compatible: bool,
        gained_authority: Option<String>,
    ) {
        let (name, description) = (name.to_string(), description.to_string());
        let warning = None;
        self.changes.push(Change { name, description, is_compatible, gained_authority, warning });
    }
}
