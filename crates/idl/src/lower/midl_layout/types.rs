//! Computes the layouts of declared types.

use super::attributes::{ENUM, FIELD, STRUCT};
use super::expanded_type::{ExpandedLeaf, ExpandedType, PointerKind};
use super::facts::PointerDefault;
use crate::front::ast::{
    Argument, Attribute, AttributeName, BaseType, Bounds, Derivation, EnumType, Expression,
    ExpressionKind, Field, Parameter, StructType, UnaryOperator,
};
use crate::front::check::system_handle::MaskEnvironment;
use crate::front::constant;
use crate::layout::{CountLocation, Direction, Type, midl_kind};
use crate::lower::Lowering;

/// Reads the types of one parameter.
#[derive(Clone, Copy)]
pub(super) struct LayoutReader<'r, 'l, 'a> {
    pub(super) lowering: &'r Lowering<'l, 'a>,
    pub(super) direction: Direction,
}

/// The declarations that may contain a count.
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
                // Windows passes structs of other sizes by address.
                (Type::Struct(_), Some(1 | 2 | 4 | 8)) => Err(format!(
                    "{ty} is passed by value, in a register; the tables of the trait pass a pointer"
                )),
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
                return Err("the tables of the trait have no arrays as parameters".to_owned());
            }
            Derivation::Pointer { .. } if is_sized(of, 0) => self.sized(of, 0, owner)?,
            Derivation::Pointer { .. } if is_text(of, 0, false)? => Type::Text,
            Derivation::Pointer { .. } => self.embedded(of, 1, owner)?,
        };
        // A pointer at the top level is a reference unless an attribute says otherwise.
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
                "the caller's memory is filled, and the tables of the trait make new memory"
                    .to_owned(),
            );
        }
        if of.has(AttributeName::String) && of.levels.len() == 1 {
            return Err("the caller's memory is filled with a text, and the tables of the trait \
                        make new memory"
                .to_owned());
        }
        Ok(self.embedded(of, 1, owner)?.reference())
    }

    /// Returns the layout of a field.
    fn field(&self, of: &ExpandedType<'a>, owner: CountScope<'a>) -> Result<Type, String> {
        self.embedded(of, 0, owner)
    }

    /// Returns the layout of a type behind a pointer, in an array or in a struct.
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
                Err("a text within a struct, and not behind a pointer".to_owned())
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

    /// Checks that an embedded pointer has the layout of a `unique` one.
    fn check_embedded_pointer(&self, of: &ExpandedType<'a>, at: usize) -> Result<(), String> {
        let reference = match self.direction {
            Direction::In => {
                "a `ref` pointer within a value: the tables of the trait have a `unique` \
                              pointer, which may be null"
            }
            Direction::Out => {
                "a `ref` pointer within an `out` value: MIDL fills the caller's memory \
                               behind it, and the tables of the trait make new memory"
            }
        };
        match of.pointer(at)? {
            Some(PointerKind::Unique) => Ok(()),
            Some(PointerKind::Reference) => Err(reference.to_owned()),
            None => {
                // The declaration that contains the pointer.
                let group = of.groups.iter().rev().find(|group| group.start <= at);
                let default = group.map(|of| self.lowering.facts.pointer_default(of.attributes));
                match default {
                    Some(PointerDefault::Unique) => Ok(()),
                    Some(PointerDefault::Reference) => Err(reference.to_owned()),
                    _ => Err("a `pointer_default` may make a full pointer of it".to_owned()),
                }
            }
        }
    }

    /// Returns an interface pointer if this level is a pointer to an interface.
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

    /// Returns the layout of an array behind a pointer with `size_is`.
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
        let place = place
            .ok_or_else(|| format!("its count `{name}` is no parameter or field beside it"))?;
        if of.has(AttributeName::String) && is_text(of, at, false)? {
            return Err("a text with room for a given number of letters".to_owned());
        }
        let item = self.embedded(of, at + 1, owner)?;
        Ok(Type::Counted(Box::new(item), place))
    }

    /// Checks that a value has no attributes for pointers or arrays.
    fn check_alone(&self, of: &ExpandedType<'a>) -> Result<(), String> {
        for name in [AttributeName::String, AttributeName::SizeIs] {
            if of.has(name) {
                return Err(format!("`{}` stands before what isn't a pointer", name.text()));
            }
        }
        Ok(())
    }

    /// Returns the type of a declaration without pointers and arrays.
    pub(super) fn leaf_of(&self, of: &ExpandedType<'a>) -> Result<Option<Type>, String> {
        if of.levels.is_empty() { self.leaf_type(of).map(Some) } else { Ok(None) }
    }

    fn leaf_type(&self, of: &ExpandedType<'a>) -> Result<Type, String> {
        if let Some(reason) = misplaced(of) {
            return Err(reason);
        }
        self.count(1)?;
        match of.leaf {
            ExpandedLeaf::Base(base) => base_type(base),
            ExpandedLeaf::Handle => self.handle(of),
            ExpandedLeaf::Enum(enumeration, by_tag) => self.enumeration(of, enumeration, by_tag),
            ExpandedLeaf::Struct(structure) => self.structure(structure),
            ExpandedLeaf::Interface(_) => {
                Err("an interface that isn't behind a pointer".to_owned())
            }
        }
    }

    /// Counts types and values, up to the limits of a parameter and of a run.
    fn count(&self, more: usize) -> Result<(), String> {
        for left in [&self.lowering.types_left, &self.lowering.all_types_left] {
            let less = u32::try_from(more).ok().and_then(|more| left.get().checked_sub(more));
            left.set(less.ok_or("it has too many types within it to compare its layout")?);
        }
        Ok(())
    }

    fn handle(&self, of: &ExpandedType<'a>) -> Result<Type, String> {
        let attributes =
            of.groups.iter().filter_map(|group| group.attributes.find(AttributeName::SystemHandle));
        let mut attributes = attributes;
        let attribute = attributes.next().ok_or("a HANDLE that isn't a `system_handle`")?;
        if attributes.next().is_some() {
            return Err("`system_handle` is declared twice".to_owned());
        }
        let mut values = attribute.values();
        let kind = values.next().and_then(|kind| kind.as_name()).map_or("", |name| name);
        let kind = kind.strip_prefix("sh_").and_then(midl_kind).ok_or("an unknown kind")?;
        match values.next().map(|mask| self.mask(mask)) {
            None | Some(Some(0)) => {}
            Some(Some(mask)) => self.lowering.masks.borrow_mut().push(format!(
                "the access mask {mask:#x} reduces what is sent; the tables of the trait have no masks"
            )),
            Some(None) => return Err("an access mask of unknown value".to_owned()),
        }
        Ok(Type::Handle(kind))
    }

    fn mask(&self, of: &Expression) -> Option<u32> {
        match constant::evaluate(of, &MaskEnvironment(self.lowering.view.copied())) {
            Ok(constant::Value::Integer(mask)) => Some(mask.value as u32),
            _ => None,
        }
    }

    fn enumeration(
        &self,
        of: &ExpandedType<'a>,
        enumeration: &'a EnumType,
        by_tag: bool,
    ) -> Result<Type, String> {
        ENUM.check(&enumeration.attributes)?;
        let tag = enumeration.tag.as_ref().map(|tag| tag.name.to_string());
        let leaf_groups: Vec<_> =
            of.groups.iter().filter(|group| group.start == of.levels.len()).collect();
        let says = |group: &&&super::expanded_type::AttributeGroup<'a>| {
            group.attributes.has(AttributeName::V1Enum)
        };
        let is_elsewhere = tag.is_some_and(|tag| self.lowering.facts.v1_enums.contains(&tag));
        // The last typedef is the one that contains the enum's definition.
        let at_body = (!by_tag).then(|| leaf_groups.last()).flatten();
        let is_v1 =
            self.lowering.facts.is_v1_enum(enumeration) || at_body.as_ref().is_some_and(says);
        if !is_v1 && (is_elsewhere || leaf_groups.iter().any(|group| says(&group))) {
            return Err("`v1_enum` stands at one name of an enum and not at all".to_owned());
        }
        self.count(enumeration.enumerators.iter().flatten().count())?;
        let mut values = Vec::new();
        let mut next: i128 = 0;
        for enumerator in enumeration.enumerators.iter().flatten() {
            if let Some(value) = &enumerator.value {
                let known = self.lowering.constant_value(value);
                next = known.ok_or_else(|| {
                    format!("the value of `{}` isn't known", enumerator.name.name)
                })?;
            }
            let value = i32::try_from(next).or_else(|_| u32::try_from(next).map(|of| of as i32));
            values.push(value.map_err(|_| "a value of its enum needs more than 32 bits")?);
            next += 1;
        }
        Ok(if is_v1 { Type::Integer(4) } else { Type::short_enum(values) })
    }

    fn structure(&self, of: &'a StructType) -> Result<Type, String> {
        if self.lowering.facts.may_be_packed(of) {
            return Err("a pragma may pack its struct".to_owned());
        }
        let mut open = self.lowering.structs.borrow_mut();
        if open.iter().any(|open| std::ptr::eq(*open, of)) {
            return Err("its struct contains itself".to_owned());
        }
        if open.len() == STRUCTS_DEPTH_MAX {
            return Err("its structs are nested too deep".to_owned());
        }
        open.push(of);
        drop(open);
        let fields = self.fields(of);
        self.lowering.structs.borrow_mut().pop();
        fields.map(Type::Struct)
    }

    fn fields(&self, of: &'a StructType) -> Result<Vec<Type>, String> {
        STRUCT.check(&of.attributes)?;
        let fields = of.fields.as_deref().ok_or("nothing says what is in its struct")?;
        let mut types = Vec::new();
        for field in fields {
            let specifier = field.specifier.as_ref().ok_or("a field without a type")?;
            if field.declarators.is_empty() {
                return Err("a field without a name".to_owned());
            }
            for declarator in &field.declarators {
                let name = declarator.name.as_ref().map_or("", |name| &*name.name);
                let read = || {
                    FIELD.check(&field.attributes)?;
                    if declarator.bits.is_some() {
                        return Err("a bit field".to_owned());
                    }
                    let expanded =
                        self.expand(&field.attributes, specifier, &declarator.derivations)?;
                    self.field(&expanded, CountScope::Fields(fields))
                };
                types.push(read().map_err(|why| format!("field `{name}`: {why}"))?);
            }
        }
        match types.is_empty() {
            true => Err("its struct has no fields".to_owned()),
            false => Ok(types),
        }
    }
}

/// Returns whether attributes give the number of items at a level.
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

/// Returns whether the pointer at this level points to a text. `behind_out` says whether the
/// pointer of an `out` parameter precedes it.
fn is_text(of: &ExpandedType<'_>, at: usize, behind_out: bool) -> Result<bool, String> {
    if !of.has(AttributeName::String) || at + 1 != of.levels.len() {
        return Ok(false);
    }
    let is_wide = matches!(of.leaf, ExpandedLeaf::Base(BaseType::WideChar | BaseType::UInt16));
    if !is_wide {
        return Err("a text of other letters than UTF-16's".to_owned());
    }
    let starts = of.groups.iter().filter(|group| group.attributes.has(AttributeName::String));
    match starts.map(|group| group.start).max() {
        Some(start) if start == at => Ok(true),
        Some(0) if at == 1 && behind_out => Ok(true),
        _ => Err("`string` may be about another pointer than the innermost".to_owned()),
    }
}

/// Returns the error for attributes that don't apply to the type.
fn misplaced(of: &ExpandedType<'_>) -> Option<String> {
    let is_handle = matches!(of.leaf, ExpandedLeaf::Handle);
    if of.has(AttributeName::SystemHandle) && !is_handle {
        return Some("`system_handle` stands before what isn't a HANDLE".to_owned());
    }
    let is_enum = matches!(of.leaf, ExpandedLeaf::Enum(..));
    let of_enum = [AttributeName::V1Enum, AttributeName::FlagEnum, AttributeName::Flags];
    if of_enum.into_iter().any(|name| of.has(name)) && !is_enum {
        return Some("an attribute of enums stands before another type".to_owned());
    }
    let sizes = of.groups.first().and_then(|of| of.attributes.find(AttributeName::SizeIs));
    if sizes.is_some_and(|sizes| sizes.arguments.len() > of.levels.len()) {
        return Some("`size_is` says more than there are pointers".to_owned());
    }
    // A pointer to characters has been handled by the caller.
    of.has(AttributeName::String).then(|| "`string` has no rule here".to_owned())
}

fn base_type(base: BaseType) -> Result<Type, String> {
    Ok(match base {
        BaseType::Boolean
        | BaseType::Byte
        | BaseType::Char
        | BaseType::SignedChar
        | BaseType::UnsignedChar
        | BaseType::Int8
        | BaseType::UInt8 => Type::Integer(1),
        BaseType::WideChar | BaseType::Int16 | BaseType::UInt16 => Type::Integer(2),
        BaseType::Int32 | BaseType::UInt32 | BaseType::ErrorStatus => Type::Integer(4),
        BaseType::Int64 | BaseType::UInt64 => Type::Integer(8),
        BaseType::Float => Type::Float(4),
        BaseType::Double => Type::Float(8),
        BaseType::IntPointer | BaseType::UIntPointer => {
            return Err("an integer as long as a pointer has 4 bytes on the wire".to_owned());
        }
        BaseType::Int128 | BaseType::UInt128 => {
            return Err("an integer of 16 bytes has no form in COM".to_owned());
        }
        BaseType::Void | BaseType::BindingHandle => {
            return Err("its type has no layout that is known here".to_owned());
        }
    })
}

/// Maximum nesting of structs.
const STRUCTS_DEPTH_MAX: usize = 16;

/// Maximum number of types in one parameter. The tables of a trait hold fewer.
pub(super) const TYPES_MAX: u32 = 4096;

/// Maximum number of types and enum values in all parameters of a file. Reading this many takes a
/// few seconds.
pub(in crate::lower) const ALL_TYPES_MAX: u32 = 2_000_000;
