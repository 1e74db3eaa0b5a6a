//! Types and declarators.

use super::{Attributes, Expression, Identifier, Path, TypeName};
use crate::front::source::Span;

/// The type at the start of a declaration, without the declarators.
#[derive(Clone, Debug)]
pub(crate) struct TypeSpecifier {
    pub(crate) kind: TypeKind,
    /// Whether the type is `const`.
    pub(crate) is_const: bool,
    pub(crate) span: Span,
}

/// The kinds of types.
#[derive(Clone, Debug)]
pub(crate) enum TypeKind {
    /// A built-in type.
    Base(BaseType),
    /// A declared type, by its name.
    Named(Path),
    /// `interface IStream`: a type name that must refer to an interface.
    Interface(Path),
    /// `struct …`.
    Struct(StructType),
    /// `union …`.
    Union(UnionType),
    /// `enum …`.
    Enum(EnumType),
    /// `SAFEARRAY(type)`.
    SafeArray(TypeName),
    /// `pipe type`: a stream of values that is transferred during a call.
    Pipe(Box<TypeSpecifier>),
}

/// The built-in types.
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
    /// `__int3264`: an integer of pointer size.
    IntPointer,
    UIntPointer,
    Float,
    Double,
    /// `handle_t`: an RPC binding handle.
    BindingHandle,
    ErrorStatus,
}

/// `struct tag { … }`.
#[derive(Clone, Debug)]
pub(crate) struct StructType {
    /// The attributes between the keyword and the tag.
    pub(crate) attributes: Attributes,
    pub(crate) tag: Option<Identifier>,
    /// The fields; `None` for a forward declaration.
    pub(crate) fields: Option<Vec<Field>>,
    /// The maximum alignment of the fields in bytes, as set by `#pragma pack`; 0 if unlimited.
    pub(crate) pack: u8,
}

/// `union tag { … }`, or `union tag switch (type name) name { … }`.
#[derive(Clone, Debug)]
pub(crate) struct UnionType {
    /// The attributes between the keyword and the tag.
    pub(crate) attributes: Attributes,
    pub(crate) tag: Option<Identifier>,
    /// The discriminant of an encapsulated union.
    pub(crate) switch: Option<Switch>,
    /// The arms; `None` for a forward declaration.
    pub(crate) arms: Option<Vec<Arm>>,
}

/// The discriminant of an encapsulated union, and the name of the union.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    /// The type of the discriminant.
    pub(crate) specifier: Box<TypeSpecifier>,
    /// The name of the discriminant.
    pub(crate) name: Identifier,
    /// The name of the union in the struct that MIDL generates.
    pub(crate) union_name: Option<Identifier>,
}

/// One arm of a union.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    /// The discriminant values written as `case 1: case 2:`. Values written as `[case(1, 2)]` are
    /// in the field's attributes instead.
    pub(crate) cases: Vec<Expression>,
    /// Whether the arm applies to all remaining values.
    pub(crate) is_default: bool,
    /// The field that the arm contains.
    pub(crate) field: Field,
}

/// One or more fields declared with the same type. An empty arm has no declarators.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) attributes: Attributes,
    /// The type; `None` for an empty arm.
    pub(crate) specifier: Option<TypeSpecifier>,
    /// The names, each with its pointers, arrays and functions.
    pub(crate) declarators: Vec<Declarator>,
    pub(crate) span: Span,
}

/// `enum tag { … }`.
#[derive(Clone, Debug)]
pub(crate) struct EnumType {
    /// The attributes between the keyword and the tag.
    pub(crate) attributes: Attributes,
    pub(crate) tag: Option<Identifier>,
    /// The constants; `None` for a forward declaration.
    pub(crate) enumerators: Option<Vec<Enumerator>>,
}

/// One constant of an enum.
#[derive(Clone, Debug)]
pub(crate) struct Enumerator {
    pub(crate) attributes: Attributes,
    pub(crate) name: Identifier,
    /// The value, if the source gives one.
    pub(crate) value: Option<Expression>,
}

/// A declared name, with the pointers, arrays and functions applied to it.
#[derive(Clone, Debug)]
pub(crate) struct Declarator {
    /// The name; `None` for an unnamed parameter.
    pub(crate) name: Option<Identifier>,
    /// The pointers, arrays and functions, outermost first. For `T *a[2]`, the array precedes the
    /// pointer.
    pub(crate) derivations: Vec<Derivation>,
    /// The width of a bit field in bits.
    pub(crate) bits: Option<Expression>,
    pub(crate) span: Span,
}

/// A pointer, array or function in a declarator. It applies to the *inner type*, which consists of
/// the following derivations and the specifier.
#[derive(Clone, Debug)]
pub(crate) enum Derivation {
    /// A pointer to the inner type.
    Pointer {
        /// Whether the pointer itself is `const`.
        is_const: bool,
    },
    /// An array whose elements have the inner type.
    Array(Bounds),
    /// A function that returns the inner type.
    Function(Parameters),
}

/// The size of an array.
#[derive(Clone, Debug)]
pub(crate) enum Bounds {
    /// `[]` or `[*]`: attributes specify the number of elements.
    Open,
    /// `[10]`.
    Length(Box<Expression>),
    /// `[0..9]`, with an inclusive upper bound.
    Range(Box<Expression>, Box<Expression>),
}

/// The parameters of a method or a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    /// The parameters. The list is empty for `(void)`.
    pub(crate) list: Vec<Parameter>,
    /// Whether the list ends with `...`.
    pub(crate) is_variadic: bool,
    /// The calling convention as written in the source.
    pub(crate) convention: Option<Identifier>,
}

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) attributes: Attributes,
    /// The type before pointers, arrays and functions are applied.
    pub(crate) specifier: TypeSpecifier,
    /// The name, with its pointers, arrays and functions.
    pub(crate) declarator: Declarator,
    pub(crate) span: Span,
}
