//! The interfaces that most tests use, and their implementations.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use syshandle::{
    Context, Decode, Encode, Result, class,
    handle::{Event, ManualEvent, OwnedHandle, Registered, Section},
    interface,
    wait::BackgroundTask,
};

use super::LONG;

class! {
    /// An object with one interface.
    pub(crate) BENCH: Bench = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d41";
}

class! {
    /// An object with two interfaces.
    pub(crate) DOUBLE: Bench + Named = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d42";
}

/// Methods for most tests.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a01")]
pub(crate) trait Bench {
    fn nothing(&self) -> Result<()>;
    fn pid(&self) -> Result<u32>;
    fn descriptors(&self) -> Result<u32>;
    fn threads(&self) -> Result<u32>;
    /// Lowers the descriptor limit of the process, so that only `spare` more descriptors can be
    /// opened. `None` restores the maximum.
    fn spare_descriptors(&self, spare: Option<u32>) -> Result<()>;

    fn close(&self, handles: Vec<OwnedHandle>) -> Result<()>;
    fn keep(&self, file: File) -> Result<()>;
    fn give_back(&self) -> Result<Vec<File>>;
    /// Takes two handles and returns one.
    fn finish(
        &self,
        #[handle(file, read | write)] decorate: File,
        when: Event,
    ) -> Result<Arc<Event>>;
    fn read_only(&self, #[handle(file, read, at_most = read)] file: File) -> Result<()>;
    fn events(&self, count: u32) -> Result<Vec<Event>>;
    /// Keeps a handle open until the process exits.
    fn keep_for_life(&self, handle: OwnedHandle) -> Result<()>;

    fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;
    fn bytes(&self, len: u32) -> Result<Vec<u8>>;
    /// Returns a file that lacks a declared right.
    #[handle(file, read | write)]
    fn wrong_result(&self) -> Result<File>;

    /// Sets `entered`, waits for `until`, and returns `count` events.
    fn block(&self, entered: Event, until: ManualEvent, count: u32) -> Result<Vec<Event>>;
    /// Sets `entered`, waits for `until`, and returns `count` bytes.
    fn block_bytes(&self, entered: Event, until: ManualEvent, count: u32) -> Result<Vec<u8>>;
    /// Sets `entered`, waits for `until`, and returns the length of its argument, which may have
    /// any size.
    fn block_with(&self, entered: Event, until: ManualEvent, bytes: Vec<u8>) -> Result<u32>;
    /// Runs until the call is cancelled, and then writes to the report.
    fn run_until_cancelled(
        &self,
        context: &Context,
        entered: Event,
        #[handle(file | pipe, write)] report: OwnedHandle,
    ) -> Result<()>;

    fn panic_with(&self, what: u32) -> Result<()>;
    fn fail_with_causes(&self) -> Result<()>;
    fn fail_typed(&self, mishap: Mishap) -> Result<u32, Mishap>;
    fn panic_typed(&self) -> Result<u32, Mishap>;

    fn caller(&self, context: &Context) -> Result<(u32, u32, u32)>;
    fn time_left(&self, context: &Context) -> Result<Duration>;

    /// Starts a background task that writes its outcome to the report.
    fn job(
        &self,
        context: &Context,
        when: Event,
        timeout: Duration,
        #[handle(file | pipe, write)] report: OwnedHandle,
    ) -> Result<()>;
    /// Starts a background task that panics.
    fn job_that_panics(&self, context: &Context, when: Event) -> Result<()>;
    /// Starts a background task that sets `entered` and waits for `until`.
    fn job_that_blocks(
        &self,
        context: &Context,
        timeout: Duration,
        entered: Event,
        until: ManualEvent,
    ) -> Result<()>;
    /// Starts a background task that holds a file, and increments a counter when it ends.
    fn job_that_counts(&self, context: &Context, when: ManualEvent, file: File) -> Result<()>;
    fn jobs_done(&self) -> Result<u32>;
    /// Waits until this call is cancelled, and then starts a background task.
    fn job_after_cancel(
        &self,
        context: &Context,
        entered: Event,
        when: Event,
        #[handle(file | pipe, write)] report: OwnedHandle,
    ) -> Result<()>;
    /// Ends the connection with a text when the event is set. A background task or a separate
    /// thread does this.
    fn fail_when(
        &self,
        context: &Context,
        when: Event,
        text: String,
        on_another_thread: bool,
    ) -> Result<()>;

    /// Returns a counter that closes the report when it is released.
    fn counter(&self, context: &Context, report: OwnedHandle) -> Result<CounterClient>;
    fn counters(&self, context: &Context, count: u32) -> Result<Vec<CounterClient>>;
    fn team(&self, context: &Context) -> Result<Team>;
    fn add_to(&self, counter: CounterClient, count: u32) -> Result<u32>;
    fn add_to_team(&self, team: Team, count: u32) -> Result<u32>;
    fn add_to_any(&self, counter: Option<CounterClient>, count: u32) -> Result<Option<u32>>;
    fn keep_counter(&self, counter: CounterClient) -> Result<()>;
    fn kept_counter(&self) -> Result<Option<CounterClient>>;
    fn release_counter(&self) -> Result<()>;
    /// Calls the counter, and keeps it until the process ends.
    fn keep_counter_for_life(&self, counter: CounterClient) -> Result<()>;
    fn tell(&self, listener: ListenerClient, text: String) -> Result<String>;

    /// Starts a background task that waits for a delay and for no object. It writes its outcome to
    /// the report.
    fn job_after(
        &self,
        context: &Context,
        delay: Duration,
        #[handle(file | pipe, write)] report: OwnedHandle,
    ) -> Result<()>;
    /// Starts a background task from a separate thread, after the client has disconnected.
    fn job_after_release(
        &self,
        context: &Context,
        when: Event,
        #[handle(file | pipe, write)] report: OwnedHandle,
    ) -> Result<()>;
    /// Starts a background task that [`cancel_job`](Self::cancel_job) can cancel. The task waits
    /// for the event or, without an event, for a long delay.
    fn job_to_cancel(
        &self,
        context: &Context,
        when: Option<Event>,
        #[handle(file | pipe, write)] report: OwnedHandle,
    ) -> Result<()>;
    /// Cancels the last background task of `job_to_cancel`.
    fn cancel_job(&self) -> Result<bool>;
    /// Runs until the server is shutting down. Returns whether the call is cancelled at that time.
    #[blocking]
    fn run_until_stopping(&self, context: &Context, entered: Event) -> Result<bool>;
    /// Returns the number of counters in the process.
    fn live_counters(&self) -> Result<u32>;

    /// Returns whether the file is the value that the previous call has got.
    fn is_same(&self, #[handle(file, read)] file: Arc<File>) -> Result<bool>;
    /// Drops the value of the previous call.
    fn forget_file(&self) -> Result<()>;
    /// Returns the number of bytes of an owned file.
    fn len_of(&self, #[handle(file, read)] file: File) -> Result<u64>;
    /// Takes a file that may be read and written.
    fn take_writable(&self, #[handle(file, read | write)] file: Arc<File>) -> Result<()>;
    fn take_frozen(
        &self,
        #[handle(section, at_most = read | map)] section: Arc<Section>,
    ) -> Result<()>;
    fn take_stream(&self, stream: Arc<UnixStream>) -> Result<()>;
    fn take_any(&self, handles: Vec<Arc<OwnedHandle>>) -> Result<()>;
    /// Returns the event of the object, which it has registered.
    fn bell(&self) -> Result<Registered<ManualEvent>>;
    /// Drops the event, so that the next call returns another one.
    fn drop_bell(&self) -> Result<()>;
    /// Takes the registered handles of the client back.
    fn drop_registered(&self, context: &Context) -> Result<()>;
}

/// The second interface of the class [`DOUBLE`].
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a02")]
pub(crate) trait Named {
    fn set_name(&self, name: String) -> Result<()>;
    fn name(&self) -> Result<String>;
}

/// A later version of [`Named`] with one more method.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a02")]
pub(crate) trait NamedTwice {
    fn set_name(&self, name: String) -> Result<()>;
    fn name(&self) -> Result<String>;
    fn second_name(&self, file: File) -> Result<String>;
}

/// An object that a method creates.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a03")]
pub(crate) trait Counter {
    fn add(&self, count: u32) -> Result<u32>;
}

/// An object that the client serves.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a04")]
pub(crate) trait Listener {
    fn hear(&self, text: String) -> Result<String>;
}

/// A value that contains references.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Team {
    pub(crate) first: CounterClient,
    pub(crate) others: Vec<CounterClient>,
    pub(crate) spare: Option<CounterClient>,
}

/// Errors of a method, with and without data.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Mishap {
    NotNow,
    TooMany { count: u64, limit: u64 },
    Broken(String, Vec<u8>),
    Evidence(File),
}

impl std::fmt::Display for Mishap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Mishap {}

/// Implements [`Bench`] and [`Named`].
#[derive(Debug, Default)]
pub(crate) struct Workbench {
    task: Mutex<Option<BackgroundTask>>,
    files: Mutex<Vec<File>>,
    name: Mutex<String>,
    counter: Mutex<Option<CounterClient>>,
    file: Mutex<Option<Arc<File>>>,
    bell: Mutex<Option<Registered<ManualEvent>>>,
}

/// Implements [`Counter`]. Closes the report when it is released.
#[derive(Debug)]
pub(crate) struct Count {
    count: AtomicU32,
    _report: Option<OwnedHandle>,
}

/// Number of counters in this process.
static COUNTERS: AtomicU32 = AtomicU32::new(0);

impl Count {
    fn with(report: Option<OwnedHandle>) -> Self {
        COUNTERS.fetch_add(1, Ordering::SeqCst);
        Self { count: AtomicU32::new(0), _report: report }
    }
}

impl Default for Count {
    fn default() -> Self {
        Self::with(None)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        COUNTERS.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counter for Count {
    fn add(&self, count: u32) -> Result<u32> {
        Ok(self.count.fetch_add(count, Ordering::SeqCst) + count)
    }
}

impl Named for Workbench {
    fn set_name(&self, name: String) -> Result<()> {
        *self.name.lock().unwrap() = name;
        Ok(())
    }

    fn name(&self) -> Result<String> {
        Ok(self.name.lock().unwrap().clone())
    }
}

impl Bench for Workbench {
    fn nothing(&self) -> Result<()> {
        Ok(())
    }

    fn pid(&self) -> Result<u32> {
        Ok(std::process::id())
    }

    fn descriptors(&self) -> Result<u32> {
        Ok(super::descriptors() as u32)
    }

    fn threads(&self) -> Result<u32> {
        Ok(super::threads() as u32)
    }

    fn spare_descriptors(&self, spare: Option<u32>) -> Result<()> {
        spare_descriptors(spare);
        Ok(())
    }

    fn close(&self, handles: Vec<OwnedHandle>) -> Result<()> {
        drop(handles);
        Ok(())
    }

    fn keep(&self, file: File) -> Result<()> {
        self.files.lock().unwrap().push(file);
        Ok(())
    }

    fn give_back(&self) -> Result<Vec<File>> {
        Ok(std::mem::take(&mut self.files.lock().unwrap()))
    }

    fn finish(&self, decorate: File, when: Event) -> Result<Arc<Event>> {
        drop((decorate, when));
        let done = Arc::new(Event::new()?);
        let kept = done.clone();
        kept.set()?;
        Ok(done)
    }

    fn read_only(&self, _: File) -> Result<()> {
        Ok(())
    }

    fn events(&self, count: u32) -> Result<Vec<Event>> {
        events(count)
    }

    fn keep_for_life(&self, handle: OwnedHandle) -> Result<()> {
        std::mem::forget(handle);
        Ok(())
    }

    fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    fn bytes(&self, len: u32) -> Result<Vec<u8>> {
        Ok(pattern(len as usize))
    }

    fn wrong_result(&self) -> Result<File> {
        Ok(File::open("/dev/null")?)
    }

    fn block(&self, entered: Event, until: ManualEvent, count: u32) -> Result<Vec<Event>> {
        entered.set()?;
        until.wait_timeout(LONG)?;
        events(count)
    }

    fn block_bytes(&self, entered: Event, until: ManualEvent, count: u32) -> Result<Vec<u8>> {
        entered.set()?;
        until.wait_timeout(LONG)?;
        Ok(pattern(count as usize))
    }

    fn block_with(&self, entered: Event, until: ManualEvent, bytes: Vec<u8>) -> Result<u32> {
        entered.set()?;
        until.wait_timeout(LONG)?;
        Ok(bytes.len() as u32)
    }

    fn run_until_cancelled(
        &self,
        context: &Context,
        entered: Event,
        report: OwnedHandle,
    ) -> Result<()> {
        entered.set()?;
        wait_for_cancel(context);
        File::from(report).write_all(b"cancelled")?;
        Ok(())
    }

    fn panic_with(&self, what: u32) -> Result<()> {
        match what {
            0 => panic!("a plain text"),
            1 => panic!("a text with a number: {what}"),
            _ => std::panic::panic_any(what),
        }
    }

    fn fail_with_causes(&self) -> Result<()> {
        let cause = std::io::Error::new(std::io::ErrorKind::NotFound, Mishap::NotNow);
        let middle = Layer("the middle", Box::new(cause));
        Err(std::io::Error::other(Layer("the outside", Box::new(middle))))?
    }

    fn fail_typed(&self, mishap: Mishap) -> Result<u32, Mishap> {
        Err(mishap)
    }

    fn panic_typed(&self) -> Result<u32, Mishap> {
        panic!("no mishap")
    }

    fn caller(&self, context: &Context) -> Result<(u32, u32, u32)> {
        let client = context.client();
        Ok((client.pid, client.uid.shown(), client.gid.shown()))
    }

    fn time_left(&self, context: &Context) -> Result<Duration> {
        Ok(context.deadline().saturating_duration_since(Instant::now()))
    }

    fn job(
        &self,
        context: &Context,
        when: Event,
        timeout: Duration,
        report: OwnedHandle,
    ) -> Result<()> {
        start_job(context, when, timeout, report)
    }

    fn job_after(&self, context: &Context, delay: Duration, report: OwnedHandle) -> Result<()> {
        context.on_timer(delay, move |outcome| {
            write!(File::from(report), "{outcome:?}").unwrap();
        })?;
        Ok(())
    }

    fn job_after_release(&self, context: &Context, when: Event, report: OwnedHandle) -> Result<()> {
        let context = context.clone();
        std::thread::spawn(move || {
            wait_for_cancel(&context);
            start_job(&context, when, LONG, report).unwrap();
        });
        Ok(())
    }

    fn job_to_cancel(
        &self,
        context: &Context,
        when: Option<Event>,
        report: OwnedHandle,
    ) -> Result<()> {
        let task = match when {
            Some(when) => context.on_signal(when, LONG, move |outcome| {
                write!(File::from(report), "{outcome:?}").unwrap();
            })?,
            None => context.on_timer(LONG, move |_| drop(report))?,
        };
        *self.task.lock().unwrap() = Some(task);
        Ok(())
    }

    fn cancel_job(&self) -> Result<bool> {
        Ok(self.task.lock().unwrap().as_ref().unwrap().cancel())
    }

    fn run_until_stopping(&self, context: &Context, entered: Event) -> Result<bool> {
        entered.set()?;
        while !context.is_stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(context.is_cancelled())
    }

    fn job_that_panics(&self, context: &Context, when: Event) -> Result<()> {
        context.on_signal(when, LONG, |_| panic!("a job"))?;
        Ok(())
    }

    fn job_that_blocks(
        &self,
        context: &Context,
        timeout: Duration,
        entered: Event,
        until: ManualEvent,
    ) -> Result<()> {
        context.on_signal(Event::new()?, timeout, move |_| {
            entered.set().unwrap();
            until.wait_timeout(LONG).unwrap();
        })?;
        Ok(())
    }

    fn job_that_counts(&self, context: &Context, when: ManualEvent, file: File) -> Result<()> {
        context.on_signal(when, LONG, move |_| {
            drop(file);
            DONE.fetch_add(1, Ordering::SeqCst);
        })?;
        Ok(())
    }

    fn jobs_done(&self) -> Result<u32> {
        Ok(DONE.load(Ordering::SeqCst))
    }

    fn job_after_cancel(
        &self,
        context: &Context,
        entered: Event,
        when: Event,
        report: OwnedHandle,
    ) -> Result<()> {
        entered.set()?;
        wait_for_cancel(context);
        start_job(context, when, LONG, report)
    }

    fn fail_when(
        &self,
        context: &Context,
        when: Event,
        text: String,
        on_another_thread: bool,
    ) -> Result<()> {
        let client = context.clone();
        if on_another_thread {
            std::thread::spawn(move || {
                when.wait_timeout(LONG).unwrap();
                client.abort(text);
            });
            return Ok(());
        }
        context.on_signal(when, LONG, move |_| client.abort(text))?;
        Ok(())
    }

    fn counter(&self, context: &Context, report: OwnedHandle) -> Result<CounterClient> {
        context.serve::<dyn Counter, _>(Count::with(Some(report)))
    }

    fn is_same(&self, file: Arc<File>) -> Result<bool> {
        let last = self.file.lock().unwrap().replace(file.clone());
        Ok(last.is_some_and(|last| Arc::ptr_eq(&last, &file)))
    }

    fn forget_file(&self) -> Result<()> {
        drop(self.file.lock().unwrap().take());
        Ok(())
    }

    fn len_of(&self, file: File) -> Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn take_writable(&self, _: Arc<File>) -> Result<()> {
        Ok(())
    }

    fn take_frozen(&self, section: Arc<Section>) -> Result<()> {
        section.view()?;
        Ok(())
    }

    fn take_stream(&self, stream: Arc<UnixStream>) -> Result<()> {
        (&*stream).write_all(b"x")?;
        Ok(())
    }

    fn take_any(&self, _: Vec<Arc<OwnedHandle>>) -> Result<()> {
        Ok(())
    }

    fn bell(&self) -> Result<Registered<ManualEvent>> {
        let mut bell = self.bell.lock().unwrap();
        if bell.is_none() {
            *bell = Some(Registered::new(ManualEvent::new()?));
        }
        Ok(bell.clone().unwrap())
    }

    fn drop_bell(&self) -> Result<()> {
        drop(self.bell.lock().unwrap().take());
        Ok(())
    }

    fn drop_registered(&self, context: &Context) -> Result<()> {
        context.drop_registered();
        Ok(())
    }

    fn live_counters(&self) -> Result<u32> {
        Ok(COUNTERS.load(Ordering::SeqCst))
    }

    fn counters(&self, context: &Context, count: u32) -> Result<Vec<CounterClient>> {
        (0..count).map(|_| context.serve::<dyn Counter, _>(Count::default())).collect()
    }

    fn team(&self, context: &Context) -> Result<Team> {
        let counter = || context.serve::<dyn Counter, _>(Count::default());
        Ok(Team { first: counter()?, others: vec![counter()?, counter()?], spare: None })
    }

    fn add_to(&self, counter: CounterClient, count: u32) -> Result<u32> {
        counter.add(count)
    }

    fn add_to_team(&self, team: Team, count: u32) -> Result<u32> {
        let mut sum = team.first.add(count)?;
        for counter in team.others.iter().chain(&team.spare) {
            sum += counter.add(count)?;
        }
        Ok(sum)
    }

    fn add_to_any(&self, counter: Option<CounterClient>, count: u32) -> Result<Option<u32>> {
        counter.map(|counter| counter.add(count)).transpose()
    }

    fn keep_counter(&self, counter: CounterClient) -> Result<()> {
        *self.counter.lock().unwrap() = Some(counter);
        Ok(())
    }

    fn kept_counter(&self) -> Result<Option<CounterClient>> {
        Ok(self.counter.lock().unwrap().clone())
    }

    fn release_counter(&self) -> Result<()> {
        *self.counter.lock().unwrap() = None;
        Ok(())
    }

    fn keep_counter_for_life(&self, counter: CounterClient) -> Result<()> {
        counter.add(1)?;
        std::mem::forget(counter);
        Ok(())
    }

    fn tell(&self, listener: ListenerClient, text: String) -> Result<String> {
        listener.hear(&text)
    }
}

/// Returns bytes whose values depend on their positions.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Lowers the descriptor limit of this process, so that only `spare` more descriptors can be
/// opened. `None` restores the maximum.
pub(crate) fn spare_descriptors(spare: Option<u32>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // The limit is raised first, because listing the open descriptors takes a descriptor.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    if let Some(spare) = spare {
        let current = Some(limit_with(spare));
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }
}

/// Returns the limit under which `spare` more descriptors can be opened. The kernel limits the
/// numbers of descriptors, so the gaps between the open ones are counted.
fn limit_with(spare: u32) -> u64 {
    let listed: Vec<u64> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    // The descriptor by which the folder was listed is closed now, so it is not counted.
    let open = |fd: &u64| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
    let open: std::collections::BTreeSet<u64> = listed.into_iter().filter(open).collect();
    (0..).filter(|fd| !open.contains(fd)).nth(spare as usize).unwrap()
}

fn events(count: u32) -> Result<Vec<Event>> {
    (0..count).map(|_| Ok(Event::new()?)).collect()
}

fn wait_for_cancel(context: &Context) {
    let deadline = Instant::now() + LONG;
    while !context.is_cancelled() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn start_job(context: &Context, when: Event, timeout: Duration, report: OwnedHandle) -> Result<()> {
    context.on_signal(when, timeout, move |outcome| {
        File::from(report).write_all(format!("{outcome:?}").as_bytes()).unwrap();
    })?;
    Ok(())
}

#[derive(Debug)]
struct Layer(&'static str, Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Layer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.1)
    }
}

static DONE: AtomicU32 = AtomicU32::new(0);
