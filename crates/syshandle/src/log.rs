//! Log messages and spans, for the subscriber of the user's program.
//!
//! A subscriber is foreign code: one that writes to a full disk or to a closed pipe may panic. So
//! every message goes through [`guard`](crate::guard::guard). Without a subscriber that wants its
//! level, a message costs one comparison.

use crate::guard::guard;

/// A span that the current thread is in until this is dropped.
pub(crate) struct EnteredSpan(Option<tracing::Span>);

impl EnteredSpan {
    /// No span: its level is not wanted.
    pub(crate) const NONE: Self = Self(None);

    /// Enters the span that `make` makes, unless the subscriber panics.
    #[cold]
    pub(crate) fn enter(make: impl FnOnce() -> tracing::Span) -> Self {
        // A panic is not logged: the subscriber is what panicked.
        let span = guard(make).ok();
        if let Some(span) = &span {
            let _ = guard(|| span.with_subscriber(|(id, subscriber)| subscriber.enter(id)));
        }
        Self(span)
    }
}

impl Drop for EnteredSpan {
    #[inline]
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            exit(span);
        }
    }
}

#[cold]
fn exit(span: tracing::Span) {
    let _ = guard(|| span.with_subscriber(|(id, subscriber)| subscriber.exit(id)));
    let _ = guard(|| drop(span));
}

/// Logs a message at a level.
macro_rules! event {
    ($level:ident, $($argument:tt)*) => {
        if ::tracing::Level::$level <= ::tracing::level_filters::LevelFilter::current() {
            // Its panic is not logged: the subscriber is what panicked.
            let _ = $crate::guard::guard(|| {
                ::tracing::event!(::tracing::Level::$level, $($argument)*)
            });
        }
    };
}

macro_rules! error {
    ($($argument:tt)*) => { $crate::log::event!(ERROR, $($argument)*) };
}

macro_rules! warning {
    ($($argument:tt)*) => { $crate::log::event!(WARN, $($argument)*) };
}

macro_rules! debug {
    ($($argument:tt)*) => { $crate::log::event!(DEBUG, $($argument)*) };
}

macro_rules! trace {
    ($($argument:tt)*) => { $crate::log::event!(TRACE, $($argument)*) };
}

/// Enters a span of the level `DEBUG`, until the returned value is dropped.
macro_rules! debug_span {
    ($($argument:tt)*) => {
        if ::tracing::Level::DEBUG <= ::tracing::level_filters::LevelFilter::current() {
            $crate::log::EnteredSpan::enter(|| ::tracing::debug_span!($($argument)*))
        } else {
            $crate::log::EnteredSpan::NONE
        }
    };
}

// `warn` alone would be ambiguous with the lint attribute.
pub(crate) use {debug, debug_span, error, event, trace, warning as warn};
