//! Checks `system_handle(kind, mask)`: whether the kind exists, the mask is an access mask and the
//! type is a handle.

use super::Checker;
use super::scope::{Root, View};
use super::unresolved::NameReference;
use crate::front::ast::{
    Argument, Attribute, AttributeName, Attributes, Declarator, Expression, Parameter, TypeName,
    TypeSpecifier,
};
use crate::front::constant::{self, Environment, EvaluationError, Integer, IntegerType, Value};
use crate::front::diagnostic::{Diagnostic, did_you_mean, quoted};
use crate::front::limits::ERRORS_MAX;
use crate::front::source::Span;
use crate::front::system;
use crate::front::token::Name;

/// The handle kinds that MIDL supports.
pub(crate) const KINDS: &[&str] = &[
    "sh_composition",
    "sh_event",
    "sh_file",
    "sh_job",
    "sh_mutex",
    "sh_pipe",
    "sh_process",
    "sh_reg_key",
    "sh_section",
    "sh_semaphore",
    "sh_socket",
    "sh_thread",
    "sh_token",
];

impl<'a> Checker<'_, 'a> {
    /// Checks the `system_handle` attribute of a declaration, if it has one.
    pub(super) fn system_handle(
        &mut self,
        attributes: &'a Attributes,
        specifier: &'a TypeSpecifier,
        declarator: &'a Declarator,
    ) {
        let Some(attribute) = attributes.find(AttributeName::SystemHandle) else { return };
        self.handle_type(attribute, specifier, declarator);
        let mut arguments = attribute.arguments.iter();
        if let Some(Argument::Value(kind)) = arguments.next() {
            self.kind(kind);
        }
        if let Some(Argument::Value(mask)) = arguments.next() {
            self.mask(mask);
        }
    }

    fn handle_type(
        &mut self,
        attribute: &Attribute,
        specifier: &'a TypeSpecifier,
        declarator: &Declarator,
    ) {
        let chain = self.view().chain(specifier);
        let is_handle = chain.names.iter().any(|name| &***name == "HANDLE");
        if is_handle || matches!(chain.root, Root::Unknown) {
            return;
        }
        let message = "`system_handle` is only for the type `HANDLE`";
        let span = declarator.name.as_ref().map_or(specifier.span, |_| specifier.span);
        self.error(
            Diagnostic::error(span, message)
                .related(attribute.span, "it is said to be a handle here"),
        );
    }

    /// Checks that an `out` handle parameter is a pointer to a handle.
    pub(super) fn handle_out(&mut self, parameter: &'a Parameter) {
        let attributes = &parameter.attributes;
        if !attributes.has(AttributeName::SystemHandle) || !attributes.has(AttributeName::Out) {
            return;
        }
        let chain = self.view().chain(&parameter.specifier);
        // `HANDLE` is itself a pointer.
        let is_handle_alone = chain.derivations.len() == 1;
        if is_handle_alone && parameter.declarator.derivations.is_empty() {
            let message = "an `out` handle must be a pointer to one";
            self.error(
                Diagnostic::error(parameter.span, message)
                    .hint("write `HANDLE *`: the method writes the handle through it"),
            );
        }
    }

    fn kind(&mut self, kind: &Expression) {
        let word = kind.as_name().map_or("", |name| name);
        if KINDS.contains(&word) {
            return;
        }
        let without_prefix = KINDS.iter().find(|kind| kind.strip_prefix("sh_") == Some(word));
        let hint = without_prefix
            .map(|kind| format!("did you mean `{kind}`?"))
            .or_else(|| did_you_mean(word, KINDS.iter().copied()))
            .unwrap_or_else(|| format!("the kinds are {}", KINDS.join(", ")));
        let message = match kind.as_name() {
            Some(name) => format!("unknown kind of handle {}", quoted(name)),
            None => "expected a kind of handle".to_owned(),
        };
        self.error(Diagnostic::error(kind.span, message).hint(hint));
    }

    fn mask(&mut self, mask: &'a Expression) {
        let mut unknown = Vec::new();
        super::values::names(mask, &mut |name, span| {
            if system::right(name).is_none() && !self.is_value(name) {
                unknown.push((name.clone(), span));
            }
        });
        let has_unknown = !unknown.is_empty();
        for (name, span) in unknown {
            let has_room = self.unresolved.len() < ERRORS_MAX;
            let hint = if has_room { did_you_mean(&name, system::rights()) } else { None };
            self.add_unresolved(NameReference::Value(name.to_string()), span, hint);
        }
        if has_unknown {
            return;
        }
        let hint = "it is a number, or access rights joined by `|`, like `FILE_GENERIC_READ`";
        let wrong = match constant::evaluate(mask, &MaskEnvironment(self.view())) {
            Ok(Value::Integer(mask)) if u32::try_from(mask.value).is_ok() => return,
            Ok(Value::Integer(mask)) if i32::try_from(mask.value).is_ok() => return,
            Err(EvaluationError::Invalid(diagnostic)) => *diagnostic,
            Ok(Value::Integer(_)) => {
                Diagnostic::error(mask.span, "an access mask has 32 bits, and this doesn't fit")
            }
            Ok(Value::Float(_) | Value::String { .. }) | Err(EvaluationError::NotConstant) => {
                Diagnostic::error(mask.span, "an access mask is an integer constant").hint(hint)
            }
        };
        self.error(wrong);
    }
}

/// Evaluates access masks: knows the names visible in a file and the names of access rights.
pub(crate) struct MaskEnvironment<'v, 'a>(pub(crate) View<'v, 'a>);

impl Environment for MaskEnvironment<'_, '_> {
    fn value(&self, name: &Name, span: Span) -> Result<Value, EvaluationError> {
        match system::right(name) {
            Some(mask) if self.0.find_value(name).is_none() => {
                Ok(Value::Integer(Integer::new(mask.into())))
            }
            _ => self.0.value(name, span),
        }
    }

    fn is_type(&self, name: &str) -> bool {
        self.0.is_type(name)
    }

    fn size(&self, of: &TypeName) -> Result<u64, EvaluationError> {
        self.0.size(of)
    }

    fn integer_type(&self, to: &TypeName) -> Option<IntegerType> {
        self.0.integer_type(to)
    }
}
