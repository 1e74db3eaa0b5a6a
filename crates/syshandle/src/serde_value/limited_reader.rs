//! Deserializes with serde within limits. Without these limits, a hostile sender could make
//! postcard recurse until the stack is exhausted, or iterate over up to 2⁶⁴ items that take no
//! bytes.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use syshandle_types::{DecodeError, Limits};

/// The remaining budget of one value.
pub(super) struct Budget<'m> {
    items: Cell<usize>,
    too_deep: Cell<bool>,
    /// Charges memory that is about to be allocated.
    charge: &'m dyn Fn(usize) -> Result<(), DecodeError>,
    no_memory: Cell<Option<DecodeError>>,
}

impl<'m> Budget<'m> {
    /// Creates the budget of a value of `bytes` bytes, whose memory `charge` counts.
    pub(super) fn new(bytes: usize, charge: &'m dyn Fn(usize) -> Result<(), DecodeError>) -> Self {
        let items = bytes.saturating_mul(ITEMS_PER_BYTE_MAX) + EMPTY_ITEMS_MAX;
        let (items, too_deep) = (Cell::new(items), Cell::new(false));
        Self { items, too_deep, charge, no_memory: Cell::new(None) }
    }

    /// Returns the error if the value took too much memory.
    pub(super) fn into_memory_error(self) -> Option<DecodeError> {
        self.no_memory.into_inner()
    }

    /// Charges memory that a value is about to take.
    fn take_memory<E: Error>(&self, bytes: usize) -> Result<(), E> {
        (self.charge)(bytes).map_err(|error| {
            let text = E::custom(&error);
            self.no_memory.set(Some(error));
            text
        })
    }

    /// Returns whether the value is nested too deeply.
    pub(super) fn is_too_deep(&self) -> bool {
        self.too_deep.get()
    }

    fn take_item<E: Error>(&self) -> Result<(), E> {
        let left = self.items.get().checked_sub(1);
        self.items.set(left.ok_or_else(|| E::custom("too many items"))?);
        Ok(())
    }
}

/// Wraps a deserializer, a visitor or another reader of serde, and enforces the limits.
pub(super) struct LimitedReader<'b, T> {
    inner: T,
    budget: &'b Budget<'b>,
    depth: u32,
}

impl<'b, T> LimitedReader<'b, T> {
    pub(super) fn new(inner: T, budget: &'b Budget<'b>) -> Self {
        Self { inner, budget, depth: 0 }
    }

    /// Wraps another reader, with the same nesting depth.
    fn with<U>(&self, inner: U) -> LimitedReader<'b, U> {
        LimitedReader { inner, budget: self.budget, depth: self.depth }
    }

    /// Returns this reader with a nesting depth that is higher by one.
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == Limits::DEPTH_MAX {
            self.budget.too_deep.set(true);
            return Err(E::custom("nested too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

macro_rules! deserialize {
    ($($method:ident($($name:ident: $type:ty),*);)+) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            let this = self.deeper()?;
            // serde doesn't report whether the value is in a box. Therefore its memory is always
            // charged, as if it were.
            this.budget.take_memory(size_of::<V::Value>())?;
            let visitor = this.with(visitor);
            this.inner.$method($($name,)* visitor)
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for LimitedReader<'_, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident: $type:ty;)+) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for LimitedReader<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.budget.take_memory(value.len())?;
        self.inner.visit_str(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.budget.take_memory(value.len())?;
        self.inner.visit_borrowed_str(value)
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<V::Value, E> {
        self.budget.take_memory(value.len())?;
        self.inner.visit_bytes(value)
    }

    fn visit_borrowed_bytes<E: Error>(self, value: &'de [u8]) -> Result<V::Value, E> {
        self.budget.take_memory(value.len())?;
        self.inner.visit_borrowed_bytes(value)
    }

    visit! {
        visit_bool: bool;
        visit_i8: i8;
        visit_i16: i16;
        visit_i32: i32;
        visit_i64: i64;
        visit_i128: i128;
        visit_u8: u8;
        visit_u16: u16;
        visit_u32: u32;
        visit_u64: u64;
        visit_u128: u128;
        visit_f32: f32;
        visit_f64: f64;
        visit_char: char;
        visit_string: String;
        visit_byte_buf: Vec<u8>;
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.with(inner);
        self.inner.visit_some(inner)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.with(inner);
        self.inner.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let inner = self.with(inner);
        self.inner.visit_seq(inner)
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let inner = self.with(inner);
        self.inner.visit_map(inner)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let inner = self.with(inner);
        self.inner.visit_enum(inner)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for LimitedReader<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let inner = self.with(inner);
        self.inner.deserialize(inner)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for LimitedReader<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        // The item is charged a second time, because a list doubles its capacity when it grows.
        self.budget.take_memory(size_of::<S::Value>())?;
        let seed = self.with(seed);
        let item = self.inner.next_element_seed(seed)?;
        self.budget.take_item()?;
        Ok(item)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for LimitedReader<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.budget.take_memory(size_of::<S::Value>())?;
        let seed = self.with(seed);
        let key = self.inner.next_key_seed(seed)?;
        self.budget.take_item()?;
        Ok(key)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.budget.take_memory(size_of::<S::Value>())?;
        let seed = self.with(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'b, 'de, A: EnumAccess<'de>> EnumAccess<'de> for LimitedReader<'b, A> {
    type Error = A::Error;
    type Variant = LimitedReader<'b, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let Self { inner, budget, depth } = self;
        let seed = LimitedReader { inner: seed, budget, depth };
        let (value, variant) = inner.variant_seed(seed)?;
        Ok((value, LimitedReader { inner: variant, budget, depth }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for LimitedReader<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.with(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.with(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.with(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}

/// Maximum number of items per encoded byte. The number can exceed 1, because nested lists and
/// structs may begin at the same byte.
const ITEMS_PER_BYTE_MAX: usize = 16;

/// Maximum number of items that take no bytes.
const EMPTY_ITEMS_MAX: usize = 1024;
