//! The state of the streams of a connection, and the frames that wait for room in the socket.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::Waker;

use syshandle_os::BorrowedHandle;
use syshandle_types::Payload;
use syshandle_wire::{
    Credit, Fault, Header, ReadStreams, ReaderEvent, StreamFrame, TakenCredit, Violation,
    WriterEvent, WrittenStreams,
};

use super::is_gone;
use super::reader::EncodedItem;
use crate::link::Link;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;
use crate::send_error::send_error;
use crate::{Error, ErrorKind, Result};

/// The state of all streams of one side of a connection.
#[derive(Debug)]
pub(super) struct State {
    /// `None` after the end of the connection.
    link: Option<Arc<Link>>,
    /// Why the connection has ended.
    ended: Option<Arc<Error>>,
    written: WrittenStreams<WrittenStream>,
    read: ReadStreams<ReadStream>,
    writers: HashMap<Serial, WriterState>,
    readers: HashMap<Serial, ReaderState>,
    last_serial: Serial,
    /// Frames for which the socket had no room. A stream has at most one of each kind.
    due: VecDeque<DueFrame>,
    due_keys: HashSet<(u8, u64)>,
    /// Whether an item found no room.
    item_waits: bool,
    /// Writers that wait for room.
    room_wakers: Vec<Waker>,
    /// Tasks and threads to wake when no lock is held.
    pub(super) woken: Vec<Waker>,
}

/// Identifies an end of a stream in this process. Unlike the ID of the stream, it is not reused.
pub(super) type Serial = u64;

/// A stream that this side writes.
#[derive(Debug)]
struct WrittenStream {
    serial: Serial,
    /// Whether the message that opens the stream was sent.
    is_sent: bool,
    /// The *end* that is to be sent.
    end: Option<Option<Fault>>,
    _quota_guard: QuotaGuard,
}

/// A stream that this side reads.
#[derive(Debug)]
struct ReadStream {
    serial: Serial,
    _quota_guard: QuotaGuard,
}

/// The state of a stream for its writer.
#[derive(Debug, Default)]
struct WriterState {
    id: u32,
    /// Why nothing can be sent any more.
    over: Option<StreamEnd>,
    wakers: Vec<Waker>,
}

/// The state of a stream for its reader.
#[derive(Debug)]
struct ReaderState {
    id: u32,
    items: VecDeque<EncodedItem>,
    /// The size of the items.
    queued: Credit,
    /// Why no more items come.
    over: Option<StreamEnd>,
    wakers: Vec<Waker>,
    /// The credit of the writer while no item is unread.
    window: Credit,
    /// The size of an item for which the writer has requested credit.
    requested: Option<Credit>,
    /// The memory of `window`.
    memory: QuotaGuard,
    /// The descriptors of `window`.
    descriptors: Vec<QuotaGuard>,
}

/// Why a stream has ended.
#[derive(Clone, Debug)]
pub(super) enum StreamEnd {
    /// The writer has sent all items.
    Finished,
    /// The writer failed, or stopped the stream for this reason.
    Failed(Fault),
    /// The reader has stopped the stream, for this reason if there is one.
    Stopped(Option<Fault>),
    /// The message that opens the stream was not sent.
    NotSent,
    /// The connection has ended.
    Connection(Arc<Error>),
}

/// A frame for which the socket had no room.
#[derive(Debug)]
enum DueFrame {
    Grant(Serial),
    Request(u32, Credit),
    End(u32),
    Stop(u32, Option<Fault>),
}

/// The result of sending an item.
#[derive(Debug)]
pub(super) enum SentItem {
    Sent,
    /// There is no credit.
    NoCredit,
    /// There is no room in the socket.
    NoRoom,
    /// Too many handles are in flight to the peer.
    TooManyInFlight(Error),
}

impl DueFrame {
    /// Identifies the kind and the stream.
    fn key(&self) -> (u8, u64) {
        match self {
            Self::Grant(serial) => (0, *serial),
            Self::Request(id, _) => (1, u64::from(*id)),
            Self::End(id) => (2, u64::from(*id)),
            Self::Stop(id, _) => (3, u64::from(*id)),
        }
    }
}

impl StreamEnd {
    pub(super) fn to_error(&self) -> Error {
        match self {
            Self::Finished => {
                Error::detected(ErrorKind::Cancelled, "the stream has finished").of_no_call()
            }
            Self::Failed(fault) | Self::Stopped(Some(fault)) => {
                Error::from_fault(fault).of_no_call()
            }
            Self::Stopped(None) => {
                let text = "the reader has stopped the stream";
                Error::detected(ErrorKind::Cancelled, text).of_no_call()
            }
            Self::NotSent => {
                let text = "the stream was not passed: its message was not sent";
                Error::detected(ErrorKind::Cancelled, text).of_no_call()
            }
            Self::Connection(error) => error.of_another_call().of_no_call(),
        }
    }
}

impl State {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link: Some(link),
            ended: None,
            written: WrittenStreams::default(),
            read: ReadStreams::default(),
            writers: HashMap::new(),
            readers: HashMap::new(),
            last_serial: 0,
            due: VecDeque::new(),
            due_keys: HashSet::new(),
            item_waits: false,
            room_wakers: Vec::new(),
            woken: Vec::new(),
        }
    }

    /// Returns whether frames wait for room in the socket.
    pub(super) fn wants_room(&self) -> bool {
        self.ended.is_none() && (self.item_waits || !self.due.is_empty())
    }

    fn next_serial(&mut self) -> Serial {
        self.last_serial += 1;
        self.last_serial
    }

    fn quota(&self) -> Option<Arc<Quota>> {
        self.link.as_ref().map(|link| link.socket.peer_quota().clone())
    }

    /// Opens a stream that this side writes, before its message is sent.
    ///
    /// # Errors
    /// Returns the name of the limit.
    pub(super) fn open_written(&mut self) -> Result<(u32, Serial), &'static str> {
        let serial = self.next_serial();
        let Some(quota) = self.quota() else {
            // The message can't be sent either.
            let over = self.ended.clone().map_or(StreamEnd::NotSent, StreamEnd::Connection);
            let writer = WriterState { over: Some(over), ..WriterState::default() };
            self.writers.insert(serial, writer);
            return Ok((0, serial));
        };
        let _quota_guard = quota.take(Resource::Memory(STREAM_BYTES), 0)?;
        let stream = WrittenStream { serial, is_sent: false, end: None, _quota_guard };
        let id = self.written.open(stream).ok_or("open streams of one connection")?;
        self.writers.insert(serial, WriterState { id, ..WriterState::default() });
        Ok((id, serial))
    }

    /// Records that the message with a stream was sent.
    pub(super) fn sent(&mut self, id: u32, serial: Serial) {
        if let Some(stream) = self.written.get_mut(id).filter(|stream| stream.serial == serial) {
            stream.is_sent = true;
            self.wake_writer(serial);
            self.send_end(id);
        }
    }

    /// Forgets a stream whose message is never sent.
    pub(super) fn not_sent(&mut self, id: u32, serial: Serial) {
        if self.written.get_mut(id).is_some_and(|stream| stream.serial == serial) {
            self.written.unopen(id);
        }
        self.end_writer(serial, StreamEnd::NotSent);
    }

    /// Opens a stream of a received message.
    ///
    /// # Errors
    /// The peer violated the protocol, or reached the limit of its memory.
    pub(super) fn open_read(&mut self, id: u32) -> Result<Serial, Result<&'static str, Violation>> {
        let serial = self.next_serial();
        let Some(quota) = self.quota() else { return Ok(serial) };
        let guards = quota.take(Resource::Memory(STREAM_BYTES), 0).and_then(|stream| {
            let window = Resource::Memory(memory_of(Credit::INITIAL));
            Ok((stream, quota.take(window, 0)?))
        });
        let (_quota_guard, memory) = guards.map_err(Ok)?;
        self.read.open(id, ReadStream { serial, _quota_guard }).map_err(Err)?;
        let reader = ReaderState {
            id,
            items: VecDeque::new(),
            queued: Credit::NONE,
            over: None,
            wakers: Vec::new(),
            window: Credit::INITIAL,
            requested: None,
            memory,
            descriptors: Vec::new(),
        };
        self.readers.insert(serial, reader);
        Ok(serial)
    }

    /// Processes a frame. Returns what is dropped after the lock was released.
    pub(super) fn receive(
        &mut self,
        header: &Header,
        body: &[u8],
        handles: ReceivedHandles,
        handles_lost: bool,
    ) -> (Result<(), Violation>, Option<ReceivedHandles>) {
        if self.ended.is_some() {
            return (Ok(()), Some(handles));
        }
        let id = header.call;
        match StreamFrame::read(header, body) {
            Err(violation) => (Err(violation), Some(handles)),
            Ok(None) => match self.receive_item(header, body, handles, handles_lost) {
                Ok(dropped) => (Ok(()), dropped),
                Err(violation) => (Err(violation), None),
            },
            Ok(Some(frame)) => (self.receive_frame(id, frame), Some(handles)),
        }
    }

    fn receive_item(
        &mut self,
        header: &Header,
        body: &[u8],
        handles: ReceivedHandles,
        handles_lost: bool,
    ) -> Result<Option<ReceivedHandles>, Violation> {
        let serial = match self.read.receive_item(header)? {
            ReaderEvent::Item(stream) => stream.serial,
            _ => return Ok(Some(handles)),
        };
        let Some(reader) = self.readers.get_mut(&serial) else { return Ok(Some(handles)) };
        if reader.over.is_some() {
            return Ok(Some(handles));
        }
        let size = Credit::of_item(body.len() as u32, header.handles.into());
        reader.queued = reader.queued.checked_add(size).unwrap_or(reader.queued);
        reader.items.push_back(EncodedItem::new(body, handles, handles_lost, header.handles));
        self.woken.append(&mut reader.wakers);
        Ok(None)
    }

    fn receive_frame(&mut self, id: u32, frame: StreamFrame) -> Result<(), Violation> {
        match frame {
            StreamFrame::Grant(credit) => {
                if let WriterEvent::Credit(stream) = self.written.receive_grant(id, credit)? {
                    let serial = stream.serial;
                    self.wake_writer(serial);
                }
            }
            StreamFrame::Stop(fault) => {
                let serial = match self.written.receive_stop(id, fault)? {
                    WriterEvent::Stopped(stream, fault) => {
                        stream.end.get_or_insert(None);
                        Some((stream.serial, fault))
                    }
                    WriterEvent::Credit(_) | WriterEvent::Closed(_) => None,
                };
                if let Some((serial, fault)) = serial {
                    self.end_writer(serial, StreamEnd::Stopped(fault));
                    self.send_end(id);
                }
            }
            StreamFrame::Request(size) => {
                let serial = match self.read.receive_request(id, size)? {
                    ReaderEvent::Request(stream, _) => stream.serial,
                    _ => return Ok(()),
                };
                if let Some(reader) = self.readers.get_mut(&serial) {
                    reader.requested = Some(size);
                    self.update_credit(serial);
                }
            }
            StreamFrame::End(fault) => {
                let ended = match self.read.receive_end(id, fault)? {
                    ReaderEvent::Ended(stream, fault) => Some((stream.serial, fault)),
                    _ => None,
                };
                if let Some((serial, fault)) = ended {
                    let end = fault.map_or(StreamEnd::Finished, StreamEnd::Failed);
                    self.end_reader(serial, end);
                    self.send_stop(id, None);
                }
            }
        }
        Ok(())
    }

    // Writers

    /// Sends an item. `calls_wait` as in [`super::Streams`].
    ///
    /// # Errors
    /// The stream has ended, or the item can't be sent.
    pub(super) fn send_item(
        &mut self,
        serial: Serial,
        calls_wait: bool,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) -> Result<SentItem> {
        let size = Credit::of_item(body.len() as u32, handles.len() as u32);
        let Some(id) = self.take_credit(serial, size)? else { return Ok(SentItem::NoCredit) };
        let Some(link) = &self.link else { return Ok(SentItem::NoCredit) };
        let header = StreamFrame::item(id, size.bytes, size.handles as u16);
        let sent = match calls_wait || !self.due.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => link.send(&header, body, handles),
        };
        let Err(error) = sent else { return Ok(SentItem::Sent) };
        if is_gone(&error) {
            // The end of the connection is about to be noticed.
            return Ok(SentItem::Sent);
        }
        self.written.give_back(id, size);
        if error.kind() == io::ErrorKind::WouldBlock {
            self.item_waits = true;
            return Ok(SentItem::NoRoom);
        }
        let error = send_error(error, !handles.is_empty()).of_no_call();
        match error.kind() {
            ErrorKind::Busy => Ok(SentItem::TooManyInFlight(error)),
            _ => Err(error),
        }
    }

    /// Takes credit for an item. Returns the ID of the stream, or `None` if there is no credit.
    fn take_credit(&mut self, serial: Serial, size: Credit) -> Result<Option<u32>> {
        let Some(writer) = self.writers.get(&serial) else {
            return Err(StreamEnd::NotSent.to_error());
        };
        if let Some(over) = &writer.over {
            return Err(over.to_error());
        }
        let id = writer.id;
        match self.written.get_mut(id) {
            Some(stream) if !stream.is_sent => return Ok(None),
            Some(stream) if stream.end.is_some() => return Err(StreamEnd::Finished.to_error()),
            _ => {}
        }
        match self.written.take(id, size) {
            TakenCredit::Taken => Ok(Some(id)),
            TakenCredit::Short { requests } => {
                if requests {
                    self.send_request(id, size);
                }
                Ok(None)
            }
            TakenCredit::Over => Err(StreamEnd::Finished.to_error()),
        }
    }

    /// Returns whether the message with the stream was sent, or never will be. Otherwise `waker` is
    /// woken then.
    pub(super) fn poll_sent(&mut self, serial: Serial, waker: &Waker) -> bool {
        let Some(writer) = self.writers.get_mut(&serial) else { return true };
        let id = writer.id;
        let is_sent = |stream: &mut WrittenStream| stream.is_sent;
        if writer.over.is_some() || self.written.get_mut(id).is_none_or(is_sent) {
            return true;
        }
        add_waker(&mut writer.wakers, waker);
        false
    }

    /// Returns whether an item of this size may be sent. Otherwise `waker` is woken when it may.
    pub(super) fn poll_writer(
        &mut self,
        serial: Serial,
        size: Credit,
        calls_wait: bool,
        waker: &Waker,
    ) -> Result<bool> {
        let Some(id) = self.take_credit(serial, size)? else {
            if let Some(writer) = self.writers.get_mut(&serial) {
                add_waker(&mut writer.wakers, waker);
            }
            return Ok(false);
        };
        self.written.give_back(id, size);
        if calls_wait || self.wants_room() {
            self.item_waits = true;
            add_waker(&mut self.room_wakers, waker);
            // The end of the stream wakes the writer too.
            if let Some(writer) = self.writers.get_mut(&serial) {
                add_waker(&mut writer.wakers, waker);
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Ends a stream that this side writes: with all items, or with a fault.
    ///
    /// # Errors
    /// The reason why the reader does not learn that, unless the reader has stopped the stream.
    pub(super) fn finish(&mut self, serial: Serial, fault: Option<Fault>) -> Result<()> {
        let Some(writer) = self.writers.get(&serial) else { return Ok(()) };
        let (id, over) = (writer.id, writer.over.clone());
        match over {
            Some(over @ (StreamEnd::NotSent | StreamEnd::Connection(_))) => {
                return Err(over.to_error());
            }
            Some(_) => return Ok(()),
            None => {}
        }
        if let Some(stream) = self.written.get_mut(id).filter(|stream| stream.serial == serial) {
            stream.end.get_or_insert(fault);
            self.send_end(id);
        }
        self.end_writer(serial, StreamEnd::Finished);
        Ok(())
    }

    /// Returns whether the *end* of a stream waits for room in the socket.
    pub(super) fn end_waits(&self, serial: Serial) -> bool {
        let Some(writer) = self.writers.get(&serial) else { return false };
        self.due_keys.contains(&DueFrame::End(writer.id).key())
    }

    /// Adds a waker for room in the socket.
    pub(super) fn wait_for_room(&mut self, waker: &Waker) {
        add_waker(&mut self.room_wakers, waker);
    }

    /// Forgets a writer.
    pub(super) fn drop_writer(&mut self, serial: Serial) {
        self.writers.remove(&serial);
    }

    fn end_writer(&mut self, serial: Serial, end: StreamEnd) {
        if let Some(writer) = self.writers.get_mut(&serial) {
            writer.over.get_or_insert(end);
            self.woken.append(&mut writer.wakers);
        }
    }

    fn wake_writer(&mut self, serial: Serial) {
        if let Some(writer) = self.writers.get_mut(&serial) {
            self.woken.append(&mut writer.wakers);
        }
    }

    /// Sends the *end* of a stream, if it is to be sent.
    fn send_end(&mut self, id: u32) {
        if !self.written.is_open(id) {
            return;
        }
        let Some(stream) = self.written.get_mut(id).filter(|stream| stream.is_sent) else { return };
        let Some(fault) = &stream.end else { return };
        let frame = StreamFrame::End(fault.clone());
        match self.send_frame(id, &frame) {
            true => drop(self.written.sent_end(id)),
            false => self.add_due(DueFrame::End(id)),
        }
    }

    fn send_request(&mut self, id: u32, size: Credit) {
        if !self.send_frame(id, &StreamFrame::Request(size)) {
            self.add_due(DueFrame::Request(id, size));
        }
    }

    // Readers

    /// Takes the next item. Returns `None` if there is none, in which case `waker` is woken later.
    ///
    /// # Errors
    /// The end of the stream.
    pub(super) fn poll_reader(
        &mut self,
        serial: Serial,
        waker: Option<&Waker>,
    ) -> Result<Option<Option<EncodedItem>>> {
        let Some(reader) = self.readers.get_mut(&serial) else {
            return match &self.ended {
                Some(error) => Err(StreamEnd::Connection(error.clone()).to_error()),
                None => Ok(Some(None)),
            };
        };
        if let Some(item) = reader.items.pop_front() {
            reader.queued = reader.queued.saturating_sub(item.size());
            self.update_credit(serial);
            return Ok(Some(Some(item)));
        }
        match &reader.over {
            Some(StreamEnd::Finished) => Ok(Some(None)),
            Some(over) => Err(over.to_error()),
            None => {
                if let Some(waker) = waker {
                    add_waker(&mut reader.wakers, waker);
                }
                Ok(None)
            }
        }
    }

    /// Returns the quota of the peer, for the proof of handles.
    pub(super) fn peer_quota(&self) -> Option<Arc<Quota>> {
        self.quota()
    }

    /// Stops a stream whose reader is dropped. Returns its unread items, which are dropped after the
    /// lock was released.
    pub(super) fn drop_reader(&mut self, serial: Serial) -> Option<VecDeque<EncodedItem>> {
        let reader = self.readers.remove(&serial)?;
        self.send_stop(reader.id, None);
        Some(reader.items)
    }

    fn end_reader(&mut self, serial: Serial, end: StreamEnd) {
        if let Some(reader) = self.readers.get_mut(&serial) {
            reader.over.get_or_insert(end);
            self.woken.append(&mut reader.wakers);
        }
    }

    /// Grants the credit that the writer of a stream is missing, if that is worth a frame.
    fn update_credit(&mut self, serial: Serial) {
        let Some(reader) = self.readers.get_mut(&serial) else { return };
        let id = reader.id;
        if reader.over.is_some() || !self.read.is_open(id) {
            return;
        }
        let Some(quota) = self.link.as_ref().map(|link| link.socket.peer_quota()) else { return };
        let keeps_up = reader.items.is_empty();
        let requested = reader.requested.filter(|_| keeps_up);
        if let Some(size) = requested {
            reader.requested = None;
            if let Err(limit) = reader.widen(quota, size) {
                let fault = Fault::Busy { limit: limit.into() };
                self.end_reader(serial, StreamEnd::Failed(fault.clone()));
                self.send_stop(id, Some(fault));
                return;
            }
        }
        let outstanding = self.read.unused(id).checked_add(reader.queued).unwrap_or(reader.window);
        let missing = reader.window.saturating_sub(outstanding);
        if requested.is_none() && !is_half_of(missing, reader.window) {
            return;
        }
        if keeps_up {
            // A limit that is reached only keeps the window as it is.
            let _ = reader.widen(quota, reader.window.doubled());
        }
        let missing = reader.window.saturating_sub(outstanding);
        if !self.grant(serial, id, missing) {
            if let Some(reader) = self.readers.get_mut(&serial) {
                // The attempt that follows must not consider the missing credit too little.
                reader.requested = reader.requested.or(requested);
            }
        }
    }

    /// Sends credit. Returns `false` if the socket has no room.
    fn grant(&mut self, serial: Serial, id: u32, credit: Credit) -> bool {
        if credit == Credit::NONE || !self.read.grant(id, credit) {
            return true;
        }
        if !self.send_frame(id, &StreamFrame::Grant(credit)) {
            self.read.not_granted(id, credit);
            self.add_due(DueFrame::Grant(serial));
            return false;
        }
        true
    }

    /// Sends the *stop* of a stream, unless it was sent.
    fn send_stop(&mut self, id: u32, fault: Option<Fault>) {
        if !self.read.is_open(id) {
            return;
        }
        match self.send_frame(id, &StreamFrame::Stop(fault.clone())) {
            true => drop(self.read.sent_stop(id)),
            false => self.add_due(DueFrame::Stop(id, fault)),
        }
    }

    // Frames

    /// Sends a frame without handles. Returns `false` if the socket has no room.
    fn send_frame(&self, id: u32, frame: &StreamFrame) -> bool {
        let Some(link) = &self.link else { return true };
        let (header, body) = frame.write(id);
        match link.send(&header, &body.into(), &[]) {
            Err(error) if is_gone(&error) => true,
            sent => sent.is_ok(),
        }
    }

    /// Appends a frame that waits for room. A stream has at most one of each kind.
    fn add_due(&mut self, frame: DueFrame) {
        if self.due_keys.insert(frame.key()) {
            self.due.push_back(frame);
        }
    }

    /// Sends the frames that wait for room, and wakes the writers that do.
    pub(super) fn send_due(&mut self) {
        self.item_waits = false;
        for _ in 0..self.due.len() {
            let Some(due) = self.due.pop_front() else { break };
            self.due_keys.remove(&due.key());
            let before = self.due.len();
            match due {
                DueFrame::Grant(serial) => self.update_credit(serial),
                DueFrame::Request(id, size) => {
                    if self.written.is_open(id) {
                        self.send_request(id, size);
                    }
                }
                DueFrame::End(id) => self.send_end(id),
                DueFrame::Stop(id, fault) => self.send_stop(id, fault),
            }
            if self.due.len() > before {
                // The socket is full again. The frame keeps its place before the others.
                self.due.rotate_right(1);
                return;
            }
        }
        self.woken.append(&mut self.room_wakers);
    }

    /// Ends the streams that this side writes, for this reason.
    pub(super) fn drain(&mut self, fault: &Fault) {
        let streams = self.written.iter_mut().map(|(id, stream)| {
            stream.end.get_or_insert(Some(fault.clone()));
            (id, stream.serial)
        });
        for (id, serial) in streams.collect::<Vec<_>>() {
            self.end_writer(serial, StreamEnd::Failed(fault.clone()));
            self.send_end(id);
        }
    }

    /// Ends all streams. Returns what is dropped after the lock was released.
    pub(super) fn end(&mut self, reason: Arc<Error>) -> Option<impl Sized + use<>> {
        if self.ended.is_some() {
            return None;
        }
        self.ended = Some(reason.clone());
        let streams: (Vec<_>, Vec<_>) =
            (self.written.take_all().collect(), self.read.take_all().collect());
        for writer in self.writers.values_mut() {
            writer.over.get_or_insert(StreamEnd::Connection(reason.clone()));
            self.woken.append(&mut writer.wakers);
        }
        for reader in self.readers.values_mut() {
            reader.over.get_or_insert(StreamEnd::Connection(reason.clone()));
            self.woken.append(&mut reader.wakers);
        }
        self.woken.append(&mut self.room_wakers);
        self.due.clear();
        self.due_keys.clear();
        Some((self.link.take(), streams))
    }
}

impl ReaderState {
    /// Makes the window as large as `size` in each part, unless it is larger.
    ///
    /// # Errors
    /// Returns the name of the limit that the peer has reached.
    fn widen(&mut self, quota: &Arc<Quota>, size: Credit) -> Result<(), &'static str> {
        let Credit { items, bytes, handles } = self.window;
        let window = Credit {
            items: items.max(size.items),
            bytes: bytes.max(size.bytes),
            handles: handles.max(size.handles),
        };
        self.memory.grow_memory(memory_of(window))?;
        let more = (window.handles - handles) as usize;
        if more > 0 {
            self.descriptors.push(quota.take(Resource::Descriptors, more)?);
        }
        self.window = window;
        Ok(())
    }
}

/// Windows of readers that keep up.
trait Window {
    /// Returns the next larger window.
    fn doubled(self) -> Self;
}

impl Window for Credit {
    fn doubled(self) -> Self {
        Self {
            items: (2 * self.items).min(LARGEST_WINDOW.items),
            bytes: (2 * self.bytes).min(LARGEST_WINDOW.bytes),
            handles: (2 * self.handles).min(LARGEST_WINDOW.handles),
        }
    }
}

/// Returns whether at least half of a part of the window is missing.
fn is_half_of(missing: Credit, window: Credit) -> bool {
    let is_half = |missing: u32, window: u32| missing > 0 && missing >= window / 2;
    is_half(missing.items, window.items)
        || is_half(missing.bytes, window.bytes)
        || is_half(missing.handles, window.handles)
}

/// Returns the memory that unread items within this credit take.
fn memory_of(window: Credit) -> usize {
    window.bytes as usize + window.items as usize * ITEM_BYTES
}

/// Adds a waker, unless the list has one of the same task.
fn add_waker(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|other| other.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

/// Memory that counts for each open stream: the entries of the tables, and the states of both ends.
const STREAM_BYTES: usize = 512;

/// Memory of an unread item beside its bytes.
const ITEM_BYTES: usize = 128;

/// The largest window of a reader that keeps up, if no item needs more. It holds enough for the
/// time in which a thread is woken.
const LARGEST_WINDOW: Credit = Credit { items: 256, bytes: 128 * 1024, handles: 32 };
