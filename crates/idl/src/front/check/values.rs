//! Checks constants and their values.

use super::Checker;
use super::scope::Root;
use super::unresolved::NameReference;
use crate::front::ast::{
    AttributeTarget, BaseType, Constant, EnumType, Expression, ExpressionKind,
};
use crate::front::constant::{self, Environment, EvaluationError, IntegerType, Value};
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::source::Span;
use crate::front::token::Name;

/// Names of values that need no declaration.
const PREDEFINED: &[&str] = &["TRUE", "FALSE", "NULL", "true", "false"];

impl<'a> Checker<'_, 'a> {
    pub(super) fn constant(&mut self, constant: &'a Constant) {
        self.attributes(&constant.attributes, AttributeTarget::Constant);
        self.specifier(&constant.specifier);
        self.declarator(&constant.declarator);
        let value = self.value(&constant.value);
        if let Some(name) = &constant.declarator.name {
            self.declare_value(name);
        }
        let Some(value) = value else { return };
        let chain = self.view().chain(&constant.specifier);
        let is_plain = constant.declarator.derivations.is_empty() && chain.derivations.is_empty();
        let Root::Base(base) = chain.root else { return };
        match (value, IntegerType::of(base)) {
            (Value::Integer(integer), Some(of)) if is_plain && !of.holds(integer.value) => {
                let message = format!("value {} doesn't fit in {} bits", integer.value, of.bits);
                self.error(Diagnostic::error(constant.value.span, message));
            }
            (Value::String { .. }, Some(_)) if is_plain => {
                let message = "this constant is an integer, its value a string";
                self.error(Diagnostic::error(constant.value.span, message));
            }
            _ => {}
        }
    }

    pub(super) fn enumerator_values(&mut self, of: &'a EnumType) {
        for enumerator in of.enumerators.iter().flatten() {
            let value = enumerator.value.as_ref().map(|value| (value, self.integer(value)));
            self.declare_value(&enumerator.name);
            let Some((expression, Some(value))) = value else { continue };
            if !IntegerType::of(BaseType::Int32).is_some_and(|int| int.holds(value)) {
                let message = format!("value {value} doesn't fit in an enum's 32 bits");
                self.error(Diagnostic::error(expression.span, message));
            }
        }
    }

    /// Evaluates an integer constant expression. Returns `None` if the value can't be computed.
    pub(super) fn integer(&mut self, expression: &'a Expression) -> Option<i128> {
        match self.value(expression)? {
            Value::Integer(integer) => Some(integer.value),
            Value::Float(_) => {
                self.error(Diagnostic::error(expression.span, "expected an integer"));
                None
            }
            Value::String { .. } => {
                self.error(Diagnostic::error(
                    expression.span,
                    "expected an integer, found a string",
                ));
                None
            }
        }
    }

    /// Evaluates a constant expression and reports its errors. Returns `None` if the value can't be
    /// computed.
    pub(super) fn value(&mut self, expression: &'a Expression) -> Option<Value> {
        self.cast_types(expression);
        let mut unknown = Vec::new();
        let mut known = Vec::new();
        names(expression, &mut |name, span| {
            if self.is_value(name) || self.view().is_type(name) {
                known.push((name, span));
            } else {
                unknown.push((name.clone(), span));
            }
        });
        for (name, span) in known {
            self.value_order(name, span);
        }
        let has_unknown = !unknown.is_empty();
        for (name, span) in unknown {
            self.add_unresolved(NameReference::Value(name.to_string()), span, None);
        }
        if has_unknown {
            return None;
        }
        match constant::evaluate(expression, &self.view()) {
            Ok(value) => Some(value),
            Err(EvaluationError::Invalid(diagnostic)) => {
                self.error(*diagnostic);
                None
            }
            Err(EvaluationError::NotConstant) => None,
        }
    }

    /// Checks the length of an array.
    pub(super) fn length(&mut self, expression: &'a Expression) {
        if let Some(length @ ..0) = self.integer(expression) {
            let message = format!("an array can't have {} elements", quoted(&length.to_string()));
            self.error(Diagnostic::error(expression.span, message));
        }
    }

    pub(super) fn is_value(&self, name: &Name) -> bool {
        PREDEFINED.contains(&&**name) || self.view().find_value(name).is_some()
    }
}

/// Calls `pass` for each name in an expression that refers to a value.
pub(super) fn names<'e>(expression: &'e Expression, pass: &mut dyn FnMut(&'e Name, Span)) {
    match &expression.kind {
        ExpressionKind::Name(name) => pass(name, expression.span),
        ExpressionKind::Parenthesized(inner)
        | ExpressionKind::Unary(_, inner)
        | ExpressionKind::Cast(_, inner)
        | ExpressionKind::SizeOf(inner)
        | ExpressionKind::Member(inner, _) => names(inner, pass),
        ExpressionKind::Binary(_, left, right) | ExpressionKind::Index(left, right) => {
            names(left, pass);
            names(right, pass);
        }
        ExpressionKind::Conditional(condition, then, otherwise) => {
            names(condition, pass);
            names(then, pass);
            names(otherwise, pass);
        }
        // A call in an expression is a call to a macro in the C header. The arguments may have any
        // meaning to the macro, so names in them are not checked.
        ExpressionKind::Call(..)
        | ExpressionKind::Number(_)
        | ExpressionKind::String { .. }
        | ExpressionKind::Character { .. }
        | ExpressionKind::Uuid(_)
        | ExpressionKind::SizeOfType(_) => {}
    }
}
