//! The syntax tree of an IDL file, with source positions and unresolved names.

mod attribute;
mod attribute_name;
mod declaration;
mod expression;
mod interface;
mod library;
mod types;

pub(crate) use attribute::{Argument, Attribute, Attributes};
pub(crate) use attribute_name::{AttributeName, AttributeSyntax, AttributeTarget};
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

/// A name and its position.
#[derive(Clone, Debug)]
pub(crate) struct Identifier {
    pub(crate) name: Name,
    pub(crate) span: Span,
}

/// A name with its qualification and type arguments:
/// `Windows.Foundation.Collections.IVector<HSTRING>`.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// The parts of the name between the dots; at least one.
    pub(crate) segments: Vec<Identifier>,
    /// The type arguments in angle brackets.
    pub(crate) arguments: Vec<TypeName>,
    pub(crate) span: Span,
}

impl Path {
    /// Returns the parts of the name, joined by dots.
    pub(crate) fn name(&self) -> String {
        let segments: Vec<&str> = self.segments.iter().map(|segment| &*segment.name).collect();
        segments.join(".")
    }

    /// Returns the name if it consists of one part and has no type arguments.
    pub(crate) fn as_name(&self) -> Option<&Name> {
        match self.segments.as_slice() {
            [only] => Some(&only.name),
            _ => None,
        }
    }
}

/// A complete type without a declared name, for example in a cast.
#[derive(Clone, Debug)]
pub(crate) struct TypeName {
    /// The type before pointers, arrays and functions are applied.
    pub(crate) specifier: Box<TypeSpecifier>,
    /// The pointers, arrays and functions applied to the type, as in [`Declarator`].
    pub(crate) derivations: Vec<Derivation>,
}
