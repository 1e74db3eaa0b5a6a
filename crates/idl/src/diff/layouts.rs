//! Compares the COM layouts that two `.idl` files declare, as far as Rust's types don't say them.

use std::collections::{HashMap, HashSet};

use super::Comparison;
use crate::model::Layout;

/// A change of the COM layout of a method or a type.
pub(super) struct LayoutChange {
    name: String,
    what: String,
    /// The name of the change of the method's result that this one would be a part of.
    result: Option<String>,
}

fn what(before: &str, after: &str) -> String {
    if before == after {
        return "COM layout changed: a parameter that it names is in another place".to_owned();
    }
    format!("COM layout changed from `{before}` to `{after}`")
}

impl Comparison<'_> {
    /// Compares the layouts of a method or a type. Parts that one side lacks are compared as
    /// parameters or fields.
    pub(super) fn layouts(&mut self, path: &str, old: &str, new: &str) {
        let (before, after) = (self.old.description(), self.new.description());
        let (Some(before), Some(after)) = (before.layouts.get(old), after.layouts.get(new)) else {
            return;
        };
        let known: HashMap<&str, &Layout> =
            before.iter().map(|layout| (layout.name.as_str(), layout)).collect();
        let is_same_count = before.len() == after.len();
        for (at, layout) in after.iter().enumerate() {
            // A part with another name in the same place, or the part with this name.
            let same_place = before.get(at).filter(|_| is_same_count);
            let Some(known) = known.get(layout.name.as_str()).copied().or(same_place) else {
                continue;
            };
            if known.key != layout.key {
                let part = layout.name.trim_end_matches('_');
                let name = match part.is_empty() {
                    true => path.to_owned(),
                    false => format!("{path}::{part}"),
                };
                let result = layout.is_out.then(|| format!("{path}::result"));
                let what = what(&known.text, &layout.text);
                self.layout_changes.push(LayoutChange { name, what, result });
            }
        }
    }

    /// Finds parameters that came or went and that Rust doesn't show, such as the length of a list.
    pub(super) fn hidden_parts(&mut self, path: &str, old: &str, new: &str) {
        let (before, after) = (self.old.description(), self.new.description());
        if let (Some(before), Some(after)) = (before.layouts.get(old), after.layouts.get(new))
            && before.len() != after.len()
        {
            let count = |list: &[Layout]| format!("{} parameters", list.len());
            let what = what(&count(before), &count(after));
            self.layout_changes.push(LayoutChange { name: path.to_owned(), what, result: None });
        }
    }

    /// Adds the changes of layouts, unless syshandle's wire changed in the same place as well.
    pub(super) fn add_layout_changes(&mut self) {
        let broken: HashSet<String> = self
            .changes
            .iter()
            .filter(|change| !change.is_compatible)
            .map(|change| change.name.clone())
            .collect();
        let is_told = |name: &str| {
            broken.contains(name)
                || broken.iter().any(|known| {
                    known.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"))
                })
        };
        for LayoutChange { name, what, result } in std::mem::take(&mut self.layout_changes) {
            if !is_told(&name) && !result.is_some_and(|result| broken.contains(&result)) {
                self.add(name, what, false, None);
            }
        }
    }
}
