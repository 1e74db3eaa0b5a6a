//! Streams of a connection: credit, and the order of the frames of each stream.
//!
//! A stream has a writer and a reader. An entry of a call or a reply opens it, and the sender of
//! that message is the writer. The writer sends items as far as the reader's credit permits. Each
//! side ends the stream exactly once: the writer with *end* and the reader with *stop*. The ID is
//! free after both frames.
//!
//! [`WrittenStreams`] and [`ReadStreams`] do no I/O. A driver sends the frames, and says which ones
//! it has sent.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use syshandle_types::Limits;

use crate::{Body, Fault, FrameKind, Header, Status, Violation};

/// What a writer may send, or the size of one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Number of items.
    pub items: u32,
    /// Bytes in the bodies of the items.
    pub bytes: u32,
    /// Handles in the items.
    pub handles: u32,
}

impl Credit {
    /// No credit.
    pub const NONE: Self = Self { items: 0, bytes: 0, handles: 0 };

    /// The credit of a new stream. It is so small that a receiver can always keep it free.
    pub const INITIAL: Self = Self { items: 4, bytes: 4096, handles: 0 };

    /// The size of the largest item.
    pub const LARGEST_ITEM: Self = Self {
        items: 1,
        bytes: Limits::INLINE_BYTES_MAX as u32,
        handles: Limits::HANDLES_MAX as u32,
    };

    /// Length of the body of a *credit* frame, in bytes.
    const LEN: usize = 12;

    /// Returns the size of an item.
    #[must_use]
    pub const fn of_item(bytes: u32, handles: u32) -> Self {
        Self { items: 1, bytes, handles }
    }

    /// Returns whether this credit suffices for `size`.
    #[must_use]
    pub const fn covers(self, size: Self) -> bool {
        size.items <= self.items && size.bytes <= self.bytes && size.handles <= self.handles
    }

    /// Returns the difference, or `None` if this credit does not suffice.
    #[must_use]
    pub fn checked_sub(self, size: Self) -> Option<Self> {
        Some(Self {
            items: self.items.checked_sub(size.items)?,
            bytes: self.bytes.checked_sub(size.bytes)?,
            handles: self.handles.checked_sub(size.handles)?,
        })
    }

    /// Returns the difference; each part is at least 0.
    #[must_use]
    pub fn saturating_sub(self, size: Self) -> Self {
        Self {
            items: self.items.saturating_sub(size.items),
            bytes: self.bytes.saturating_sub(size.bytes),
            handles: self.handles.saturating_sub(size.handles),
        }
    }

    /// Returns the sum, or `None` if a part exceeds 2³²−1.
    #[must_use]
    pub fn checked_add(self, more: Self) -> Option<Self> {
        Some(Self {
            items: self.items.checked_add(more.items)?,
            bytes: self.bytes.checked_add(more.bytes)?,
            handles: self.handles.checked_add(more.handles)?,
        })
    }

    fn write(self) -> Vec<u8> {
        [self.items, self.bytes, self.handles].iter().flat_map(|part| part.to_le_bytes()).collect()
    }

    fn read(body: &[u8]) -> Result<Self, Violation> {
        match *body {
            [i0, i1, i2, i3, b0, b1, b2, b3, h0, h1, h2, h3] => Ok(Self {
                items: u32::from_le_bytes([i0, i1, i2, i3]),
                bytes: u32::from_le_bytes([b0, b1, b2, b3]),
                handles: u32::from_le_bytes([h0, h1, h2, h3]),
            }),
            _ => Err(Violation::WrongLength),
        }
    }
}

const _: () = assert!(Credit::LEN == 3 * size_of::<u32>());

/// The frames of streams.
///
/// In a *credit* frame the status tells the direction: the reader grants credit, or the writer
/// requests it. Both sides may use the same ID for different streams, so this must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFrame {
    /// The reader grants credit.
    Grant(Credit),
    /// The writer waits for credit for an item of this size.
    Request(Credit),
    /// The writer has finished, or failed for this reason.
    End(Option<Fault>),
    /// The reader receives no more items, or confirms the end. Contains the reason for an error.
    Stop(Option<Fault>),
}

impl StreamFrame {
    /// Returns the frame for the stream with this ID.
    #[must_use]
    pub fn write(&self, id: u32) -> (Header, Vec<u8>) {
        let of_fault = |fault: &Option<Fault>| match fault {
            None => (Status::Done as u32, Vec::new()),
            Some(fault) => (Status::Fault as u32, fault.write()),
        };
        let (kind, (code, body)) = match self {
            Self::Grant(credit) => (FrameKind::Credit, (GRANTS, credit.write())),
            Self::Request(size) => (FrameKind::Credit, (REQUESTS, size.write())),
            Self::End(fault) => (FrameKind::End, of_fault(fault)),
            Self::Stop(fault) => (FrameKind::Stop, of_fault(fault)),
        };
        let inline = Body::Inline { len: body.len() as u32 };
        (Header { call: id, code, body: inline, ..Header::new(kind) }, body)
    }

    /// Parses a frame. Returns `None` for an item.
    ///
    /// # Errors
    /// A [`Violation`] if it is no frame of a stream.
    pub fn read(header: &Header, body: &[u8]) -> Result<Option<Self>, Violation> {
        let fault = || match (Status::from_number(header.code), body) {
            (Some(Status::Done), []) => Ok(None),
            (Some(Status::Done), _) => Err(Violation::WrongLength),
            (Some(Status::Fault), body) => {
                Fault::read(body).map(Some).map_err(|_| Violation::NotOurs)
            }
            _ => Err(Violation::UnknownStatus(header.code)),
        };
        match (header.kind, header.code) {
            (FrameKind::Item, _) => Ok(None),
            (FrameKind::Credit, GRANTS) => Credit::read(body).map(|it| Some(Self::Grant(it))),
            (FrameKind::Credit, REQUESTS) => Credit::read(body).map(|it| Some(Self::Request(it))),
            (FrameKind::Credit, code) => Err(Violation::UnknownStatus(code)),
            (FrameKind::End, _) => fault().map(|it| Some(Self::End(it))),
            (FrameKind::Stop, _) => fault().map(|it| Some(Self::Stop(it))),
            (kind, _) => Err(Violation::Unexpected(kind)),
        }
    }

    /// Returns the header of an item.
    #[must_use]
    pub fn item(id: u32, bytes: u32, handles: u16) -> Header {
        let body = Body::Inline { len: bytes };
        Header { call: id, handles, body, ..Header::new(FrameKind::Item) }
    }
}

/// The streams that this side writes. `T` is the driver's data for a stream.
#[derive(Debug)]
pub struct WrittenStreams<T> {
    streams: HashMap<u32, Written<T>>,
    /// The ID that was given last.
    last: u32,
}

#[derive(Debug)]
struct Written<T> {
    data: T,
    credit: Credit,
    /// Whether credit was requested since the last grant.
    has_requested: bool,
    has_ended: bool,
    is_stopped: bool,
}

/// The result of taking credit for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenCredit {
    /// The item may be sent.
    Taken,
    /// The credit does not suffice. If `requests` is set, the driver must send a *request*, because
    /// the reader may not know how large the item is.
    Short {
        /// Whether to send a request.
        requests: bool,
    },
    /// The stream has ended or is stopped.
    Over,
}

/// An event that a frame from the reader causes.
#[derive(Debug, PartialEq, Eq)]
pub enum WriterEvent<'a, T> {
    /// There is more credit.
    Credit(&'a mut T),
    /// The reader receives no more items. The driver must send *end*.
    Stopped(&'a mut T, Option<Fault>),
    /// The reader has confirmed the end, and the ID is free.
    Closed(T),
}

impl<T> Default for WrittenStreams<T> {
    fn default() -> Self {
        Self { streams: HashMap::new(), last: 0 }
    }
}

impl<T> WrittenStreams<T> {
    /// Opens a stream, before the message with its entry is sent. Returns its ID, or `None` if too
    /// many streams are open.
    pub fn open(&mut self, data: T) -> Option<u32> {
        if self.streams.len() >= Limits::STREAMS_MAX {
            return None;
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if let MapEntry::Vacant(place) = self.streams.entry(self.last) {
                place.insert(Written {
                    data,
                    credit: Credit::INITIAL,
                    has_requested: false,
                    has_ended: false,
                    is_stopped: false,
                });
                return Some(self.last);
            }
        }
    }

    /// Forgets a stream whose message was not sent.
    pub fn unopen(&mut self, id: u32) -> Option<T> {
        self.streams.remove(&id).map(|stream| stream.data)
    }

    /// Returns the data of a stream.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.streams.get_mut(&id).map(|stream| &mut stream.data)
    }

    /// Returns whether there are no streams.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Returns the number of streams.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Takes credit for an item that is sent next.
    pub fn take(&mut self, id: u32, size: Credit) -> TakenCredit {
        let Some(stream) = self.streams.get_mut(&id) else { return TakenCredit::Over };
        if stream.has_ended || stream.is_stopped {
            return TakenCredit::Over;
        }
        match stream.credit.checked_sub(size) {
            Some(left) => {
                stream.credit = left;
                TakenCredit::Taken
            }
            None => {
                let requests = !stream.has_requested;
                stream.has_requested = true;
                TakenCredit::Short { requests }
            }
        }
    }

    /// Gives back the credit of an item that could not be sent.
    pub fn give_back(&mut self, id: u32, size: Credit) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.credit = stream.credit.checked_add(size).unwrap_or(stream.credit);
        }
    }

    /// Records that a request could not be sent.
    pub fn not_requested(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.has_requested = false;
        }
    }

    /// Returns whether *end* was not sent yet.
    pub fn is_open(&self, id: u32) -> bool {
        self.streams.get(&id).is_some_and(|stream| !stream.has_ended)
    }

    /// Records that *end* was sent. Returns the data of the stream if its ID is free now.
    pub fn sent_end(&mut self, id: u32) -> Option<T> {
        let MapEntry::Occupied(mut place) = self.streams.entry(id) else { return None };
        place.get_mut().has_ended = true;
        place.get().is_stopped.then(|| place.remove().data)
    }

    /// Processes a *grant* of the reader.
    ///
    /// # Errors
    /// A [`Violation`] if the stream is unknown or stopped, or the credit overflows.
    pub fn receive_grant(
        &mut self,
        id: u32,
        credit: Credit,
    ) -> Result<WriterEvent<'_, T>, Violation> {
        let stream = self.open_for_reader(id)?;
        let sum = stream.credit.checked_add(credit).ok_or(Violation::CreditOverflow(id))?;
        stream.credit = sum;
        stream.has_requested = false;
        Ok(WriterEvent::Credit(&mut stream.data))
    }

    /// Processes a *stop* of the reader.
    ///
    /// # Errors
    /// A [`Violation`] if the stream is unknown or stopped.
    pub fn receive_stop(
        &mut self,
        id: u32,
        fault: Option<Fault>,
    ) -> Result<WriterEvent<'_, T>, Violation> {
        let stream = self.open_for_reader(id)?;
        stream.is_stopped = true;
        if stream.has_ended {
            if let Some(stream) = self.streams.remove(&id) {
                return Ok(WriterEvent::Closed(stream.data));
            }
        }
        let stream = self.streams.get_mut(&id).ok_or(Violation::UnknownStream(id))?;
        Ok(WriterEvent::Stopped(&mut stream.data, fault))
    }

    /// Returns a stream that its reader has not stopped.
    fn open_for_reader(&mut self, id: u32) -> Result<&mut Written<T>, Violation> {
        match self.streams.get_mut(&id) {
            Some(stream) if !stream.is_stopped => Ok(stream),
            _ => Err(Violation::UnknownStream(id)),
        }
    }

    /// Returns the IDs and the data of all streams.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.streams.iter_mut().map(|(id, stream)| (*id, &mut stream.data))
    }

    /// Takes all streams, because the connection has ended.
    pub fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.streams).into_values().map(|stream| stream.data)
    }
}

/// The streams that this side reads. `T` is the driver's data for a stream.
#[derive(Debug)]
pub struct ReadStreams<T> {
    streams: HashMap<u32, Read<T>>,
}

#[derive(Debug)]
struct Read<T> {
    data: T,
    /// The credit that was granted and not used.
    credit: Credit,
    has_ended: bool,
    is_stopped: bool,
}

/// An event that a frame from the writer causes.
#[derive(Debug, PartialEq, Eq)]
pub enum ReaderEvent<'a, T> {
    /// An item has arrived.
    Item(&'a mut T),
    /// The writer waits for credit for an item of this size.
    Request(&'a mut T, Credit),
    /// The writer has finished, or failed for this reason. The driver must send *stop*.
    Ended(&'a mut T, Option<Fault>),
    /// The writer has confirmed the stop, and the ID is free.
    Closed(T),
    /// A frame of a stream that this side has stopped. The driver closes its handles.
    Dropped,
}

impl<T> Default for ReadStreams<T> {
    fn default() -> Self {
        Self { streams: HashMap::new() }
    }
}

impl<T> ReadStreams<T> {
    /// Opens the stream of an entry of a received message.
    ///
    /// # Errors
    /// A [`Violation`] if the ID is not free, or too many streams are open.
    pub fn open(&mut self, id: u32, data: T) -> Result<(), Violation> {
        if self.streams.len() >= Limits::STREAMS_MAX {
            return Err(Violation::TooManyStreams);
        }
        match self.streams.entry(id) {
            MapEntry::Occupied(_) => Err(Violation::StreamTwice(id)),
            MapEntry::Vacant(place) => {
                let credit = Credit::INITIAL;
                place.insert(Read { data, credit, has_ended: false, is_stopped: false });
                Ok(())
            }
        }
    }

    /// Returns the data of a stream.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.streams.get_mut(&id).map(|stream| &mut stream.data)
    }

    /// Returns whether there are no streams.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Returns the number of streams.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Returns the credit that the writer has and has not used.
    pub fn unused(&self, id: u32) -> Credit {
        self.streams.get(&id).map_or(Credit::NONE, |stream| stream.credit)
    }

    /// Adds credit that is sent next. Returns `false` if the stream has ended or is stopped, or the
    /// sum exceeds 2³²−1.
    pub fn grant(&mut self, id: u32, credit: Credit) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let is_open = !stream.has_ended && !stream.is_stopped;
        match stream.credit.checked_add(credit) {
            Some(sum) if is_open => {
                stream.credit = sum;
                true
            }
            _ => false,
        }
    }

    /// Takes back credit whose frame could not be sent.
    pub fn not_granted(&mut self, id: u32, credit: Credit) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.credit = stream.credit.saturating_sub(credit);
        }
    }

    /// Returns whether *stop* was not sent yet.
    pub fn is_open(&self, id: u32) -> bool {
        self.streams.get(&id).is_some_and(|stream| !stream.is_stopped)
    }

    /// Records that *stop* was sent. Returns the data of the stream if its ID is free now.
    pub fn sent_stop(&mut self, id: u32) -> Option<T> {
        let MapEntry::Occupied(mut place) = self.streams.entry(id) else { return None };
        place.get_mut().is_stopped = true;
        place.get().has_ended.then(|| place.remove().data)
    }

    /// Processes an item, which uses credit.
    ///
    /// # Errors
    /// A [`Violation`] if the stream is unknown or has ended, or the credit does not suffice.
    pub fn receive_item(&mut self, header: &Header) -> Result<ReaderEvent<'_, T>, Violation> {
        let id = header.call;
        let Body::Inline { len } = header.body else { return Err(Violation::WrongLength) };
        let stream = self.open_for_writer(id)?;
        let size = Credit::of_item(len, header.handles.into());
        stream.credit = stream.credit.checked_sub(size).ok_or(Violation::BeyondCredit(id))?;
        Ok(match stream.is_stopped {
            true => ReaderEvent::Dropped,
            false => ReaderEvent::Item(&mut stream.data),
        })
    }

    /// Processes a *request* of the writer.
    ///
    /// # Errors
    /// A [`Violation`] if the stream is unknown or has ended, or no item may have this size.
    pub fn receive_request(
        &mut self,
        id: u32,
        size: Credit,
    ) -> Result<ReaderEvent<'_, T>, Violation> {
        let stream = self.open_for_writer(id)?;
        match () {
            () if !Credit::LARGEST_ITEM.covers(size) => Err(Violation::BeyondCredit(id)),
            () if stream.is_stopped => Ok(ReaderEvent::Dropped),
            () => Ok(ReaderEvent::Request(&mut stream.data, size)),
        }
    }

    /// Processes an *end* of the writer.
    ///
    /// # Errors
    /// A [`Violation`] if the stream is unknown or has ended.
    pub fn receive_end(
        &mut self,
        id: u32,
        fault: Option<Fault>,
    ) -> Result<ReaderEvent<'_, T>, Violation> {
        let stream = self.open_for_writer(id)?;
        stream.has_ended = true;
        if stream.is_stopped {
            if let Some(stream) = self.streams.remove(&id) {
                return Ok(ReaderEvent::Closed(stream.data));
            }
        }
        let stream = self.streams.get_mut(&id).ok_or(Violation::UnknownStream(id))?;
        Ok(ReaderEvent::Ended(&mut stream.data, fault))
    }

    /// Returns a stream that its writer has not ended.
    fn open_for_writer(&mut self, id: u32) -> Result<&mut Read<T>, Violation> {
        match self.streams.get_mut(&id) {
            Some(stream) if !stream.has_ended => Ok(stream),
            _ => Err(Violation::UnknownStream(id)),
        }
    }

    /// Returns the IDs and the data of all streams.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.streams.iter_mut().map(|(id, stream)| (*id, &mut stream.data))
    }

    /// Takes all streams, because the connection has ended.
    pub fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.streams).into_values().map(|stream| stream.data)
    }
}

/// The status of a *credit* frame of the reader.
const GRANTS: u32 = 0;

/// The status of a *credit* frame of the writer.
const REQUESTS: u32 = 1;

#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    type Frame = (u32, Option<StreamFrame>);

    /// Both sides of a connection with one writer and one reader, and the frames on their way.
    #[derive(Clone, Default)]
    struct Model {
        writer: WrittenStreams<()>,
        reader: ReadStreams<()>,
        to_reader: VecDeque<Frame>,
        to_writer: VecDeque<Frame>,
        opened: u32,
        granted: u32,
    }

    impl<T: Clone> Clone for WrittenStreams<T> {
        fn clone(&self) -> Self {
            let streams = self.streams.iter().map(|(id, it)| {
                let Written { ref data, credit, has_requested, has_ended, is_stopped } = *it;
                let data = data.clone();
                (*id, Written { data, credit, has_requested, has_ended, is_stopped })
            });
            Self { streams: streams.collect(), last: self.last }
        }
    }

    impl<T: Clone> Clone for ReadStreams<T> {
        fn clone(&self) -> Self {
            let streams = self.streams.iter().map(|(id, it)| {
                let Read { ref data, credit, has_ended, is_stopped } = *it;
                (*id, Read { data: data.clone(), credit, has_ended, is_stopped })
            });
            Self { streams: streams.collect() }
        }
    }

    /// Two of these items use up the initial credit.
    const ITEM: Credit = Credit::of_item(Credit::INITIAL.bytes / 2, 0);

    const LARGE_ITEM: Credit = Credit::of_item(Credit::INITIAL.bytes + 1, 1);

    /// The entry that opens a stream. It is sent like a frame.
    const OPENS: Option<StreamFrame> = Some(StreamFrame::Grant(Credit::NONE));

    fn item_header(id: u32, size: Credit) -> Header {
        StreamFrame::item(id, size.bytes, size.handles as u16)
    }

    impl Model {
        fn key(&self) -> String {
            let mut written: Vec<_> = self.writer.streams.iter().collect();
            let mut read: Vec<_> = self.reader.streams.iter().collect();
            written.sort_by_key(|(id, _)| **id);
            read.sort_by_key(|(id, _)| **id);
            let Self { to_reader, to_writer, opened, granted, .. } = self;
            format!("{written:?} {read:?} {to_reader:?} {to_writer:?} {opened} {granted}")
        }

        /// Receives a frame at the reader.
        fn at_reader(&mut self, (id, frame): Frame) -> Result<(), Violation> {
            match frame {
                None => drop(self.reader.receive_item(&item_header(id, ITEM))?),
                _ if frame == OPENS => self.reader.open(id, ())?,
                Some(StreamFrame::Request(size)) => {
                    drop(self.reader.receive_request(id, size)?);
                }
                Some(StreamFrame::End(fault)) => drop(self.reader.receive_end(id, fault)?),
                Some(_) => unreachable!(),
            }
            Ok(())
        }

        /// Receives a frame at the writer.
        fn at_writer(&mut self, (id, frame): Frame) -> Result<(), Violation> {
            match frame {
                Some(StreamFrame::Grant(credit)) => drop(self.writer.receive_grant(id, credit)?),
                Some(StreamFrame::Stop(fault)) => drop(self.writer.receive_stop(id, fault)?),
                _ => unreachable!(),
            }
            Ok(())
        }

        /// Returns the models after each possible step of both sides.
        fn steps(&self) -> Vec<Self> {
            let mut after = Vec::new();
            let mut step = |run: &dyn Fn(&mut Self) -> bool| {
                let mut model = self.clone();
                if run(&mut model) {
                    after.push(model);
                }
            };
            step(&|model| {
                if !model.writer.is_empty() {
                    return false;
                }
                model.opened += 1;
                // An ID is used again as soon as it is free.
                model.writer.last = 0;
                let id = model.writer.open(()).unwrap();
                model.to_reader.push_back((id, OPENS));
                model.opened <= 2
            });
            step(&|model| {
                let frame = model.to_reader.pop_front();
                frame.is_some_and(|frame| {
                    model.at_reader(frame).unwrap();
                    true
                })
            });
            step(&|model| {
                let frame = model.to_writer.pop_front();
                frame.is_some_and(|frame| {
                    model.at_writer(frame).unwrap();
                    true
                })
            });
            for id in [1] {
                for size in [ITEM, LARGE_ITEM] {
                    step(&|model| match model.writer.take(id, size) {
                        TakenCredit::Taken => {
                            assert_eq!(size, ITEM, "the credit never suffices for the other one");
                            model.to_reader.push_back((id, None));
                            true
                        }
                        TakenCredit::Short { requests: true } => {
                            let request = StreamFrame::Request(size);
                            model.to_reader.push_back((id, Some(request)));
                            true
                        }
                        TakenCredit::Short { requests: false } | TakenCredit::Over => false,
                    });
                }
                step(&|model| {
                    let is_open = model.writer.is_open(id);
                    if is_open {
                        model.to_reader.push_back((id, Some(StreamFrame::End(None))));
                        model.writer.sent_end(id);
                    }
                    is_open
                });
                step(&|model| {
                    let is_open = model.reader.is_open(id);
                    if is_open {
                        model.to_writer.push_back((id, Some(StreamFrame::Stop(None))));
                        model.reader.sent_stop(id);
                    }
                    is_open
                });
                step(&|model| {
                    model.granted += 1;
                    let grants = model.granted <= 2 && model.reader.grant(id, ITEM);
                    if grants {
                        model.to_writer.push_back((id, Some(StreamFrame::Grant(ITEM))));
                    }
                    grants
                });
            }
            after
        }

        /// Checks that frames which the other side may not send now are violations, and that others
        /// leave both sides in order.
        fn check_hostile(&self) {
            let faults = [None, Some(Fault::Draining)];
            for id in 0..=1 {
                let known = self.reader.streams.get(&id);
                let is_open = known.is_some_and(|stream| !stream.has_ended);
                let credit = known.map_or(Credit::NONE, |stream| stream.credit);
                for size in [ITEM, LARGE_ITEM, Credit::of_item(0, 0), Credit::of_item(0, 1)] {
                    let mut model = self.clone();
                    let received = model.reader.receive_item(&item_header(id, size)).map(drop);
                    let expected = match () {
                        () if !is_open => Err(Violation::UnknownStream(id)),
                        () if !credit.covers(size) => Err(Violation::BeyondCredit(id)),
                        () => Ok(()),
                    };
                    assert_eq!(received, expected, "{}", self.key());
                }
                for (size, is_small) in [
                    (Credit::LARGEST_ITEM, true),
                    (Credit { items: 2, ..ITEM }, false),
                    (Credit { bytes: Credit::LARGEST_ITEM.bytes + 1, ..ITEM }, false),
                    (Credit { handles: Credit::LARGEST_ITEM.handles + 1, ..ITEM }, false),
                ] {
                    let received = self.clone().reader.receive_request(id, size).map(drop);
                    let expected = match () {
                        () if !is_open => Err(Violation::UnknownStream(id)),
                        () if !is_small => Err(Violation::BeyondCredit(id)),
                        () => Ok(()),
                    };
                    assert_eq!(received, expected, "{}", self.key());
                }
                for fault in faults.clone() {
                    let mut model = self.clone();
                    let received = model.reader.receive_end(id, fault.clone()).map(drop);
                    let again = model.reader.receive_end(id, fault).map(drop);
                    assert_eq!(received.is_ok(), is_open, "{}", self.key());
                    assert_eq!(again, Err(Violation::UnknownStream(id)));
                }
                let opened = self.clone().reader.open(id, ());
                assert_eq!(opened.is_err(), known.is_some(), "{}", self.key());

                let known = self.writer.streams.get(&id);
                let is_open = known.is_some_and(|stream| !stream.is_stopped);
                let most = Credit { items: u32::MAX, bytes: u32::MAX, handles: u32::MAX };
                for (credit, overflows) in [
                    (ITEM, false),
                    (most, known.is_some_and(|stream| stream.credit != Credit::NONE)),
                ] {
                    let received = self.clone().writer.receive_grant(id, credit).map(drop);
                    let expected = match () {
                        () if !is_open => Err(Violation::UnknownStream(id)),
                        () if overflows => Err(Violation::CreditOverflow(id)),
                        () => Ok(()),
                    };
                    assert_eq!(received, expected, "{}", self.key());
                }
                for fault in faults.clone() {
                    let mut model = self.clone();
                    let received = model.writer.receive_stop(id, fault.clone()).map(drop);
                    let again = model.writer.receive_stop(id, fault).map(drop);
                    assert_eq!(received.is_ok(), is_open, "{}", self.key());
                    assert_eq!(again, Err(Violation::UnknownStream(id)));
                }
            }
        }

        /// Checks what both sides agree on while no frame is on its way.
        fn check_quiet(&self) {
            if !self.to_reader.is_empty() || !self.to_writer.is_empty() {
                return;
            }
            assert_eq!(self.writer.len(), self.reader.len(), "{}", self.key());
            for (id, written) in &self.writer.streams {
                let read = &self.reader.streams[id];
                assert_eq!(written.credit, read.credit, "{}", self.key());
                assert_eq!(written.has_ended, read.has_ended, "{}", self.key());
                assert_eq!(written.is_stopped, read.is_stopped, "{}", self.key());
                assert!(!written.has_ended || !written.is_stopped, "{}", self.key());
            }
        }
    }

    #[test]
    fn every_order_of_items_credit_end_and_stop_is_understood_and_no_other_frame_is_accepted() {
        let (mut seen, mut next) = (HashSet::new(), vec![Model::default()]);
        let mut closed = 0;
        while let Some(model) = next.pop() {
            model.check_hostile();
            model.check_quiet();
            closed += u32::from(model.opened == 2 && model.writer.is_empty());
            let steps = model.steps();
            next.extend(steps.into_iter().filter(|after| seen.insert(after.key())));
        }
        assert!(closed > 0, "all streams can be closed");
        assert!(seen.len() > 1000, "{}", seen.len());
    }

    #[test]
    fn frames_round_trip_and_others_are_violations() {
        let size = Credit { items: 1, bytes: 2, handles: 3 };
        for frame in [
            StreamFrame::Grant(size),
            StreamFrame::Request(size),
            StreamFrame::End(None),
            StreamFrame::End(Some(Fault::Draining)),
            StreamFrame::Stop(None),
            StreamFrame::Stop(Some(Fault::Busy { limit: "memory".into() })),
        ] {
            let (header, body) = frame.write(7);
            assert_eq!(header.call, 7);
            assert_eq!(StreamFrame::read(&header, &body), Ok(Some(frame)));
            let unknown = Header { code: 9, ..header.clone() };
            assert_eq!(StreamFrame::read(&unknown, &body), Err(Violation::UnknownStatus(9)));
            let longer = [&body[..], &[0]].concat();
            assert!(StreamFrame::read(&header, &longer).is_err());
        }
        assert_eq!(StreamFrame::read(&StreamFrame::item(7, 1, 2), &[0]), Ok(None));
        let other = Header::new(FrameKind::Bye);
        let unexpected = Violation::Unexpected(FrameKind::Bye);
        assert_eq!(StreamFrame::read(&other, &[]), Err(unexpected));
    }

    #[test]
    fn the_number_of_streams_is_limited_on_both_sides() {
        let (mut writer, mut reader) = (WrittenStreams::default(), ReadStreams::default());
        for _ in 0..Limits::STREAMS_MAX {
            let id = writer.open(()).unwrap();
            reader.open(id, ()).unwrap();
        }
        assert_eq!(writer.open(()), None);
        assert_eq!(reader.open(0, ()), Err(Violation::TooManyStreams));
        writer.unopen(7);
        assert!(writer.open(()).is_some_and(|id| id > Limits::STREAMS_MAX as u32));
    }

    #[test]
    fn credit_that_was_not_used_or_not_sent_is_taken_back() {
        let (mut writer, mut reader) = (WrittenStreams::default(), ReadStreams::default());
        let id = writer.open(()).unwrap();
        reader.open(id, ()).unwrap();
        assert_eq!(writer.take(id, ITEM), TakenCredit::Taken);
        writer.give_back(id, ITEM);
        assert_eq!(writer.streams[&id].credit, Credit::INITIAL);
        assert!(reader.grant(id, LARGE_ITEM));
        reader.not_granted(id, LARGE_ITEM);
        assert_eq!(reader.unused(id), Credit::INITIAL);
        assert_eq!(writer.take(id, LARGE_ITEM), TakenCredit::Short { requests: true });
        assert_eq!(writer.take(id, LARGE_ITEM), TakenCredit::Short { requests: false });
        writer.not_requested(id);
        assert_eq!(writer.take(id, LARGE_ITEM), TakenCredit::Short { requests: true });
    }
}
