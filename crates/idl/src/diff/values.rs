//! Compares values: parameters, results, fields.

use std::collections::HashSet;

use super::align::{Step, align, known_as};
use super::authority::Authority;
use super::form::{Form, Given, Value};
use super::{Comparison, Ways};
use syshandle_model::DefinitionKind::{Enum, Struct};
use syshandle_model::{Parameter, Range, Variant, numbers};

/// A difference between two values.
#[derive(Debug)]
enum Difference {
    /// Handles of other kinds or with other rights.
    Handle(Box<(Authority, Authority)>),
    /// Another form on the wire.
    Bytes,
    Range(Option<Range>, Option<Range>),
}

/// The differences found so far between two values.
#[derive(Default)]
struct Search {
    found: Vec<Difference>,
    /// Pairs of types with different names whose parts have not been compared yet.
    open: Vec<(String, String)>,
    seen: HashSet<(String, String)>,
}

impl Search {
    fn add(&mut self, difference: Difference) {
        // One such difference is enough, because the whole value differs.
        let is_known = matches!(difference, Difference::Bytes)
            && self.found.iter().any(|known| matches!(known, Difference::Bytes));
        if !is_known {
            self.found.push(difference);
        }
    }
}

impl Comparison<'_> {
    /// Compares two lists of parameters or fields, whose members must match.
    pub(super) fn list(&mut self, path: &str, old: &[Parameter], new: &[Parameter], ways: Ways) {
        let names = |list: &[Parameter]| -> Vec<String> {
            list.iter().map(|parameter| known_as(&parameter.name)).collect()
        };
        let is_unused = ways == Ways::default();
        for step in align(&names(old), &names(new)) {
            match step {
                Step::Kept { old: before, new: at } => {
                    let path = format!("{path}::{}", known_as(&new[at].name));
                    self.value(&path, &old[before], &new[at], ways);
                }
                Step::Replaced { old: before, new: at } => {
                    let path = format!("{path}::{}", known_as(&new[at].name));
                    self.add(
                        &path,
                        format!("renamed from `{}`", known_as(&old[before].name)),
                        true,
                        None,
                    );
                    self.value(&path, &old[before], &new[at], ways);
                }
                Step::Moved { old: before, new: at } => {
                    let path = format!("{path}::{}", known_as(&new[at].name));
                    let what = format!("moved from place {} to place {}", before + 1, at + 1);
                    let gives = self.more(&self.old.value(&old[before]), &self.new.value(&new[at]));
                    self.add(path, what, is_unused, to(gives, ways));
                }
                Step::Added { new: at } => {
                    let value = self.new.value(&new[at]);
                    let gives = self.given(&value.form);
                    let path = format!("{path}::{}", known_as(&new[at].name));
                    self.add(path, format!("added: `{}`", value.form), is_unused, to(gives, ways));
                }
                Step::Removed { old: before } => {
                    self.add(
                        format!("{path}::{}", known_as(&old[before].name)),
                        "removed",
                        is_unused,
                        None,
                    );
                }
            }
        }
    }

    /// Compares a parameter or a field.
    pub(super) fn value(&mut self, path: &str, old: &Parameter, new: &Parameter, ways: Ways) {
        self.compared(path, &self.old.value(old), &self.new.value(new), ways);
    }

    pub(super) fn compared(&mut self, path: &str, old: &Value, new: &Value, ways: Ways) {
        let mut search = Search::default();
        self.differences(old, new, &mut search);
        while let Some((old, new)) = search.open.pop() {
            self.defined_differences(&old, &new, &mut search);
        }
        let found = search.found;
        if found.iter().any(|difference| matches!(difference, Difference::Bytes)) {
            let (before, after) = (old.form.to_string(), new.form.to_string());
            let what = match before == after {
                false => format!("type changed from `{before}` to `{after}`"),
                true => format!("what `{after}` stands for changed"),
            };
            self.add(path, what, ways == Ways::default(), to(self.more(old, new), ways));
            return;
        }
        for difference in found {
            let (what, takes, fits, gives) = match &difference {
                Difference::Handle(both) => {
                    let (before, after) = &**both;
                    (
                        format!("declares {after} instead of {before}"),
                        after.takes(before),
                        before.takes(after),
                        after.more_than(before),
                    )
                }
                Difference::Range(before, after) => (
                    format!("takes {} instead of {}", told(after), told(before)),
                    contains(*after, *before),
                    contains(*before, *after),
                    (!contains(*before, *after)).then(|| format!("limit {}", told(after))),
                ),
                Difference::Bytes => continue,
            };
            // An old client must accept the new server's result, and a new client the old server's.
            let is_compatible = (!ways.is_in || takes) && (!ways.is_out || takes && fits);
            self.add(path, what, is_compatible, to(gives, ways));
        }
    }

    /// Finds the differences between two values at any depth. Two types with the same name are
    /// compared separately.
    fn differences(&self, old: &Value, new: &Value, search: &mut Search) {
        if old.range != new.range {
            search.add(Difference::Range(old.range, new.range));
        }
        self.form_differences(&old.form, &new.form, search);
    }

    fn form_differences(&self, old: &Form, new: &Form, search: &mut Search) {
        if !self.new.spend(1) {
            return;
        }
        match (old, new) {
            (Form::Handle(before), Form::Handle(after)) => {
                if before != after {
                    search.add(Difference::Handle(Box::new((before.clone(), after.clone()))));
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
                    search.add(Difference::Bytes);
                }
            }
            (Form::List(before), Form::List(after))
            | (Form::Optional(before), Form::Optional(after)) => {
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
                    search
                        .add(Difference::Handle(Box::new((any(old_declared), any(new_declared)))));
                }
                let pair = (before.clone(), after.clone());
                if before != after && search.seen.insert(pair.clone()) {
                    search.open.push(pair);
                }
            }
            // The fields of a struct have the form of the members of a tuple.
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
            _ => search.add(Difference::Bytes),
        }
    }

    /// Compares two types with different names. They are equal if their parts are.
    fn defined_differences(&self, old: &str, new: &str, search: &mut Search) {
        let kinds = (
            self.old.definition(old).map(|of| &of.kind),
            self.new.definition(new).map(|of| &of.kind),
        );
        let is_alike = match kinds {
            (Some(Struct(before)), Some(Struct(after))) => before.len() == after.len(),
            (Some(Enum(before)), Some(Enum(after))) => {
                let counts = |list: &[Variant]| -> Vec<(usize, i64)> {
                    let fields = list.iter().map(|variant| variant.fields.len());
                    fields.zip(numbers(list)).collect()
                };
                counts(before) == counts(after)
            }
            _ => false,
        };
        if !is_alike {
            search.add(Difference::Bytes);
            return;
        }
        for (before, after) in self.old.parts(old).iter().zip(self.new.parts(new).iter()) {
            self.differences(before, after, search);
        }
    }

    /// Returns the authority that a value gives its receiver and didn't give before.
    fn more(&self, old: &Value, new: &Value) -> Option<String> {
        if let (Form::Array(before, old_length), Form::Array(after, new_length)) =
            (&old.form, &new.form)
            && before == after
            && new_length > old_length
        {
            return Some(format!("limit: {new_length} instead of {old_length}"));
        }
        let before = self.old.authorities(&old.form);
        let after = self.new.authorities(&new.form);
        if !self.new.spend(before.len().saturating_mul(after.len())) {
            return None;
        }
        after.iter().find_map(|given| more_than_all(given, &before)).or_else(|| {
            (old.range != new.range && !contains(old.range, new.range))
                .then(|| format!("limit {}", told(&new.range)))
        })
    }

    /// Returns the authority that an added value gives.
    pub(super) fn given(&self, form: &Form) -> Option<String> {
        self.new.authorities(form).first().map(ToString::to_string)
    }
}

/// Returns the authority of a handle beyond the authority of all known handles.
fn more_than_all(given: &Given, before: &[Given]) -> Option<String> {
    let mut least = None;
    for known in before {
        let more = match (&known.what, &given.what) {
            (Form::Handle(before), Form::Handle(after)) => after.more_than(before),
            (before, after) if before == after => None,
            _ => continue,
        };
        match more {
            None if given.many && !known.many => least = Some(given.to_string()),
            None => return None,
            more => least = least.or(more),
        }
    }
    Some(least.unwrap_or_else(|| given.to_string()))
}

/// Appends the receiver to a text about authority.
pub(super) fn to(gives: Option<String>, ways: Ways) -> Option<String> {
    gives.map(|gives| format!("{gives} (to {})", ways.receiver()))
}

/// Returns whether the first range contains the second. `None` is unlimited.
fn contains(outer: Option<Range>, inner: Option<Range>) -> bool {
    match (outer, inner) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => outer.from <= inner.from && inner.to <= outer.to,
    }
}

fn told(range: &Option<Range>) -> String {
    range.map_or("anything".to_owned(), |range| range.to_string())
}
