//! A client whose calls are awaited in a tokio runtime, with the methods of a blocking one.

use std::sync::LazyLock;
use std::time::Duration;

use syshandle::{
    Cancel, Result,
    handle::{Event, ManualEvent, OwnedHandle},
};
use tokio::runtime::Runtime;

use super::bench::{BenchAsyncClient, BenchClient};

/// The runtime whose drivers receive for all tests.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Awaits each call in the runtime.
#[derive(Clone, Debug)]
pub(crate) struct AwaitedBench(BenchAsyncClient);

impl From<BenchClient> for AwaitedBench {
    fn from(bench: BenchClient) -> Self {
        Self(bench.into())
    }
}

macro_rules! awaited {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl AwaitedBench {
            $(
                pub(crate) fn $name(&self $(, $argument: $type)*) -> Result<$result> {
                    RUNTIME.block_on(async { self.0.$name($($argument),*).await })
                }
            )*
        }
    };
}

awaited! {
    nothing() -> ();
    echo(bytes: &[u8]) -> Vec<u8>;
    block(entered: &Event, until: &ManualEvent, count: u32) -> Vec<Event>;
    block_bytes(entered: &Event, until: &ManualEvent, count: u32) -> Vec<u8>;
    block_with(entered: &Event, until: &ManualEvent, bytes: &[u8]) -> u32;
    run_until_cancelled(entered: &Event, report: &OwnedHandle) -> ();
    time_left() -> Duration;
    caller() -> (u32, u32, u32);
    keep(file: &std::fs::File) -> ();
    give_back() -> Vec<std::fs::File>;
    wait(object: &Event) -> ();
}

impl AwaitedBench {
    pub(crate) fn with_timeout(&self, timeout: Duration) -> Self {
        Self(self.0.with_timeout(timeout))
    }

    pub(crate) fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self(self.0.with_cancel(cancel))
    }
}
