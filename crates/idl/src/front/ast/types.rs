//! Types and what declares things of them.

use super::{Attributes, Expression, Identifier, Path, TypeName};
use crate::front::source::Span;

/// The type at the root of a declaration: what stands before the declarators.
#[derive(Clone, Debug)]
pub(crate) struct TypeSpecifier {
    /// Which type.
    pub(crate) kind: TypeKind,
    /// `const` stands beside it.
    pub(crate) is_const: bool,
    /// Where it stands.
    pub(crate) span: Span,
}

/// Which type.
#[derive(Clone, Debug)]
pub(crate) enum TypeKind {
    /// One that the language has by itself.
    Base(BaseType),
    /// One that is declared somewhere, by name.
    Named(Path),
    /// `interface IStream`, which says what the name is.
    Interface(Path),
    /// `struct …`.
    Struct(StructType),
    /// `union …`.
    Union(UnionType),
    /// `enum …`.
    Enum(EnumType),
    /// `SAFEARRAY(type)`.
    SafeArray(TypeName),
    /// `pipe type`: values that flow during a call.
    Pipe(Box<TypeSpecifier>),
}

/// The types that the language has by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseType {
    Void,
    Boolean,
    Byte,
    Char,
    SignedChar,
    UnsignedChar,
    WideChar,
    Int8,
    Int16,
    Int32,
    Int64,
    Int128,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    UInt128,
    /// `__int3264`: as long as a pointer.
    IntPointer,
    UIntPointer,
    Float,
    Double,
    /// `handle_t`: an RPC binding.
    BindingHandle,
    ErrorStatus,
}

/// `struct tag { … }`.
#[derive(Clone, Debug)]
pub(crate) struct StructType {
    /// Attributes between the keyword and the tag.
    pub(crate) attributes: Attributes,
    /// Its tag.
    pub(crate) tag: Option<Identifier>,
    /// Its fields, where it is defined.
    pub(crate) fields: Option<Vec<Field>>,
    /// Limit of their alignment in bytes that `#pragma pack` has set; 0 without one.
    pub(crate) pack: u8,
}

/// `union tag { … }`, or `union tag switch (type name) name { … }`.
#[derive(Clone, Debug)]
pub(crate) struct UnionType {
    /// Attributes between the keyword and the tag.
    pub(crate) attributes: Attributes,
    /// Its tag.
    pub(crate) tag: Option<Identifier>,
    /// What says which arm is there, if the union carries that along (an encapsulated union).
    pub(crate) switch: Option<Switch>,
    /// Its arms, where it is defined.
    pub(crate) arms: Option<Vec<Arm>>,
}

/// What an encapsulated union carries besides the arm.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    /// The type of the number that says which arm is there.
    pub(crate) specifier: Box<TypeSpecifier>,
    /// The name of that number.
    pub(crate) name: Identifier,
    /// The name of the union in the struct that the whole becomes.
    pub(crate) union_name: Option<Identifier>,
}

/// One arm of a union.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    /// The values at which it is there, written as `case 1: case 2:`; those written as
    /// `[case(1, 2)]` are among the field's attributes.
    pub(crate) cases: Vec<Expression>,
    /// It is there at every other value.
    pub(crate) is_default: bool,
    /// What is there.
    pub(crate) field: Field,
}

/// Fields of one type, declared together. An arm that holds nothing has no declarators.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Their attributes.
    pub(crate) attributes: Attributes,
    /// Their type; none for an arm that holds nothing.
    pub(crate) specifier: Option<TypeSpecifier>,
    /// Their names, with what is made of the type.
    pub(crate) declarators: Vec<Declarator>,
    /// All of it.
    pub(crate) span: Span,
}

/// `enum tag { … }`.
#[derive(Clone, Debug)]
pub(crate) struct EnumType {
    /// Attributes between the keyword and the tag.
    pub(crate) attributes: Attributes,
    /// Its tag.
    pub(crate) tag: Option<Identifier>,
    /// Its constants, where it is defined.
    pub(crate) enumerators: Option<Vec<Enumerator>>,
}

/// One constant of an enum.
#[derive(Clone, Debug)]
pub(crate) struct Enumerator {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its name.
    pub(crate) name: Identifier,
    /// Its value, if one is written.
    pub(crate) value: Option<Expression>,
}

/// A name, and what is made of the type before it.
#[derive(Clone, Debug)]
pub(crate) struct Declarator {
    /// The name; a parameter may do without.
    pub(crate) name: Option<Identifier>,
    /// What the thing named is, from the outside in: for `T *a[2]` first the array, then the
    /// pointer, of `T`.
    pub(crate) derivations: Vec<Derivation>,
    /// How many bits of it a bit field has.
    pub(crate) bits: Option<Expression>,
    /// All of it.
    pub(crate) span: Span,
}

/// One step from a type to another.
#[derive(Clone, Debug)]
pub(crate) enum Derivation {
    /// A pointer to the rest.
    Pointer {
        /// The pointer itself doesn't change.
        is_const: bool,
    },
    /// An array of the rest.
    Array(Bounds),
    /// A function that returns the rest.
    Function(Parameters),
}

/// How many elements an array has.
#[derive(Clone, Debug)]
pub(crate) enum Bounds {
    /// `[]` or `[*]`: the attributes say it.
    Open,
    /// `[10]`.
    Length(Box<Expression>),
    /// `[0..9]`, the last one included.
    Range(Box<Expression>, Box<Expression>),
}

/// The parameters of a method or a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    /// Each of them; `(void)` has none.
    pub(crate) list: Vec<Parameter>,
    /// `...` ends them.
    pub(crate) is_variadic: bool,
    /// The calling convention, as it is written.
    pub(crate) convention: Option<Identifier>,
}

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// The type at its root.
    pub(crate) specifier: TypeSpecifier,
    /// Its name, and what is made of that type.
    pub(crate) declarator: Declarator,
    /// All of it.
    pub(crate) span: Span,
}
