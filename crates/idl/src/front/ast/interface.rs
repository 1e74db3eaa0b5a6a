//! Interfaces and their methods.

use super::{
    Attributes, Declarator, Derivation, Identifier, Item, Parameters, Path, TypeSpecifier,
};
use crate::front::source::Span;

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its name.
    pub name: Identifier,
    /// The names of the types that it leaves open: the `T` in `IVector<T>`.
    pub type_parameters: Vec<Identifier>,
    /// What it derives from.
    pub base: Option<Path>,
    /// What its implementations implement too.
    pub requires: Vec<Path>,
    /// What it consists of; nothing where it is only announced.
    pub members: Option<Vec<Member>>,
}

/// A part of an interface.
#[derive(Clone, Debug)]
pub enum Member {
    /// A method.
    Method(Method),
    /// Something that could stand outside the interface as well.
    Item(Item),
}

/// A method, or a function of an RPC interface or of a module.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its attributes, and those of what it returns.
    pub attributes: Attributes,
    /// The type at the root of what it returns.
    pub returns: TypeSpecifier,
    /// What it makes of that type, from the outside in.
    pub return_derivations: Vec<Derivation>,
    /// Its name.
    pub name: Identifier,
    /// Its parameters.
    pub parameters: Parameters,
    /// All of it.
    pub span: Span,
}

/// An interface that is called by names and numbers at run time (`IDispatch`).
#[derive(Clone, Debug)]
pub struct DispatchInterface {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its name.
    pub name: Identifier,
    /// What it consists of; nothing where it is only announced.
    pub members: Option<Vec<DispatchMember>>,
}

/// A part of a `dispinterface`.
#[derive(Clone, Debug)]
pub enum DispatchMember {
    /// `interface IFoo;`: it has what that interface has.
    Interface(Path),
    /// A property of the `properties:` section.
    Property(Attributes, TypeSpecifier, Vec<Declarator>),
    /// A method of the `methods:` section.
    Method(Method),
}

impl Interface {
    /// Its methods, without those of what it derives from.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.members.iter().flatten().filter_map(|member| match member {
            Member::Method(method) => Some(method),
            Member::Item(_) => None,
        })
    }
}
