//! Checks types: their names, fields and arms.

use std::collections::HashMap;

use super::Checker;
use crate::front::ast::{
    Arm, AttributeName, AttributeTarget, Bounds, Declarator, Derivation, EnumType, Field,
    StructType, TypeKind, TypeName, TypeSpecifier, UnionType,
};
use crate::front::diagnostic::{Diagnostic, Severity, quoted};
use crate::front::source::Span;
use crate::front::token::Name;

impl<'a> Checker<'_, 'a> {
    pub(super) fn specifier(&mut self, specifier: &'a TypeSpecifier) {
        match &specifier.kind {
            TypeKind::Base(_) => {}
            TypeKind::Named(path) => self.type_path(path),
            // `interface IFoo *` acts as a forward declaration of the interface, like `struct foo
            // *` for a struct.
            TypeKind::Interface(path) => {
                for argument in &path.arguments {
                    self.type_name(argument);
                }
                if let [segment] = &path.segments[..] {
                    self.declare_type(segment);
                }
            }
            TypeKind::Struct(of) => self.struct_type(of),
            TypeKind::Union(of) => self.union_type(of),
            TypeKind::Enum(of) => self.enum_type(of),
            TypeKind::SafeArray(element) => self.type_name(element),
            TypeKind::Pipe(of) => self.specifier(of),
        }
    }

    pub(super) fn type_name(&mut self, name: &'a TypeName) {
        self.specifier(&name.specifier);
        self.derivations(&name.derivations);
    }

    pub(super) fn declarator(&mut self, declarator: &'a Declarator) {
        self.derivations(&declarator.derivations);
        if let Some(bits) = &declarator.bits {
            self.integer(bits);
        }
    }

    pub(super) fn derivations(&mut self, derivations: &'a [Derivation]) {
        for derivation in derivations {
            match derivation {
                Derivation::Pointer { .. } | Derivation::Array(Bounds::Open) => {}
                Derivation::Array(Bounds::Length(length)) => self.length(length),
                Derivation::Array(Bounds::Range(first, last)) => {
                    self.length(first);
                    self.length(last);
                }
                Derivation::Function(parameters) => {
                    self.parameters(parameters, super::methods::CallKind::Local);
                }
            }
        }
    }

    fn struct_type(&mut self, of: &'a StructType) {
        self.attributes(&of.attributes, AttributeTarget::Struct);
        let fields = of.fields.as_deref().unwrap_or_default();
        self.push_siblings(fields.iter());
        for field in fields {
            self.field(field, AttributeTarget::Field);
        }
        self.siblings.pop();
        self.complete_struct(of);
    }

    fn union_type(&mut self, of: &'a UnionType) {
        self.attributes(&of.attributes, AttributeTarget::Union);
        if let Some(switch) = &of.switch {
            self.specifier(&switch.specifier);
        }
        let arms = of.arms.as_deref().unwrap_or_default();
        self.push_siblings(arms.iter().map(|Arm { field, .. }| field));
        if let (Some(push_siblings), Some(switch)) = (self.siblings.last_mut(), &of.switch) {
            push_siblings.insert(&switch.name.name);
        }
        for arm in arms {
            for case in &arm.cases {
                self.integer(case);
            }
            self.field(&arm.field, AttributeTarget::Arm);
        }
        self.siblings.pop();
        self.complete_union(of);
        let mut defaults = arms
            .iter()
            .filter(|arm| arm.is_default || arm.field.attributes.has(AttributeName::Default));
        if let (Some(first), Some(second)) = (defaults.next(), defaults.next()) {
            self.error(
                Diagnostic::error(second.field.span, "union with two default arms")
                    .related(first.field.span, "the first one"),
            );
        }
    }

    fn enum_type(&mut self, of: &'a EnumType) {
        self.attributes(&of.attributes, AttributeTarget::Enum);
        for enumerator in of.enumerators.iter().flatten() {
            self.attributes(&enumerator.attributes, AttributeTarget::Enumerator);
        }
        self.enumerator_values(of);
    }

    fn field(&mut self, field: &'a Field, target: AttributeTarget) {
        self.attributes(&field.attributes, target);
        let names = field.declarators.iter().filter_map(|declarator| declarator.name.as_ref());
        let own: Vec<_> = names.map(|name| &name.name).collect();
        self.check_siblings(&field.attributes, &own, Severity::Error);
        let Some(specifier) = &field.specifier else { return };
        self.specifier(specifier);
        let chain = self.view().chain(specifier);
        for declarator in &field.declarators {
            self.declarator(declarator);
            self.complete_type(&chain, &declarator.derivations, declarator.span, "a field");
            self.check_type_attributes(
                &field.attributes,
                &chain,
                &declarator.derivations,
                declarator.span,
                target,
            );
            self.system_handle(&field.attributes, specifier, declarator);
        }
    }

    /// Records the fields of a struct, so that attributes can refer to them. Field names must be
    /// unique.
    fn push_siblings(&mut self, fields: impl Iterator<Item = &'a Field>) {
        let mut first: HashMap<&Name, Span> = HashMap::new();
        for field in fields {
            for declarator in &field.declarators {
                let Some(name) = &declarator.name else { continue };
                if let Some(known) = first.insert(&name.name, name.span) {
                    let message = format!("field {} is declared twice", quoted(&name.name));
                    self.error(
                        Diagnostic::error(name.span, message).related(known, "it is declared here"),
                    );
                }
            }
        }
        self.siblings.push(first.into_keys().collect());
    }
}
