//! Computes the layouts of types other than pointers and arrays: numbers, handles, enums and
//! structs.

use super::attributes::{ENUM, FIELD, STRUCT};
use super::expanded_type::{AttributeGroup, ExpandedLeaf, ExpandedType};
use super::types::{CountScope, LayoutReader};
use crate::front::ast::{AttributeName, BaseType, EnumType, Expression, StructType};
use crate::front::check::system_handle::MaskEnvironment;
use crate::front::constant;
use crate::front::system::mask_text;
use crate::layout::{Type, midl_kind};

impl<'a> LayoutReader<'_, '_, 'a> {
    /// Returns the layout of a declaration's innermost type, without pointers and arrays.
    pub(super) fn leaf_of(&self, of: &ExpandedType<'a>) -> Result<Option<Type>, String> {
        if of.levels.is_empty() { self.leaf_type(of).map(Some) } else { Ok(None) }
    }

    pub(super) fn leaf_type(&self, of: &ExpandedType<'a>) -> Result<Type, String> {
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

    /// Counts types and enum values. Returns an error if the limit of the parameter or of the run
    /// is exceeded.
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
        let kind =
            kind.strip_prefix("sh_").and_then(midl_kind).ok_or("an unknown kind of handle")?;
        match values.next().map(|mask| self.mask(mask)) {
            None | Some(Some(0)) => {}
            Some(Some(mask)) => self.lowering.masks.borrow_mut().push(format!(
                "the access mask {} reduces the rights that are sent, but traits don't support masks",
                mask_text(mask)
            )),
            Some(None) => return Err("an access mask that can't be evaluated".to_owned()),
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
        let says = |group: &&&AttributeGroup<'a>| group.attributes.has(AttributeName::V1Enum);
        let is_elsewhere = tag.is_some_and(|tag| self.lowering.facts.v1_enums.contains(&tag));
        // The last typedef is the one that contains the enum's definition.
        let at_body = (!by_tag).then(|| leaf_groups.last()).flatten();
        let is_v1 =
            self.lowering.facts.is_v1_enum(enumeration) || at_body.as_ref().is_some_and(says);
        if !is_v1 && (is_elsewhere || leaf_groups.iter().any(|group| says(&group))) {
            return Err("only some names of the enum have `v1_enum`".to_owned());
        }
        self.count(enumeration.enumerators.iter().flatten().count())?;
        let mut values = Vec::new();
        let mut next: i128 = 0;
        for enumerator in enumeration.enumerators.iter().flatten() {
            if let Some(value) = &enumerator.value {
                let known = self.lowering.constant_value(value);
                next = known
                    .ok_or_else(|| format!("the value of `{}` is unknown", enumerator.name.name))?;
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
        let fields = of.fields.as_deref().ok_or("its struct is not defined")?;
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

/// Returns an error if an attribute doesn't apply to the type.
fn misplaced(of: &ExpandedType<'_>) -> Option<String> {
    let is_handle = matches!(of.leaf, ExpandedLeaf::Handle);
    if of.has(AttributeName::SystemHandle) && !is_handle {
        return Some("`system_handle` applies to a type that isn't HANDLE".to_owned());
    }
    let is_enum = matches!(of.leaf, ExpandedLeaf::Enum(..));
    let of_enum = [AttributeName::V1Enum, AttributeName::FlagEnum, AttributeName::Flags];
    if of_enum.into_iter().any(|name| of.has(name)) && !is_enum {
        return Some("an attribute of enums applies to another type".to_owned());
    }
    let sizes = of.groups.first().and_then(|of| of.attributes.find(AttributeName::SizeIs));
    if sizes.is_some_and(|sizes| sizes.arguments.len() > of.levels.len()) {
        return Some("`size_is` has more values than the type has pointers".to_owned());
    }
    // The caller has handled pointers to characters.
    of.has(AttributeName::String).then(|| "`string` isn't supported here".to_owned())
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

/// Maximum nesting depth of structs.
const STRUCTS_DEPTH_MAX: usize = 16;
