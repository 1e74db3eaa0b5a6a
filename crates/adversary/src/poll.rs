//! Polling for a state of the server that can't be waited for.

use std::time::{Duration, Instant};

/// Pause between two attempts.
const INTERVAL: Duration = Duration::from_millis(20);

/// Repeats `attempt` until `settled` accepts its result, but at most for `within`. Returns the last
/// result.
///
/// # Errors
/// Returns the first error of `attempt`.
pub(crate) fn poll<T, E>(
    within: Duration,
    mut attempt: impl FnMut() -> Result<T, E>,
    settled: impl Fn(&T) -> bool,
) -> Result<T, E> {
    let deadline = Instant::now() + within;
    loop {
        let value = attempt()?;
        if settled(&value) || Instant::now() >= deadline {
            return Ok(value);
        }
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poll_returns_the_settled_value_or_the_last_one_at_the_deadline() {
        let mut count = 0;
        let mut next = || {
            count += 1;
            Ok::<_, ()>(count)
        };
        assert_eq!(poll(Duration::from_secs(60), &mut next, |count| *count == 3), Ok(3));
        assert_eq!(poll(Duration::ZERO, &mut next, |_| false), Ok(4));
        assert_eq!(poll(Duration::ZERO, || Err::<(), _>("failed"), |_| false), Err("failed"));
    }
}
