//! The syntax tree of an IDL file: what was written, with its places, before names are resolved.

mod attribute;
mod declaration;
mod expression;
mod interface;
mod library;
mod types;

pub(crate) use attribute::{Argument, Attribute, AttributeName, Attributes};
pub(crate) use attribute::{Place, Shape};
pub(crate) use declaration::{Constant, CppQuote, DeclareGuid, Import, Item, Namespace, Typedef};
pub(crate) use expression::{BinaryOperator, Expression, ExpressionKind, UnaryOperator};
pub(crate) use interface::{DispatchInterface, DispatchMember, Interface, Member, Method};
pub(crate) use library::{ApiContract, Class, ClassItem, Delegate, ImportLibrary, Library, Module};
pub(crate) use types::{
    Arm, BaseType, Bounds, Declarator, Derivation, EnumType, Enumerator, Field, Parameter,
    Parameters, StructType, Switch, TypeKind, TypeSpecifier, UnionType,
};

use super::source::Span;
use super::token::Name;

/// A name and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Identifier {
    /// Its letters.
    pub(crate) name: Name,
    /// Where it stands.
    pub(crate) span: Span,
}

/// A name with what qualifies it: `Windows.Foundation.Collections.IVector<HSTRING>`.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// The parts between the dots; at least one.
    pub(crate) segments: Vec<Identifier>,
    /// The types between the angle brackets.
    pub(crate) arguments: Vec<TypeName>,
    /// All of it.
    pub(crate) span: Span,
}

impl Path {
    /// The parts, joined by dots.
    pub(crate) fn name(&self) -> String {
        let segments: Vec<&str> = self.segments.iter().map(|segment| &*segment.name).collect();
        segments.join(".")
    }

    /// The name, if nothing qualifies it.
    pub(crate) fn as_name(&self) -> Option<&Name> {
        match self.segments.as_slice() {
            [only] => Some(&only.name),
            _ => None,
        }
    }
}

/// A whole type without a name for a thing of that type, as in a cast.
#[derive(Clone, Debug)]
pub(crate) struct TypeName {
    /// The type at its root.
    pub(crate) specifier: Box<TypeSpecifier>,
    /// What is made of it, as in [`Declarator`].
    pub(crate) derivations: Vec<Derivation>,
}
