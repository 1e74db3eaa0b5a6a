//! Compares values: parameters, results and fields.

use std::collections::HashSet;

use super::align::{Step, align, match_name};
use super::authority::Authority;
use super::form::{Capability, Form, ValueForm};
use super::{ComPart, Comparison};
use crate::directions::Directions;
use syshandle_model::DefinitionKind::{Enum, Struct};
use syshandle_model::{Definition, Parameter, Range, Variant, discriminants};
use syshandle_types::describe::compatibility::Change;

/// A difference between two values.
#[derive(Debug)]
enum ValueDifference {
    /// The handle's kinds or rights differ.
    Handle(Box<(Authority, Authority)>),
    /// The wire format differs.
    Bytes,
    Range(Option<Range>, Option<Range>),
    /// One version is a list and the other a set, which has no item twice. Whether the new one is
    /// the set.
    Set(bool),
}

/// The differences found so far between two values.
#[derive(Default)]
struct ValueComparison {
    found: Vec<ValueDifference>,
    /// Pairs of types with different names whose members remain to be compared.
    open: Vec<(String, String)>,
    seen: HashSet<(String, String)>,
}

impl ValueComparison {
    fn add(&mut self, difference: ValueDifference) {
        // A difference in the wire format is added only once, because it makes the whole value
        // different.
        let is_known = matches!(difference, ValueDifference::Bytes)
            && self.found.iter().any(|known| matches!(known, ValueDifference::Bytes));
        if !is_known {
            self.found.push(difference);
        }
    }
}

impl Comparison<'_> {
    /// Compares two lists of parameters or fields. Each member must have a match in the other list.
    pub(super) fn list(
        &mut self,
        path: &str,
        old: &[Parameter],
        new: &[Parameter],
        directions: Directions,
    ) {
        let names = |list: &[Parameter]| -> Vec<String> {
            list.iter().map(|parameter| match_name(&parameter.name)).collect()
        };
        let is_unused = directions == Directions::default();
        // The added fields of types that can grow are not in the lists.
        let one_sided = Change::Member { grows: false, is_needed: true };
        for step in align(&names(old), &names(new)) {
            match step {
                Step::Kept { old: before, new: at } => {
                    let path = format!("{path}::{}", match_name(&new[at].name));
                    self.value(&path, &old[before], &new[at], directions);
                }
                Step::Replaced { old: before, new: at } => {
                    let path = format!("{path}::{}", match_name(&new[at].name));
                    self.add(
                        &path,
                        format!("renamed from `{}`", match_name(&old[before].name)),
                        true,
                        None,
                    );
                    self.value(&path, &old[before], &new[at], directions);
                }
                Step::Moved { old: before, new: at } => {
                    let path = format!("{path}::{}", match_name(&new[at].name));
                    let description =
                        format!("moved from position {} to position {}", before + 1, at + 1);
                    let gained_authority = self
                        .gained_authority(&self.old.value(&old[before]), &self.new.value(&new[at]));
                    self.add(
                        path,
                        description,
                        is_unused || Change::Place.is_compatible(),
                        with_receiver(gained_authority, directions),
                    );
                }
                Step::Added { new: at } => {
                    let value = self.new.value(&new[at]);
                    let gained_authority = self.added_authority(&value.form);
                    let path = format!("{path}::{}", match_name(&new[at].name));
                    self.add(
                        path,
                        format!("added: `{}`", value.form),
                        is_unused || one_sided.is_compatible(),
                        with_receiver(gained_authority, directions),
                    );
                    self.warn_of_com(ComPart::Member);
                }
                Step::Removed { old: before } => {
                    self.add(
                        format!("{path}::{}", match_name(&old[before].name)),
                        "removed",
                        is_unused || one_sided.is_compatible(),
                        None,
                    );
                }
            }
        }
    }

    /// Compares two versions of a parameter or field.
    pub(super) fn value(
        &mut self,
        path: &str,
        old: &Parameter,
        new: &Parameter,
        directions: Directions,
    ) {
        self.compare_values(path, &self.old.value(old), &self.new.value(new), directions);
    }

    pub(super) fn compare_values(
        &mut self,
        path: &str,
        old: &ValueForm,
        new: &ValueForm,
        directions: Directions,
    ) {
        let mut search = ValueComparison::default();
        self.differences(old, new, &mut search);
        while let Some((old, new)) = search.open.pop() {
            self.defined_differences(&old, &new, &mut search);
        }
        let found = search.found;
        if found.iter().any(|difference| matches!(difference, ValueDifference::Bytes)) {
            let (before, after) = (old.form.to_string(), new.form.to_string());
            let description = match before == after {
                false => format!("type changed from `{before}` to `{after}`"),
                true => format!("the definition of `{after}` changed"),
            };
            self.add(
                path,
                description,
                directions == Directions::default(),
                with_receiver(self.gained_authority(old, new), directions),
            );
            return;
        }
        for difference in found {
            let (description, takes, fits, gained_authority) = match &difference {
                ValueDifference::Handle(both) => {
                    let (before, after) = &**both;
                    (
                        format!("declares {after} instead of {before}"),
                        after.accepts(before),
                        before.accepts(after),
                        after.more_than(before),
                    )
                }
                ValueDifference::Range(before, after) => (
                    format!("takes {} instead of {}", range_text(after), range_text(before)),
                    contains(*after, *before),
                    contains(*before, *after),
                    (!contains(*before, *after)).then(|| format!("limit {}", range_text(after))),
                ),
                ValueDifference::Set(true) => {
                    ("takes no item twice any more".to_owned(), false, true, None)
                }
                ValueDifference::Set(false) => {
                    ("takes an item twice".to_owned(), true, false, None)
                }
                ValueDifference::Bytes => continue,
            };
            // The result must be readable in both combinations: old client with new server, and new
            // client with old server.
            let is_compatible =
                (!directions.is_in || takes) && (!directions.is_out || takes && fits);
            self.add(path, description, is_compatible, with_receiver(gained_authority, directions));
        }
    }

    /// Finds the differences between two values, including nested ones. Two types with the same
    /// name are skipped, because types are compared separately.
    fn differences(&self, old: &ValueForm, new: &ValueForm, search: &mut ValueComparison) {
        if old.range != new.range {
            search.add(ValueDifference::Range(old.range, new.range));
        }
        self.form_differences(&old.form, &new.form, search);
    }

    fn form_differences(&self, old: &Form, new: &Form, search: &mut ValueComparison) {
        if !self.new.spend(1) {
            return;
        }
        match (old, new) {
            (Form::Handle(before), Form::Handle(after)) => {
                if before != after {
                    search.add(ValueDifference::Handle(Box::new((before.clone(), after.clone()))));
                }
            }
            (
                Form::Object { name: before, iid: old_iid },
                Form::Object { name: after, iid: new_iid },
            ) => {
                let is_same = match (old_iid, new_iid) {
                    (Some(before), Some(after)) => before == after,
                    _ => before == after,
                };
                if !is_same {
                    search.add(ValueDifference::Bytes);
                }
            }
            (Form::List(before), Form::Set(after)) | (Form::Set(before), Form::List(after)) => {
                search.add(ValueDifference::Set(matches!(new, Form::Set(_))));
                self.form_differences(before, after, search);
            }
            (Form::List(before), Form::List(after))
            | (Form::Set(before), Form::Set(after))
            | (Form::Optional(before), Form::Optional(after))
            | (Form::Stream(before), Form::Stream(after)) => {
                self.form_differences(before, after, search);
            }
            (Form::Array(before, old_length), Form::Array(after, new_length))
                if old_length == new_length =>
            {
                self.form_differences(before, after, search);
            }
            (Form::Map(old_key, old_value), Form::Map(new_key, new_value))
            | (Form::Outcome(old_key, old_value), Form::Outcome(new_key, new_value)) => {
                self.form_differences(old_key, new_key, search);
                self.form_differences(old_value, new_value, search);
            }
            (Form::Tuple(before), Form::Tuple(after)) if before.len() == after.len() => {
                for (before, after) in before.iter().zip(after) {
                    self.form_differences(before, after, search);
                }
            }
            (Form::Defined(before, old_declared), Form::Defined(after, new_declared)) => {
                if old_declared != new_declared && !self.new.authorities(new).is_empty() {
                    let any = |of: &Option<Authority>| of.clone().unwrap_or_else(Authority::any);
                    search.add(ValueDifference::Handle(Box::new((
                        any(old_declared),
                        any(new_declared),
                    ))));
                }
                let pair = (before.clone(), after.clone());
                if before != after && search.seen.insert(pair.clone()) {
                    search.open.push(pair);
                }
            }
            // A struct has the same wire format as a tuple of its fields.
            (Form::Tuple(items), Form::Defined(name, _))
                if self.new.is_struct(name, items.len()) =>
            {
                for (before, after) in items.iter().zip(self.new.parts(name).iter()) {
                    self.form_differences(before, &after.form, search);
                }
            }
            (Form::Defined(name, _), Form::Tuple(items))
                if self.old.is_struct(name, items.len()) =>
            {
                for (before, after) in self.old.parts(name).iter().zip(items) {
                    self.form_differences(&before.form, after, search);
                }
            }
            (before, after) if before == after => {}
            _ => search.add(ValueDifference::Bytes),
        }
    }

    /// Compares two types with different names. They are equal if all their members are equal.
    fn defined_differences(&self, old: &str, new: &str, search: &mut ValueComparison) {
        let (before, after) = (self.old.definition(old), self.new.definition(new));
        let grow = |of: Option<&Definition>| of.is_some_and(|of| of.grows);
        let kinds = (before.map(|of| &of.kind), after.map(|of| &of.kind));
        let is_alike = match kinds {
            (Some(Struct(before)), Some(Struct(after))) => before.len() == after.len(),
            (Some(Enum(before)), Some(Enum(after))) => {
                let counts = |list: &[Variant]| -> Vec<(usize, i64)> {
                    let fields = list.iter().map(|variant| variant.fields.len());
                    fields.zip(discriminants(list)).collect()
                };
                counts(before) == counts(after)
            }
            _ => false,
        };
        if !is_alike || grow(before) != grow(after) {
            search.add(ValueDifference::Bytes);
            return;
        }
        for (before, after) in self.old.parts(old).iter().zip(self.new.parts(new).iter()) {
            self.differences(before, after, search);
        }
    }

    /// Describes the authority that the new version of a value gives its receiver in addition to
    /// the old one, if any.
    fn gained_authority(&self, old: &ValueForm, new: &ValueForm) -> Option<String> {
        match (&old.form, &new.form) {
            (Form::Array(before, old_length), Form::Array(after, new_length))
                if before == after && new_length > old_length =>
            {
                return Some(format!("limit: {new_length} instead of {old_length}"));
            }
            _ => {}
        }
        let before = self.old.authorities(&old.form);
        let after = self.new.authorities(&new.form);
        if !self.new.spend(before.len().saturating_mul(after.len())) {
            return None;
        }
        after.iter().find_map(|capability| gain_over_all(capability, &before)).or_else(|| {
            (old.range != new.range && !contains(old.range, new.range))
                .then(|| format!("limit {}", range_text(&new.range)))
        })
    }

    /// Describes the authority that an added value gives, if any.
    pub(super) fn added_authority(&self, form: &Form) -> Option<String> {
        self.new.authorities(form).first().map(ToString::to_string)
    }
}

/// Describes the authority that a handle has beyond each of the known handles, if any.
fn gain_over_all(capability: &Capability, before: &[Capability]) -> Option<String> {
    let mut least = None;
    for known in before {
        let more = match (&known.form, &capability.form) {
            (Form::Handle(before), Form::Handle(after)) => after.more_than(before),
            (before, after) if before == after => None,
            _ => continue,
        };
        match more {
            None if capability.many && !known.many => least = Some(capability.to_string()),
            None => return None,
            more => least = least.or(more),
        }
    }
    Some(least.unwrap_or_else(|| capability.to_string()))
}

/// Appends the receiver to a description of authority.
pub(super) fn with_receiver(
    gained_authority: Option<String>,
    directions: Directions,
) -> Option<String> {
    gained_authority
        .map(|gained_authority| format!("{gained_authority} (to {})", directions.receiver()))
}

/// Returns whether the range `outer` contains `inner`. `None` is the unlimited range.
fn contains(outer: Option<Range>, inner: Option<Range>) -> bool {
    match (outer, inner) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => outer.from <= inner.from && inner.to <= outer.to,
    }
}

fn range_text(range: &Option<Range>) -> String {
    range.map_or("anything".to_owned(), |range| range.to_string())
}
