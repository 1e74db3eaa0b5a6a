//! Converts structs and enums.

use std::rc::Rc;

use proc_macro2::Ident;
use syn::Type;

use super::companions::Companions;
use super::enum_values::EnumValues;
use super::resolved_type::resolve;
use super::types::RustType;
use super::{CompositeType, Lowering, LoweringError, Result, ident, names};
use crate::directions::Directions;
use crate::front::Span;
use crate::front::ast::{
    Attribute, AttributeName, Attributes, Declarator, EnumType, Field, StructType, TypeSpecifier,
    Typedef,
};
use crate::front::constant;
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::token::Name;
use syshandle_model::{self as model, Definition, DefinitionKind, Parameter, Variant};

impl<'a> Lowering<'_, 'a> {
    /// Returns the Rust type of a struct. Queues the fields for later conversion.
    pub(super) fn structure(
        &mut self,
        of: &'a StructType,
        tag: Option<&Name>,
        otherwise: &str,
        span: Span,
    ) -> Result<Type> {
        let id = struct_position(of, span);
        let name = self.rust_type_name(tag.map_or(otherwise, |tag| tag), id);
        let path = ident(&name);
        let ty = syn::parse_quote!(#path);
        self.use_type(name, id, span, CompositeType::Struct(of))?;
        Ok(ty)
    }

    /// Converts the documentation and fields of a struct.
    pub(super) fn struct_parts(
        &mut self,
        name: &str,
        of: &'a StructType,
        span: Span,
    ) -> Result<(Vec<String>, DefinitionKind)> {
        let list = of.fields.as_deref().unwrap_or_default();
        let fields = self.fields(name, list, span)?;
        let pack = match (self.facts.may_be_packed(of), of.pack) {
            (false, _) => None,
            (true, 0) => Some("a pragma may pack it".to_owned()),
            (true, pack) => Some(format!("pragma pack({pack})")),
        };
        let layouts = self.field_layouts(&of.attributes, pack, list.iter());
        self.keep_layouts(name.to_owned(), layouts);
        Ok((docs(&of.attributes), DefinitionKind::Struct(fields)))
    }

    fn fields(&mut self, of: &str, fields: &'a [Field], span: Span) -> Result<Vec<model::Field>> {
        let mut companions = Companions::default();
        for field in fields {
            companions.add(&field.attributes, INSIDE);
            let Some(specifier) = &field.specifier else { continue };
            for declarator in &field.declarators {
                let of = resolve(&self.view, &field.attributes, specifier, declarator);
                companions.add_range(declarator, self.range(&of));
            }
        }
        let mut lowered = Vec::new();
        let mut unique_names = names::UniqueNames::default();
        for field in fields {
            if field.declarators.is_empty() {
                return self.refuse(field.span, "unnamed members aren't supported", "");
            }
            for declarator in &field.declarators {
                if !companions.remaining(declarator, INSIDE).is_in {
                    continue;
                }
                let Some(specifier) = &field.specifier else { continue };
                let name = ident(&unique_names.name(field_name(declarator)));
                let value = self.member(of, &name, &field.attributes, specifier, declarator)?;
                lowered.push(model::Field {
                    value: Parameter {
                        docs: docs(&field.attributes),
                        name,
                        ty: value.ty,
                        handle: value.handle,
                        range: value.range.or_else(|| companions.range_of(&field.attributes)),
                    },
                    added: None,
                });
            }
        }
        if lowered.is_empty() && fields.is_empty() {
            return self.refuse(span, "this struct is not defined", "");
        }
        Ok(lowered)
    }

    /// Returns the layouts of the fields of a struct or the arms of a union, and of the type as a
    /// whole.
    pub(super) fn field_layouts(
        &self,
        attributes: &'a Attributes,
        pack: Option<String>,
        fields: impl Iterator<Item = &'a Field>,
    ) -> Vec<model::Layout> {
        let align = attributes.find(AttributeName::Align);
        let align = align.map(|align| self.attribute_text(align, AttributeName::Align));
        let whole: Vec<_> = align.into_iter().chain(pack).collect();
        let text = match whole.is_empty() {
            true => "the alignment of its fields".to_owned(),
            false => whole.join(", "),
        };
        let whole = model::Layout { text, ..model::Layout::default() };
        let fields = fields.flat_map(|field| {
            let parts = field.specifier.iter().flat_map(|specifier| {
                field.declarators.iter().map(move |declarator| (specifier, declarator))
            });
            parts.map(|(specifier, declarator)| {
                self.layout(0, &field.attributes, specifier, declarator)
            })
        });
        std::iter::once(whole).chain(fields).collect()
    }

    /// Returns the Rust type of a struct's field or a union's arm.
    pub(super) fn member(
        &mut self,
        of: &str,
        name: &Ident,
        attributes: &'a Attributes,
        specifier: &'a TypeSpecifier,
        declarator: &'a Declarator,
    ) -> Result<RustType> {
        if let Some(bits) = &declarator.bits {
            let hint = "use whole integers, or one with constants for its bits";
            return self.refuse(bits.span, "bit fields aren't supported", hint);
        }
        let resolved = resolve(&self.view, attributes, specifier, declarator);
        let inner = format!("{of}{}", names::camel(&name.to_string()));
        self.value(&resolved, 0, &inner, false)
    }

    /// Returns the Rust type of an enum. Converts the enum unless it has already been converted.
    pub(super) fn enumeration(
        &mut self,
        of: &'a EnumType,
        tag: Option<&Name>,
        attributes: Option<&'a Attributes>,
        otherwise: &str,
    ) -> Result<Type> {
        let Some(first) = of.enumerators.iter().flatten().next() else { return Err(LoweringError) };
        let name = self.rust_type_name(tag.map_or(otherwise, |tag| tag), first.name.span);
        let path = ident(&name);
        let ty = syn::parse_quote!(#path);
        if !self.claim_name(&name, first.name.span)? {
            return Ok(ty);
        }
        self.keep_layouts(name.clone(), self.enum_layout(of, attributes));
        let values = self.values(of);
        let docs = docs(attributes.unwrap_or(&of.attributes));
        let is_flags = self.is_flags(of, tag);
        if !is_flags && !values.is_number(of, attributes) && values.look_like_flags() {
            let tag = tag.map_or(otherwise, |tag| tag);
            let message = format!(
                "the constants of enum {} look like flags, but they can't be combined in Rust",
                quoted(tag)
            );
            let hint = format!("add the attribute `flag_enum`, or use `--flags {tag}`");
            self.state.diagnostics.push(Diagnostic::warning(first.name.span, message).hint(hint));
        }
        if is_flags || values.is_number(of, attributes) {
            self.define(Definition {
                docs,
                name: path.clone(),
                kind: DefinitionKind::Alias(syn::parse_quote!(u32)),
                grows: false,
            });
            for (enumerator, &value) in of.enumerators.iter().flatten().zip(&values.list) {
                let value = proc_macro2::Literal::u32_unsuffixed(value as u32);
                let name = enumerator.name.name.to_ascii_uppercase();
                if self.claim_name(&name, enumerator.name.span)? {
                    self.define(Definition {
                        docs: self::docs(&enumerator.attributes),
                        name: ident(&name),
                        kind: DefinitionKind::Constant(
                            syn::parse_quote!(u32),
                            quote::quote!(#value),
                        ),
                        grows: false,
                    });
                }
            }
            return Ok(ty);
        }
        let all: Vec<&str> = of.enumerators.iter().flatten().map(|of| &*of.name.name).collect();
        let of_type = format!("{name}_");
        let prefix = match all.iter().all(|of| names::has_prefix(of, &of_type)) {
            true => &of_type,
            false => names::common_prefix(&all),
        };
        let mut unique_names = names::UniqueNames::default();
        let is_counted = values.list.iter().zip(0..).all(|(value, at)| *value == at);
        let variants =
            of.enumerators.iter().flatten().zip(&values.list).map(|(enumerator, &value)| {
                let name = &enumerator.name.name;
                let short = name.strip_prefix(prefix).unwrap_or(name);
                Variant {
                    docs: self::docs(&enumerator.attributes),
                    name: ident(&unique_names.name(names::camel(short))),
                    value: (!is_counted).then_some(value),
                    fields: Vec::new(),
                }
            });
        let kind = DefinitionKind::Enum(variants.collect());
        self.define(Definition { docs, name: path, kind, grows: false });
        Ok(ty)
    }

    /// Returns the values of an enum's constants. Evaluates them on first use.
    pub(super) fn values(&mut self, of: &EnumType) -> Rc<EnumValues> {
        let key = std::ptr::from_ref(of);
        if let Some(known) = self.state.enums.get(&key) {
            return Rc::clone(known);
        }
        let values = Rc::new(EnumValues::of(self.enumerator_values(of)));
        self.state.enums.insert(key, Rc::clone(&values));
        values
    }

    /// Returns whether the options name an enum as flags, either by its tag or by a typedef name.
    pub(super) fn is_flags(&self, of: &EnumType, name: Option<&Name>) -> bool {
        let names = [name, of.tag.as_ref().map(|tag| &tag.name)];
        names.into_iter().flatten().any(|name| self.flags.iter().any(|flags| **flags == **name))
    }

    fn enumerator_values(&self, of: &EnumType) -> Vec<i64> {
        let mut next: i64 = 0;
        let values = of.enumerators.iter().flatten().map(|enumerator| {
            if let Some(value) = &enumerator.value {
                if let Ok(constant::Value::Integer(value)) = constant::evaluate(value, &self.view) {
                    next = value.value as i64;
                }
            }
            let value = next;
            next = next.wrapping_add(1);
            value
        });
        values.collect()
    }

    /// Converts an enum that the options name as flags, even if no interface uses it.
    pub(super) fn flags(&mut self, typedef: &'a Typedef) {
        let crate::front::ast::TypeKind::Enum(of) = &typedef.specifier.kind else { return };
        let plain = typedef.declarators.iter().find(|of| of.derivations.is_empty());
        let name = plain.and_then(|declarator| declarator.name.as_ref());
        if let Some(name) = name.filter(|_| of.enumerators.is_some()) {
            // `enumeration` has reported the errors.
            let _ = self.enumeration(of, Some(&name.name), Some(&typedef.attributes), "");
        }
    }
}

/// Returns the position of a struct's first field, which identifies the struct.
pub(super) fn struct_position(of: &StructType, span: Span) -> Span {
    let field = of.fields.iter().flatten().next().map(|field| field.span);
    field.or(of.tag.as_ref().map(|tag| tag.span)).unwrap_or(span)
}

/// Returns the Rust name of a field.
pub(super) fn field_name(declarator: &Declarator) -> String {
    names::snake(declarator.name.as_ref().map_or("value", |name| &name.name))
}

/// Returns the documentation from `helpstring`, one entry per line.
pub(super) fn docs(attributes: &Attributes) -> Vec<String> {
    let text = attributes.find(AttributeName::Helpstring).and_then(Attribute::text);
    let text = text.map(|text| text.replace("\\n", "\n").replace("\\\"", "\""));
    text.iter().flat_map(|text| text.lines()).map(|line| format!(" {line}")).collect()
}

/// The direction that is used for the members of a struct. Any direction would do, because members
/// are always passed together with the struct.
const INSIDE: Directions = Directions::IN;
