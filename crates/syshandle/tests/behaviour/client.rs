//! One client used by many threads: calls proceed independently, end at their deadlines, and can be
//! cancelled. Large values arrive complete. The same cases run with blocking calls and with awaited
//! ones.

#[expect(clippy::useless_conversion, reason = "the cases convert to both types")]
mod blocking {
    use crate::support::bench::BenchClient as Bench;

    include!("client/cases.rs");
}

#[cfg(feature = "tokio")]
mod awaited {
    use crate::support::awaited::AwaitedBench as Bench;

    include!("client/cases.rs");
}
