//! Computes the layouts of parameters and fields.

use super::expanded_type::{ExpandedLeaf, ExpandedType, PointerKind};
use super::facts::PointerDefault;
use crate::front::ast::{
    Argument, Attribute, AttributeName, BaseType, Bounds, Derivation, Expression, ExpressionKind,
    Field, Parameter, UnaryOperator,
};
use crate::layout::{CountLocation, Direction, Type};
use crate::lower::Lowering;

/// Computes the layout of one parameter.
#[derive(Clone, Copy)]
pub(super) struct LayoutReader<'r, 'l, 'a> {
    pub(super) lowering: &'r Lowering<'l, 'a>,
    pub(super) direction: Direction,
}

/// The declarations among which the count of an array is searched.
#[derive(Clone, Copy)]
pub(super) enum CountScope<'a> {
    Parameters(&'a [Parameter]),
    Fields(&'a [Field]),
}

impl<'a> LayoutReader<'_, '_, 'a> {
    /// Returns the layout of an `in` parameter.
    pub(super) fn input(
        &self,
        of: &ExpandedType<'a>,
        owner: CountScope<'a>,
    ) -> Result<Type, String> {
        let Some(level) = of.levels.first() else {
            self.check_alone(of)?;
            let ty = self.leaf_type(of)?;
            return match (&ty, ty.size()) {
                // Windows passes a struct of any other size by reference.
                (Type::Struct(_), Some(1 | 2 | 4 | 8)) => {
                    Err(format!("{ty} is passed by value, but the trait passes a pointer"))
                }
                (Type::Struct(_), _) => Ok(ty.reference()),
                _ => Ok(ty),
            };
        };
        if let Some(interface) = self.interface_pointer(of, 0)? {
            return Ok(interface);
        }
        let pointee = match level {
            Derivation::Function(_) => return Err("a function has no layout".to_owned()),
            Derivation::Array(Bounds::Open) if of.levels.len() == 1 && is_sized(of, 0) => {
                self.sized(of, 0, owner)?
            }
            Derivation::Array(_) => {
                return Err("traits don't support arrays as parameters".to_owned());
            }
            Derivation::Pointer { .. } if is_sized(of, 0) => self.sized(of, 0, owner)?,
            Derivation::Pointer { .. } if is_text(of, 0, false)? => Type::Text,
            Derivation::Pointer { .. } => self.embedded(of, 1, owner)?,
        };
        // The outermost pointer is a reference pointer, unless an attribute specifies another kind.
        Ok(match of.pointer(0)? {
            Some(PointerKind::Unique) => pointee.unique(),
            _ => pointee.reference(),
        })
    }

    /// Returns the layout of an `out` parameter.
    pub(super) fn output(
        &self,
        of: &ExpandedType<'a>,
        owner: CountScope<'a>,
    ) -> Result<Type, String> {
        match of.levels.first() {
            Some(Derivation::Pointer { .. }) => {}
            _ => return Err("an `out` parameter that isn't a pointer".to_owned()),
        }
        if of.pointer(0)? == Some(PointerKind::Unique) {
            return Err("an `out` pointer that is `unique`".to_owned());
        }
        if is_sized(of, 0) {
            return Err(
                "the file fills memory of the caller, but the trait allocates memory".to_owned()
            );
        }
        if of.has(AttributeName::String) && of.levels.len() == 1 {
            return Err(
                "the file fills memory of the caller with a string, but the trait allocates \
                        memory"
                    .to_owned(),
            );
        }
        Ok(self.embedded(of, 1, owner)?.reference())
    }

    /// Returns the layout of a field.
    pub(super) fn field(
        &self,
        of: &ExpandedType<'a>,
        owner: CountScope<'a>,
    ) -> Result<Type, String> {
        self.embedded(of, 0, owner)
    }

    /// Returns the layout of a type that is a pointee, an array item or a struct's field.
    fn embedded(
        &self,
        of: &ExpandedType<'a>,
        at: usize,
        owner: CountScope<'a>,
    ) -> Result<Type, String> {
        let Some(level) = of.levels.get(at) else {
            if at == 0 {
                self.check_alone(of)?;
            }
            return self.leaf_type(of);
        };
        if let Some(interface) = self.interface_pointer(of, at)? {
            return Ok(interface);
        }
        match level {
            Derivation::Function(_) => Err("a function has no layout".to_owned()),
            _ if is_sized(of, at) && !matches!(level, Derivation::Pointer { .. }) => {
                Err("an array of variable length within a struct".to_owned())
            }
            Derivation::Array(_) if of.has(AttributeName::String) => {
                Err("a string in a struct that isn't a pointer".to_owned())
            }
            Derivation::Array(Bounds::Length(length)) => {
                let length = self.lowering.constant_value(length).ok_or("an unknown length")?;
                let length = u32::try_from(length).ok().filter(|length| *length > 0);
                let length = length.ok_or("an array without a length")?;
                Ok(Type::Array(Box::new(self.embedded(of, at + 1, owner)?), length))
            }
            Derivation::Array(_) => Err("an array of variable length".to_owned()),
            Derivation::Pointer { .. } => {
                let pointee = if is_sized(of, at) {
                    self.sized(of, at, owner)?
                } else if is_text(of, at, at == 1 && self.direction == Direction::Out)? {
                    Type::Text
                } else {
                    self.embedded(of, at + 1, owner)?
                };
                self.check_embedded_pointer(of, at)?;
                Ok(pointee.unique())
            }
        }
    }

    /// Checks that an embedded pointer has the same layout as a `unique` pointer.
    fn check_embedded_pointer(&self, of: &ExpandedType<'a>, at: usize) -> Result<(), String> {
        let reference = match self.direction {
            Direction::In => {
                "a `ref` pointer within a value, but the trait has a `unique` pointer, which may be \
                 NULL"
            }
            Direction::Out => {
                "a `ref` pointer within an `out` value: the file fills memory of the caller, but the \
                 trait allocates memory"
            }
        };
        match of.pointer(at)? {
            Some(PointerKind::Unique) => Ok(()),
            Some(PointerKind::Reference) => Err(reference.to_owned()),
            None => {
                // The attributes of the declaration or typedef that contains the pointer.
                let group = of.groups.iter().rev().find(|group| group.start <= at);
                let default = group.map(|of| self.lowering.facts.pointer_default(of.attributes));
                match default {
                    Some(PointerDefault::Unique) => Ok(()),
                    Some(PointerDefault::Reference) => Err(reference.to_owned()),
                    _ => Err("a `pointer_default` may make it a full pointer".to_owned()),
                }
            }
        }
    }

    /// Returns an interface pointer if this level points to an interface.
    fn interface_pointer(&self, of: &ExpandedType<'a>, at: usize) -> Result<Option<Type>, String> {
        let ExpandedLeaf::Interface(interface) = of.leaf else { return Ok(None) };
        if at + 1 != of.levels.len() || !matches!(of.levels[at], Derivation::Pointer { .. }) {
            return Ok(None);
        }
        if is_sized(of, at) || of.has(AttributeName::String) {
            return Err("an array of interfaces".to_owned());
        }
        if of.pointer(at)? == Some(PointerKind::Reference) && at > 0 {
            return Err("a `ref` pointer to an interface".to_owned());
        }
        let iid = interface.attributes.uuid().ok_or("an interface without an identifier")?;
        Ok(Some(Type::Interface(iid.0.to_be_bytes())))
    }

    /// Returns the layout of an array that is declared as a pointer with `size_is`.
    fn sized(
        &self,
        of: &ExpandedType<'a>,
        at: usize,
        owner: CountScope<'a>,
    ) -> Result<Type, String> {
        let size = size_at(of, at).ok_or("an array without a count")?;
        let (count, is_pointee) = match &size.without_parentheses().kind {
            ExpressionKind::Unary(UnaryOperator::Dereference, inner) => (&**inner, true),
            _ => (size, false),
        };
        let ExpressionKind::Name(name) = &count.without_parentheses().kind else {
            return Err("its count is an expression".to_owned());
        };
        let place = match owner {
            CountScope::Parameters(list) => list
                .iter()
                .position(|of| of.declarator.name.as_ref().is_some_and(|of| of.name == *name))
                .map(|place| {
                    if is_pointee {
                        CountLocation::Pointee(place)
                    } else {
                        CountLocation::Slot(place)
                    }
                }),
            CountScope::Fields(_) if is_pointee => None,
            CountScope::Fields(fields) => fields
                .iter()
                .flat_map(|field| &field.declarators)
                .position(|of| of.name.as_ref().is_some_and(|of| of.name == *name))
                .map(CountLocation::Field),
        };
        let place = place.ok_or_else(|| {
            format!("its count `{name}` is not a parameter or field in the same declaration")
        })?;
        if of.has(AttributeName::String) && is_text(of, at, false)? {
            return Err("a string in a buffer with a given number of characters".to_owned());
        }
        let item = self.embedded(of, at + 1, owner)?;
        Ok(Type::Counted(Box::new(item), place))
    }

    /// Checks that a value has no attributes that apply only to pointers or arrays.
    fn check_alone(&self, of: &ExpandedType<'a>) -> Result<(), String> {
        for name in [AttributeName::String, AttributeName::SizeIs] {
            if of.has(name) {
                return Err(format!("`{}` applies to a type that isn't a pointer", name.text()));
            }
        }
        Ok(())
    }
}

/// Returns whether attributes specify the number of items at a level.
fn is_sized(of: &ExpandedType<'_>, at: usize) -> bool {
    size_at(of, at).is_some()
}

fn size_at<'a>(of: &ExpandedType<'a>, at: usize) -> Option<&'a Expression> {
    let attribute: &Attribute = of.groups.first()?.attributes.find(AttributeName::SizeIs)?;
    match attribute.arguments.get(at) {
        Some(Argument::Value(value)) => Some(value),
        _ => None,
    }
}

/// Returns whether the pointer at this level points to a string. `behind_out` is true if the
/// pointer at this level is itself the pointee of an `out` parameter.
fn is_text(of: &ExpandedType<'_>, at: usize, behind_out: bool) -> Result<bool, String> {
    if !of.has(AttributeName::String) || at + 1 != of.levels.len() {
        return Ok(false);
    }
    let is_wide = matches!(of.leaf, ExpandedLeaf::Base(BaseType::WideChar | BaseType::UInt16));
    if !is_wide {
        return Err("a string that isn't UTF-16".to_owned());
    }
    let starts = of.groups.iter().filter(|group| group.attributes.has(AttributeName::String));
    match starts.map(|group| group.start).max() {
        Some(start) if start == at => Ok(true),
        Some(0) if at == 1 && behind_out => Ok(true),
        _ => Err("`string` may not apply to the innermost pointer".to_owned()),
    }
}
