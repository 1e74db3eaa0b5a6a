//! The declarations in a file, library, namespace or interface.

use super::{
    ApiContract, Attributes, Class, Declarator, Delegate, DispatchInterface, Expression,
    Identifier, ImportLibrary, Interface, Library, Method, Module, TypeSpecifier,
};
use crate::front::source::Span;
use crate::front::token::{Name, Uuid};

/// One declaration.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// `import "a.idl", "b.idl";`
    Import(Vec<Import>),
    /// `cpp_quote("…")` and other statements that affect only the C header.
    CppQuote(CppQuote),
    /// `declare_guid(name, uuid);`
    DeclareGuid(DeclareGuid),
    /// `const type name = value;`
    Constant(Constant),
    /// `typedef type name;`
    Typedef(Typedef),
    /// `struct tag { … };` or another type definition without declarators.
    Type(Attributes, TypeSpecifier),
    /// `interface name : base { … }`
    Interface(Interface),
    /// `dispinterface name { … }`
    DispatchInterface(DispatchInterface),
    /// `library name { … }`
    Library(Library),
    /// `importlib("stdole2.tlb");`
    ImportLibrary(ImportLibrary),
    /// `coclass name { … }`
    CoClass(Class),
    /// `runtimeclass name { … }`
    RuntimeClass(Class),
    /// `module name { … }`
    Module(Module),
    /// `namespace name { … }`
    Namespace(Namespace),
    /// `apicontract name { … }`
    ApiContract(ApiContract),
    /// `delegate type name(…);`
    Delegate(Delegate),
    /// `declare { … }`, which lists the instances of parameterized interfaces that a file uses.
    Declare(Vec<TypeSpecifier>),
    /// A function outside an interface.
    Function(Method),
    /// A variable, as in `extern const GUID name;`
    Variable(TypeSpecifier, Vec<Declarator>),
}

/// An imported file.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// The file name as written.
    pub(crate) file: Name,
    /// The position of the file name.
    pub(crate) span: Span,
}

/// A statement that adds text to the C header that MIDL generates.
#[derive(Clone, Debug)]
pub(crate) struct CppQuote {
    /// `cpp_quote`, `midl_echo` or `midl_pragma`.
    pub(crate) keyword: Identifier,
    /// The text, with unprocessed escapes. For `midl_pragma`, the first word.
    pub(crate) text: Option<Name>,
}

/// A named GUID: `declare_guid(name, uuid);`
#[derive(Clone, Debug)]
pub(crate) struct DeclareGuid {
    pub(crate) name: Identifier,
    pub(crate) uuid: Uuid,
}

/// A constant.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub(crate) attributes: Attributes,
    /// The type before pointers and arrays are applied.
    pub(crate) specifier: TypeSpecifier,
    /// The name, with its pointers and arrays.
    pub(crate) declarator: Declarator,
    pub(crate) value: Expression,
}

/// `typedef type name, *pointer;`, which declares one or more names for a type.
#[derive(Clone, Debug)]
pub(crate) struct Typedef {
    /// The attributes, which apply to all names.
    pub(crate) attributes: Attributes,
    /// The type before pointers, arrays and functions are applied.
    pub(crate) specifier: TypeSpecifier,
    /// The names, each with its pointers, arrays and functions.
    pub(crate) declarators: Vec<Declarator>,
}

/// `namespace Windows.Foundation { … }`.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    /// The parts of the name between the dots.
    pub(crate) segments: Vec<Identifier>,
    pub(crate) items: Vec<Item>,
}
