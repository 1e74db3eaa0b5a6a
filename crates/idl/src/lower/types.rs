//! From the shape of a declaration to a Rust type.

use syn::Type;

use super::shape::{Leaf, Shape};
use super::{Lowered, Lowering, ident, names};
use crate::front::Span;
use crate::front::ast::{Argument, AttributeName, BaseType, Bounds, Derivation, Expression};
use crate::front::constant;
use crate::front::diagnostic::quoted;
use crate::model::Handle;

/// A type, and what is declared of the handles in it.
pub(super) struct Value {
    pub(super) ty: Type,
    pub(super) handle: Option<Handle>,
}

impl From<Type> for Value {
    fn from(ty: Type) -> Self {
        Self { ty, handle: None }
    }
}

impl<'a> Lowering<'_, 'a> {
    /// The type of what is declared, from the step `at` on. `name` is for a type without one;
    /// `is_top` says that a pointer is only how a parameter is passed.
    pub(super) fn value(
        &mut self,
        shape: &Shape<'a>,
        at: usize,
        name: &str,
        is_top: bool,
    ) -> Lowered<Value> {
        for (attribute, what) in MEANINGLESS {
            if shape.has(attribute) {
                return self.refuse(shape.span, format!("{} {what}", quoted(attribute.text())), "");
            }
        }
        self.step(shape, at, name, is_top)
    }

    fn step(&mut self, shape: &Shape<'a>, at: usize, name: &str, is_top: bool) -> Lowered<Value> {
        let Some(step) = shape.steps.get(at) else { return self.leaf(shape, name) };
        let is_last = at + 1 == shape.steps.len();
        let is_optional = shape.has(AttributeName::Unique) || shape.has(AttributeName::Ptr);
        if is_last && is_text(shape) {
            let is_pointer = matches!(step, Derivation::Pointer { .. });
            let text = syn::parse_quote!(String);
            return Ok(if is_optional && is_pointer { option(text) } else { text }.into());
        }
        match step {
            Derivation::Function(_) => {
                let what = "a function can't be called from another process";
                self.refuse(shape.span, what, "pass an object with an interface")
            }
            _ if is_sized(shape, at) => self.list(shape, at, name),
            Derivation::Array(Bounds::Open) => self.list(shape, at, name),
            Derivation::Array(Bounds::Length(length)) => {
                let length = self.length(length)?;
                self.array(shape, at, name, length)
            }
            Derivation::Array(Bounds::Range(first, last)) => {
                let length = self.length(last)? + 1 - self.length(first)?;
                self.array(shape, at, name, length)
            }
            Derivation::Pointer { .. } if is_last && matches!(shape.leaf, Leaf::Interface(_)) => {
                let Leaf::Interface(interface) = shape.leaf else { return self.leaf(shape, name) };
                let client = self.client(interface, shape.span)?;
                Ok(if is_optional { option(client) } else { client }.into())
            }
            Derivation::Pointer { .. } => {
                let Value { ty, handle } = self.step(shape, at + 1, name, false)?;
                let is_outer = at == 0 || is_top;
                let is_ref = is_outer && shape.has(AttributeName::Ref) || is_top && !is_optional;
                let ty = match self.contains_itself(shape, is_last) {
                    true => syn::parse_quote!(Box<#ty>),
                    false => ty,
                };
                Ok(Value { ty: if is_ref { ty } else { option(ty) }, handle })
            }
        }
    }

    fn list(&mut self, shape: &Shape<'a>, at: usize, name: &str) -> Lowered<Value> {
        let Value { ty, handle } = self.step(shape, at + 1, name, false)?;
        Ok(Value { ty: syn::parse_quote!(Vec<#ty>), handle })
    }

    fn array(&mut self, shape: &Shape<'a>, at: usize, name: &str, length: i128) -> Lowered<Value> {
        let Value { ty, handle } = self.step(shape, at + 1, name, false)?;
        let Ok(length) = usize::try_from(length) else {
            return self.refuse(shape.span, "this array has no length", "");
        };
        let length = proc_macro2::Literal::usize_unsuffixed(length);
        Ok(Value { ty: syn::parse_quote!([#ty; #length]), handle })
    }

    fn length(&mut self, of: &Expression) -> Lowered<i128> {
        match constant::evaluate(of, &self.view) {
            Ok(constant::Value::Integer(length)) => Ok(length.value),
            _ => self.refuse(of.span, "this array's length isn't known", ""),
        }
    }

    /// Whether a pointer leads back to the struct that it is in.
    fn contains_itself(&self, shape: &Shape<'a>, is_last: bool) -> bool {
        let Leaf::Struct(of, _) = shape.leaf else { return false };
        is_last && self.underway.contains(&super::structs::identity(of, shape.span))
    }

    fn leaf(&mut self, shape: &Shape<'a>, name: &str) -> Lowered<Value> {
        let written = quoted(&shape.written);
        let ty: Type = match shape.leaf {
            Leaf::Base(base) => return self.base(base, shape.span),
            Leaf::Text if shape.has(AttributeName::Unique) => syn::parse_quote!(Option<String>),
            Leaf::Text => syn::parse_quote!(String),
            Leaf::Guid => syn::parse_quote!(syshandle::Guid),
            Leaf::Truth => syn::parse_quote!(bool),
            Leaf::Handle => return self.handle(shape),
            Leaf::Struct(of, tag) => self.structure(of, tag, name, shape.span)?,
            Leaf::Union(of, tag) => self.union(of, tag, name, shape)?,
            Leaf::Enum(of, tag, attributes) => self.enumeration(of, tag, attributes, name)?,
            Leaf::Interface(_) => {
                let what = format!("{written} is an interface");
                return self.refuse(shape.span, what, "pass a pointer to it");
            }
            Leaf::Foreign(why) => {
                let what = format!("type {written} means nothing here: {why}");
                return self.refuse(shape.span, what, "");
            }
        };
        Ok(ty.into())
    }

    fn base(&mut self, base: BaseType, span: Span) -> Lowered<Value> {
        let name = match base {
            BaseType::Boolean => "bool",
            BaseType::Byte | BaseType::Char | BaseType::UnsignedChar | BaseType::UInt8 => "u8",
            BaseType::SignedChar | BaseType::Int8 => "i8",
            BaseType::WideChar | BaseType::UInt16 => "u16",
            BaseType::Int16 => "i16",
            BaseType::Int32 => "i32",
            BaseType::UInt32 | BaseType::ErrorStatus => "u32",
            BaseType::Int64 | BaseType::IntPointer => "i64",
            BaseType::UInt64 | BaseType::UIntPointer => "u64",
            BaseType::Int128 => "i128",
            BaseType::UInt128 => "u128",
            BaseType::Float => "f32",
            BaseType::Double => "f64",
            BaseType::Void | BaseType::BindingHandle => {
                return self.refuse(span, "this type means nothing here", "");
            }
        };
        let name = ident(name);
        let ty: Type = syn::parse_quote!(#name);
        Ok(ty.into())
    }

    /// The client type of an interface, which is described as well.
    fn client(&mut self, interface: &'a crate::front::ast::Interface, span: Span) -> Lowered<Type> {
        if interface.members.is_none() {
            let what = format!(
                "interface {} is only announced: nothing says what it can do",
                quoted(&interface.name.name)
            );
            return self.refuse(span, what, "import the file that defines it");
        }
        self.wanted.push(interface);
        let client = ident(&format!("{}Client", names::trait_name(&interface.name.name)));
        Ok(syn::parse_quote!(#client))
    }
}

/// Whether it is text: letters that end with a zero.
fn is_text(shape: &Shape<'_>) -> bool {
    let letters = [BaseType::WideChar, BaseType::Char, BaseType::UnsignedChar, BaseType::Byte];
    shape.has(AttributeName::String)
        && matches!(shape.leaf, Leaf::Base(base) if letters.contains(&base))
}

/// Whether attributes say how many there are at a step.
fn is_sized(shape: &Shape<'_>, at: usize) -> bool {
    SIZES.iter().any(|&name| {
        let attribute = shape.find(name);
        matches!(attribute.and_then(|of| of.arguments.get(at)), Some(Argument::Value(_)))
    })
}

fn option(ty: Type) -> Type {
    syn::parse_quote!(Option<#ty>)
}

/// Attributes that say how many elements there are.
pub(super) const SIZES: [AttributeName; 3] =
    [AttributeName::SizeIs, AttributeName::LengthIs, AttributeName::MaxIs];

/// Attributes of values that mean nothing here, and why.
const MEANINGLESS: [(AttributeName, &str); 4] = [
    (AttributeName::IidIs, "leaves open which interface the object has: name it in the type"),
    (AttributeName::ContextHandle, "is RPC's: pass an object with an interface instead"),
    (AttributeName::ContextHandleSerialize, "is RPC's: pass an object instead"),
    (AttributeName::ContextHandleNoserialize, "is RPC's: pass an object instead"),
];
