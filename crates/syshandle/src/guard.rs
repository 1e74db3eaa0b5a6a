//! The boundary to foreign code: the user's code and tracing subscribers.
//!
//! [`guard`] catches a panic of foreign code, which would otherwise end a thread that serves
//! several clients. Methods, background tasks, destructors of the user's values and log messages
//! all run in [`guard`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use syshandle_types::{Limits, cut};

/// Runs foreign code.
///
/// # Errors
/// The panic message, cut to the maximum length of a text in a fault.
#[inline(always)]
pub(crate) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(panic_text)
}

/// Extracts the message of a panic, and drops its payload, whose destructor is foreign code too.
#[cold]
fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text.as_str(),
        (None, None) => "no text",
    };
    let text = cut(text, Limits::TEXT_BYTES_MAX).to_owned();
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        // The destructor of a panic payload panicked. The new payload is leaked, because its
        // destructor could panic again.
        std::mem::forget(again);
    }
    text
}

/// A foreign value whose destructor runs in [`guard`].
pub(crate) struct ForeignValue<T>(Option<T>);

impl<T> ForeignValue<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Takes the value out of the guard.
    pub(crate) fn into_inner(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> std::ops::Deref for ForeignValue<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            // Only `into_inner` and the destructor remove the value, and the guard is not used
            // afterwards.
            None => unreachable!("a guard has its value until its end"),
        }
    }
}

#[cfg(feature = "tokio")]
impl<T> std::ops::DerefMut for ForeignValue<T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Some(value) => value,
            None => unreachable!("a guard has its value until its end"),
        }
    }
}

impl<T> Drop for ForeignValue<T> {
    fn drop(&mut self) {
        let Some(value) = self.0.take() else { return };
        if !std::mem::needs_drop::<T>() {
            return;
        }
        if let Err(text) = guard(|| drop(value)) {
            crate::log::error!(panic = %text, "a destructor of the program panicked");
        }
    }
}

impl<T> std::fmt::Debug for ForeignValue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignValue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value whose destructor panics. The panic payload is another such value with a lower count.
    struct Layers(u32);

    impl Drop for Layers {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Self(self.0 - 1));
            }
        }
    }

    #[test]
    fn the_guard_stops_a_panic_with_any_payload() {
        assert_eq!(guard(|| 3), Ok(3));
        assert_eq!(guard::<()>(|| panic!("as {}", "expected")), Err("as expected".into()));
        assert_eq!(guard(|| drop(Layers(5))), Err("no text".into()));
        drop(ForeignValue::new(Layers(5)));
    }

    #[test]
    fn the_text_of_a_panic_is_bounded() {
        let text = guard::<()>(|| panic!("{}", "é".repeat(Limits::TEXT_BYTES_MAX))).unwrap_err();
        assert_eq!(text.len(), Limits::TEXT_BYTES_MAX);
    }
}
