//! The description of an interface, prepared for reading values.

use std::collections::HashMap;
use std::sync::Arc;

use syshandle::describe::owned::{DescribedType, DescribedValue, Description, NamedType, TypeForm};
use syshandle_types::describe::Bounds;
use syshandle_types::{DecodeErrorKind, Printable};

use crate::Value;

/// The description of an interface, with the names that values share.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) description: Description,
    names: HashMap<String, Arc<str>>,
}

impl Schema {
    pub(crate) fn new(description: Description) -> Self {
        let mut names = HashMap::new();
        let mut add = |name: &str| {
            names.entry(name.to_owned()).or_insert_with(|| Arc::from(name));
        };
        for ty in &description.types {
            match &ty.form {
                TypeForm::Struct(fields) => fields.iter().for_each(|field| add(&field.name)),
                TypeForm::Enum(variants) => {
                    for variant in variants {
                        add(&variant.name);
                        variant.fields.iter().for_each(|field| add(&field.name));
                    }
                }
                _ => {}
            }
        }
        Self { description, names }
    }

    /// Returns a name of the description, as values contain it.
    pub(crate) fn name(&self, name: &str) -> Arc<str> {
        self.names.get(name).cloned().unwrap_or_else(|| name.into())
    }

    pub(crate) fn named(&self, index: u32) -> Option<&NamedType> {
        self.description.types.get(index as usize)
    }

    /// Returns the error of a value that is outside of its bounds.
    pub(crate) fn out_of_bounds(
        &self,
        of: &DescribedValue,
        value: &Value,
    ) -> Option<DecodeErrorKind> {
        let Bounds { from, to } = of.bounds?;
        let value = self.measure(&of.ty, value).filter(|value| *value < from || *value > to)?;
        Some(DecodeErrorKind::OutOfRange { value, from, to })
    }

    /// Returns the number that is compared with the bounds. `None` for a value that has none, and
    /// for types whose values can't have bounds.
    fn measure(&self, ty: &DescribedType, value: &Value) -> Option<i128> {
        match (ty, value) {
            (DescribedType::Option(inner), Value::Option(value)) => {
                self.measure(inner, value.as_deref()?)
            }
            (DescribedType::Option(inner), value) => self.measure(inner, value),
            (DescribedType::List(_), Value::List(items)) => Some(items.len() as i128),
            (DescribedType::List(_), Value::Bytes(bytes)) => Some(bytes.len() as i128),
            (DescribedType::Plain(name), Value::Text(text)) if name == "String" => {
                Some(text.encode_utf16().count() as i128)
            }
            (DescribedType::Plain(_), Value::Unsigned(number)) => i128::try_from(*number).ok(),
            (DescribedType::Plain(_), Value::Signed(number)) => Some(*number),
            (DescribedType::Named(index), Value::Variant(name, _)) => self.number(*index, name),
            (DescribedType::Named(index), Value::Text(name)) => self.number(*index, name),
            _ => None,
        }
    }

    /// Returns the value in COM of a variant without fields.
    fn number(&self, index: u32, name: &str) -> Option<i128> {
        let TypeForm::Enum(variants) = &self.named(index)?.form else { return None };
        let variant = variants.iter().find(|variant| variant.name == name)?;
        variant.fields.is_empty().then(|| variant.value.into())
    }

    /// Returns the type as text for an error.
    pub(crate) fn text(&self, ty: &DescribedType) -> String {
        Printable(self.description.type_text(ty)).to_string()
    }
}

/// Returns the declaration that applies to the handles in a value. The declaration of a field replaces
/// the one of the enclosing value.
pub(crate) fn declared(
    value: &DescribedValue,
    outer: Option<syshandle_types::Declaration>,
) -> Option<syshandle_types::Declaration> {
    value.handle.or(outer)
}

/// Maximum depth of a value. The reading and writing of values is recursive, so the stack limits it.
/// User-defined types nest at most 64 deep, and some levels of each contain lists and options.
pub(crate) const DEPTH_MAX: u32 = 128;
