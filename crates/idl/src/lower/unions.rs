//! Converts a union to an enum with one variant per discriminant value.

use syn::Type;

use super::resolved_type::ResolvedType;
use super::structs::{docs, field_name};
use super::types::RustType;
use super::{CompositeType, Lowering, Result, ident, names};
use crate::front::Span;
use crate::front::ast::{Arm, Attribute, AttributeName, Expression, ExpressionKind, UnionType};
use crate::front::diagnostic::quoted;
use crate::front::token::Name;
use syshandle_model::{DefinitionKind, Parameter, Variant};

impl<'a> Lowering<'_, 'a> {
    /// Returns the Rust type of a union. Queues the arms for later conversion.
    pub(super) fn union(
        &mut self,
        of: &'a UnionType,
        tag: Option<&Name>,
        otherwise: &str,
        resolved: &ResolvedType<'a>,
    ) -> Result<Type> {
        let has_discriminant = of.switch.is_some()
            || resolved.own().is_some_and(|own| own.has(AttributeName::SwitchIs));
        if !has_discriminant {
            let what =
                format!("union {} has no discriminant", quoted(tag.map_or(otherwise, |tag| tag)));
            let hint = "write `switch_is(…)` beside it, or `union … switch (…)`";
            return self.refuse(resolved.span, what, hint);
        }
        let first = of.arms.iter().flatten().next();
        let id = first.map_or(resolved.span, |arm| arm.field.span);
        let name = self.rust_type_name(tag.map_or(otherwise, |tag| tag), id);
        let path = ident(&name);
        let ty = syn::parse_quote!(#path);
        self.use_type(name, id, resolved.span, CompositeType::Union(of))?;
        Ok(ty)
    }

    /// Converts the documentation and arms of a union.
    pub(super) fn union_parts(
        &mut self,
        name: &str,
        of: &'a UnionType,
    ) -> Result<(Vec<String>, DefinitionKind)> {
        let arms = of.arms.iter().flatten();
        let layouts = self.field_layouts(&of.attributes, None, arms.clone().map(|arm| &arm.field));
        self.keep_layouts(name.to_owned(), layouts);
        let variants = arms.map(|arm| self.arm(name, arm)).collect::<Result<Vec<_>>>()?;
        let mut unique_names = names::UniqueNames::default();
        let variants = variants.into_iter().flatten().map(|variant| {
            let name = ident(&unique_names.name(variant.name.to_string()));
            Variant { name, ..variant }
        });
        Ok((docs(&of.attributes), DefinitionKind::Enum(variants.collect())))
    }

    /// Converts an arm to variants, one for each of its discriminant values.
    fn arm(&mut self, of: &str, arm: &'a Arm) -> Result<Vec<Variant>> {
        let mut fields = Vec::new();
        let mut name = "Nothing".to_owned();
        if let (Some(specifier), Some(declarator)) =
            (&arm.field.specifier, arm.field.declarators.first())
        {
            let field = ident(&field_name(declarator));
            name = names::camel(&field.to_string());
            let attributes = &arm.field.attributes;
            let RustType { ty, handle, range } =
                self.member(of, &field, attributes, specifier, declarator)?;
            fields.push(Parameter { docs: Vec::new(), name: field, ty, handle, range });
        }
        let attributes = &arm.field.attributes;
        let cases = attributes.find(AttributeName::Case).into_iter().flat_map(Attribute::values);
        let cases: Vec<_> = arm.cases.iter().chain(cases).collect();
        let is_default = arm.is_default || attributes.has(AttributeName::Default);
        let docs = docs(attributes);
        let variant = |name: &str, fields: Vec<Parameter>| Variant {
            docs: docs.clone(),
            name: ident(name),
            value: None,
            fields,
        };
        if cases.len() <= 1 && !is_default {
            return Ok(vec![variant(&name, fields)]);
        }
        let mut variants: Vec<_> = cases
            .iter()
            .map(|case| variant(&format!("{name}{}", case_name(case)), fields.clone()))
            .collect();
        if is_default {
            // The variant for the default arm also contains the discriminant, which can be any
            // value that has no arm of its own.
            let name = if fields.is_empty() { "Other".to_owned() } else { name };
            let number = Parameter {
                docs: Vec::new(),
                name: ident("case"),
                ty: syn::parse_quote!(i64),
                handle: None,
                range: None,
            };
            variants.push(variant(&name, [vec![number], fields].concat()));
        }
        Ok(variants)
    }
}

/// Formats a discriminant value as a part of a variant's name.
fn case_name(case: &Expression) -> String {
    match &case.without_parentheses().kind {
        ExpressionKind::Name(name) | ExpressionKind::Number(name) => {
            names::camel(name).trim_start_matches('N').to_owned()
        }
        _ => Span::start(case.span).to_string(),
    }
}
