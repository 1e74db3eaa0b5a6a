//! Libraries, classes and what else describes a component as a whole.

use super::{Attributes, Identifier, Item, Method, Path};
use crate::front::source::Span;
use crate::front::token::Name;

/// A type library.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its name.
    pub(crate) name: Identifier,
    /// What is in it.
    pub(crate) items: Vec<Item>,
}

/// Another type library, whose names are used.
#[derive(Clone, Debug)]
pub(crate) struct ImportLibrary {
    /// Its file.
    pub(crate) file: Name,
    /// Where that stands.
    pub(crate) span: Span,
}

/// A class: of COM (`coclass`) or of the Windows Runtime (`runtimeclass`).
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its name.
    pub(crate) name: Identifier,
    /// The class it derives from.
    pub(crate) base: Option<Path>,
    /// The interfaces it has; nothing where it is only announced.
    pub(crate) interfaces: Option<Vec<ClassItem>>,
}

/// An interface of a class.
#[derive(Clone, Debug)]
pub(crate) struct ClassItem {
    /// Its attributes: `default`, `source` and such.
    pub(crate) attributes: Attributes,
    /// `dispinterface` stands before it.
    pub(crate) is_dispatch: bool,
    /// Its name.
    pub(crate) path: Path,
}

/// Functions and constants of a library file.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its name.
    pub(crate) name: Identifier,
    /// Its constants, types and functions; nothing where it is only announced.
    pub(crate) items: Option<Vec<Item>>,
}

/// A named, versioned set of Windows Runtime types.
#[derive(Clone, Debug)]
pub(crate) struct ApiContract {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its name.
    pub(crate) name: Identifier,
    /// It is only announced.
    pub(crate) is_announced: bool,
}

/// The type of a callback in the Windows Runtime: an interface with one method.
#[derive(Clone, Debug)]
pub(crate) struct Delegate {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// The names of the types that it leaves open.
    pub(crate) type_parameters: Vec<Identifier>,
    /// Its method, which has its name.
    pub(crate) method: Method,
}
