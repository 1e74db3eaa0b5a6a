//! Compares those parts of the COM layouts in two `.idl` files that Rust types don't express.

use std::collections::{HashMap, HashSet};

use super::Comparison;
use syshandle_model::Layout;

/// A change of the COM layout of a method or type.
pub(super) struct LayoutChange {
    name: String,
    description: String,
    /// The name of a reported change of the method's result. If set, that change already covers
    /// this one.
    result: Option<String>,
    /// The change of access rights, if the rights are the only difference.
    rights: Option<RightsChange>,
}

/// The change in the Windows access rights that a handle keeps when it is sent.
struct RightsChange {
    gained: u32,
    lost: u32,
}

impl RightsChange {
    fn between(old: Option<u32>, new: Option<u32>) -> Self {
        let (old, new) = (old.unwrap_or(u32::MAX), new.unwrap_or(u32::MAX));
        Self { gained: new & !old, lost: old & !new }
    }
}

/// Formats access rights for a message.
fn rights(mask: Option<u32>) -> String {
    mask.map_or("all of the sender's".to_owned(), |mask| format!("{mask:#x}"))
}

fn layout_description(before: &str, after: &str) -> String {
    if before == after {
        return "COM layout changed: a parameter that it refers to has moved".to_owned();
    }
    format!("COM layout changed from `{before}` to `{after}`")
}

impl Comparison<'_> {
    /// Compares the layouts of a method or type. Members that exist on one side only are skipped
    /// here, because they are compared as parameters or fields.
    pub(super) fn layouts(&mut self, path: &str, old: &str, new: &str) {
        let (before, after) = (self.old.description(), self.new.description());
        let (Some(before), Some(after)) = (before.layouts.get(old), after.layouts.get(new)) else {
            return;
        };
        let known: HashMap<&str, &Layout> =
            before.iter().map(|layout| (layout.name.as_str(), layout)).collect();
        let is_same_count = before.len() == after.len();
        for (at, layout) in after.iter().enumerate() {
            // The member with the same name, or else the one in the same position.
            let same_place = before.get(at).filter(|_| is_same_count);
            let Some(known) = known.get(layout.name.as_str()).copied().or(same_place) else {
                continue;
            };
            let part = layout.name.trim_end_matches('_');
            let name = match part.is_empty() {
                true => path.to_owned(),
                false => format!("{path}::{part}"),
            };
            let result = layout.is_out.then(|| format!("{path}::result"));
            if known.key != layout.key {
                let description = layout_description(&known.text, &layout.text);
                self.layout_changes.push(LayoutChange { name, description, result, rights: None });
            } else if known.mask != layout.mask {
                let (before, after) = (rights(known.mask), rights(layout.mask));
                let description =
                    format!("access rights of Windows changed from {before} to {after}");
                let rights = Some(RightsChange::between(known.mask, layout.mask));
                self.layout_changes.push(LayoutChange { name, description, result, rights });
            }
        }
    }

    /// Reports added or removed parameters that don't exist in the Rust method, such as the length
    /// of a list.
    pub(super) fn hidden_parts(&mut self, path: &str, old: &str, new: &str) {
        let (before, after) = (self.old.description(), self.new.description());
        let (Some(before), Some(after)) = (before.layouts.get(old), after.layouts.get(new)) else {
            return;
        };
        if before.len() != after.len() {
            let count = |list: &[Layout]| format!("{} parameters", list.len());
            let description = layout_description(&count(before), &count(after));
            self.layout_changes.push(LayoutChange {
                name: path.to_owned(),
                description,
                result: None,
                rights: None,
            });
        }
    }

    /// Reports the layout changes, except where a change of the wire format has already been
    /// reported for the same element.
    pub(super) fn add_layout_changes(&mut self) {
        let broken: HashSet<String> = self
            .changes
            .iter()
            .filter(|change| !change.is_compatible)
            .map(|change| change.name.clone())
            .collect();
        let is_reported = |name: &str| {
            broken.contains(name)
                || broken.iter().any(|known| {
                    known.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"))
                })
        };
        let all: HashSet<String> = self.changes.iter().map(|change| change.name.clone()).collect();
        for LayoutChange { name, description, result, rights } in
            std::mem::take(&mut self.layout_changes)
        {
            match rights {
                // Rights that have a name in Rust are compared as part of the type.
                Some(_)
                    if all.contains(&name)
                        || result.as_ref().is_some_and(|of| all.contains(of)) => {}
                Some(RightsChange { gained, lost }) => {
                    let gained_authority = (gained != 0)
                        .then(|| format!("access rights {gained:#x} of Windows (to its receiver)"));
                    self.add(name, description, lost == 0, gained_authority);
                }
                None if is_reported(&name)
                    || result.as_ref().is_some_and(|of| broken.contains(of)) => {}
                None => self.add(name, description, false, None),
            }
        }
    }
}
