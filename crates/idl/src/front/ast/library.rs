//! Type libraries, classes and related declarations.

use super::{Attributes, Identifier, Item, Method, Path};
use crate::front::source::Span;
use crate::front::token::Name;

/// A type library.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) attributes: Attributes,
    pub(crate) name: Identifier,
    pub(crate) items: Vec<Item>,
}

/// An imported type library: `importlib("file");`.
#[derive(Clone, Debug)]
pub(crate) struct ImportLibrary {
    /// The file name as written in the source.
    pub(crate) file: Name,
    /// The position of the file name.
    pub(crate) span: Span,
}

/// A COM class (`coclass`) or Windows Runtime class (`runtimeclass`).
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) attributes: Attributes,
    pub(crate) name: Identifier,
    /// The base class.
    pub(crate) base: Option<Path>,
    /// The implemented interfaces; `None` for a forward declaration.
    pub(crate) interfaces: Option<Vec<ClassItem>>,
}

/// An interface that a class implements.
#[derive(Clone, Debug)]
pub(crate) struct ClassItem {
    /// The attributes, such as `default` and `source`.
    pub(crate) attributes: Attributes,
    /// Whether the source uses the keyword `dispinterface`.
    pub(crate) is_dispatch: bool,
    /// The name of the interface.
    pub(crate) path: Path,
}

/// The functions and constants of a dynamic library: `module name { … }`.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) attributes: Attributes,
    pub(crate) name: Identifier,
    /// The constants, types and functions; `None` for a forward declaration.
    pub(crate) items: Option<Vec<Item>>,
}

/// A named, versioned set of Windows Runtime types.
#[derive(Clone, Debug)]
pub(crate) struct ApiContract {
    pub(crate) attributes: Attributes,
    pub(crate) name: Identifier,
    /// Whether this is a forward declaration.
    pub(crate) is_forward: bool,
}

/// A callback type of the Windows Runtime: an interface with a single method.
#[derive(Clone, Debug)]
pub(crate) struct Delegate {
    pub(crate) attributes: Attributes,
    /// The names of the type parameters.
    pub(crate) type_parameters: Vec<Identifier>,
    /// The method. It has the name of the delegate.
    pub(crate) method: Method,
}
