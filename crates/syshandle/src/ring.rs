//! Frames through shared memory: the rings of a connection, beside its socket.
//!
//! The sender of each direction chooses the transport of its frames, and tells the receiver by a
//! switch frame. It uses the socket for a frame with handles, for a large frame, and while the ring
//! is full. So a full ring needs no waiting of its own: the frames wait for room in the socket.
//!
//! A side *arms* its ring before it waits for the socket: it publishes that, and looks once more. A
//! thread that waits for this connection alone can spin, and sleep in a futex, before it does so.

mod access;
mod queue;
#[cfg(test)]
mod tests;
mod waiting;

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::{LazyLock, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, OfferedRing, ReceivedMessage, ReceivedRing, RingMemory};
use syshandle_wire::{
    CoreHint, Features, Header, RingEnd, RingEvent, RingLayout, RingSide, Transport, Violation,
};

use self::access::RingAccess;
use self::queue::{RingReader, RingWriter};
pub(crate) use self::waiting::Waiting;
use self::waiting::{ARM, ArmStep, WAKE, WaitingWord, WakeAction, WakeStep, Waker};
use crate::buffer::{FrameBuffer, give_bytes, take_bytes};
use crate::peer_socket::PeerSocket;
use crate::quota::{QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;
use crate::spin::Spin;
use crate::sync::{Mutex, MutexGuard, now, often, receive_within};

/// The rings of a connection on which both sides permit them.
#[derive(Debug)]
pub(crate) struct Rings {
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
    /// Set once the memory may be read.
    memory: OnceLock<RingMemory>,
}

/// The receiving part. One thread at a time receives.
#[derive(Debug)]
struct Incoming {
    end: RingEnd,
    reader: Option<RingReader>,
    /// The memory that this side has offered, until it is accepted.
    offered: Option<OfferedRing>,
    /// The memory that the peer has offered, until it is verified.
    received: Option<ReceivedRing>,
    /// A frame of the socket that follows a switch in the ring, which is not read yet.
    held: Option<HeldFrame>,
    word: WaitingWord,
    gap: Gap,
    /// The part of the peer's quota that the memory takes.
    quota_guard: Option<QuotaGuard>,
}

/// The sending part.
#[derive(Debug)]
struct Outgoing {
    transport: Transport,
    /// `None` until this side may switch.
    writer: Option<RingWriter>,
    waker: Waker,
    /// The answer to an offer, until the socket has room for it.
    answer: Option<Header>,
    /// Number of frames in a row that were sent through the socket although a ring could carry
    /// them.
    small: u32,
    offers: OfferPolicy,
}

/// Decides when a client offers rings.
#[derive(Debug)]
struct OfferPolicy {
    /// Frames since `since`.
    frames: u32,
    since: Option<Instant>,
    may_offer: bool,
}

/// A received frame with its handles.
#[derive(Debug)]
struct HeldFrame {
    buffer: FrameBuffer,
    received: ReceivedMessage,
    handles: ReceivedHandles,
}

/// How long this side usually waits for a frame.
#[derive(Debug, Default)]
struct Gap {
    average: Duration,
    /// The start of the present wait, if it goes on in the socket.
    since: Option<Instant>,
}

/// What a frame of the socket is.
enum SocketFrame {
    /// A frame of a call or of the connection.
    Ordinary(ReceivedMessage),
    /// A frame about rings, or one that is held.
    Taken,
}

/// Returns the features that this process announces.
pub(crate) fn features() -> Features {
    match *MODE {
        Mode::Off => Features::OWN,
        Mode::ByRate | Mode::Always => Features::OWN.with(Features::RINGS),
    }
}

impl Rings {
    /// Creates the rings of a connection, which starts without memory.
    pub(crate) fn new(side: RingSide) -> Self {
        let incoming = Incoming {
            end: RingEnd::new(side),
            reader: None,
            offered: None,
            received: None,
            held: None,
            word: WaitingWord::START,
            gap: Gap::default(),
            quota_guard: None,
        };
        let outgoing = Outgoing {
            transport: Transport::Socket,
            writer: None,
            waker: Waker::START,
            answer: None,
            small: 0,
            offers: OfferPolicy { frames: 0, since: None, may_offer: side == RingSide::Client },
        };
        Self {
            incoming: Mutex::new(incoming),
            outgoing: Mutex::new(outgoing),
            memory: OnceLock::new(),
        }
    }

    /// Sends a frame in pieces, without waiting.
    ///
    /// # Errors
    /// The errors of [`PeerSocket::send`].
    pub(crate) fn send(
        &self,
        socket: &PeerSocket,
        pieces: &[IoSlice<'_>],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        let mut outgoing = self.outgoing();
        if outgoing.answer.is_some() {
            outgoing.send_answer(socket);
        }
        let memory = self.memory.get();
        match memory {
            Some(memory) if outgoing.writer.is_some() => {
                let sent = outgoing.send(memory, socket, pieces, handles.is_empty());
                match sent {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(_) => {
                        // The peer's positions are impossible. Nothing more is sent.
                        socket.shut_down();
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                }
            }
            Some(_) => {}
            None => {
                if outgoing.offers.is_time() {
                    self.offer(&mut outgoing, socket);
                }
            }
        }
        // The lock is held, so that a switch of another thread doesn't overtake the frame.
        socket.send(pieces, handles)
    }

    /// Sends frames without handles. Returns the number of frames that were sent, which is at least
    /// one.
    ///
    /// # Errors
    /// `WouldBlock` if no frame was sent.
    pub(crate) fn send_several(
        &self,
        socket: &PeerSocket,
        frames: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        for (sent, frame) in frames.iter().enumerate() {
            match self.send(socket, &[IoSlice::new(frame)], &[]) {
                Err(_) if sent > 0 => return Ok(sent),
                result => result?,
            }
        }
        Ok(frames.len())
    }

    /// Offers memory to the server. If that fails, the connection continues without rings.
    #[cold]
    fn offer(&self, outgoing: &mut Outgoing, socket: &PeerSocket) {
        let mut incoming = self.incoming();
        let offered = OfferedRing::new(HALF_LEN).ok();
        let Some((offered, header)) = offered.zip(incoming.end.offer()) else {
            outgoing.offers.may_offer = false;
            return;
        };
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        match socket.send(&[IoSlice::new(&head[..len])], &[offered.as_fd()]) {
            Ok(()) => incoming.offered = Some(offered),
            Err(_) => incoming.end.unoffered(),
        }
        outgoing.offers.may_offer = false;
    }

    /// Receives a frame of the ring or of the socket into `buffer`. Waits up to `timeout` for the
    /// socket, if a time is given. `Interrupted` means that a frame about rings was received.
    ///
    /// # Errors
    /// The errors of [`PeerSocket`]; an error that contains a [`Violation`].
    pub(crate) fn receive(
        &self,
        socket: &PeerSocket,
        buffer: &mut FrameBuffer,
        handles: &mut ReceivedHandles,
        timeout: Option<Duration>,
    ) -> io::Result<ReceivedMessage> {
        let taken = self.incoming().next(self.memory.get(), buffer, handles, true);
        if let Some(received) = taken.map_err(broken)? {
            return Ok(received);
        }
        let received = receive_within(timeout, |timeout| match timeout {
            Some(timeout) => handles.receive_within(socket, buffer, timeout),
            None => handles.receive(socket, buffer),
        })?;
        handles.sent_by(socket.peer_quota());
        match self.take(socket, buffer, received, handles).map_err(broken)? {
            SocketFrame::Ordinary(received) => Ok(received),
            SocketFrame::Taken => {
                let taken = self.incoming().next(self.memory.get(), buffer, handles, false);
                taken.map_err(broken)?.ok_or_else(|| io::ErrorKind::Interrupted.into())
            }
        }
    }

    /// Takes a frame of the ring, if there is one.
    ///
    /// # Errors
    /// An error that contains a [`Violation`].
    pub(crate) fn take_from_ring(
        &self,
        buffer: &mut FrameBuffer,
        handles: &mut ReceivedHandles,
    ) -> io::Result<Option<ReceivedMessage>> {
        self.incoming().next(self.memory.get(), buffer, handles, false).map_err(broken)
    }

    /// Handles a message of the socket.
    fn take(
        &self,
        socket: &PeerSocket,
        buffer: &mut FrameBuffer,
        received: ReceivedMessage,
        handles: &mut ReceivedHandles,
    ) -> Result<SocketFrame, Violation> {
        let mut incoming = self.incoming();
        let frame = &buffer[..received.len];
        if RingEnd::is_about_rings(frame) && !received.bytes_truncated {
            let count = (handles.len(), received.handles_truncated);
            let event = incoming.end.receive(frame, Transport::Socket, count)?;
            self.act(incoming, socket, event, handles)?;
            return Ok(SocketFrame::Taken);
        }
        let Some(memory) = self.memory.get() else { return Ok(SocketFrame::Ordinary(received)) };
        if incoming.end.incoming() == Transport::Socket {
            incoming.gap.end();
            return Ok(SocketFrame::Ordinary(received));
        }
        // What the sender wrote before this message is visible now. The end of file is received
        // again after that.
        let Some(reader) = &mut incoming.reader else { return Err(Violation::BadRing) };
        match (reader.has_frame(memory)?, received.len) {
            (true, 0) => Ok(SocketFrame::Taken),
            (false, 0) => Ok(SocketFrame::Ordinary(received)),
            (false, _) => Err(Violation::BadRing),
            (true, _) if incoming.held.is_some() => Err(Violation::BadRing),
            (true, _) => {
                let buffer = std::mem::replace(buffer, FrameBuffer::take());
                let handles = std::mem::replace(handles, ReceivedHandles::new());
                incoming.held = Some(HeldFrame { buffer, received, handles });
                Ok(SocketFrame::Taken)
            }
        }
    }

    /// Acts on a frame about rings.
    #[cold]
    fn act(
        &self,
        mut incoming: MutexGuard<'_, Incoming>,
        socket: &PeerSocket,
        event: RingEvent,
        handles: &mut ReceivedHandles,
    ) -> Result<(), Violation> {
        match event {
            RingEvent::Bell | RingEvent::Switched(_) => {}
            RingEvent::Offer => {
                let accepted = incoming.accept(socket, handles)?;
                let answer = incoming.end.answer(accepted);
                drop(incoming);
                let mut outgoing = self.outgoing();
                outgoing.answer = Some(answer);
                outgoing.send_answer(socket);
            }
            RingEvent::Declined => incoming.offered = None,
            RingEvent::Accepted => {
                // If the memory can't be sealed, this side never switches.
                let offered = incoming.offered.take().ok_or(Violation::BadRing)?;
                if let Ok(memory) = offered.seal() {
                    self.open(incoming, memory);
                }
            }
            RingEvent::Opened => {
                let received = incoming.received.take().ok_or(Violation::BadRing)?;
                let memory = received.verify().map_err(|_| Violation::BadRing)?;
                if let Some(quota_guard) = &mut incoming.quota_guard {
                    quota_guard.give_back(1);
                }
                self.open(incoming, memory);
            }
        }
        Ok(())
    }

    /// Starts to use the memory.
    fn open(&self, mut incoming: MutexGuard<'_, Incoming>, memory: RingMemory) {
        let half_len = memory.half_len();
        incoming.reader = Some(RingReader::new(half_len));
        let _ = self.memory.set(memory);
        drop(incoming);
        self.outgoing().writer = Some(RingWriter::new(half_len));
    }

    /// Returns whether the peer believes that a thread is going to look at the ring.
    pub(crate) fn needs_look(&self) -> bool {
        self.memory.get().is_some() && {
            let incoming = self.incoming();
            incoming.end.incoming() == Transport::Ring && incoming.word.waiting() != Waiting::Socket
        }
    }

    /// Arms the ring for a wait for the socket. Returns whether a frame is there, so that the caller
    /// receives instead.
    pub(crate) fn arm(&self) -> bool {
        let Some(memory) = self.memory.get() else { return false };
        let mut incoming = self.incoming();
        if incoming.end.incoming() == Transport::Socket {
            return incoming.held.is_some();
        }
        // A violation is reported when the frame is received.
        incoming.arm(memory, Waiting::Socket).map_or(true, |bell| bell.is_none())
    }

    /// Waits for a frame in the ring: spins if the peer runs on another core, and then sleeps for
    /// some milliseconds in the futex, if `may_sleep`. Returns early if frames usually take longer.
    /// Returns `false` at once if the peer uses the socket.
    pub(crate) fn wait(
        &self,
        (spin, peer): (&Spin, CoreHint),
        until: Instant,
        may_sleep: bool,
    ) -> bool {
        let Some(memory) = self.memory.get() else { return false };
        let mut incoming = self.incoming();
        let uses_ring = incoming.end.incoming() == Transport::Ring;
        if uses_ring {
            // A violation is reported when the frame is received.
            let _ = incoming.wait(memory, (spin, peer), until, may_sleep);
        }
        uses_ring
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// Takes the next frame that this process has or that is in the ring. If there is none and
    /// `arms`, arms the ring for a wait for the socket.
    fn next(
        &mut self,
        memory: Option<&RingMemory>,
        buffer: &mut FrameBuffer,
        handles: &mut ReceivedHandles,
        arms: bool,
    ) -> Result<Option<ReceivedMessage>, Violation> {
        let Some(memory) = memory else { return Ok(None) };
        loop {
            if self.end.incoming() == Transport::Socket {
                return Ok(self.held.take().map(|held| {
                    *buffer = held.buffer;
                    *handles = held.handles;
                    held.received
                }));
            }
            let Some(reader) = &mut self.reader else { return Err(Violation::BadRing) };
            match reader.pop(memory, buffer)? {
                Some(len) if RingEnd::is_about_rings(&buffer[..len]) => {
                    self.end.receive(&buffer[..len], Transport::Ring, (0, false))?;
                }
                Some(len) => {
                    self.gap.end();
                    let mut received = ReceivedMessage::default();
                    received.len = len;
                    return Ok(Some(received));
                }
                None if self.held.is_some() => return Err(Violation::BadRing),
                None if !arms => return Ok(None),
                None => {
                    if self.arm(memory, Waiting::Socket)?.is_some() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Publishes how this side waits, and looks once more. Returns the peer's bell if there is no
    /// frame, and `None` if there is one.
    fn arm(
        &mut self,
        memory: &impl RingAccess,
        waiting: Waiting,
    ) -> Result<Option<u64>, Violation> {
        let Some(reader) = &mut self.reader else { return Err(Violation::BadRing) };
        let mut bell = 0;
        for step in ARM {
            match step {
                ArmStep::LoadBell => bell = memory.load(RingLayout::BELL),
                ArmStep::Publish => {
                    self.word = self.word.next(waiting);
                    memory.store(RingLayout::WAITING, self.word.as_u64());
                }
                ArmStep::Fence => memory.fence(),
                ArmStep::Look => {
                    if reader.has_frame(memory)? {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(bell))
    }

    /// Publishes that a thread is going to look.
    fn run(&mut self, memory: &impl RingAccess) {
        if self.word.waiting() != Waiting::Running {
            self.word = self.word.next(Waiting::Running);
            memory.store(RingLayout::WAITING, self.word.as_u64());
        }
    }

    /// Waits for a frame: see [`Rings::wait`].
    fn wait(
        &mut self,
        memory: &impl RingAccess,
        (spin, peer): (&Spin, CoreHint),
        until: Instant,
        may_sleep: bool,
    ) -> Result<(), Violation> {
        self.run(memory);
        let has_frame = |incoming: &mut Self| match &mut incoming.reader {
            Some(reader) => reader.has_frame(memory),
            None => Err(Violation::BadRing),
        };
        if has_frame(self)? {
            return Ok(());
        }
        let mut spin_wait = spin.start(peer);
        let mut began = None;
        while spin_wait.spins() {
            for _ in 0..BURST {
                std::hint::spin_loop();
                if has_frame(self)? {
                    spin_wait.hit();
                    self.gap.add(Duration::ZERO);
                    return Ok(());
                }
            }
            began = began.or_else(|| Some(now()));
            if !spin_wait.again() {
                break;
            }
        }
        let began = began.unwrap_or_else(now);
        if may_sleep && self.gap.average <= FUTEX_FOR {
            let end = until.min(began + FUTEX_FOR);
            for _ in 0..FUTEX_WAKES_MAX {
                let Some(bell) = self.arm(memory, Waiting::Futex)? else { break };
                let waited = memory.wait(RingLayout::BELL, bell as u32, end);
                if waited.is_err() || has_frame(self)? || now() >= end {
                    break;
                }
            }
            self.run(memory);
            if has_frame(self)? {
                self.gap.add(now() - began);
                return Ok(());
            }
        }
        self.gap.since = Some(began);
        Ok(())
    }

    /// Maps offered memory. Returns whether that was possible.
    fn accept(
        &mut self,
        socket: &PeerSocket,
        handles: &mut ReceivedHandles,
    ) -> Result<bool, Violation> {
        // The handle may have been lost in transit.
        let Some(handle) = handles.pop() else { return Ok(false) };
        let memory = Resource::Memory(2 * HALF_LEN_ACCEPTED);
        let Ok(mut quota_guard) = socket.peer_quota().take(memory, 1) else {
            handles.push(handle);
            return Ok(false);
        };
        match ReceivedRing::new(handle, HALF_LEN_ACCEPTED) {
            Ok(received) => {
                quota_guard.shrink_memory(2 * received.half_len());
                self.received = Some(received);
                self.quota_guard = Some(quota_guard);
                Ok(true)
            }
            Err((handle, error)) => {
                handles.push(handle);
                match error.kind() {
                    io::ErrorKind::InvalidData => Err(Violation::BadRing),
                    // The error was caused by this process and not by the peer.
                    _ => Ok(false),
                }
            }
        }
    }
}

impl Outgoing {
    /// Sends a frame through the ring, if the ring can carry it. Otherwise makes the socket the
    /// transport, and returns `false`.
    fn send(
        &mut self,
        memory: &impl RingAccess,
        socket: &PeerSocket,
        pieces: &[IoSlice<'_>],
        is_without_handles: bool,
    ) -> Result<bool, Violation> {
        let Some(writer) = &mut self.writer else { return Ok(false) };
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let is_small = is_without_handles && len <= RING_FRAME_MAX;
        if self.transport == Transport::Socket {
            self.small = if is_small { self.small + 1 } else { 0 };
            let is_time = self.small >= SMALL_BEFORE_SWITCH || *MODE == Mode::Always;
            let may = is_small && is_time && writer.is_empty(memory)?;
            if !may || !send_head(socket, &RingEnd::switch()) {
                return Ok(false);
            }
            self.transport = Transport::Ring;
        }
        if is_small && write(writer, memory, pieces)? {
            self.wake(memory, socket);
            return Ok(true);
        }
        let mut head = [0; Header::LEN_MAX];
        let len = RingEnd::switch().write(&mut head);
        if !writer.push(memory, &head[..len], 0)? {
            return Err(Violation::BadRing);
        }
        self.transport = Transport::Socket;
        self.small = 0;
        self.wake(memory, socket);
        Ok(false)
    }

    /// Wakes the peer, if it sleeps.
    #[inline]
    fn wake(&mut self, memory: &impl RingAccess, socket: &PeerSocket) {
        // A full socket wakes the peer too.
        self.wake_with(memory, || {
            let _ = send_head(socket, &RingEnd::bell());
        });
    }

    #[inline]
    fn wake_with(&mut self, memory: &impl RingAccess, send_bell: impl FnOnce()) {
        let mut peer = WaitingWord::START;
        let mut action = WakeAction::Nothing;
        for step in WAKE {
            match step {
                WakeStep::Fence => memory.fence(),
                WakeStep::LoadWaiting => peer = WaitingWord::of(memory.load(RingLayout::WAITING)),
                WakeStep::Wake => action = self.waker.wake(peer),
            }
        }
        match action {
            WakeAction::Nothing => {}
            WakeAction::Futex(bell) => {
                memory.store(RingLayout::BELL, bell);
                memory.wake(RingLayout::BELL);
            }
            WakeAction::Socket => send_bell(),
        }
    }

    /// Sends the answer to an offer, if the socket has room.
    #[cold]
    fn send_answer(&mut self, socket: &PeerSocket) {
        self.answer = self.answer.take().filter(|answer| !send_head(socket, answer));
    }
}

impl OfferPolicy {
    /// Counts a frame. Returns whether rings should be offered now.
    #[inline]
    fn is_time(&mut self) -> bool {
        if !self.may_offer {
            return false;
        }
        self.frames += 1;
        match *MODE {
            Mode::Off => false,
            Mode::Always => true,
            Mode::ByRate if self.frames < OFFER_AFTER => false,
            Mode::ByRate => {
                let now = now();
                let since = self.since.replace(now);
                self.frames = 0;
                since.is_some_and(|since| now - since < OFFER_WITHIN)
            }
        }
    }
}

impl Gap {
    /// Adds the length of a wait.
    fn add(&mut self, wait: Duration) {
        self.since = None;
        self.average = (self.average * 3 + wait.min(GAP_MAX)) / 4;
    }

    /// Records that a frame has come.
    #[inline]
    fn end(&mut self) {
        if let Some(since) = self.since.take() {
            self.add(now() - since);
        }
    }
}

/// Writes a frame in pieces. Returns whether it was written.
#[inline]
fn write(
    writer: &mut RingWriter,
    memory: &impl RingAccess,
    pieces: &[IoSlice<'_>],
) -> Result<bool, Violation> {
    let reserve = RingLayout::record_len(Header::LEN);
    if let [frame] = pieces {
        return writer.push(memory, frame, reserve);
    }
    let mut frame = take_bytes();
    pieces.iter().for_each(|piece| frame.extend_from_slice(piece));
    let written = writer.push(memory, &frame, reserve);
    give_bytes(frame);
    written
}

/// Sends a frame without a body through the socket. Returns whether it was sent.
fn send_head(socket: &PeerSocket, header: &Header) -> bool {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    socket.send(&[IoSlice::new(&head[..len])], &[]).is_ok()
}

/// Returns the error of a peer that violates the protocol.
fn broken(violation: Violation) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, violation)
}

/// Returns the violation that caused an error of [`Rings::receive`].
pub(crate) fn violation(error: &io::Error) -> Option<Violation> {
    error.get_ref()?.downcast_ref::<Violation>().copied()
}

/// Whether rings are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Off,
    /// Rings are offered on a connection with many calls.
    ByRate,
    /// Rings are offered on each connection, for tests.
    Always,
}

static MODE: LazyLock<Mode> = LazyLock::new(|| match std::env::var_os(RING) {
    Some(value) if value == "1" => Mode::ByRate,
    Some(value) if value == "always" => Mode::Always,
    _ => Mode::Off,
});

/// Environment variable that turns rings on with the value `1`. A server inherits it from the client
/// that starts it.
const RING: &str = "SYSHANDLE_RING";

/// Length of a half of the memory that a client makes. It holds the frames of 64 calls of usual
/// size, and setting it up costs half as much as 32 KiB.
const HALF_LEN: usize = 16 * 1024;

/// Limit of a half of the memory that a server maps.
const HALF_LEN_ACCEPTED: usize = 64 * 1024;

/// Limit of a frame in a ring. A larger frame would fill much of the ring, and its copies cost more
/// than the socket.
const RING_FRAME_MAX: usize = 4096;

/// Number of frames in a row that a ring could carry, after which the sender uses the ring again.
const SMALL_BEFORE_SWITCH: u32 = often(16);

/// A client offers rings if it sends this number of frames within [`OFFER_WITHIN`].
const OFFER_AFTER: u32 = often(64);
const OFFER_WITHIN: Duration = Duration::from_millis(10);

/// Number of looks at the ring between two looks at the clock, each of which also yields the core.
const BURST: u32 = 64;

/// Limit of a sleep in the futex. The peer's death is noticed after it.
const FUTEX_FOR: Duration = Duration::from_millis(2);

/// Limit of wake-ups without a frame in one wait. A peer can cause them.
const FUTEX_WAKES_MAX: u32 = 4;

/// The longest wait that counts, so that a long pause is forgotten after some calls.
const GAP_MAX: Duration = Duration::from_millis(8);

const _: () = assert!(HALF_LEN <= HALF_LEN_ACCEPTED && HALF_LEN_ACCEPTED <= RingLayout::HALF_MAX);
