//! Encoding of values that contain other values.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::ops::Range;
use std::sync::Arc;

use crate::{Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder};

/// Encoded as one byte, 0 or 1. The value follows if the byte is 1.
impl<T: Encode> Encode for Option<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&[u8::from(self.is_some())]);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match bool::decode(input)? {
            true => Ok(Some(T::decode(input)?)),
            false => Ok(None),
        }
    }
}

/// Encoded as one byte, 0 or 1, followed by the value (0) or the error (1).
impl<T: Encode, E: Encode> Encode for Result<T, E> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&[u8::from(self.is_err())]);
        match self {
            Ok(value) => value.encode(out),
            Err(error) => error.encode(out),
        }
    }
}

impl<T: Decode, E: Decode> Decode for Result<T, E> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match bool::decode(input)? {
            false => Ok(Ok(T::decode(input)?)),
            true => Ok(Err(E::decode(input)?)),
        }
    }
}

/// Encoded like the value that it refers to.
impl<T: Encode + ?Sized> Encode for &T {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        (**self).encode(out);
    }
}

/// Encoded like the value that it contains.
impl<T: Encode + ?Sized> Encode for Box<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.charge_value::<T>()?;
        Ok(Self::new(T::decode(input)?))
    }
}

/// Encoded like the value that it refers to. Useful for values that the sender also keeps, such as
/// an event that a method returns and sets later.
impl<T: Encode + ?Sized> Encode for Arc<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Arc<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        T::decode_shared(input)
    }
}

/// Encoded as the number of items, a `u32`, followed by the items.
impl<T: Encode> Encode for [T] {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put_len(self.len());
        T::encode_all(self, out);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.as_slice().encode(out);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let len = input.take_len()?;
        T::decode_all(len, input)
    }
}

/// Encoded as the items alone, because their number is part of the type.
impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        T::encode_all(self, out);
        if N == 0 {
            out.put(&[0]);
        }
    }
}

impl<T: Decode, const N: usize> Decode for [T; N] {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let items = T::decode_all(N, input)?;
        if N == 0 {
            u8::decode(input)?;
        }
        Self::try_from(items).map_err(|_| input.error(DecodeErrorKind::Truncated))
    }
}

/// Encoded as the start, followed by the end.
impl<T: Encode> Encode for Range<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.named_field("start", &self.start);
        out.named_field("end", &self.end);
    }
}

impl<T: Decode> Decode for Range<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let start = T::decode(input).map_err(|error| error.in_field("start"))?;
        let end = T::decode(input).map_err(|error| error.in_field("end"))?;
        Ok(start..end)
    }
}

macro_rules! impl_map {
    ($map:ident, $($bound:path),+ $(; $state:ident)?) => {
        /// Encoded as the number of entries, a `u32`, followed by each key and its value. A key
        /// must not occur twice.
        impl<K: Encode, V: Encode, $($state)?> Encode for $map<K, V, $($state)?> {
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                out.put_len(self.len());
                for (index, (key, value)) in self.iter().enumerate() {
                    out.item(index, key);
                    out.item(index, value);
                }
            }
        }

        impl<K: Decode $(+ $bound)+, V: Decode, $($state: BuildHasher + Default)?> Decode
            for $map<K, V, $($state)?>
        {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let len = input.take_len()?;
                let mut map = Self::default();
                for index in 0..len {
                    // Charges each entry twice, because the capacity of a map grows by doubling.
                    input.charge_value::<[(K, V); 2]>()?;
                    let key = input.key::<K>(index)?;
                    let value = V::decode(input).map_err(|error| error.in_item(index))?;
                    if map.insert(key, value).is_some() {
                        return Err(input.error(DecodeErrorKind::Duplicate).in_item(index));
                    }
                }
                Ok(map)
            }
        }
    };
}
impl_map!(BTreeMap, Ord);
impl_map!(HashMap, Eq, Hash; S);

macro_rules! impl_set {
    ($set:ident, $($bound:path),+ $(; $state:ident)?) => {
        /// Encoded as the number of items, a `u32`, followed by the items. An item must not occur
        /// twice.
        impl<T: Encode, $($state)?> Encode for $set<T, $($state)?> {
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                out.put_len(self.len());
                for (index, item) in self.iter().enumerate() {
                    out.item(index, item);
                }
            }
        }

        impl<T: Decode $(+ $bound)+, $($state: BuildHasher + Default)?> Decode
            for $set<T, $($state)?>
        {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let len = input.take_len()?;
                let mut set = Self::default();
                for index in 0..len {
                    input.charge_value::<[T; 2]>()?;
                    let item = input.key::<T>(index)?;
                    if !set.insert(item) {
                        return Err(input.error(DecodeErrorKind::Duplicate).in_item(index));
                    }
                }
                Ok(set)
            }
        }
    };
}
impl_set!(BTreeSet, Ord);
impl_set!(HashSet, Eq, Hash; S);

macro_rules! impl_tuple {
    ($($name:ident . $index:tt),+) => {
        /// Encoded as the members in order, without a length.
        impl<$($name: Encode),+> Encode for ($($name,)+) {
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                $(out.named_field(stringify!($index), &self.$index);)+
            }
        }

        impl<$($name: Decode),+> Decode for ($($name,)+) {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(($(
                    $name::decode(input).map_err(|error| error.in_field(stringify!($index)))?,
                )+))
            }
        }
    };
}
impl_tuple!(A.0);
impl_tuple!(A.0, B.1);
impl_tuple!(A.0, B.1, C.2);
impl_tuple!(A.0, B.1, C.2, D.3);
impl_tuple!(A.0, B.1, C.2, D.3, E.4);
impl_tuple!(A.0, B.1, C.2, D.3, E.4, F.5);
impl_tuple!(A.0, B.1, C.2, D.3, E.4, F.5, G.6);
impl_tuple!(A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7);
