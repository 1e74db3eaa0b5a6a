//! Types: their names, their fields, their arms.

use super::Checker;
use crate::front::ast::{
    Arm, AttributeName, Bounds, Declarator, Derivation, EnumType, Field, Place, StructType,
    TypeKind, TypeName, TypeSpecifier, UnionType,
};
use crate::front::diagnostic::{Diagnostic, Severity, quoted};
use crate::front::token::Name;

impl<'a> Checker<'_, 'a> {
    pub(super) fn specifier(&mut self, specifier: &'a TypeSpecifier) {
        self.specifier_beside(specifier, &[]);
    }

    /// Checks a type whose fields may name what stands beside it.
    fn specifier_beside(&mut self, specifier: &'a TypeSpecifier, outer: &[&'a Name]) {
        match &specifier.kind {
            TypeKind::Base(_) => {}
            TypeKind::Named(path) => self.type_path(path),
            // `interface IFoo *` announces the interface, as `struct foo *` does a struct.
            TypeKind::Interface(path) => {
                for argument in &path.arguments {
                    self.type_name(argument);
                }
            }
            TypeKind::Struct(of) => self.struct_type(of, outer),
            TypeKind::Union(of) => self.union_type(of, outer),
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
                    self.parameters(parameters, super::methods::Calls::Locally);
                }
            }
        }
    }

    fn struct_type(&mut self, of: &'a StructType, outer: &[&'a Name]) {
        self.attributes(&of.attributes, Place::Struct);
        let fields: Vec<&Field> = of.fields.iter().flatten().collect();
        let mut names = outer.to_vec();
        self.field_names(&fields, &mut names);
        for field in fields {
            self.field(field, Place::Field, &names);
        }
    }

    fn union_type(&mut self, of: &'a UnionType, outer: &[&'a Name]) {
        self.attributes(&of.attributes, Place::Union);
        if let Some(switch) = &of.switch {
            self.specifier(&switch.specifier);
        }
        let arms: Vec<&Arm> = of.arms.iter().flatten().collect();
        let mut names = outer.to_vec();
        names.extend(of.switch.iter().map(|switch| &switch.name.name));
        let fields: Vec<&Field> = arms.iter().map(|arm| &arm.field).collect();
        self.field_names(&fields, &mut names);
        for arm in &arms {
            for case in &arm.cases {
                self.integer(case);
            }
            self.field(&arm.field, Place::Arm, &names);
        }
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
        self.attributes(&of.attributes, Place::Enum);
        for enumerator in of.enumerators.iter().flatten() {
            self.attributes(&enumerator.attributes, Place::Enumerator);
        }
        self.enumerator_values(of);
    }

    fn field(&mut self, field: &'a Field, place: Place, names: &[&'a Name]) {
        self.attributes(&field.attributes, place);
        self.names_neighbours(&field.attributes, names, Severity::Error);
        let Some(specifier) = &field.specifier else { return };
        self.specifier_beside(specifier, names);
        for declarator in &field.declarators {
            self.declarator(declarator);
            self.system_handle(&field.attributes, specifier, declarator);
        }
    }

    /// Adds the names of fields, each of which may be there once. The fields of a struct without
    /// a name are fields of the one around it.
    fn field_names(&mut self, fields: &[&'a Field], names: &mut Vec<&'a Name>) {
        let mut first = std::collections::HashMap::new();
        for field in fields {
            for declarator in &field.declarators {
                let Some(name) = &declarator.name else { continue };
                if let Some(known) = first.insert(&name.name, name.span) {
                    let message = format!("field {} is declared twice", quoted(&name.name));
                    self.error(
                        Diagnostic::error(name.span, message).related(known, "it is declared here"),
                    );
                }
                names.push(&name.name);
            }
        }
    }
}
