//! Attributes: the lists in square brackets before a declaration.

use super::{AttributeName, Expression, Identifier, TypeName};
use crate::front::source::Span;
use crate::front::steps;
use crate::front::token::{Name, Uuid};

/// The attributes of one declaration, in source order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    list: Vec<Attribute>,
    /// A bit set of the known attributes in the list. It speeds up lookups: most lookups are for
    /// absent attributes, and a typedef's attributes are looked up at each use of the typedef.
    present: [u64; 3],
}

/// One attribute.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    /// The name as written in the source.
    pub(crate) name: Identifier,
    /// The attribute that the name stands for; `None` if IDL has no such attribute.
    pub(crate) known: Option<AttributeName>,
    /// The arguments between the parentheses.
    pub(crate) arguments: Vec<Argument>,
    pub(crate) span: Span,
}

/// One argument of an attribute.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    /// An omitted argument, as before the comma in `size_is(, n)`.
    Omitted,
    /// A value or a name.
    Value(Expression),
    /// A type.
    Type(TypeName),
}

impl Attributes {
    /// Appends attributes.
    pub(crate) fn extend(&mut self, more: impl IntoIterator<Item = Attribute>) {
        for attribute in more {
            if let Some(known) = attribute.known {
                let bit = known as usize;
                self.present[bit / 64] |= 1 << (bit % 64);
            }
            self.list.push(attribute);
        }
    }

    /// Returns the attributes in source order.
    pub(crate) fn list(&self) -> &[Attribute] {
        &self.list
    }

    /// Returns the attributes as an owned list.
    pub(crate) fn into_list(self) -> Vec<Attribute> {
        self.list
    }

    /// Returns the first attribute with this name.
    pub(crate) fn find(&self, name: AttributeName) -> Option<&Attribute> {
        steps::count(1);
        let bit = name as usize;
        if self.present[bit / 64] & 1 << (bit % 64) == 0 {
            return None;
        }
        steps::count(self.list.len());
        self.list.iter().find(|attribute| attribute.known == Some(name))
    }

    /// Returns whether an attribute has this name.
    pub(crate) fn has(&self, name: AttributeName) -> bool {
        self.find(name).is_some()
    }

    /// Returns the UUID from the `uuid` attribute.
    pub(crate) fn uuid(&self) -> Option<Uuid> {
        match self.find(AttributeName::Uuid)?.values().next()?.kind {
            super::ExpressionKind::Uuid(uuid) => Some(uuid),
            _ => None,
        }
    }
}

impl Attribute {
    /// Returns the arguments that are expressions.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Expression> {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Value(value) => Some(value),
            Argument::Omitted | Argument::Type(_) => None,
        })
    }

    /// Returns the first argument if it is a string.
    pub(crate) fn text(&self) -> Option<&Name> {
        self.values().next()?.as_string()
    }
}
