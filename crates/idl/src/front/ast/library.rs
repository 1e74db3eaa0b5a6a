//! Libraries, classes and what else describes a component as a whole.

use super::{Attributes, Identifier, Item, Method, Path};
use crate::front::source::Span;
use crate::front::token::Name;

/// A type library.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its name.
    pub name: Identifier,
    /// What is in it.
    pub items: Vec<Item>,
}

/// Another type library, whose names are used.
#[derive(Clone, Debug)]
pub struct ImportLibrary {
    /// Its file.
    pub file: Name,
    /// Where that stands.
    pub span: Span,
}

/// A class: of COM (`coclass`) or of the Windows Runtime (`runtimeclass`).
#[derive(Clone, Debug)]
pub struct Class {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its name.
    pub name: Identifier,
    /// The class it derives from.
    pub base: Option<Path>,
    /// The interfaces it has; nothing where it is only announced.
    pub interfaces: Option<Vec<ClassItem>>,
}

/// An interface of a class.
#[derive(Clone, Debug)]
pub struct ClassItem {
    /// Its attributes: `default`, `source` and such.
    pub attributes: Attributes,
    /// `dispinterface` stands before it.
    pub is_dispatch: bool,
    /// Its name.
    pub path: Path,
}

/// Functions and constants of a library file.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its name.
    pub name: Identifier,
    /// Its constants, types and functions; nothing where it is only announced.
    pub items: Option<Vec<Item>>,
}

/// A named, versioned set of Windows Runtime types.
#[derive(Clone, Debug)]
pub struct ApiContract {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its name.
    pub name: Identifier,
}

/// The type of a callback in the Windows Runtime: an interface with one method.
#[derive(Clone, Debug)]
pub struct Delegate {
    /// Its attributes.
    pub attributes: Attributes,
    /// The names of the types that it leaves open.
    pub type_parameters: Vec<Identifier>,
    /// Its method, which has its name.
    pub method: Method,
}
