//! Compares the fields of structs that can grow.

use quote::ToTokens;

use super::Comparison;
use super::align::match_name;
use super::form::Form;
use super::values::with_receiver;
use crate::directions::Directions;
use syshandle_model::{Added, Field, Parameter};

impl Comparison<'_> {
    /// Compares two versions of a growable struct. Fields may be added at the end.
    pub(super) fn growable_fields(
        &mut self,
        name: &str,
        old: &[Field],
        new: &[Field],
        directions: Directions,
    ) {
        let is_known = |field: &Field| {
            old.iter().any(|of| match_name(&of.value.name) == match_name(&field.value.name))
        };
        // The last fields that the old version doesn't have.
        let count = new.iter().skip(old.len()).rev().take_while(|field| !is_known(field)).count();
        let (common, added) = new.split_at(new.len() - count);
        let values = |fields: &[Field]| -> Vec<Parameter> {
            fields.iter().map(|field| field.value.clone()).collect()
        };
        self.list(name, &values(old), &values(common), directions);
        for (before, after) in old.iter().zip(common) {
            if match_name(&before.value.name) == match_name(&after.value.name) {
                let path = format!("{name}::{}", match_name(&after.value.name));
                self.growth(&path, before.added.as_ref(), after.added.as_ref(), directions);
            }
        }
        for field in added {
            self.added_field(name, field, directions);
        }
    }

    fn added_field(&mut self, name: &str, field: &Field, directions: Directions) {
        let path = format!("{name}::{}", match_name(&field.value.name));
        let form = self.new.value(&field.value).form;
        let gained_authority = with_receiver(self.added_authority(&form), directions);
        let Some(added) = &field.added else {
            let description = format!("added without `#[added]`: `{form}`");
            let is_unused = directions == Directions::default();
            self.add(path, description, is_unused, gained_authority);
            return;
        };
        let required = if added.is_required { "required and " } else { "" };
        let holds_handles = gained_authority.is_some();
        self.add(&path, format!("{required}added: `{form}`"), true, gained_authority);
        if !added.is_required && limits(&match_name(&field.value.name)) {
            self.warn("an old receiver ignores this limit: write `#[added(required)]`");
        } else if directions.is_out && (holds_handles || added.is_required) {
            let what = if added.is_required { "sets this field" } else { "has this handle" };
            self.warn(&format!("an old client can't receive a result that {what}"));
        }
    }

    /// Compares the attributes `#[added]` of two versions of a field.
    fn growth(
        &mut self,
        path: &str,
        old: Option<&Added>,
        new: Option<&Added>,
        directions: Directions,
    ) {
        match (old, new) {
            (None, None) => {}
            (None, Some(_)) => self.add(path, "became `#[added]`", true, None),
            (Some(_), None) => {
                let is_unused = directions == Directions::default();
                let description = "is no longer `#[added]`: values of older versions lack it";
                self.add(path, description, is_unused, None);
            }
            (Some(before), Some(after)) => {
                match (before.is_required, after.is_required) {
                    (false, true) => self.add(path, "became required", true, None),
                    (true, false) => {
                        self.add(path, "is no longer required", true, None);
                        self.warn("receivers that don't know the field ignore it");
                    }
                    _ => {}
                }
                let text = |of: &Added| of.default.to_token_stream().to_string();
                let (before, after) = (text(before), text(after));
                if before != after {
                    let text = |text: &str| match text {
                        "" => "that of its type".to_owned(),
                        text => format!("`{text}`"),
                    };
                    let (before, after) = (text(&before), text(&after));
                    let description = format!("default changed from {before} to {after}");
                    self.add(path, description, true, None);
                }
            }
        }
    }

    /// Warns about an added variant that old clients can't receive.
    pub(super) fn warn_of_handles(&mut self, fields: &[Parameter], directions: Directions) {
        let forms: Vec<Form> = fields.iter().map(|field| self.new.value(field).form).collect();
        let holds_handles = forms.iter().any(|form| self.added_authority(form).is_some());
        if directions.is_out && holds_handles {
            self.warn("an old client can't receive a result with this variant");
        }
    }

    /// Adds a warning to the last change.
    pub(super) fn warn(&mut self, text: &str) {
        if let Some(last) = self.changes.last_mut() {
            last.warning = Some(text.to_owned());
        }
    }
}

/// Returns whether a name says that its field limits something. A receiver that ignores such a field
/// does more than the sender permits.
fn limits(name: &str) -> bool {
    name.split('_').any(|word| LIMITING_WORDS.contains(&word))
}

/// Words in the names of fields that limit something.
const LIMITING_WORDS: [&str; 18] = [
    "deadline", "deny", "denied", "except", "exclude", "expires", "forbid", "limit", "max",
    "maximum", "min", "minimum", "must", "only", "quota", "require", "restrict", "timeout",
];
