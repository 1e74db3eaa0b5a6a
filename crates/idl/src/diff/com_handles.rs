//! Finds added handles that change the COM signature of a method.
//!
//! A method whose arguments or results grow is opaque in COM: it passes the handles of each kind in
//! an array of their own, in each direction (`docs/windows.md`). So a handle of a kind that a method
//! has not passed in this direction adds an array, although the wire format can grow.

use std::collections::BTreeSet;

use syshandle_model::{DefinitionKind, Method};

use super::Comparison;
use super::form::{Capability, Form, TypeResolver};
use crate::directions::Directions;
use crate::layout::midl_kind;

impl Comparison<'_> {
    /// Warns about a method whose COM signature differs because of an added field or variant.
    pub(super) fn com_handles(&mut self, path: &str, old: &Method, new: &Method) {
        for (directions, values) in [(Directions::IN, "arguments"), (Directions::OUT, "results")] {
            let before = kinds(&self.old.search(&forms(self.old, old, directions)).found);
            let after = self.new.search(&forms(self.new, new, directions));
            let added: Vec<Form> =
                after.definitions().into_iter().flat_map(|name| self.added_forms(name)).collect();
            let added = kinds(&self.new.search(&added).found);
            // A handle of any kind is passed in one of the arrays of all kinds.
            let added: Vec<&str> = match before.contains(ANY) {
                true => Vec::new(),
                false => added.difference(&before).map(String::as_str).collect(),
            };
            if !added.is_empty() {
                let added = added.join(", ");
                let description =
                    format!("the {values} can have handles of another kind in COM: {added}");
                self.add(path, description, true, None);
                self.warn("the COM signature changed: peers that use COM need the same version");
            }
        }
    }

    /// Returns the wire formats of the fields that a type has gained, and of the fields in variants
    /// that it has gained.
    fn added_forms(&self, name: &str) -> Vec<Form> {
        let (Some(old), Some(new)) = (self.old.definition(name), self.new.definition(name)) else {
            return Vec::new();
        };
        match (&old.kind, &new.kind) {
            // An added field of another struct breaks all peers.
            (DefinitionKind::Struct(before), DefinitionKind::Struct(after))
                if old.grows && new.grows =>
            {
                let added = after.iter().skip(before.len());
                added.map(|field| self.new.value(&field.value).form).collect()
            }
            (DefinitionKind::Enum(before), DefinitionKind::Enum(after)) => {
                let is_known = |name: &proc_macro2::Ident| before.iter().any(|of| of.name == *name);
                let added = after.iter().filter(|variant| !is_known(&variant.name));
                added.flat_map(|of| &of.fields).map(|of| self.new.value(of).form).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Returns the wire formats of the values that a method passes in a direction.
fn forms(types: TypeResolver<'_>, method: &Method, directions: Directions) -> Vec<Form> {
    if directions == Directions::IN {
        return method.parameters.iter().map(|of| types.value(of).form).collect();
    }
    let error = method.error.as_ref().map(|error| types.form(error, None));
    let result = types.form(&method.result, method.result_handle.as_ref());
    [Some(result), error].into_iter().flatten().collect()
}

/// Returns the names of the arrays in which COM passes these handles. Timers can't be passed.
fn kinds(found: &[Capability]) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for capability in found {
        let Form::Handle(authority) = &capability.form else { continue };
        match authority.kinds() {
            Some(known) => kinds.extend(known.filter_map(midl_kind).map(str::to_owned)),
            None => drop(kinds.insert(ANY.to_owned())),
        }
    }
    kinds
}

/// Stands for all kinds.
const ANY: &str = "any kind";
