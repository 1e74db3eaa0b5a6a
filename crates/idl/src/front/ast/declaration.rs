//! What a file, a library, a namespace or an interface is a list of.

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
    /// `cpp_quote("…")`, and what else is only for the C header.
    CppQuote(CppQuote),
    /// `declare_guid(name, uuid);`
    DeclareGuid(DeclareGuid),
    /// `const type name = value;`
    Constant(Constant),
    /// `typedef type name;`
    Typedef(Typedef),
    /// `struct tag { … };` and such, without a name for a thing of that type.
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
    /// `declare { … }`: the parameterized interfaces that a file uses.
    Declare(Vec<TypeSpecifier>),
    /// A function that stands by itself.
    Function(Method),
    /// A variable, as in `extern const GUID name;`
    Variable(TypeSpecifier, Vec<Declarator>),
}

/// One file to import.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// Its name.
    pub(crate) file: Name,
    /// Where that stands.
    pub(crate) span: Span,
}

/// Text for the C header that MIDL writes.
#[derive(Clone, Debug)]
pub(crate) struct CppQuote {
    /// `cpp_quote`, `midl_echo` or `midl_pragma`.
    pub(crate) keyword: Identifier,
    /// The text, with its escapes as they are written; of a `midl_pragma` its first word.
    pub(crate) text: Option<Name>,
}

/// A GUID that gets a name.
#[derive(Clone, Debug)]
pub(crate) struct DeclareGuid {
    /// The name.
    pub(crate) name: Identifier,
    /// The GUID.
    pub(crate) uuid: Uuid,
}

/// A constant.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// The type at its root.
    pub(crate) specifier: TypeSpecifier,
    /// Its name, and what is made of that type.
    pub(crate) declarator: Declarator,
    /// Its value.
    pub(crate) value: Expression,
}

/// New names for a type.
#[derive(Clone, Debug)]
pub(crate) struct Typedef {
    /// Attributes of all the names.
    pub(crate) attributes: Attributes,
    /// The type at their root.
    pub(crate) specifier: TypeSpecifier,
    /// The names, with what each makes of the type.
    pub(crate) declarators: Vec<Declarator>,
}

/// `namespace Windows.Foundation { … }`.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    /// The parts of its name.
    pub(crate) segments: Vec<Identifier>,
    /// What is in it.
    pub(crate) items: Vec<Item>,
}
