//! The test interfaces, except for `Values`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroI16, NonZeroI128, NonZeroU8, NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::time::SystemTime;

use crate::values::Nested;
use syshandle::{
    Decode, Encode, Result,
    handle::{Directory, Event, Mutex, OwnedHandle, Section, Timer},
    interface,
};

/// The interface of Microsoft's published sample.
#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
pub(crate) trait SparkleFinisher {
    fn add_sparkle_finish_to_file(
        &self,
        #[handle(file, read | write)] decorate_this_file: File,
        when_this_event_fires: Event,
    ) -> Result<Event>;
}

/// An interface that passes lists of strings.
#[interface(iid = "9b2f6a30-0d0c-4c8e-8a55-1f1d1c6a0006")]
pub(crate) trait Texts {
    fn texts(&self, texts: Vec<String>) -> Result<Vec<String>>;
    fn within(&self, person: Person) -> Result<Vec<Person>>;
    fn perhaps(&self) -> Result<Option<String>>;
}

/// An interface that passes single handles and lists of handles.
#[interface(iid = "9b2f6a30-0d0c-4c8e-8a55-1f1d1c6a0002")]
pub(crate) trait Handles {
    fn all(&self, a: Section, b: Mutex, #[handle(file)] c: OwnedHandle) -> Result<PipeReader>;
    fn many(&self, files: Vec<File>, events: Vec<Event>) -> Result<Vec<File>>;
    fn maybe(&self, event: Option<Event>) -> Result<Option<PipeWriter>>;
    fn directory(&self, place: Directory) -> Result<(Event, File)>;
    fn own_error(&self, file: File) -> Result<Event, Refused>;
}

/// An interface with types that MIDL can't express.
#[interface(iid = "9b2f6a30-0d0c-4c8e-8a55-1f1d1c6a0003")]
pub(crate) trait Opaque {
    fn map(&self, map: BTreeMap<String, u128>) -> Result<usize>;
    fn within(&self, parcel: Parcel, event: Event) -> Result<Parcel>;
    fn either(&self, #[handle(file | pipe)] source: OwnedHandle) -> Result<()>;
    fn own_error(&self, place: Option<u32>) -> Result<Vec<File>, Failure>;
    fn timer(&self, timer: Timer) -> Result<()>;
    fn gaps(&self, row: Row) -> Result<()>;
    fn recursive(&self, chain: Chain) -> Result<()>;
    fn growing(&self, job: Job, jobs: Vec<Job>, mode: Mode) -> Result<Option<Job>>;
    fn standard(&self, all: Vec<Standard>, event: Event) -> Result<Range<NonZeroU64>>;
}

/// A struct that grows has no COM layout.
#[derive(Debug, Encode, Decode)]
#[grows]
pub(crate) struct Job {
    number: u32,
    #[added]
    file: Option<File>,
    #[added(required)]
    inner: Vec<Event>,
}

/// An enum that grows has no COM layout.
#[derive(Debug, Encode, Decode)]
#[grows]
pub(crate) enum Mode {
    Fast,
    Slow(u8, Event),
    #[unknown]
    Unknown,
}

/// An interface that passes object references.
#[interface(iid = "9b2f6a30-0d0c-4c8e-8a55-1f1d1c6a0004")]
pub(crate) trait Objects {
    fn swap(&self, finisher: SparkleFinisherClient, event: Event) -> Result<SparkleFinisherClient>;
    fn within(&self, finishers: Vec<SparkleFinisherClient>) -> Result<()>;
    fn perhaps(
        &self,
        finisher: Option<SparkleFinisherClient>,
    ) -> Result<Option<SparkleFinisherClient>>;
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[repr(u32)]
pub(crate) enum Refused {
    Closed,
    NotYours = 0x8007_0005,
    Full = 7,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) names: Vec<String>,
    pub(crate) places: Vec<Nested>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct Parcel {
    pub(crate) name: String,
    #[handle(file, read)]
    pub(crate) file: File,
    pub(crate) events: Vec<Event>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) enum Failure {
    Gone,
    At { place: u64, file: File },
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct Row {
    pub(crate) people: [Nested; 2],
}

/// A value of each type of the standard library without a type in MIDL.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Standard {
    pub(crate) numbers: (NonZeroU8, NonZeroI16, NonZeroU32, NonZeroI128),
    pub(crate) text: OsString,
    pub(crate) time: SystemTime,
    pub(crate) ips: (IpAddr, Ipv4Addr, Ipv6Addr),
    pub(crate) sockets: (SocketAddr, SocketAddrV4, SocketAddrV6),
    pub(crate) error: io::Error,
    pub(crate) event: Event,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct Chain {
    pub(crate) next: Option<Box<Chain>>,
}
