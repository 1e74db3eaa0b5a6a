//! The COM layout of a method: the slots of a call and the type of each slot.
//!
//! Each method has two layouts. `lower::midl_layout` computes the layout that an `.idl` file
//! declares, according to MIDL's rules for 64-bit Windows. [`trait_tables`] computes the layout
//! that `syshandle-com` generates for the Rust trait. [`compare`] lists the differences between
//! them. A construct that this module can't represent counts as a difference, so that an unknown
//! construct is never accepted as equal.

mod handle_kinds;
mod trait_tables;

use std::fmt;

pub(crate) use handle_kinds::midl_kind;
pub(crate) use trait_tables::TraitTables;

/// One argument of a COM method after `this`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) direction: Direction,
    pub(crate) ty: Type,
}

/// The direction in which the value of a slot is passed. This module doesn't support slots that are
/// passed in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// A type's layout in memory and on the wire. Types with the same layout are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// An integer with this size in bytes. Signed and unsigned integers have the same wire form.
    Integer(u32),
    /// A floating-point number with this size in bytes.
    Float(u32),
    /// An enum that takes 4 bytes in memory and 2 bytes on the wire. Contains the values in order.
    ShortEnum(Vec<i32>),
    /// A struct with the alignment rules of C.
    Struct(Vec<Type>),
    /// An array of fixed length that is stored inline.
    Array(Box<Type>, u32),
    /// A zero-terminated UTF-16 string.
    Text,
    /// An array whose length is given by a separate count.
    Counted(Box<Type>, CountLocation),
    /// A pointer that is never NULL.
    Reference(Box<Type>),
    /// A pointer that may be NULL.
    Unique(Box<Type>),
    /// A pointer to the interface with this IID.
    Interface([u8; 16]),
    /// A handle of the kind with this name. `syshandle-com` maps the names to MIDL's numbers.
    Handle(&'static str),
}

/// The location of an array's count. A count always has 4 bytes. It is also part of the layout as a
/// slot or field of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountLocation {
    /// The slot with this index.
    Slot(usize),
    /// The pointee of the slot with this index.
    Pointee(usize),
    /// The field with this index.
    Field(usize),
}

impl Type {
    pub(crate) fn reference(self) -> Self {
        Self::Reference(Box::new(self))
    }

    pub(crate) fn unique(self) -> Self {
        Self::Unique(Box::new(self))
    }

    /// Returns the layout of a `GUID`.
    pub(crate) fn guid() -> Self {
        let bytes = Self::Array(Box::new(Self::Integer(1)), 8);
        Self::Struct(vec![Self::Integer(4), Self::Integer(2), Self::Integer(2), bytes])
    }

    /// Returns the layout of an enum with these values that doesn't have the attribute `v1_enum`.
    pub(crate) fn short_enum(values: Vec<i32>) -> Self {
        Self::ShortEnum(values)
    }

    /// Returns the size in memory, or `None` if it depends on a count or overflows.
    pub(crate) fn size(&self) -> Option<u32> {
        Some(match self {
            Self::Integer(bytes) | Self::Float(bytes) => *bytes,
            Self::ShortEnum(_) => 4,
            Self::Struct(fields) => {
                let mut end: u32 = 0;
                for field in fields {
                    let start = end.checked_next_multiple_of(field.align())?;
                    end = start.checked_add(field.size()?)?;
                }
                end.checked_next_multiple_of(self.align())?
            }
            Self::Array(item, length) => item.size()?.checked_mul(*length)?,
            Self::Text | Self::Counted(..) => return None,
            Self::Reference(_) | Self::Unique(_) | Self::Interface(_) | Self::Handle(_) => 8,
        })
    }

    /// Returns whether the type is a pointer to a counted array.
    fn is_counted(&self) -> bool {
        match self {
            Self::Reference(to) | Self::Unique(to) => to.is_counted(),
            other => matches!(other, Self::Counted(..)),
        }
    }

    fn align(&self) -> u32 {
        match self {
            Self::Struct(fields) => fields.iter().map(Self::align).max().unwrap_or(1),
            Self::Array(item, _) => item.align(),
            other => other.size().unwrap_or(8).max(1),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(8) => f.write_str("an 8-byte integer"),
            Self::Integer(bytes) => write!(f, "a {bytes}-byte integer"),
            Self::Float(8) => f.write_str("an 8-byte float"),
            Self::Float(bytes) => write!(f, "a {bytes}-byte float"),
            Self::ShortEnum(_) => f.write_str("an enum of 2 bytes on the wire"),
            Self::Struct(fields) => match self.size() {
                Some(size) => write!(f, "a struct of {} fields and {size} bytes", fields.len()),
                None => write!(f, "a struct of {} fields", fields.len()),
            },
            Self::Array(item, length) => write!(f, "an inline array of {length} times {item}"),
            Self::Text => f.write_str("zero-terminated UTF-16"),
            Self::Counted(item, _) => write!(f, "a counted array of {item}"),
            Self::Reference(to) => write!(f, "a pointer to {to}"),
            Self::Unique(to) => write!(f, "a pointer that may be NULL to {to}"),
            Self::Interface(_) => f.write_str("an interface pointer"),
            Self::Handle(_) => f.write_str("a handle"),
        }
    }
}

/// Returns the differences between the layout that a file declares and the layout of the trait's
/// tables, each with the index of the declared slot. A list has several slots in the trait, so the
/// slots after a list that differs can't be compared.
pub(crate) fn compare(declared: &[Slot], tables: &[Slot]) -> Vec<(Option<usize>, String)> {
    if declared == tables {
        return Vec::new();
    }
    let late_input = declared.iter().skip_while(|slot| slot.direction == Direction::In);
    if late_input.clone().any(|slot| slot.direction == Direction::In) {
        let place = declared.iter().position(|slot| slot.direction == Direction::Out);
        let what = "an `out` parameter precedes an `in` parameter, but in the trait all `in` \
                    parameters come first";
        return vec![(place, what.to_owned())];
    }
    let mut differences = Vec::new();
    for (place, (file, trait_)) in declared.iter().zip(tables).enumerate() {
        if file == trait_ {
            continue;
        }
        differences.push((Some(place), slot_difference(file, trait_)));
        let is_list = [Some(file), Some(trait_), tables.get(place + 1)]
            .into_iter()
            .flatten()
            .any(|slot| slot.ty.is_counted());
        if is_list || file.direction != trait_.direction {
            break;
        }
    }
    if differences.is_empty() {
        let what = format!(
            "the file declares {} slots, but the trait has {}",
            declared.len(),
            tables.len()
        );
        differences.push((declared.len().checked_sub(1), what));
    }
    differences
}

/// Describes the difference between two slots that aren't equal.
fn slot_difference(declared: &Slot, tables: &Slot) -> String {
    match (declared.ty.to_string(), tables.ty.to_string()) {
        (file, trait_) if file != trait_ => {
            format!("the file passes {file}, but the trait passes {trait_}")
        }
        (file, _) if declared.direction != tables.direction => {
            format!("{file} is passed in the opposite direction in the trait")
        }
        (file, _) => difference_within(&declared.ty, &tables.ty)
            .unwrap_or_else(|| format!("{file} has different members in the trait")),
    }
}

/// Describes the difference between two types that have the same description at the top level.
fn difference_within(file: &Type, tables: &Type) -> Option<String> {
    match (file, tables) {
        (Type::Reference(file), Type::Reference(tables))
        | (Type::Unique(file), Type::Unique(tables))
        | (Type::Array(file, _), Type::Array(tables, _)) => difference_within(file, tables),
        (Type::Counted(file, place), Type::Counted(tables, expected)) => {
            if place != expected {
                let what = "the count of the array doesn't directly precede it, as in the trait";
                return Some(what.to_owned());
            }
            difference_within(file, tables)
        }
        (Type::Struct(file), Type::Struct(tables)) => {
            let place = file.iter().zip(tables).position(|(file, tables)| file != tables)?;
            let number = place + 1;
            let (file, tables) = (&file[place], &tables[place]);
            let within = difference_within(file, tables)
                .unwrap_or_else(|| format!("the file has {file}, but the trait has {tables}"));
            Some(format!("field {number} of the struct: {within}"))
        }
        (Type::ShortEnum(_), Type::ShortEnum(_)) => {
            Some("the values of the enum differ".to_owned())
        }
        (file, tables) if file.to_string() != tables.to_string() => {
            Some(format!("the file has {file}, but the trait has {tables}"))
        }
        _ => None,
    }
}
