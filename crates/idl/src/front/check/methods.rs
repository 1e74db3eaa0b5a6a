//! Checks methods and their parameters.

use std::collections::HashMap;

use super::Checker;
use super::scope::Root;
use crate::front::ast::{
    AttributeName, AttributeTarget, BaseType, Derivation, Method, Parameter, Parameters,
};
use crate::front::diagnostic::{Diagnostic, Severity, quoted};
use crate::front::source::Span;
use crate::front::token::Name;

/// The way in which a function is called. Determines the attributes that its parameters need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    /// Called within the process. The attributes serve only as documentation.
    Local,
    /// Called through `IDispatch`.
    Dispatch,
    /// Called by RPC, without an object.
    Rpc,
    /// Called by COM, on an object.
    Com,
}

impl<'a> Checker<'_, 'a> {
    /// Checks a function outside an interface.
    pub(super) fn function(&mut self, method: &'a Method) {
        self.method(method, CallKind::Local);
    }

    pub(super) fn method(&mut self, method: &'a Method, call_kind: CallKind) {
        self.attributes(&method.attributes, AttributeTarget::Method);
        self.specifier(&method.returns);
        self.derivations(&method.return_derivations);
        let is_local = method.attributes.has(AttributeName::Local);
        let call_kind = if is_local { CallKind::Local } else { call_kind };
        if call_kind == CallKind::Com {
            self.returns_result(method);
        }
        self.parameters(&method.parameters, call_kind);
    }

    /// Checks that a method that is called across processes returns `HRESULT`, because every such
    /// call can fail.
    fn returns_result(&mut self, method: &'a Method) {
        let chain = self.view().chain(&method.returns);
        let is_result = chain.names.iter().any(|name| matches!(&***name, "HRESULT" | "SCODE"));
        if is_result && method.return_derivations.is_empty() || matches!(chain.root, Root::Unknown)
        {
            return;
        }
        let message = format!("method {} doesn't return `HRESULT`", quoted(&method.name.name));
        self.warn(
            Diagnostic::warning(method.returns.span, message)
                .hint("a call that fails on its way has no other way to say so; or is it `local`?"),
        );
    }

    pub(super) fn parameters(&mut self, parameters: &'a Parameters, call_kind: CallKind) {
        let mut first: HashMap<&Name, Span> = HashMap::new();
        for parameter in &parameters.list {
            let Some(name) = &parameter.declarator.name else { continue };
            if let Some(known) = first.insert(&name.name, name.span) {
                let message = format!("parameter {} is declared twice", quoted(&name.name));
                self.error(
                    Diagnostic::error(name.span, message).related(known, "it is declared here"),
                );
            }
        }
        let names = first.into_keys().collect();
        let outer = std::mem::replace(&mut self.siblings, vec![names]);
        for parameter in &parameters.list {
            self.parameter(parameter, call_kind);
        }
        if call_kind != CallKind::Local {
            self.counts(parameters);
        }
        self.siblings = outer;
    }

    fn parameter(&mut self, parameter: &'a Parameter, call_kind: CallKind) {
        let attributes = &parameter.attributes;
        self.attributes(attributes, AttributeTarget::Parameter);
        // For a call within the process, size attributes have no effect.
        let severity =
            if call_kind == CallKind::Local { Severity::Warning } else { Severity::Error };
        let own: Vec<_> = parameter.declarator.name.iter().map(|name| &name.name).collect();
        self.check_siblings(attributes, &own, severity);
        self.specifier(&parameter.specifier);
        self.declarator(&parameter.declarator);
        let chain = self.view().chain(&parameter.specifier);
        let derivations = &parameter.declarator.derivations;
        // The parameter list is `(VOID)`, where `VOID` is a typedef of `void`.
        let is_bare = parameter.declarator.name.is_none() && attributes.list().is_empty();
        if !is_bare {
            self.complete_type(&chain, derivations, parameter.span, "a parameter");
        }
        if call_kind != CallKind::Local {
            self.check_type_attributes(
                attributes,
                &chain,
                derivations,
                parameter.span,
                AttributeTarget::Parameter,
            );
        }
        self.system_handle(attributes, &parameter.specifier, &parameter.declarator);
        self.handle_out(parameter);
        if matches!(call_kind, CallKind::Rpc | CallKind::Com) {
            self.direction(parameter, call_kind);
        }
    }

    /// Checks that a parameter has a direction attribute that fits its type.
    fn direction(&mut self, parameter: &'a Parameter, call_kind: CallKind) {
        let attributes = &parameter.attributes;
        let is_out = attributes.has(AttributeName::Out);
        let chain = self.view().chain(&parameter.specifier);
        let is_indirect =
            parameter.declarator.derivations.iter().chain(chain.derivations.iter().copied()).any(
                |derivation| {
                    matches!(derivation, Derivation::Pointer { .. } | Derivation::Array(_))
                },
            );
        let is_value = match chain.root {
            Root::Base(BaseType::BindingHandle) => false,
            Root::Base(_) | Root::Definition(_) => !is_indirect,
            Root::Other | Root::Unknown => false,
        };
        if is_out && is_value {
            self.warn(
                Diagnostic::warning(
                    parameter.span,
                    "an `out` parameter must be a pointer or an array",
                )
                .hint("the method writes through it"),
            );
        }
        let is_silent = !is_out && !attributes.has(AttributeName::In);
        if is_silent && is_indirect && call_kind == CallKind::Com {
            self.warn(
                Diagnostic::warning(parameter.span, "parameter with neither `in` nor `out`")
                    .hint("MIDL takes it for `in`"),
            );
        }
    }
}
