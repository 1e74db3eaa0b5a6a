//! Checks that attributes exist, apply to their declarations and have valid arguments.

use std::collections::{HashMap, HashSet};

use super::Checker;
use super::type_attributes::SIZES;
use super::unresolved::NameReference;
use crate::front::ast::{
    Argument, Attribute, AttributeName, AttributeTarget, Attributes, Expression, ExpressionKind,
};
use crate::front::constant::Environment;
use crate::front::diagnostic::{Diagnostic, Severity, did_you_mean, quoted, similar};
use crate::front::limits::{COMPARISONS_MAX, ERRORS_MAX};
use crate::front::source::Span;
use crate::front::token::Name;

/// Attributes other than [`SIZES`] whose arguments name parameters or fields.
const SIBLING_ATTRIBUTES: &[AttributeName] =
    &[AttributeName::SwitchIs, AttributeName::IidIs, AttributeName::ByteCount];

/// Attributes that may be repeated.
const REPEATABLE: &[AttributeName] = &[
    AttributeName::Activatable,
    AttributeName::Composable,
    AttributeName::Contract,
    AttributeName::Custom,
    AttributeName::Deprecated,
    AttributeName::Static,
    AttributeName::Case,
];

impl<'a> Checker<'_, 'a> {
    /// Checks the attributes of one declaration.
    pub(super) fn attributes(&mut self, attributes: &'a Attributes, target: AttributeTarget) {
        let mut first: HashMap<AttributeName, Span> = HashMap::new();
        for attribute in attributes.list() {
            let Some(known) = attribute.known else {
                self.unknown_attribute(attribute);
                continue;
            };
            if !known.fits(target) {
                let message = format!(
                    "attribute {} doesn't fit {}",
                    quoted(known.text()),
                    target.description()
                );
                self.error(Diagnostic::error(attribute.name.span, message));
                continue;
            }
            let first = first.insert(known, attribute.name.span);
            if let (Some(first), false) = (first, REPEATABLE.contains(&known)) {
                let message = format!("attribute {} is given twice", quoted(known.text()));
                self.warn(
                    Diagnostic::warning(attribute.name.span, message)
                        .related(first, "the first one"),
                );
            }
            self.arguments(known, attribute);
        }
    }

    fn unknown_attribute(&mut self, attribute: &Attribute) {
        let name = &attribute.name.name;
        let message = format!("unknown attribute {}", quoted(name));
        let known = AttributeName::ALL.iter().map(|known| known.text());
        let hint = match self.diagnostics.has_room() {
            true => did_you_mean(name, known),
            false => None,
        };
        // In the Windows Runtime, a library may declare attributes of its own.
        if self.namespace.is_empty() {
            self.error(Diagnostic::error(attribute.name.span, message).hint_if(hint));
        } else {
            self.warn(Diagnostic::warning(attribute.name.span, message).hint_if(hint));
        }
    }

    /// Checks the number and types of an attribute's arguments.
    fn arguments(&mut self, known: AttributeName, attribute: &'a Attribute) {
        let count = attribute.arguments.len();
        let (least, most) = known.syntax().counts();
        if count < least || count > most {
            let takes = match (least, most) {
                (0, 0) => "takes no arguments".to_owned(),
                (least, most) if least == most => format!("takes {}", arguments_in_words(least)),
                (least, usize::MAX) => format!("takes at least {}", arguments_in_words(least)),
                (least, most) => format!("takes {least} to {}", arguments_in_words(most)),
            };
            let message = format!("attribute {} {takes}, but has {count}", quoted(known.text()));
            self.error(Diagnostic::error(attribute.span, message));
            return;
        }
        for argument in &attribute.arguments {
            if let Argument::Type(name) = argument {
                self.type_name(name);
            }
        }
        match known {
            AttributeName::PointerDefault => self.word(attribute, &["ref", "unique", "ptr"]),
            AttributeName::MarshalingBehavior => {
                self.word(attribute, &["none", "agile", "standard"]);
            }
            AttributeName::Helpstring
            | AttributeName::Helpfile
            | AttributeName::Helpstringdll
            | AttributeName::Dllname
            | AttributeName::Annotation
            | AttributeName::Endpoint => self.strings(attribute),
            AttributeName::Id
            | AttributeName::Helpcontext
            | AttributeName::Helpstringcontext
            | AttributeName::Case => {
                for value in attribute.values() {
                    self.integer(value);
                }
            }
            AttributeName::Range => self.range(attribute),
            _ => {}
        }
    }

    fn word(&mut self, attribute: &Attribute, words: &[&str]) {
        for value in attribute.values() {
            let word = value.as_name().map_or("", |name| name);
            if words.contains(&word) {
                continue;
            }
            let message = format!(
                "attribute {} takes one of: {}",
                quoted(&attribute.name.name),
                words.join(", ")
            );
            let hint =
                similar(word, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            self.error(Diagnostic::error(value.span, message).hint_if(hint));
        }
    }

    fn strings(&mut self, attribute: &Attribute) {
        for value in attribute.values() {
            if value.as_string().is_none() {
                let message = format!("attribute {} takes a string", quoted(&attribute.name.name));
                self.error(
                    Diagnostic::error(value.span, message).hint("a string is in double quotes"),
                );
            }
        }
    }

    fn range(&mut self, attribute: &'a Attribute) {
        let bounds: Vec<_> = attribute.values().map(|value| self.integer(value)).collect();
        let [Some(low), Some(high)] = bounds[..] else { return };
        if low > high {
            let message = format!("no value is in a range from {low} to {high}");
            self.error(Diagnostic::error(attribute.span, message));
        }
    }

    /// Checks that attribute arguments name existing parameters or fields.
    pub(super) fn check_siblings(
        &mut self,
        attributes: &'a Attributes,
        own: &[&Name],
        severity: Severity,
    ) {
        for attribute in attributes.list() {
            if attribute
                .known
                .is_some_and(|known| SIZES.contains(&known) || SIBLING_ATTRIBUTES.contains(&known))
            {
                for value in attribute.values() {
                    self.check_sibling_names(value, own, severity);
                }
            }
        }
    }

    fn check_sibling_names(
        &mut self,
        expression: &'a Expression,
        own: &[&Name],
        severity: Severity,
    ) {
        let mut unknown = Vec::new();
        let mut known = Vec::new();
        super::values::names(expression, &mut |name, span| {
            let is_known = self.is_value(name) || self.view().is_type(name);
            if self.is_sibling(name) {
            } else if is_known {
                known.push((name, span));
            } else {
                unknown.push((name.clone(), span));
            }
        });
        for (name, span) in known {
            self.value_order(name, span);
        }
        for (name, span) in unknown {
            let hint = self.similar_sibling(&name, own);
            self.add_unresolved_as(severity, NameReference::Sibling(name.to_string()), span, hint);
        }
        self.cast_types(expression);
    }

    fn is_sibling(&self, name: &Name) -> bool {
        self.siblings.iter().any(|push_siblings| push_siblings.contains(name))
    }

    /// Suggests a parameter or field with a similar name, except the declared ones (`own`), which
    /// can't give their own size. Returns `None` if so many names are wrong
    /// that further ones aren't reported, or if there are too many names to compare.
    fn similar_sibling(&self, name: &Name, own: &[&Name]) -> Option<String> {
        let count: usize = self.siblings.iter().map(HashSet::len).sum();
        if self.unresolved.len() > ERRORS_MAX || count > COMPARISONS_MAX / ERRORS_MAX {
            return None;
        }
        let others = self.siblings.iter().flatten().filter(|sibling| !own.contains(sibling));
        did_you_mean(name, others.map(|sibling| &***sibling))
    }

    /// Resolves the types in the casts of an expression.
    pub(super) fn cast_types(&mut self, expression: &'a Expression) {
        match &expression.kind {
            ExpressionKind::Cast(to, operand) => {
                self.type_name(to);
                self.cast_types(operand);
            }
            ExpressionKind::SizeOfType(of) => self.type_name(of),
            ExpressionKind::Parenthesized(inner) | ExpressionKind::Unary(_, inner) => {
                self.cast_types(inner);
            }
            ExpressionKind::Binary(_, left, right) => {
                self.cast_types(left);
                self.cast_types(right);
            }
            _ => {}
        }
    }
}

fn arguments_in_words(count: usize) -> String {
    if count == 1 { "one argument".to_owned() } else { format!("{count} arguments") }
}
