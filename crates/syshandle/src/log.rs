//! Log messages and spans for the subscriber of the user's program. `docs/tracing.md` lists them
//! with their fields.
//!
//! A subscriber is foreign code and may panic, for example when it writes to a full disk or a
//! closed pipe. So every message passes through [`guard`](crate::guard::guard). If no subscriber
//! enables its level, a message costs one comparison.
//!
//! A peer can cause warnings and errors at any rate. So a limited number of messages per second is
//! logged for each cause, which is a place in the source. The first message of a later second
//! reports how many were suppressed.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::guard::guard;

/// Counts the messages of one cause in one second.
pub(crate) struct RateLimit {
    /// The second in the upper 32 bits, and the number of messages in that second in the lower 32
    /// bits.
    counted: AtomicU64,
}

impl RateLimit {
    /// Maximum number of logged messages of one cause per second.
    pub(crate) const PER_SECOND: u32 = 10;

    pub(crate) const fn new() -> Self {
        Self { counted: AtomicU64::new(0) }
    }

    /// Counts a message. Returns `None` if the message must be suppressed. Otherwise returns the
    /// number of suppressed messages that are not reported yet.
    pub(crate) fn count(&self) -> Option<u32> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.count_at(START.elapsed().as_secs())
    }

    fn count_at(&self, second: u64) -> Option<u32> {
        let (mut is_new, mut count) = (false, 0);
        let one_more = |counted: u64| {
            is_new = counted >> 32 != second;
            count = counted as u32;
            let next = if is_new { 1 } else { count.saturating_add(1) };
            Some(second << 32 | u64::from(next))
        };
        // The update never fails, because the closure always returns a value.
        let _ = self.counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        match is_new {
            true => Some(count.saturating_sub(Self::PER_SECOND)),
            false => (count < Self::PER_SECOND).then_some(0),
        }
    }
}

/// A span that the current thread has entered, until this value is dropped.
pub(crate) struct EnteredSpan(Option<tracing::Span>);

impl EnteredSpan {
    /// No span, because its level is not enabled.
    pub(crate) const NONE: Self = Self(None);

    /// Creates a span and enters it, unless the subscriber panics.
    #[cold]
    pub(crate) fn enter(make: impl FnOnce() -> tracing::Span) -> Self {
        // A panic is not logged, because the subscriber caused it.
        let span = guard(make).ok();
        if let Some(span) = &span {
            let _ = guard(|| span.with_subscriber(|(id, subscriber)| subscriber.enter(id)));
        }
        Self(span)
    }
}

#[cfg(all(feature = "tokio", not(windows)))]
impl EnteredSpan {
    /// Runs a future in the span: leaves the span now, and enters it for each poll.
    pub(crate) async fn around<T>(mut self, future: impl Future<Output = T>) -> T {
        let Some(span) = self.0.take() else { return future.await };
        let _ = guard(|| span.with_subscriber(|(id, subscriber)| subscriber.exit(id)));
        let mut future = std::pin::pin!(future);
        let result = std::future::poll_fn(|context| {
            let _ = guard(|| span.with_subscriber(|(id, subscriber)| subscriber.enter(id)));
            let polled = future.as_mut().poll(context);
            let _ = guard(|| span.with_subscriber(|(id, subscriber)| subscriber.exit(id)));
            polled
        });
        let result = result.await;
        let _ = guard(|| drop(span));
        result
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
            // A panic is not logged, because the subscriber caused it.
            let _ = $crate::guard::guard(|| {
                ::tracing::event!(target: "syshandle", ::tracing::Level::$level, $($argument)*)
            });
        }
    };
}

/// Logs a message at a level, unless the rate limit of this cause is reached.
macro_rules! limited {
    ($level:ident, $($argument:tt)*) => {
        if ::tracing::Level::$level <= ::tracing::level_filters::LevelFilter::current() {
            static LIMIT: $crate::log::RateLimit = $crate::log::RateLimit::new();
            if let Some(suppressed) = LIMIT.count() {
                if suppressed > 0 {
                    $crate::log::event!(
                        $level,
                        suppressed,
                        "messages with the same cause as the next one were suppressed"
                    );
                }
                $crate::log::event!($level, $($argument)*)
            }
        }
    };
}

macro_rules! error {
    ($($argument:tt)*) => { $crate::log::limited!(ERROR, $($argument)*) };
}

macro_rules! warning {
    ($($argument:tt)*) => { $crate::log::limited!(WARN, $($argument)*) };
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
            $crate::log::EnteredSpan::enter(|| ::tracing::debug_span!(target: "syshandle", $($argument)*))
        } else {
            $crate::log::EnteredSpan::NONE
        }
    };
}

// The macro is defined as `warning`, because the name `warn` would be ambiguous with the lint
// attribute.
pub(crate) use {debug, debug_span, error, event, limited, trace, warning as warn};

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tracing::span;

    use super::*;

    #[test]
    fn of_each_second_a_few_messages_of_a_cause_are_logged_and_the_rest_is_counted() {
        let limit = RateLimit::new();
        let logged = |second, messages| {
            let counts: Vec<_> = (0..messages).filter_map(|_| limit.count_at(second)).collect();
            (counts.len(), counts.iter().sum::<u32>())
        };
        assert_eq!(logged(0, 3), (3, 0));
        assert_eq!(logged(1, 1_000), (10, 0));
        assert_eq!(logged(5, 12), (10, 990), "the first one says how many were left out");
        assert_eq!(logged(6, 1), (1, 2));
        assert_eq!(logged(7, 1), (1, 0));
    }

    /// Counts messages.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl tracing::Subscriber for &'static Count {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_cause_that_comes_without_end_does_not_fill_the_log_and_silences_no_other_one() {
        let count: &'static Count = Box::leak(Box::default());
        let logged = || count.0.load(Ordering::Relaxed);
        let begin = Instant::now();
        tracing::subscriber::with_default(count, || {
            for client in 0..10_000 {
                warning!(client, "a client broke the rules");
            }
            let first = logged();
            let seconds = begin.elapsed().as_secs() as usize + 2;
            let most = seconds * (RateLimit::PER_SECOND as usize + 1);
            assert!((10..=most).contains(&first), "{first} messages in {seconds} seconds");
            warning!("another cause");
            assert_eq!(logged(), first + 1);
        });
    }
}
