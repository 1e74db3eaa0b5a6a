//! The description of an interface, prepared for reading values.

use std::collections::HashMap;
use std::sync::Arc;

use syshandle::describe::owned::{DescribedType, DescribedValue, Description, NamedType, TypeForm};
use syshandle_types::Printable;

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
