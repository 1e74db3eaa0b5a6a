//! The syntax tree of an IDL file: what was written, with its places, before names are resolved.

mod attribute;
mod declaration;
mod expression;
mod interface;
mod library;
mod types;

pub use attribute::{Argument, Attribute, AttributeName, Attributes};
pub(crate) use attribute::{Place, Shape};
pub use declaration::{Constant, CppQuote, DeclareGuid, Import, Item, Namespace, Typedef};
pub use expression::{BinaryOperator, Expression, ExpressionKind, UnaryOperator};
pub use interface::{DispatchInterface, DispatchMember, Interface, Member, Method};
pub use library::{ApiContract, Class, ClassItem, Delegate, ImportLibrary, Library, Module};
pub use types::{
    Arm, BaseType, Bounds, Declarator, Derivation, EnumType, Enumerator, Field, Parameter,
    Parameters, StructType, Switch, TypeKind, TypeSpecifier, UnionType,
};

use super::source::Span;
use super::token::Name;

/// A name and where it stands.
#[derive(Clone, Debug)]
pub struct Identifier {
    /// Its letters.
    pub name: Name,
    /// Where it stands.
    pub span: Span,
}

/// A name with what qualifies it: `Windows.Foundation.Collections.IVector<HSTRING>`.
#[derive(Clone, Debug)]
pub struct Path {
    /// The parts between the dots; at least one.
    pub segments: Vec<Identifier>,
    /// The types between the angle brackets.
    pub arguments: Vec<TypeName>,
    /// All of it.
    pub span: Span,
}

impl Path {
    /// The parts, joined by dots.
    pub fn name(&self) -> String {
        let segments: Vec<&str> = self.segments.iter().map(|segment| &*segment.name).collect();
        segments.join(".")
    }

    /// The name, if nothing qualifies it.
    pub fn as_name(&self) -> Option<&Name> {
        match self.segments.as_slice() {
            [only] => Some(&only.name),
            _ => None,
        }
    }
}

/// A whole type without a name for a thing of that type, as in a cast.
#[derive(Clone, Debug)]
pub struct TypeName {
    /// The type at its root.
    pub specifier: Box<TypeSpecifier>,
    /// What is made of it, as in [`Declarator`].
    pub derivations: Vec<Derivation>,
}
