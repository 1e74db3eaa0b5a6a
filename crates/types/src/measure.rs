//! Compares values with the bounds that an interface declares: `#[range(1..=10)]`.

use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64,
};
use std::sync::Arc;

use crate::{DecodeError, DecodeErrorKind, Decoder};

/// A type that can have declared bounds.
pub trait Measure {
    /// What the number counts, with a space before it, for error messages. Empty for a number.
    const UNIT: &'static str = "";

    /// Returns the number that is compared with the bounds: the value of a number, the number of
    /// items, or the length of a text in UTF-16 units. Returns `None` if there is no value.
    fn measure(&self) -> Option<i128>;
}

macro_rules! impl_measure {
    ($($type:ty),+) => {$(
        impl Measure for $type {
            fn measure(&self) -> Option<i128> {
                Some(i128::from(*self))
            }
        }
    )+};
}
impl_measure!(u8, i8, u16, i16, u32, i32, u64, i64);

macro_rules! impl_measure_non_zero {
    ($($type:ty),+) => {$(
        impl Measure for $type {
            fn measure(&self) -> Option<i128> {
                self.get().measure()
            }
        }
    )+};
}
impl_measure_non_zero!(NonZeroU8, NonZeroI8, NonZeroU16, NonZeroI16);
impl_measure_non_zero!(NonZeroU32, NonZeroI32, NonZeroU64, NonZeroI64);

/// Measures the length in UTF-16 units, as COM strings do, so that a bound means the same on Linux
/// and on Windows.
impl Measure for String {
    const UNIT: &'static str = " UTF-16 units";

    fn measure(&self) -> Option<i128> {
        Some(self.encode_utf16().count() as i128)
    }
}

impl<T> Measure for Vec<T> {
    const UNIT: &'static str = " items";

    fn measure(&self) -> Option<i128> {
        Some(self.len() as i128)
    }
}

impl<T: Measure> Measure for Option<T> {
    const UNIT: &'static str = T::UNIT;

    fn measure(&self) -> Option<i128> {
        self.as_ref().and_then(Measure::measure)
    }
}

impl<T: Measure> Measure for Box<T> {
    const UNIT: &'static str = T::UNIT;

    fn measure(&self) -> Option<i128> {
        T::measure(self)
    }
}

impl<T: Measure> Measure for Arc<T> {
    const UNIT: &'static str = T::UNIT;

    fn measure(&self) -> Option<i128> {
        T::measure(self)
    }
}

impl Decoder<'_> {
    /// Checks a value against its declared bounds, both inclusive.
    ///
    /// # Errors
    /// [`DecodeErrorKind::OutOfRange`].
    pub fn within<T: Measure>(&self, value: &T, from: i128, to: i128) -> Result<(), DecodeError> {
        match value.measure() {
            Some(value) if value < from || value > to => {
                Err(self.error(DecodeErrorKind::OutOfRange { value, from, to, unit: T::UNIT }))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_large_as_com_counts_it() {
        assert_eq!((-3_i32).measure(), Some(-3));
        assert_eq!(u64::MAX.measure(), Some(i128::from(u64::MAX)));
        assert_eq!("añ😀".to_owned().measure(), Some(4));
        assert_eq!(vec!["one", "two"].measure(), Some(2));
        assert_eq!(Some(Box::new(7_u8)).measure(), Some(7));
        assert_eq!(None::<u8>.measure(), None);
    }

    #[test]
    fn an_error_names_what_is_counted() {
        fn text<T: Measure>(value: &T) -> String {
            let (value, unit) = (value.measure().unwrap_or_default(), T::UNIT);
            DecodeErrorKind::OutOfRange { value, from: 3, to: 9, unit }.to_string()
        }
        assert_eq!(text(&2), "expected 3 to 9, got 2");
        assert_eq!(text(&Some(vec![1, 2])), "expected 3 to 9 items, got 2");
        assert_eq!(text(&Box::new("ab".to_owned())), "expected 3 to 9 UTF-16 units, got 2");
    }
}
