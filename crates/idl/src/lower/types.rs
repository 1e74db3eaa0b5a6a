//! Converts the resolved types of declarations to Rust types.

use syn::Type;

use super::resolved_type::{InnermostType, ResolvedType};
use super::{Lowering, Result, ident, names};
use crate::front::Span;
use crate::front::ast::{Argument, AttributeName, BaseType, Bounds, Derivation, Expression};
use crate::front::constant::{self, IntegerType};
use crate::front::diagnostic::quoted;
use crate::front::steps;
use syshandle_model::{Handle, Range};

/// A Rust type, with the declaration of the handles in it.
pub(super) struct RustType {
    pub(super) ty: Type,
    pub(super) handle: Option<Handle>,
    /// The allowed range of the value, if it is restricted.
    pub(super) range: Option<Range>,
}

impl From<Type> for RustType {
    fn from(ty: Type) -> Self {
        Self { ty, handle: None, range: None }
    }
}

impl<'a> Lowering<'_, 'a> {
    /// Returns the Rust type of a declaration without its first `at` pointers or arrays. `name` is
    /// the name for an unnamed type. `is_top` is true if a pointer at this level only serves to
    /// pass the parameter.
    pub(super) fn value(
        &mut self,
        resolved: &ResolvedType<'a>,
        at: usize,
        name: &str,
        is_top: bool,
    ) -> Result<RustType> {
        for (attribute, what) in UNSUPPORTED_ATTRIBUTES {
            if resolved.has(attribute) {
                return self.refuse(
                    resolved.span,
                    format!("{} {what}", quoted(attribute.text())),
                    "",
                );
            }
        }
        let mut value = self.step(resolved, at, name, is_top)?;
        if resolved.has(AttributeName::Range) {
            value.range = self.bounds(resolved, at, value.range)?;
        }
        Ok(value)
    }

    fn step(
        &mut self,
        resolved: &ResolvedType<'a>,
        at: usize,
        name: &str,
        is_top: bool,
    ) -> Result<RustType> {
        steps::count(1);
        let Some(step) = resolved.derivations.get(at) else { return self.leaf(resolved, name) };
        let is_last = at + 1 == resolved.derivations.len();
        let is_optional = resolved.has(AttributeName::Unique) || resolved.has(AttributeName::Ptr);
        if is_last && is_text(resolved) {
            let is_pointer = matches!(step, Derivation::Pointer { .. });
            let text = syn::parse_quote!(String);
            let is_item = is_in_list(resolved, at);
            let ty = if is_optional && is_pointer && !is_item { option(text) } else { text };
            // The number of elements includes the terminating zero.
            let range =
                self.count(resolved, at).map(|(_, to)| Range { from: 0, to: (to - 1).max(0) });
            return Ok(RustType { ty, handle: None, range });
        }
        match step {
            Derivation::Function(_) => {
                let what = "a function can't be called from another process";
                self.refuse(resolved.span, what, "pass an object with an interface")
            }
            _ if is_sized(resolved, at) => self.list(resolved, at, name),
            Derivation::Array(Bounds::Open) => self.list(resolved, at, name),
            Derivation::Array(Bounds::Length(length)) => {
                let length = self.length(length)?;
                self.array(resolved, at, name, length)
            }
            Derivation::Array(Bounds::Range(first, last)) => {
                let length = self.length(last)? + 1 - self.length(first)?;
                self.array(resolved, at, name, length)
            }
            Derivation::Pointer { .. }
                if is_last && matches!(resolved.innermost, InnermostType::Interface(_)) =>
            {
                let InnermostType::Interface(interface) = resolved.innermost else {
                    return self.leaf(resolved, name);
                };
                let client = self.client(interface, resolved.span)?;
                Ok(if is_optional { option(client) } else { client }.into())
            }
            Derivation::Pointer { .. } => {
                let RustType { ty, handle, range } = self.step(resolved, at + 1, name, false)?;
                let is_outer = at == 0 || is_top;
                let is_ref = is_outer && resolved.has(AttributeName::Ref) || is_top && !is_optional;
                Ok(RustType { ty: if is_ref { ty } else { option(ty) }, handle, range })
            }
        }
    }

    fn list(&mut self, resolved: &ResolvedType<'a>, at: usize, name: &str) -> Result<RustType> {
        let RustType { ty, handle, .. } = self.step(resolved, at + 1, name, false)?;
        let range = self.count(resolved, at).map(|(from, to)| Range { from, to });
        Ok(RustType { ty: syn::parse_quote!(Vec<#ty>), handle, range })
    }

    /// Returns the minimum and maximum number of elements, if they are constants.
    fn count(&self, resolved: &ResolvedType<'a>, at: usize) -> Option<(i128, i128)> {
        if let Some(Derivation::Array(Bounds::Length(length))) = resolved.derivations.get(at) {
            return self.integer(length).map(|length| (length, length));
        }
        let constant = |name: AttributeName| match resolved.find(name)?.arguments.get(at)? {
            Argument::Value(count) => self.integer(count),
            _ => None,
        };
        let last = constant(AttributeName::MaxIs).map(|last| last + 1);
        let size = constant(AttributeName::SizeIs).or(last)?;
        // Only a part of the elements is passed.
        let is_part = [AttributeName::LengthIs, AttributeName::LastIs]
            .into_iter()
            .any(|name| has_value(resolved, name, at));
        (size >= 0).then_some((if is_part { 0 } else { size }, size))
    }

    pub(super) fn integer(&self, of: &Expression) -> Option<i128> {
        let key = std::ptr::from_ref(of);
        if let Some(known) = self.state.integers.borrow().get(&key) {
            return *known;
        }
        let value = match constant::evaluate(of, &self.view) {
            Ok(constant::Value::Integer(value)) => Some(value.value),
            _ => None,
        };
        self.state.integers.borrow_mut().insert(key, value);
        value
    }

    /// Returns the bounds that the attribute `range` specifies, intersected with the bounds in
    /// `known`. They apply to the value of an integer or enum, or to the number of elements in an
    /// array or string.
    fn bounds(
        &mut self,
        resolved: &ResolvedType<'a>,
        at: usize,
        known: Option<Range>,
    ) -> Result<Option<Range>> {
        let Some(range) = self.range(resolved) else {
            return self.refuse(resolved.span, "the bounds can't be evaluated", "");
        };
        let steps = &resolved.derivations[at.min(resolved.derivations.len())..];
        let is_alone = steps.iter().enumerate().all(|(offset, step)| {
            matches!(step, Derivation::Pointer { .. }) && !is_sized(resolved, at + offset)
        });
        // A `range` on a typedef applies to the elements, because the typedef is the element type.
        let is_own = resolved.own().is_some_and(|own| own.has(AttributeName::Range));
        let range = match resolved.innermost {
            InnermostType::Base(base)
                if is_alone && !is_text(resolved) && IntegerType::of(base).is_some() =>
            {
                range
            }
            InnermostType::Enum(of, tag, attributes) if is_alone => {
                let values = self.values(of);
                // All values of the Rust enum are within the bounds, so no check is needed.
                let is_flags = self.is_flags(of, tag);
                if !is_flags && !values.is_number(of, attributes) && values.are_within(range) {
                    return Ok(None);
                }
                range
            }
            InnermostType::Text
                if is_own && steps.is_empty() && resolved.has(AttributeName::String) =>
            {
                Range { from: (range.from - 1).max(0), to: (range.to - 1).max(0) }
            }
            _ if is_own && steps.len() == 1 && is_text(resolved) => {
                Range { from: (range.from - 1).max(0), to: (range.to - 1).max(0) }
            }
            _ if is_own && steps.len() == 1 && is_list(resolved, at) => range,
            _ => {
                let what = "`range` can limit only an integer, an enum, or the number of elements";
                return self.refuse(resolved.span, what, "check it in the method");
            }
        };
        let known = known.unwrap_or(range);
        let (from, to) = (range.from.max(known.from), range.to.min(known.to));
        match from <= to {
            true => Ok(Some(Range { from, to })),
            false => self.refuse(resolved.span, "the range is empty", ""),
        }
    }

    /// Evaluates the bounds that the attribute `range` specifies.
    pub(super) fn range(&self, resolved: &ResolvedType<'a>) -> Option<Range> {
        let mut values = resolved.find(AttributeName::Range)?.values();
        let from = self.integer(values.next()?)?;
        let to = self.integer(values.next()?)?;
        (from <= to).then_some(Range { from, to })
    }

    fn array(
        &mut self,
        resolved: &ResolvedType<'a>,
        at: usize,
        name: &str,
        length: i128,
    ) -> Result<RustType> {
        let RustType { ty, handle, .. } = self.step(resolved, at + 1, name, false)?;
        let Ok(length) = usize::try_from(length) else {
            return self.refuse(resolved.span, "this array has no length", "");
        };
        let length = proc_macro2::Literal::usize_unsuffixed(length);
        Ok(RustType { ty: syn::parse_quote!([#ty; #length]), handle, range: None })
    }

    fn length(&mut self, of: &Expression) -> Result<i128> {
        match self.integer(of) {
            Some(length) => Ok(length),
            None => self.refuse(of.span, "the length of this array is unknown", ""),
        }
    }

    fn leaf(&mut self, resolved: &ResolvedType<'a>, name: &str) -> Result<RustType> {
        let written = quoted(&resolved.text);
        let ty: Type = match resolved.innermost {
            InnermostType::Base(base) => return self.base(base, resolved.span),
            InnermostType::Text
                if resolved.has(AttributeName::Unique)
                    && !is_in_list(resolved, resolved.derivations.len()) =>
            {
                syn::parse_quote!(Option<String>)
            }
            InnermostType::Text => syn::parse_quote!(String),
            InnermostType::Guid => syn::parse_quote!(syshandle::Guid),
            InnermostType::Bool => syn::parse_quote!(bool),
            InnermostType::Handle => return self.handle(resolved),
            InnermostType::Struct(of, tag) => self.structure(of, tag, name, resolved.span)?,
            InnermostType::Union(of, tag) => self.union(of, tag, name, resolved)?,
            InnermostType::Enum(of, tag, attributes) => {
                self.enumeration(of, tag, attributes, name)?
            }
            InnermostType::Interface(_) => {
                let what = format!("{written} is an interface");
                return self.refuse(resolved.span, what, "pass a pointer to it");
            }
            InnermostType::Unsupported(why) => {
                let what = format!("type {written} isn't supported: {why}");
                return self.refuse(resolved.span, what, "");
            }
        };
        Ok(ty.into())
    }

    fn base(&mut self, base: BaseType, span: Span) -> Result<RustType> {
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
                return self.refuse(span, "this type isn't supported", "");
            }
        };
        let name = ident(name);
        let ty: Type = syn::parse_quote!(#name);
        Ok(ty.into())
    }

    /// Returns the client type of an interface, and queues the interface for conversion.
    fn client(&mut self, interface: &'a crate::front::ast::Interface, span: Span) -> Result<Type> {
        let name = quoted(&interface.name.name);
        if interface.members.is_none() {
            let what = format!("interface {name} is only forward-declared");
            let hint = self.where_defined(interface.name.span);
            return self.refuse(span, what, hint);
        }
        if interface.attributes.has(AttributeName::Local) {
            let what = format!("interface {name} is `local`, so no other process can call it");
            return self.refuse(span, what, "");
        }
        self.pending_interfaces.push(interface);
        let client = ident(&format!("{}Client", names::trait_name(&interface.name.name)));
        Ok(syn::parse_quote!(#client))
    }
}

/// Returns whether the type is a zero-terminated string.
pub(super) fn is_text(resolved: &ResolvedType<'_>) -> bool {
    let letters = [BaseType::WideChar, BaseType::Char, BaseType::UnsignedChar, BaseType::Byte];
    resolved.has(AttributeName::String)
        && matches!(resolved.innermost, InnermostType::Base(base) if letters.contains(&base))
}

/// Returns whether attributes specify the number of elements of the pointer or array at index `at`.
fn is_sized(resolved: &ResolvedType<'_>, at: usize) -> bool {
    SIZES.iter().any(|&name| has_value(resolved, name, at))
}

fn has_value(resolved: &ResolvedType<'_>, name: AttributeName, at: usize) -> bool {
    let attribute = resolved.find(name);
    matches!(attribute.and_then(|of| of.arguments.get(at)), Some(Argument::Value(_)))
}

pub(super) fn option(ty: Type) -> Type {
    syn::parse_quote!(Option<#ty>)
}

/// Returns whether the pointer or array at index `at` has a number of elements that is known only
/// at run time.
fn is_list(resolved: &ResolvedType<'_>, at: usize) -> bool {
    is_sized(resolved, at)
        || matches!(resolved.derivations.get(at), Some(Derivation::Array(Bounds::Open)))
}

/// Returns whether a pointer or array outside of index `at` is a list. Attributes then apply to the
/// list.
fn is_in_list(resolved: &ResolvedType<'_>, at: usize) -> bool {
    (0..at).any(|outer| is_list(resolved, outer))
}

/// Attributes that specify a number of elements.
pub(super) const SIZES: [AttributeName; 4] =
    [AttributeName::SizeIs, AttributeName::LengthIs, AttributeName::MaxIs, AttributeName::LastIs];

/// Attributes of values that aren't supported, with the reason.
const UNSUPPORTED_ATTRIBUTES: [(AttributeName, &str); 6] = [
    (AttributeName::FirstIs, "skips elements at the start: pass only the required elements"),
    (AttributeName::MinIs, "skips elements at the start: pass only the required elements"),
    (
        AttributeName::IidIs,
        "selects the interface of the object at run time: name the interface in the type",
    ),
    (AttributeName::ContextHandle, "isn't supported: pass an object with an interface instead"),
    (
        AttributeName::ContextHandleSerialize,
        "isn't supported: pass an object with an interface instead",
    ),
    (
        AttributeName::ContextHandleNoserialize,
        "isn't supported: pass an object with an interface instead",
    ),
];
