//! Checks that attributes fit the types of their declarations, and that counts are integers.

use std::collections::HashMap;

use super::Checker;
use super::scope::{Chain, Root};
use super::symbols::Definition;
use crate::front::ast::{
    Attribute, AttributeName, AttributeTarget, Attributes, BaseType, Derivation, Expression,
    ExpressionKind, Parameters, UnaryOperator,
};
use crate::front::constant::IntegerType;
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::source::Span;
use crate::front::token::Name;

/// The attributes that specify a number of elements.
pub(super) const SIZES: [AttributeName; 6] = [
    AttributeName::SizeIs,
    AttributeName::LengthIs,
    AttributeName::MaxIs,
    AttributeName::MinIs,
    AttributeName::FirstIs,
    AttributeName::LastIs,
];

/// The attributes that apply to pointers.
const POINTERS: [AttributeName; 3] =
    [AttributeName::Unique, AttributeName::Ref, AttributeName::Ptr];

/// The type names of interface identifiers, to which `iid_is` may refer.
const IDENTIFIERS: [&str; 8] =
    ["GUID", "IID", "REFIID", "REFGUID", "CLSID", "REFCLSID", "LPIID", "UUID"];

impl<'a> Checker<'_, 'a> {
    /// Checks that the attributes of a parameter, field or typedef fit its type.
    pub(super) fn check_type_attributes(
        &mut self,
        attributes: &'a Attributes,
        chain: &Chain<'a>,
        derivations: &'a [Derivation],
        span: Span,
        target: AttributeTarget,
    ) {
        if attributes.list().is_empty() || matches!(chain.root, Root::Unknown | Root::Other) {
            return;
        }
        let is_indirect =
            |step: &&Derivation| matches!(step, Derivation::Pointer { .. } | Derivation::Array(_));
        let steps: Vec<&Derivation> =
            derivations.iter().chain(chain.derivations.iter().copied()).collect();
        let levels = steps.iter().copied().filter(is_indirect).count();
        let pointers =
            steps.iter().filter(|step| matches!(step, Derivation::Pointer { .. })).count();
        for name in SIZES {
            let Some(attribute) = attributes.find(name) else { continue };
            if levels == 0 {
                self.misfit(attribute, span, "it is for pointers and arrays");
            } else if attribute.arguments.len() > levels {
                let what = format!(
                    "it has {} values, and the type has {levels} pointers and arrays",
                    attribute.arguments.len()
                );
                self.misfit(attribute, span, &what);
            }
        }
        for name in POINTERS {
            // An array parameter is passed as a pointer. A function is also a pointer.
            let fits = pointers > 0
                || steps.iter().any(|step| matches!(step, Derivation::Function(_)))
                || levels > 0;
            if let Some(attribute) = attributes.find(name).filter(|_| !fits) {
                self.misfit(attribute, span, "it is for pointers");
            }
        }
        if let Some(attribute) = attributes.find(AttributeName::String) {
            let is_letters = match chain.root {
                Root::Base(base) => IntegerType::of(base).is_some_and(|of| of.bits <= 16),
                // RPC allows structs of bytes as strings.
                Root::Definition(Definition::Struct(_)) => true,
                _ => false,
            };
            if !is_letters || levels == 0 {
                self.misfit(attribute, span, "it is for pointers to letters and arrays of them");
            }
        }
        if let Some(attribute) = attributes.find(AttributeName::SwitchIs) {
            if !matches!(chain.root, Root::Definition(Definition::Union(_))) {
                self.misfit(attribute, span, "it is for unions");
            }
        }
        if let Some(attribute) = attributes.find(AttributeName::IidIs) {
            let is_object = matches!(
                chain.root,
                Root::Base(BaseType::Void)
                    | Root::Definition(Definition::Interface(_) | Definition::Class)
                    | Root::Definition(Definition::DispatchInterface)
            );
            if !is_object || levels == 0 {
                self.misfit(attribute, span, "it is for pointers to objects");
            }
        }
        if let Some(attribute) = attributes.find(AttributeName::Range) {
            let is_float = matches!(chain.root, Root::Base(BaseType::Float | BaseType::Double));
            let is_number = matches!(chain.root, Root::Base(base) if IntegerType::of(base).is_some())
                || matches!(chain.root, Root::Definition(Definition::Enum(_)));
            let is_sized = SIZES.iter().any(|&size| attributes.has(size));
            if !is_float && !is_number && !is_sized && levels == 0 {
                self.misfit(attribute, span, "it is for numbers");
            }
        }
        if let Some(attribute) = attributes.find(AttributeName::V1Enum) {
            let is_enum = matches!(chain.root, Root::Definition(Definition::Enum(_)));
            if target == AttributeTarget::Typedef && !is_enum {
                self.misfit(attribute, span, "it is for enums");
            }
        }
    }

    fn misfit(&mut self, attribute: &Attribute, span: Span, why: &str) {
        let message =
            format!("attribute {} doesn't fit this type: {why}", quoted(&attribute.name.name));
        self.error(
            Diagnostic::error(attribute.span, message).related(span, "the type is declared here"),
        );
    }

    /// Checks the parameters that attributes name. A count must be an integer, and the parameter
    /// that `iid_is` names must be an interface identifier.
    pub(super) fn counts(&mut self, parameters: &'a Parameters) {
        let mut types: HashMap<&Name, Counter> = HashMap::new();
        for parameter in &parameters.list {
            let Some(name) = &parameter.declarator.name else { continue };
            let chain = self.view().chain(&parameter.specifier);
            let pointers = parameter.declarator.derivations.len() + chain.derivations.len();
            let kind = match chain.root {
                Root::Unknown | Root::Other => continue,
                _ if chain.names.iter().any(|name| IDENTIFIERS.contains(&&***name)) => {
                    CounterKind::Identifier
                }
                Root::Base(base) if IntegerType::of(base).is_some() => CounterKind::Integer,
                Root::Definition(Definition::Enum(_)) => CounterKind::Integer,
                _ => CounterKind::Other,
            };
            types.insert(&name.name, Counter { pointers, kind });
        }
        for parameter in &parameters.list {
            for attribute in parameter.attributes.list() {
                let Some(known) = attribute.known else { continue };
                let is_identifier = known == AttributeName::IidIs;
                if !is_identifier && known != AttributeName::SwitchIs && !SIZES.contains(&known) {
                    continue;
                }
                for value in attribute.values() {
                    let Some((name, stars)) = named_operand(value, 0) else { continue };
                    let Some(counter) = types.get(name) else { continue };
                    if let Some(wrong) = counter.wrong(stars, is_identifier, name) {
                        self.error(Diagnostic::error(value.span, wrong));
                    }
                }
            }
        }
    }
}

/// A parameter that the attributes of other parameters may name.
struct Counter {
    pointers: usize,
    kind: CounterKind,
}

#[derive(PartialEq, Eq)]
enum CounterKind {
    Integer,
    Identifier,
    Other,
}

impl Counter {
    /// Returns an error message if an attribute can't use this parameter with `stars` dereferences.
    fn wrong(&self, stars: usize, is_identifier: bool, name: &Name) -> Option<String> {
        let name = quoted(name);
        match (is_identifier, &self.kind) {
            (true, CounterKind::Identifier) | (false, CounterKind::Integer) => {}
            (true, _) => return Some(format!("{name} isn't the identifier of an interface")),
            (false, _) => return Some(format!("{name} isn't an integer")),
        }
        if is_identifier {
            return None;
        }
        match self.pointers.cmp(&stars) {
            std::cmp::Ordering::Greater => {
                Some(format!("{name} is a pointer, not a number: write `*` before it"))
            }
            std::cmp::Ordering::Less => Some(format!("{name} isn't a pointer: remove the `*`")),
            std::cmp::Ordering::Equal => None,
        }
    }
}

/// Returns the name in an expression, with the number of dereferences (`*`) before it.
fn named_operand(expression: &Expression, stars: usize) -> Option<(&Name, usize)> {
    match &expression.without_parentheses().kind {
        ExpressionKind::Name(name) => Some((name, stars)),
        ExpressionKind::Unary(UnaryOperator::Dereference, inner) => named_operand(inner, stars + 1),
        ExpressionKind::Binary(_, left, right) => {
            // In `n * 2` and `n + 1`, the first name is the one to check.
            named_operand(left, stars).or_else(|| named_operand(right, stars))
        }
        _ => None,
    }
}
