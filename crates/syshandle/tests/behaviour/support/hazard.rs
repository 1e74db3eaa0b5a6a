//! An interface whose implementation panics or blocks in each place where a server runs user code.
//! Also `tracing` subscribers that panic or block.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering as Order};
use std::time::Duration;

use syshandle::{
    Context, Decode, Encode, Result, class,
    describe::Describe,
    handle::{Event, ManualEvent},
    interface,
    wait::Waitable,
};

class! {
    /// An object that panics.
    pub(crate) HAZARD: Hazard = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d43";
}

/// An interface whose methods make the server's user code panic or block, each in another place.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a03")]
pub(crate) trait Hazard {
    fn pid(&self) -> Result<u32>;
    /// Makes the destructor of the object panic.
    fn drop_later(&self) -> Result<()>;
    /// Returns a value whose destructor panics in the server after the reply was sent.
    fn result(&self) -> Result<Bomb>;
    /// Returns a value whose encoding panics.
    fn unencodable(&self) -> Result<Unencodable>;
    /// Takes a map whose keys panic when they are compared.
    fn map(&self, map: BTreeMap<Grumpy, u8>) -> Result<()>;
    /// Panics with a payload that panics when it is dropped.
    fn payload(&self) -> Result<()>;
    /// Starts a background task whose captured state panics when it is dropped.
    fn job(&self, context: &Context, when: Event) -> Result<()>;
    /// Starts a timer whose captured state panics when it is dropped.
    fn timer(&self, context: &Context) -> Result<()>;
    /// Waits for an object that panics when its signal is consumed and when it is dropped.
    fn waitable(&self, context: &Context, when: Event) -> Result<()>;
    /// Makes the creation of the next object of this class panic.
    fn next_object(&self) -> Result<()>;
    /// Blocks a worker until the event is set.
    #[blocking]
    fn wait_in_worker(&self, until: ManualEvent) -> Result<()>;
    /// Starts a background task that blocks until the event is set.
    fn block_in_job(&self, context: &Context, entered: Event, until: ManualEvent) -> Result<()>;
    /// Starts a background task that waits for an event and then blocks.
    fn block_when(
        &self,
        context: &Context,
        when: ManualEvent,
        entered: Event,
        until: ManualEvent,
    ) -> Result<()>;
    /// Blocks in the destructor of this object.
    fn block_in_drop(&self, entered: Event, until: ManualEvent) -> Result<()>;
    /// Blocks in the destructor of an object that is served at a door.
    fn block_in_drop_of(
        &self,
        context: &Context,
        entered: Event,
        until: ManualEvent,
    ) -> Result<HazardClient>;
    /// Blocks the creation of the next object of this class.
    fn block_in_next_object(&self, entered: Event, until: ManualEvent) -> Result<()>;
}

/// A value whose destructor panics in a process where [`ARMED`] is set.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Bomb(pub(crate) u32);

pub(crate) static ARMED: AtomicBool = AtomicBool::new(false);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!ARMED.load(Order::SeqCst), "the destructor of a bomb");
    }
}

#[derive(Debug, Encode, Decode, PartialEq, Eq)]
pub(crate) struct Grumpy(pub(crate) u32);

impl Ord for Grumpy {
    fn cmp(&self, other: &Self) -> Ordering {
        assert!(!ARMED.load(Order::SeqCst), "the order of the grumpy");
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Grumpy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Decode)]
pub(crate) struct Unencodable(u32);

impl Describe for Unencodable {
    const TYPE: syshandle::describe::Type = <u32 as Describe>::TYPE;
    type Argument<'a> = &'a Self;
    type Output = Self;
}

impl Encode for Unencodable {
    fn encode<'a>(&'a self, _: &mut syshandle::generated::Encoder<'a>) {
        panic!("the encoding of {}", self.0);
    }
}

/// The objects that the factory of the class creates.
#[derive(Debug, Default)]
pub(crate) struct Laboratory {
    drop_panics: AtomicBool,
    blocks_drop: Mutex<Option<Block>>,
}

/// Blocks a thread: sets the first event, and waits for the second.
#[derive(Debug)]
struct Block(Event, ManualEvent);

impl Block {
    fn wait(self) {
        self.0.set().unwrap();
        self.1.wait().unwrap();
    }
}

static BLOCK_NEXT: Mutex<Vec<Block>> = Mutex::new(Vec::new());

static NEXT_PANICS: AtomicBool = AtomicBool::new(false);

impl Laboratory {
    pub(crate) fn new() -> Self {
        assert!(!NEXT_PANICS.swap(false, Order::SeqCst), "the factory");
        let block = BLOCK_NEXT.lock().unwrap().pop();
        if let Some(block) = block {
            block.wait();
        }
        Self::default()
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        assert!(!self.drop_panics.load(Order::SeqCst), "the destructor of the object");
        let block = self.blocks_drop.lock().unwrap().take();
        if let Some(block) = block {
            block.wait();
        }
    }
}

impl Hazard for Laboratory {
    fn pid(&self) -> Result<u32> {
        Ok(std::process::id())
    }

    fn drop_later(&self) -> Result<()> {
        self.drop_panics.store(true, Order::SeqCst);
        Ok(())
    }

    fn result(&self) -> Result<Bomb> {
        Ok(Bomb(7))
    }

    fn unencodable(&self) -> Result<Unencodable> {
        Ok(Unencodable(7))
    }

    fn map(&self, _: BTreeMap<Grumpy, u8>) -> Result<()> {
        Ok(())
    }

    fn payload(&self) -> Result<()> {
        std::panic::panic_any(Bomb(0));
    }

    fn job(&self, context: &Context, when: Event) -> Result<()> {
        let state = Bomb(1);
        context.on_signal(when, Duration::MAX, move |_| drop(state))?;
        Ok(())
    }

    fn timer(&self, context: &Context) -> Result<()> {
        let state = Bomb(1);
        context.on_timer(Duration::from_millis(1), move |_| drop(state))?;
        Ok(())
    }

    fn waitable(&self, context: &Context, when: Event) -> Result<()> {
        context.on_signal(Trap(when, Bomb(3)), Duration::MAX, |_| {})?;
        Ok(())
    }

    fn next_object(&self) -> Result<()> {
        NEXT_PANICS.store(true, Order::SeqCst);
        Ok(())
    }

    fn wait_in_worker(&self, until: ManualEvent) -> Result<()> {
        Ok(until.wait()?)
    }

    fn block_in_job(&self, context: &Context, entered: Event, until: ManualEvent) -> Result<()> {
        context.on_timer(Duration::ZERO, move |_| Block(entered, until).wait())?;
        Ok(())
    }

    fn block_when(
        &self,
        context: &Context,
        when: ManualEvent,
        entered: Event,
        until: ManualEvent,
    ) -> Result<()> {
        context.on_signal(when, Duration::MAX, move |_| Block(entered, until).wait())?;
        Ok(())
    }

    fn block_in_drop(&self, entered: Event, until: ManualEvent) -> Result<()> {
        *self.blocks_drop.lock().unwrap() = Some(Block(entered, until));
        Ok(())
    }

    fn block_in_drop_of(
        &self,
        context: &Context,
        entered: Event,
        until: ManualEvent,
    ) -> Result<HazardClient> {
        let object = Self::default();
        object.block_in_drop(entered, until)?;
        context.serve::<dyn Hazard, _>(object)
    }

    fn block_in_next_object(&self, entered: Event, until: ManualEvent) -> Result<()> {
        BLOCK_NEXT.lock().unwrap().push(Block(entered, until));
        Ok(())
    }
}

struct Trap(Event, #[expect(dead_code, reason = "panics when it is dropped")] Bomb);

impl Waitable for Trap {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.handle()
    }

    fn take(&self) -> io::Result<bool> {
        panic!("to take a trap");
    }
}

/// A `tracing` subscriber that blocks at each warning, like one that writes to a pipe without a
/// reader.
pub(crate) struct Unread;

impl tracing::Subscriber for Unread {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        loop {
            std::thread::park();
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// A `tracing` subscriber that panics when it would write, like one whose file system is full.
pub(crate) struct FullDisk;

impl tracing::Subscriber for FullDisk {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("no space left on the device");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {
        panic!("no space left on the device");
    }

    fn try_close(&self, _: tracing::span::Id) -> bool {
        panic!("no space left on the device");
    }
}
