//! Interfaces and their methods.

use super::{
    Attributes, Declarator, Derivation, Identifier, Item, Parameters, Path, TypeSpecifier,
};
use crate::front::source::Span;

/// An interface.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) attributes: Attributes,
    pub(crate) name: Identifier,
    /// The names of the type parameters, such as the `T` in `IVector<T>`.
    pub(crate) type_parameters: Vec<Identifier>,
    /// The interface that this one derives from.
    pub(crate) base: Option<Path>,
    /// The interfaces that an implementation of this interface must also implement.
    pub(crate) requires: Vec<Path>,
    /// The members; `None` for a forward declaration.
    pub(crate) members: Option<Vec<Member>>,
}

/// A member of an interface.
#[derive(Clone, Debug)]
pub(crate) enum Member {
    /// A method.
    Method(Method),
    /// A declaration that can also appear outside an interface.
    Item(Item),
}

/// A method of a COM interface, or a function of an RPC interface or module.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// The attributes of the method and of its return value.
    pub(crate) attributes: Attributes,
    /// The return type before pointers are applied.
    pub(crate) returns: TypeSpecifier,
    /// The pointers of the return type, outermost first.
    pub(crate) return_derivations: Vec<Derivation>,
    pub(crate) name: Identifier,
    pub(crate) parameters: Parameters,
    pub(crate) span: Span,
}

/// A `dispinterface`: an interface whose methods are called by name or number at run time
/// (`IDispatch`).
#[derive(Clone, Debug)]
pub(crate) struct DispatchInterface {
    pub(crate) attributes: Attributes,
    pub(crate) name: Identifier,
    /// The members; `None` for a forward declaration.
    pub(crate) members: Option<Vec<DispatchMember>>,
}

/// A member of a `dispinterface`.
#[derive(Clone, Debug)]
pub(crate) enum DispatchMember {
    /// `interface IFoo;`, which includes the members of another interface.
    Interface(Path),
    /// A property in the `properties:` section.
    Property(Attributes, TypeSpecifier, Vec<Declarator>),
    /// A method in the `methods:` section.
    Method(Method),
}

impl Interface {
    /// Returns the interface's own methods, without the inherited ones.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.members.iter().flatten().filter_map(|member| match member {
            Member::Method(method) => Some(method),
            Member::Item(_) => None,
        })
    }
}
