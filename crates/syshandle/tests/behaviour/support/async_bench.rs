//! The interfaces of most tests, implemented with asynchronous methods.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use syshandle::handle::{Event, ManualEvent, OwnedHandle, Registered, Section};
use syshandle::tokio::AsyncObject;
use syshandle::{Context, Result};
use tokio::runtime::{Builder, Runtime};

use super::bench::{
    Bench, BenchAsync, CounterClient, ListenerClient, Mishap, Team, Workbench, pattern,
};

/// Implements [`BenchAsync`]. Methods that wait do so without a thread.
#[derive(Debug, Default)]
pub(crate) struct AsyncWorkbench(Workbench);

impl AsyncWorkbench {
    /// Returns an object whose methods run in a runtime of this process.
    pub(crate) fn object() -> AsyncObject<Self> {
        static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
            Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
        });
        AsyncObject::new(RUNTIME.handle(), Self::default())
    }
}

/// Implements methods by calls of [`Workbench`].
macro_rules! plain {
    ($(fn $name:ident(&self $(, $parameter:ident: $type:ty)*) -> $result:ty;)*) => {
        $(
            async fn $name(&self $(, $parameter: $type)*) -> $result {
                Bench::$name(&self.0 $(, $parameter)*)
            }
        )*
    };
}

async fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Writes to a report when it is dropped.
struct Report(Option<OwnedHandle>);

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(report) = self.0.take() {
            let _ = File::from(report).write_all(b"cancelled");
        }
    }
}

impl BenchAsync for AsyncWorkbench {
    async fn block(&self, entered: Event, until: ManualEvent, count: u32) -> Result<Vec<Event>> {
        entered.set()?;
        syshandle::tokio::wait(&until).await?;
        Bench::events(&self.0, count)
    }

    async fn block_bytes(&self, entered: Event, until: ManualEvent, count: u32) -> Result<Vec<u8>> {
        entered.set()?;
        syshandle::tokio::wait(&until).await?;
        Ok(pattern(count as usize))
    }

    async fn block_with(&self, entered: Event, until: ManualEvent, bytes: Vec<u8>) -> Result<u32> {
        entered.set()?;
        syshandle::tokio::wait(&until).await?;
        Ok(bytes.len() as u32)
    }

    async fn run_until_cancelled(
        &self,
        context: &Context,
        entered: Event,
        report: OwnedHandle,
    ) -> Result<()> {
        // A cancelled method is dropped here, and does not see that its call was cancelled.
        let _report = Report(Some(report));
        entered.set()?;
        wait_until(|| context.is_cancelled()).await;
        Ok(())
    }

    async fn job_after_cancel(
        &self,
        context: &Context,
        entered: Event,
        when: Event,
        report: OwnedHandle,
    ) -> Result<()> {
        entered.set()?;
        let context = context.clone();
        let task = tokio::spawn(async move {
            wait_until(|| context.is_cancelled()).await;
            context.on_signal(when, super::LONG, move |outcome| {
                File::from(report).write_all(format!("{outcome:?}").as_bytes()).unwrap();
            })
        });
        task.await.unwrap().map(drop)
    }

    async fn run_until_stopping(&self, context: &Context, entered: Event) -> Result<bool> {
        entered.set()?;
        wait_until(|| context.is_stopping()).await;
        Ok(context.is_cancelled())
    }

    plain! {
        fn nothing(&self) -> Result<()>;
        fn pid(&self) -> Result<u32>;
        fn descriptors(&self) -> Result<u32>;
        fn threads(&self) -> Result<u32>;
        fn spare_descriptors(&self, spare: Option<u32>) -> Result<()>;
        fn close(&self, handles: Vec<OwnedHandle>) -> Result<()>;
        fn keep(&self, file: File) -> Result<()>;
        fn give_back(&self) -> Result<Vec<File>>;
        fn finish(&self, decorate: File, when: Event) -> Result<Arc<Event>>;
        fn read_only(&self, file: File) -> Result<()>;
        fn events(&self, count: u32) -> Result<Vec<Event>>;
        fn keep_for_life(&self, handle: OwnedHandle) -> Result<()>;
        fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;
        fn bytes(&self, len: u32) -> Result<Vec<u8>>;
        fn wrong_result(&self) -> Result<File>;
        fn panic_with(&self, what: u32) -> Result<()>;
        fn fail_with_causes(&self) -> Result<()>;
        fn fail_typed(&self, mishap: Mishap) -> Result<u32, Mishap>;
        fn panic_typed(&self) -> Result<u32, Mishap>;
        fn caller(&self, context: &Context) -> Result<(u32, u32, u32)>;
        fn time_left(&self, context: &Context) -> Result<Duration>;
        fn job(&self, context: &Context, when: Event, timeout: Duration, report: OwnedHandle) -> Result<()>;
        fn job_that_panics(&self, context: &Context, when: Event) -> Result<()>;
        fn job_that_blocks(&self, context: &Context, timeout: Duration, entered: Event, until: ManualEvent) -> Result<()>;
        fn job_that_counts(&self, context: &Context, when: ManualEvent, file: File) -> Result<()>;
        fn jobs_done(&self) -> Result<u32>;
        fn fail_when(&self, context: &Context, when: Event, text: String, on_another_thread: bool) -> Result<()>;
        fn counter(&self, context: &Context, report: OwnedHandle) -> Result<CounterClient>;
        fn counters(&self, context: &Context, count: u32) -> Result<Vec<CounterClient>>;
        fn live_counters(&self) -> Result<u32>;
        fn team(&self, context: &Context) -> Result<Team>;
        fn add_to(&self, counter: CounterClient, count: u32) -> Result<u32>;
        fn add_to_team(&self, team: Team, count: u32) -> Result<u32>;
        fn add_to_any(&self, counter: Option<CounterClient>, count: u32) -> Result<Option<u32>>;
        fn keep_counter(&self, counter: CounterClient) -> Result<()>;
        fn keep_counter_for_life(&self, counter: CounterClient) -> Result<()>;
        fn kept_counter(&self) -> Result<Option<CounterClient>>;
        fn release_counter(&self) -> Result<()>;
        fn tell(&self, listener: ListenerClient, text: String) -> Result<String>;
        fn job_after(&self, context: &Context, delay: Duration, report: OwnedHandle) -> Result<()>;
        fn job_after_release(&self, context: &Context, when: Event, report: OwnedHandle) -> Result<()>;
        fn job_to_cancel(&self, context: &Context, when: Option<Event>, report: OwnedHandle) -> Result<()>;
        fn cancel_job(&self) -> Result<bool>;
        fn is_same(&self, file: Arc<File>) -> Result<bool>;
        fn forget_file(&self) -> Result<()>;
        fn len_of(&self, file: File) -> Result<u64>;
        fn take_writable(&self, file: Arc<File>) -> Result<()>;
        fn take_frozen(&self, section: Arc<Section>) -> Result<()>;
        fn take_stream(&self, stream: Arc<UnixStream>) -> Result<()>;
        fn take_any(&self, handles: Vec<Arc<OwnedHandle>>) -> Result<()>;
        fn bell(&self) -> Result<Registered<ManualEvent>>;
        fn drop_bell(&self) -> Result<()>;
        fn drop_registered(&self, context: &Context) -> Result<()>;
    }
}
