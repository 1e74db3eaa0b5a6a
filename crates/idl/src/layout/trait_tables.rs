//! Computes the layout that `syshandle-com` generates for a trait, following the same rules as
//! `shape.rs` and `plan.rs` in `crates/com/src`. A test of that crate compares the two
//! implementations for many types.

use std::collections::HashMap;

use quote::ToTokens;
use syn::{Expr, ExprLit, GenericArgument, Lit, PathArguments};

use super::handle_kinds::kind;
use super::{CountLocation, Direction, Slot, Type};
use syshandle_model::{self as model, Definition, DefinitionKind, Description, Handle, Method};

/// Computes layouts with the types of a description.
pub(crate) struct TraitTables<'d> {
    definitions: HashMap<String, &'d Definition>,
    interfaces: HashMap<String, [u8; 16]>,
}

/// The reason why a type makes its method opaque in COM.
type OpaqueReason = String;

/// The layout of a value before it is assigned to slots.
enum ValueLayout {
    /// A value that fits into a register.
    Scalar(Type),
    /// A value that is passed by reference.
    Aggregate(Type),
    Text,
    /// A list, which is passed as a count and a pointer to the items.
    List(Type),
    Optional(Type),
}

/// The position of a type in a method's signature. Some types have a layout only in certain
/// positions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Top,
    TopItem,
    Field,
    FieldItem,
}

impl Position {
    fn items(self) -> Result<Self, OpaqueReason> {
        match self {
            Self::Top => Ok(Self::TopItem),
            Self::Field => Ok(Self::FieldItem),
            Self::TopItem | Self::FieldItem => {
                Err("a list or an optional value within another one".to_owned())
            }
        }
    }
}

impl<'d> TraitTables<'d> {
    pub(crate) fn of(description: &'d Description) -> Self {
        let definitions = description.definitions.iter();
        let interfaces = description.interfaces.iter();
        Self {
            definitions: definitions.map(|of| (of.name.to_string(), of)).collect(),
            interfaces: interfaces.map(|of| (format!("{}Client", of.name), of.iid)).collect(),
        }
    }

    /// Returns the slots of a method.
    ///
    /// # Errors
    /// Returns the reason as an error if the method is opaque in COM, which means that its values
    /// are passed as encoded bytes.
    pub(crate) fn slots(&self, method: &Method) -> Result<Vec<Slot>, OpaqueReason> {
        if method.error.is_some() {
            return Err("it has an error type of its own".to_owned());
        }
        let mut slots = Vec::new();
        for parameter in &method.parameters {
            let value = self.top(&parameter.ty, parameter.handle.as_ref());
            let value = value.map_err(|why| format!("`{}`: {why}", parameter.name))?;
            add_input(&mut slots, value);
        }
        let handle = method.result_handle.as_ref();
        let results: Vec<&syn::Type> = match &method.result {
            syn::Type::Tuple(tuple) => tuple.elems.iter().collect(),
            other => vec![other],
        };
        for result in results {
            add_output(
                &mut slots,
                self.top(result, handle).map_err(|why| format!("result: {why}"))?,
            );
        }
        match slots.len() {
            ..=SLOTS_MAX => Ok(slots),
            count => Err(format!("it has {count} slots, but COM permits at most {SLOTS_MAX}")),
        }
    }

    fn top(&self, ty: &syn::Type, handle: Option<&Handle>) -> Result<ValueLayout, OpaqueReason> {
        LayoutBuilder { tables: self, left: SHAPES_MAX }.value(ty, handle, Position::Top, DEPTH_MAX)
    }
}

struct LayoutBuilder<'t, 'd> {
    tables: &'t TraitTables<'d>,
    left: u32,
}

impl LayoutBuilder<'_, '_> {
    fn value(
        &mut self,
        ty: &syn::Type,
        handle: Option<&Handle>,
        place: Position,
        depth: u32,
    ) -> Result<ValueLayout, OpaqueReason> {
        let written = || ty.to_token_stream().to_string().replace(' ', "");
        let no_form = || format!("COM has no type for `{}`", written());
        if let syn::Type::Array(array) = ty {
            self.count()?;
            return self.array(array, place, deeper(depth)?).map(ValueLayout::Aggregate);
        }
        let syn::Type::Path(path) = ty else { return Err(no_form()) };
        let Some(last) = path.path.segments.last() else { return Err(no_form()) };
        let name = model::plain_name(&last.ident);
        if let PathArguments::AngleBracketed(arguments) = &last.arguments {
            let Some(GenericArgument::Type(inner)) = arguments.args.first() else {
                return Err(no_form());
            };
            return match name.as_str() {
                // These types have the same layout as their content.
                "Box" | "Arc" if arguments.args.len() == 1 => {
                    self.value(inner, handle, place, depth)
                }
                "Vec" => {
                    self.count()?;
                    self.item(inner, handle, place.items()?, deeper(depth)?).map(ValueLayout::List)
                }
                "Option" => self.optional(inner, handle, place, deeper(depth)?),
                _ => Err(no_form()),
            };
        }
        let definition = match path.path.segments.len() {
            1 => self.tables.definitions.get(&name),
            _ => None,
        };
        if definition.is_some_and(|of| of.grows) {
            return Err(format!(
                "`{name}` can grow, and a C program contains the layout of each type"
            ));
        }
        match definition.map(|of| &of.kind) {
            Some(DefinitionKind::Alias(ty)) => {
                return self.value(ty, handle, place, deeper(depth)?);
            }
            Some(DefinitionKind::Struct(fields)) => {
                self.count()?;
                return self.structure(&name, fields, deeper(depth)?).map(ValueLayout::Aggregate);
            }
            Some(DefinitionKind::Enum(variants)) => {
                self.count()?;
                deeper(depth)?;
                return enumeration(&name, variants).map(ValueLayout::Scalar);
            }
            Some(DefinitionKind::Constant(..)) => return Err(no_form()),
            None => {}
        }
        self.count()?;
        deeper(depth)?;
        if let Some(bytes) = INTEGERS.iter().find(|(known, _)| *known == name) {
            return Ok(ValueLayout::Scalar(Type::Integer(bytes.1)));
        }
        match name.as_str() {
            "f32" => return Ok(ValueLayout::Scalar(Type::Float(4))),
            "f64" => return Ok(ValueLayout::Scalar(Type::Float(8))),
            // A `bool` corresponds to a COM `BOOL`.
            "bool" => return Ok(ValueLayout::Scalar(Type::Integer(4))),
            "Guid" => return Ok(ValueLayout::Aggregate(Type::guid())),
            "String" => return Ok(ValueLayout::Text),
            _ => {}
        }
        if let Some(kind) = kind(&name, handle) {
            return match place {
                Position::Top | Position::TopItem => Ok(ValueLayout::Scalar(Type::Handle(kind))),
                Position::Field | Position::FieldItem => Err("a handle within a struct".to_owned()),
            };
        }
        match (self.tables.interfaces.get(&name), place) {
            (Some(iid), Position::Top) => Ok(ValueLayout::Scalar(Type::Interface(*iid))),
            (Some(_), _) => Err("a reference to an object within another value".to_owned()),
            (None, _) => Err(no_form()),
        }
    }

    fn optional(
        &mut self,
        inner: &syn::Type,
        handle: Option<&Handle>,
        place: Position,
        depth: u32,
    ) -> Result<ValueLayout, OpaqueReason> {
        self.count()?;
        if let (syn::Type::Path(path), Position::Top) = (inner, place) {
            let name = path.path.segments.last().map(|last| last.ident.to_string());
            if let Some(iid) = name.and_then(|name| self.tables.interfaces.get(&name)) {
                return Ok(ValueLayout::Scalar(Type::Interface(*iid)));
            }
        }
        let item = self.item(inner, handle, place.items()?, depth)?;
        // An optional handle is passed as a list with at most one item.
        Ok(if matches!(item, Type::Handle(_)) {
            ValueLayout::List(item)
        } else {
            ValueLayout::Optional(item)
        })
    }

    /// Returns the layout of a list's items or of an optional's value.
    fn item(
        &mut self,
        ty: &syn::Type,
        handle: Option<&Handle>,
        place: Position,
        depth: u32,
    ) -> Result<Type, OpaqueReason> {
        Ok(match self.value(ty, handle, place, depth)? {
            ValueLayout::Scalar(ty) | ValueLayout::Aggregate(ty) => ty,
            // The item of an array of strings is a pointer; see `pointer_item`.
            ValueLayout::Text => Type::Text,
            ValueLayout::List(_) | ValueLayout::Optional(_) => {
                return Err("a list within a list".to_owned());
            }
        })
    }

    fn array(
        &mut self,
        array: &syn::TypeArray,
        place: Position,
        depth: u32,
    ) -> Result<Type, OpaqueReason> {
        if place != Position::Field {
            return Err("an array of fixed length that isn't a field".to_owned());
        }
        let length = match &array.len {
            Expr::Lit(ExprLit { lit: Lit::Int(length), .. }) => length.base10_parse::<u32>().ok(),
            _ => None,
        };
        let length = length.filter(|length| *length > 0).ok_or("an array of unknown length")?;
        let item = match self.value(&array.elem, None, Position::FieldItem, depth)? {
            ValueLayout::Scalar(item @ (Type::Integer(_) | Type::Float(_)))
                if !self
                    .is_defined(&array.elem, |kind| matches!(kind, DefinitionKind::Enum(_))) =>
            {
                item
            }
            ValueLayout::Aggregate(item) if !self.is_defined(&array.elem, |_| true) => item,
            _ => return Err("an array of fixed length whose items aren't numbers".to_owned()),
        };
        let array = Type::Array(Box::new(item), length);
        match array.size() {
            Some(..=STRUCT_BYTES_MAX) => Ok(array),
            _ => Err("an array that is too large".to_owned()),
        }
    }

    fn structure(
        &mut self,
        name: &str,
        fields: &[model::Field],
        depth: u32,
    ) -> Result<Type, OpaqueReason> {
        if fields.is_empty() {
            return Err(format!("struct `{name}` has no fields"));
        }
        let mut laid_out = Vec::new();
        for field in fields {
            let value = &field.value;
            let ty = self.value(&value.ty, value.handle.as_ref(), Position::Field, depth)?;
            match ty {
                ValueLayout::Scalar(ty) | ValueLayout::Aggregate(ty) => laid_out.push(ty),
                ValueLayout::Text => laid_out.push(Type::Text.unique()),
                ValueLayout::Optional(inner) => laid_out.push(inner.unique()),
                ValueLayout::List(item) => {
                    let count = CountLocation::Field(laid_out.len());
                    laid_out.push(Type::Integer(4));
                    laid_out.push(Type::Counted(Box::new(pointer_item(item)), count).unique());
                }
            }
        }
        let laid_out = Type::Struct(laid_out);
        match laid_out.size() {
            Some(..=STRUCT_BYTES_MAX) => Ok(laid_out),
            _ => Err(format!("struct `{name}` is too large")),
        }
    }

    /// Returns whether the description defines this type with a kind of definition that `is_sort`
    /// accepts.
    fn is_defined(&self, ty: &syn::Type, is_sort: fn(&DefinitionKind) -> bool) -> bool {
        let syn::Type::Path(path) = ty else { return false };
        let name = path.path.get_ident().map(model::plain_name).unwrap_or_default();
        self.tables.definitions.get(&name).is_some_and(|of| is_sort(&of.kind))
    }

    fn count(&mut self) -> Result<(), OpaqueReason> {
        self.left = self.left.checked_sub(1).ok_or("it contains too many types")?;
        Ok(())
    }
}

fn deeper(depth: u32) -> Result<u32, OpaqueReason> {
    depth.checked_sub(1).ok_or_else(|| "it is nested too deeply or contains itself".to_owned())
}

fn enumeration(name: &str, variants: &[model::Variant]) -> Result<Type, OpaqueReason> {
    if variants.len() > VARIANTS_MAX {
        return Err(format!("enum `{name}` has too many variants to compare"));
    }
    let mut values = Vec::new();
    for (variant, value) in variants.iter().zip(model::discriminants(variants)) {
        if !variant.fields.is_empty() {
            return Err(format!("enum `{name}` has variants with data"));
        }
        let value = i32::try_from(value).or_else(|_| u32::try_from(value).map(|of| of as i32));
        let value =
            value.map_err(|_| format!("a value of enum `{name}` needs more than 32 bits"))?;
        if values.contains(&value) {
            return Err(format!("two variants of enum `{name}` have the same value"));
        }
        values.push(value);
    }
    let is_short = values.iter().all(|value| (0..=i32::from(i16::MAX)).contains(value));
    Ok(if is_short { Type::short_enum(values) } else { Type::Integer(4) })
}

/// Returns the type of an array's item. If the item is a string, returns a pointer to it.
fn pointer_item(item: Type) -> Type {
    if item == Type::Text { item.unique() } else { item }
}

fn add_input(slots: &mut Vec<Slot>, value: ValueLayout) {
    let mut add = |ty| slots.push(Slot { direction: Direction::In, ty });
    match value {
        ValueLayout::Scalar(ty) => add(ty),
        ValueLayout::Aggregate(ty) => add(ty.reference()),
        ValueLayout::Text => add(Type::Text.reference()),
        ValueLayout::Optional(inner) => add(inner.unique()),
        ValueLayout::List(item) => {
            add(Type::Integer(4));
            let count = CountLocation::Slot(slots.len() - 1);
            let array = Type::Counted(Box::new(pointer_item(item)), count).reference();
            slots.push(Slot { direction: Direction::In, ty: array });
        }
    }
}

fn add_output(slots: &mut Vec<Slot>, value: ValueLayout) {
    let mut add = |ty: Type| slots.push(Slot { direction: Direction::Out, ty: ty.reference() });
    match value {
        ValueLayout::Scalar(ty) | ValueLayout::Aggregate(ty) => add(ty),
        ValueLayout::Text => add(Type::Text.unique()),
        ValueLayout::Optional(inner) => add(inner.unique()),
        ValueLayout::List(item) => {
            add(Type::Integer(4));
            let count = CountLocation::Pointee(slots.len() - 1);
            let array = Type::Counted(Box::new(pointer_item(item)), count).unique();
            slots.push(Slot { direction: Direction::Out, ty: array.reference() });
        }
    }
}

const INTEGERS: [(&str, u32); 8] =
    [("u8", 1), ("i8", 1), ("u16", 2), ("i16", 2), ("u32", 4), ("i32", 4), ("u64", 8), ("i64", 8)];

/// Maximum number of variants in an enum.
const VARIANTS_MAX: usize = 4096;

/// The limits of `syshandle-com`, which must be the same.
const STRUCT_BYTES_MAX: u32 = 65_528;
const DEPTH_MAX: u32 = 16;
const SHAPES_MAX: u32 = 2048;
const SLOTS_MAX: usize = 64;
