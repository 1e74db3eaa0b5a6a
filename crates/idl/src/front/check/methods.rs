//! Checks methods and their parameters.

use std::collections::HashMap;

use super::Checker;
use super::scope::Root;
use crate::front::ast::{
    AttributeName, BaseType, Derivation, Method, Parameter, Parameters, Place,
};
use crate::front::diagnostic::{Diagnostic, Severity, quoted};
use crate::front::source::Span;
use crate::front::token::Name;

/// How a function is called. This decides which attributes its parameters need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// In the same process. The attributes are only documentation.
    Locally,
    /// Through `IDispatch`.
    Dispatched,
    /// By RPC.
    Remotely,
    /// By COM, on an object.
    Objects,
}

impl<'a> Checker<'_, 'a> {
    /// Checks a function outside an interface.
    pub(super) fn function(&mut self, method: &'a Method) {
        self.method(method, Calls::Locally);
    }

    pub(super) fn method(&mut self, method: &'a Method, calls: Calls) {
        self.attributes(&method.attributes, Place::Method);
        self.specifier(&method.returns);
        self.derivations(&method.return_derivations);
        let is_local = method.attributes.has(AttributeName::Local);
        let calls = if is_local { Calls::Locally } else { calls };
        if calls == Calls::Objects {
            self.returns_result(method);
        }
        self.parameters(&method.parameters, calls);
    }

    /// Checks that a method that is called across processes returns an `HRESULT`, because every
    /// such call can fail.
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

    pub(super) fn parameters(&mut self, parameters: &'a Parameters, calls: Calls) {
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
        let outer = std::mem::replace(&mut self.neighbours, vec![names]);
        for parameter in &parameters.list {
            self.parameter(parameter, calls);
        }
        if calls != Calls::Locally {
            self.counts(parameters);
        }
        self.neighbours = outer;
    }

    fn parameter(&mut self, parameter: &'a Parameter, calls: Calls) {
        let attributes = &parameter.attributes;
        self.attributes(attributes, Place::Parameter);
        // Within one process, nothing depends on the attributes that give sizes.
        let severity = if calls == Calls::Locally { Severity::Warning } else { Severity::Error };
        self.names_neighbours(attributes, severity);
        self.specifier(&parameter.specifier);
        self.declarator(&parameter.declarator);
        let chain = self.view().chain(&parameter.specifier);
        let derivations = &parameter.declarator.derivations;
        // A parameter list of `(VOID)`, where `VOID` is a typedef of `void`.
        let is_bare = parameter.declarator.name.is_none() && attributes.list().is_empty();
        if !is_bare {
            self.complete_type(&chain, derivations, parameter.span, "a parameter");
        }
        if calls != Calls::Locally {
            self.typed(attributes, &chain, derivations, parameter.span, Place::Parameter);
        }
        self.system_handle(attributes, &parameter.specifier, &parameter.declarator);
        self.handle_out(parameter);
        if matches!(calls, Calls::Remotely | Calls::Objects) {
            self.direction(parameter, calls);
        }
    }

    /// Checks that the direction of a parameter is declared and fits its type.
    fn direction(&mut self, parameter: &'a Parameter, calls: Calls) {
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
        if is_silent && is_indirect && calls == Calls::Objects {
            self.warn(
                Diagnostic::warning(parameter.span, "parameter with neither `in` nor `out`")
                    .hint("MIDL takes it for `in`"),
            );
        }
    }
}
