//! Finds methods whose COM layout in Rust differs from the layout that the file declares.

use std::collections::HashSet;

use super::state::{LoweringState, MethodLayout};
use crate::front::Span;
use crate::front::diagnostic::{Diagnostic, did_you_mean, quoted};
use crate::front::report::Options;
use crate::layout::{TraitTables, compare};
use syshandle_model::{Description, Method};

impl LoweringState {
    /// Marks the methods whose layout differs. Reports them unless the interface is private.
    pub(super) fn mark_layout_differences(
        &mut self,
        description: &mut Description,
        options: &Options,
    ) {
        let tables = TraitTables::of(description);
        let found: Vec<Vec<_>> = description
            .interfaces
            .iter()
            .map(|interface| {
                let declared = self.layouts.get(&interface.name.to_string());
                let declared = declared.map_or(&[][..], |declared| declared);
                let methods = interface.methods.iter().enumerate();
                methods
                    .map(|(at, method)| layout_difference(declared.get(at), at, method, &tables))
                    .collect()
            })
            .collect();
        for (interface, found) in description.interfaces.iter_mut().zip(found) {
            let mut is_first = true;
            for (method, found) in interface.methods.iter_mut().zip(found) {
                let Some(MethodDifference { name, span, reason, .. }) = found else { continue };
                if !interface.is_private {
                    let message = format!(
                        "the COM layout of method {} differs in Rust: {reason}",
                        quoted(&name)
                    );
                    let diagnostic = match options.deny_layouts {
                        true => Diagnostic::error(span, message),
                        false => Diagnostic::warning(span, message),
                    };
                    let hint = is_first.then(|| HINT.to_owned());
                    self.diagnostics.push_always(diagnostic.hint_if(hint));
                    is_first = false;
                }
                method.differs = Some(reason);
            }
        }
    }

    /// Reports private interfaces in the options that don't exist.
    pub(super) fn report_unknown_private(
        &mut self,
        private: &[String],
        interfaces: &HashSet<String>,
    ) {
        for name in private.iter().filter(|name| !self.found_private.contains(*name)) {
            let message = format!("the private interface {} doesn't exist", quoted(name));
            let hint = did_you_mean(name, interfaces.iter().map(String::as_str));
            self.diagnostics.push(Diagnostic::without_place(message).hint_if(hint));
        }
    }

    /// Reports flag enums in the options that don't exist.
    pub(super) fn report_unknown_flags(&mut self, flags: &[String], enums: &HashSet<String>) {
        for name in flags.iter().filter(|name| !enums.contains(*name)) {
            let message = format!("the flags enum {} doesn't exist", quoted(name));
            let hint = did_you_mean(name, enums.iter().map(String::as_str));
            self.diagnostics.push(Diagnostic::without_place(message).hint_if(hint));
        }
    }
}

/// The difference between the two layouts of a method.
pub(crate) struct MethodDifference {
    pub(crate) name: String,
    span: Span,
    pub(crate) reason: String,
    pub(crate) is_mask: bool,
}

/// Returns the difference between the layout that a file declares for a method and the layout of
/// its trait, if any.
pub(crate) fn layout_difference(
    declared: Option<&MethodLayout>,
    at: usize,
    method: &Method,
    tables: &TraitTables<'_>,
) -> Option<MethodDifference> {
    let declared = declared?;
    let mut reasons = declared.reasons.clone();
    let number = at + FIRST_METHOD;
    if declared.number != number && declared.number != usize::MAX {
        let what = format!(
            "its vtable index is {} in the file and {number} in the trait",
            declared.number
        );
        reasons.push((declared.span, what));
    }
    if declared.reasons.is_empty() {
        match tables.slots(method) {
            Err(why) => {
                let what = format!("the trait passes its values as opaque bytes: {why}");
                reasons.push((declared.span, what));
            }
            Ok(slots) => {
                for (place, what) in compare(&declared.slots, &slots) {
                    let place = place.and_then(|place| declared.slot_parameters.get(place));
                    reasons.push(match place {
                        Some((name, span)) => (*span, format!("parameter `{name}`: {what}")),
                        None => (declared.span, what),
                    });
                }
            }
        }
    }
    let is_mask = reasons.is_empty();
    reasons.extend(declared.masks.iter().cloned());
    let &(span, _) = reasons.first()?;
    let mut texts: Vec<String> = reasons.into_iter().map(|(_, text)| text).collect();
    texts.dedup();
    Some(MethodDifference { name: declared.name.clone(), span, reason: texts.join("; "), is_mask })
}

/// The vtable index of an interface's first own method, after the three methods of `IUnknown`.
const FIRST_METHOD: usize = 3;

const HINT: &str = "programs in C or C++ that use the header of this file can't call such a method \
                    through syshandle's tables. If all callers and servers use syshandle, declare the \
                    interface private (`--private NAME`, `Build::private`)";
