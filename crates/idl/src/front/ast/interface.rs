//! Interfaces and their methods.

use super::{
    Attributes, Declarator, Derivation, Identifier, Item, Parameters, Path, TypeSpecifier,
};
use crate::front::source::Span;

/// An interface.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its name.
    pub(crate) name: Identifier,
    /// The names of the types that it leaves open: the `T` in `IVector<T>`.
    pub(crate) type_parameters: Vec<Identifier>,
    /// What it derives from.
    pub(crate) base: Option<Path>,
    /// What its implementations implement too.
    pub(crate) requires: Vec<Path>,
    /// What it consists of; nothing where it is only announced.
    pub(crate) members: Option<Vec<Member>>,
}

/// A part of an interface.
#[derive(Clone, Debug)]
pub(crate) enum Member {
    /// A method.
    Method(Method),
    /// Something that could stand outside the interface as well.
    Item(Item),
}

/// A method, or a function of an RPC interface or of a module.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// Its attributes, and those of what it returns.
    pub(crate) attributes: Attributes,
    /// The type at the root of what it returns.
    pub(crate) returns: TypeSpecifier,
    /// What it makes of that type, from the outside in.
    pub(crate) return_derivations: Vec<Derivation>,
    /// Its name.
    pub(crate) name: Identifier,
    /// Its parameters.
    pub(crate) parameters: Parameters,
    /// All of it.
    pub(crate) span: Span,
}

/// An interface that is called by names and numbers at run time (`IDispatch`).
#[derive(Clone, Debug)]
pub(crate) struct DispatchInterface {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its name.
    pub(crate) name: Identifier,
    /// What it consists of; nothing where it is only announced.
    pub(crate) members: Option<Vec<DispatchMember>>,
}

/// A part of a `dispinterface`.
#[derive(Clone, Debug)]
pub(crate) enum DispatchMember {
    /// `interface IFoo;`: it has what that interface has.
    Interface(Path),
    /// A property of the `properties:` section.
    Property(Attributes, TypeSpecifier, Vec<Declarator>),
    /// A method of the `methods:` section.
    Method(Method),
}

impl Interface {
    /// Its methods, without those of what it derives from.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.members.iter().flatten().filter_map(|member| match member {
            Member::Method(method) => Some(method),
            Member::Item(_) => None,
        })
    }
}
