//! Converts methods and their parameters.

use syn::Type;

use super::companions::Companions;
use super::resolved_type::{InnermostType, ResolvedType, resolve};
use super::structs::docs;
use super::types::{RustType, SIZES, is_text, option};
use super::{Lowering, LoweringError, Result, ident, names};
use crate::directions::Directions;
use crate::front::ast::{AttributeName, Derivation, Method, Parameter, TypeKind};
use crate::front::diagnostic::quoted;
use syshandle_model::{self as model, CLIENT_METHODS, Definition, DefinitionKind};

impl<'a> Lowering<'_, 'a> {
    /// Converts a method of an interface. Reports all errors in it.
    pub(super) fn method(
        &mut self,
        interface: &str,
        method: &'a Method,
        name: String,
    ) -> Result<model::Method> {
        let written = quoted(&format!("{interface}::{}", method.name.name));
        self.place = format!("method {written}");
        let mut is_refused = self.check_head(method).is_err();
        let mut companions = Companions::default();
        for parameter in &method.parameters.list {
            let Parameter { attributes, specifier, declarator, .. } = parameter;
            companions.add(attributes, Directions::of(attributes));
            let range = self.range(&resolve(&self.view, attributes, specifier, declarator));
            companions.add_range(declarator, range);
        }
        let layouts = method.parameters.list.iter();
        let layouts =
            layouts.map(|of| self.layout(1, &of.attributes, &of.specifier, &of.declarator));
        let layouts = layouts.collect();
        let mut unique_names = names::UniqueNames::default();
        let mut parameters = Vec::new();
        let mut results = Vec::new();
        for parameter in &method.parameters.list {
            let directions = Directions::of(&parameter.attributes);
            let left = companions.remaining(&parameter.declarator, directions);
            if left == Directions::default() {
                continue;
            }
            let named = parameter.declarator.name.as_ref();
            let called = named.map_or("value", |name| &name.name);
            self.place = format!("method {written}, parameter {}", quoted(called));
            let Ok(value) = self.parameter(parameter, &method.name.name, directions) else {
                is_refused = true;
                continue;
            };
            let name = ident(&unique_names.name(names::snake(called)));
            let value = model::Parameter {
                docs: docs(&parameter.attributes),
                name,
                ty: value.ty,
                handle: value.handle,
                range: value.range.or_else(|| companions.range_of(&parameter.attributes)),
            };
            parameters.extend(left.is_in.then(|| value.clone()));
            // The ranges of results are dropped. They aren't checked, because the server creates
            // the results.
            results.extend(left.is_out.then_some(model::Parameter { range: None, ..value }));
        }
        self.place = format!("method {written}");
        if is_refused {
            return Err(LoweringError);
        }
        let (result, result_handle) = self.result(interface, method, results)?;
        self.keep_layouts(format!("{}::{name}", names::trait_name(interface)), layouts);
        Ok(model::Method {
            docs: docs(&method.attributes),
            attributes: Vec::new(),
            name: ident(&name),
            context: Some(context(&parameters)),
            parameters,
            returns: syn::parse_quote!(syshandle::Result<#result>),
            result,
            result_handle,
            error: None,
            returns_call_error: false,
            blocking: false,
            one_way: false,
            differs: None,
        })
    }

    /// Checks all properties of a method except its parameters.
    fn check_head(&mut self, method: &'a Method) -> Result<()> {
        let is_hresult = matches!(&method.returns.kind,
            TypeKind::Named(path) if path.as_name().is_some_and(|name| &**name == "HRESULT"));
        if !is_hresult || !method.return_derivations.is_empty() {
            let hint = "return HRESULT, and pass the result through an [out, retval] parameter";
            let what = "every call can fail, but this return type can't report an error";
            return self.refuse(method.returns.span, what, hint);
        }
        if method.attributes.has(AttributeName::Callback) {
            return self.refuse(
                method.span,
                "RPC callbacks aren't supported",
                "pass an object instead",
            );
        }
        if method.parameters.is_variadic {
            let what = "the types of `...` are unknown";
            return self.refuse(method.span, what, "");
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        parameter: &'a Parameter,
        method: &str,
        directions: Directions,
    ) -> Result<RustType> {
        let attributes = &parameter.attributes;
        let resolved = resolve(&self.view, attributes, &parameter.specifier, &parameter.declarator);
        let name = parameter.declarator.name.as_ref().map_or("value", |name| &name.name);
        let inner = format!("{}{}", names::camel(method), names::camel(name));
        let is_list = SIZES.iter().any(|&size| {
            attributes
                .find(size)
                .and_then(|size| size.arguments.first())
                .is_some_and(|first| matches!(first, crate::front::ast::Argument::Value(_)))
        });
        match resolved.derivations.first() {
            // The pointer is the string's own, not one to the memory for a result.
            Some(Derivation::Pointer { .. })
                if directions.is_out
                    && !is_list
                    && resolved.derivations.len() == 1
                    && is_text(&resolved) =>
            {
                // The buffer of an `in` string has room for the string that the caller passes.
                if directions.is_in {
                    return self.value(&resolved, 0, &inner, true);
                }
                let what = "a string that the method returns through a caller's buffer has no Rust \
                            form: the parameter doesn't declare the size of the buffer";
                let hint = "return the string through another pointer, as in `[out, string] wchar_t \
                            **text`, or declare the size with `size_is`";
                self.refuse(resolved.span, what, hint)
            }
            // An `out` parameter points to the memory for the result. This pointer is part of the
            // type only if the caller can pass NULL.
            Some(Derivation::Pointer { .. }) if directions.is_out && !is_list => {
                let value = self.value(&resolved, 1, &inner, false)?;
                let is_optional = directions.is_in
                    && is_outer_pointer_optional(parameter, &resolved)
                    && !is_option(&value.ty);
                Ok(match is_optional {
                    true => RustType { ty: option(value.ty), ..value },
                    false => value,
                })
            }
            // A buffer for a string, whose type is already a pointer.
            None if directions.is_out
                && (is_list || directions.is_in && resolved.has(AttributeName::String))
                && matches!(resolved.innermost, InnermostType::Text) =>
            {
                self.value(&resolved, 0, &inner, false)
            }
            None if directions.is_out => {
                let what = "an output parameter must be a pointer";
                self.refuse(parameter.span, what, "")
            }
            _ => self.value(&resolved, 0, &inner, true),
        }
    }

    /// Returns the Rust type of a method's results, with the declaration of the handles in it.
    fn result(
        &mut self,
        interface: &str,
        method: &Method,
        mut results: Vec<model::Parameter>,
    ) -> Result<(Type, Option<model::Handle>)> {
        let is_declared = results.iter().any(|result| result.handle.is_some());
        match results.len() {
            0 => Ok((syn::parse_quote!(()), None)),
            1 => {
                let result = results.remove(0);
                Ok((result.ty, result.handle))
            }
            2..=TUPLE_MAX if !is_declared => {
                let types = results.iter().map(|result| &result.ty);
                Ok((syn::parse_quote!((#(#types),*)), None))
            }
            _ => {
                let interface = names::trait_name(interface);
                let name = format!("{interface}{}", names::camel(&method.name.name));
                self.claim_name(&name, method.name.span)?;
                let name = ident(&name);
                let fields = results.into_iter().map(|value| model::Field { value, added: None });
                self.define(Definition {
                    docs: vec![format!(" The results of `{}`.", method.name.name)],
                    name: name.clone(),
                    kind: DefinitionKind::Struct(fields.collect()),
                    grows: false,
                });
                Ok((syn::parse_quote!(#name), None))
            }
        }
    }
}

/// Returns whether the outermost pointer of a parameter may be NULL. `unique` and `ptr` of a typedef
/// apply to that pointer only if the parameter itself adds no pointers.
fn is_outer_pointer_optional(parameter: &Parameter, resolved: &ResolvedType<'_>) -> bool {
    let kinds = [AttributeName::Unique, AttributeName::Ptr];
    let own = &parameter.attributes;
    let is_from_typedef = parameter.declarator.derivations.is_empty();
    kinds.iter().any(|&kind| {
        own.has(kind) || is_from_typedef && !own.has(AttributeName::Ref) && resolved.has(kind)
    })
}

fn is_option(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Option")
}

/// Returns the parameter for the call's context, which servers need for background tasks.
fn context(parameters: &[model::Parameter]) -> model::Parameter {
    let is_taken = parameters.iter().any(|parameter| parameter.name == "context");
    let name = ident(if is_taken { "call_context" } else { "context" });
    let ty = syn::parse_quote!(&syshandle::Context);
    model::Parameter { docs: Vec::new(), name, ty, handle: None, range: None }
}

/// Returns whether a method is the accessor of a property.
pub(super) fn is_property(method: &Method) -> bool {
    PROPERTIES.iter().any(|(kind, ..)| method.attributes.has(*kind))
}

/// Returns the usual Rust name of a method. It is used unless another method has the same name.
pub(super) fn rust_name(method: &Method) -> String {
    let name = names::snake(&method.name.name);
    let name = match PROPERTIES.iter().find(|(kind, ..)| method.attributes.has(*kind)) {
        Some((_, prefix, _)) => format!("{prefix}{name}"),
        None => name,
    };
    // Every client type has methods with these names.
    if CLIENT_METHODS.contains(&&*name) { name + "_" } else { name }
}

/// Returns the alternative name of a property accessor. It is used if another method has the
/// accessor's usual name.
pub(super) fn explicit_name(method: &Method) -> String {
    let kind = PROPERTIES.iter().find(|(kind, ..)| method.attributes.has(*kind));
    let prefix = kind.map_or("", |(.., prefix)| prefix);
    format!("{prefix}{}", names::snake(&method.name.name))
}

/// The usual and alternative prefixes of property accessor names.
const PROPERTIES: [(AttributeName, &str, &str); 3] = [
    (AttributeName::Propget, "", "get_"),
    (AttributeName::Propput, "set_", "put_"),
    (AttributeName::Propputref, "set_reference_", "put_reference_"),
];

/// Maximum number of members in a tuple that can be encoded.
const TUPLE_MAX: usize = 8;
