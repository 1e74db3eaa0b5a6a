//! Frames. Each consists of a header, a list of released ranges of shared memory, a table of
//! entries, and a body.

use std::fmt;

use smallvec::SmallVec;

use syshandle_types::Limits;

use crate::{Entries, Features, SlotId, Versions};

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Server to client, first frame: [`crate::Greeting`].
    Greeting = 1,
    /// Client to server, first frame: [`crate::Hello`].
    Hello = 2,
    /// Server to client: rejects the connection. The body is a [`crate::Fault`].
    Refused = 3,
    /// Client to server: runs a method.
    Call = 4,
    /// Server to client: the result of a call.
    Reply = 5,
    /// Client to server: cancels a call.
    Cancel = 6,
    /// Either direction: the sender closes the connection, and sends nothing more.
    Bye = 7,
    /// Either direction: passes the shared memory that the sender will write, as the only handle.
    /// If there is no handle, the sender did not receive the peer's shared memory, and the peer
    /// must send it again.
    Arena = 8,
    /// Either direction: only releases ranges. If it releases none, it is a request by a sender
    /// that needs shared memory: the receiver must release all ranges that it has read, and from
    /// now on must release each range immediately.
    Release = 9,
    /// Sent to a door: the handle is one end of a return channel. Sent on that channel: the handle
    /// is the client's end of a new connection.
    Attach = 10,
    /// Client to server: gives numbers of objects back. The body is [`crate::ReleasedObjects`].
    ReleaseObjects = 11,
    /// Server to client: one-way calls have ended. The body is empty, or the [`crate::Fault`] of the
    /// call that the frame names.
    Acknowledge = 16,
    /// Client to server: offers the memory of two rings, whose handle accompanies the frame.
    RingOffer = 20,
    /// Server to client: accepts the memory with the code 1, or declines it with the code 0.
    RingAnswer = 21,
    /// Either direction: the last frame of the sender in this transport. Its next frames are in the
    /// other one: the ring or the socket.
    RingSwitch = 22,
    /// Either direction: wakes a receiver that waits for the socket, because there are frames in the
    /// ring.
    RingBell = 23,
    /// Writer of a stream to its reader: an item. The body is a value.
    Item = 12,
    /// Either direction: grants credit to the writer of a stream, or requests it from the reader.
    Credit = 13,
    /// Writer of a stream to its reader: no more items follow.
    End = 14,
    /// Reader of a stream to its writer: no more items are wanted.
    Stop = 15,
    /// Either direction: tells the peer what happens to slots of registered handles. The body is
    /// [`crate::SlotNotes`].
    Slots = 17,
}

impl FrameKind {
    #[inline]
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Greeting,
            2 => Self::Hello,
            3 => Self::Refused,
            4 => Self::Call,
            5 => Self::Reply,
            6 => Self::Cancel,
            7 => Self::Bye,
            8 => Self::Arena,
            9 => Self::Release,
            10 => Self::Attach,
            11 => Self::ReleaseObjects,
            16 => Self::Acknowledge,
            20 => Self::RingOffer,
            21 => Self::RingAnswer,
            22 => Self::RingSwitch,
            23 => Self::RingBell,
            12 => Self::Item,
            13 => Self::Credit,
            14 => Self::End,
            15 => Self::Stop,
            17 => Self::Slots,
            _ => return None,
        })
    }
}

/// Whether a call succeeded, which determines the content of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The body is the method's result.
    Done = 0,
    /// The body is an error that the method returned.
    Failed = 1,
    /// The body is a [`crate::Fault`].
    Fault = 2,
}

impl Status {
    /// Returns the status with this number.
    #[inline]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Done, Self::Failed, Self::Fault].into_iter().find(|status| *status as u32 == number)
    }
}

/// The location and length of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The body follows the header in the frame.
    Inline {
        /// Length in bytes.
        len: u32,
    },
    /// The body is in the shared memory that the sender of the frame writes.
    Shared {
        /// Offset of the body's first byte in the shared memory.
        offset: u32,
        /// Length in bytes.
        len: u32,
    },
}

/// The header of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Kind of the frame.
    pub kind: FrameKind,
    /// Number of handles that accompany the frame.
    pub handles: u16,
    /// ID of the call or the stream that the frame concerns; otherwise 0.
    pub call: u32,
    /// Method number in a call and in the acknowledgement of a failed one, [`Status`] in a reply and
    /// at the end of a stream; otherwise 0. In a credit frame 0 for a grant and 1 for a request.
    pub code: u32,
    /// Timeout of a call in milliseconds, rounded up; otherwise 0.
    pub timeout_ms: u32,
    /// Location and length of the body.
    pub body: Body,
    /// Offsets of the ranges that the sender has read in the receiver's shared memory, and now
    /// releases.
    pub releases: Releases,
    /// In a call or reply: the table of the entries to which the body refers. It is empty if the
    /// entries are the handles of the frame in their order.
    pub entries: Entries,
    /// In a call: the number of the object; 0 for the object of the connection.
    pub object: u32,
    /// In a call: the call has no reply.
    pub one_way: bool,
    /// In a reply or an acknowledgement: the number of one-way calls of this client that have ended.
    /// It wraps around.
    pub ended: u32,
    /// In a reply or an acknowledgement: asks the client to send `Bye` at the end, because the server may hold work for
    /// this client beyond its calls.
    pub awaits_bye: bool,
}

/// Offsets of the ranges that a frame releases. Most frames release at most one range. Up to four
/// offsets are stored without heap memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Releases(SmallVec<[u32; 4]>);

impl Releases {
    /// Removes as many offsets from `due` as fit in a frame, and returns them.
    #[inline]
    pub fn take_from(due: &mut Vec<u32>) -> Self {
        if due.is_empty() {
            return Self::default();
        }
        Self(due.drain(..due.len().min(Limits::RELEASES_MAX)).collect())
    }

    #[inline]
    fn read(offsets: &[u8]) -> Self {
        let mut releases = Self::default();
        for bytes in offsets.chunks_exact(size_of::<u32>()).filter_map(<[u8]>::first_chunk) {
            releases.0.push(u32::from_le_bytes(*bytes));
        }
        releases
    }

    /// Returns the offsets of the released ranges.
    #[inline]
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }
}

impl Header {
    /// Size of a header without releases, in bytes.
    pub const LEN: usize = 32;

    /// Maximum size of a frame, in bytes. The table of entries and the body share the space.
    pub const FRAME_MAX: usize = Self::LEN_MAX + Limits::INLINE_BYTES_MAX;

    /// Maximum size of a header with releases, in bytes.
    pub const LEN_MAX: usize = Self::LEN + 4 * Limits::RELEASES_MAX;

    /// Creates a header of this kind with all other fields empty.
    #[inline]
    pub fn new(kind: FrameKind) -> Self {
        Self {
            kind,
            handles: 0,
            call: 0,
            code: 0,
            timeout_ms: 0,
            body: Body::Inline { len: 0 },
            releases: Releases::default(),
            entries: Entries::default(),
            object: 0,
            one_way: false,
            ended: 0,
            awaits_bye: false,
        }
    }

    /// Returns whether the frame is a `Release` without ranges, which requests that the peer
    /// release its ranges.
    pub(crate) fn asks(&self) -> bool {
        self.kind == FrameKind::Release && self.releases.as_slice().is_empty()
    }

    /// Writes the header to `out` and returns its length. The bytes of the table of entries follow,
    /// and then the body.
    #[inline]
    pub fn write(&self, out: &mut [u8; Self::LEN_MAX]) -> usize {
        let (shared, offset, len) = match self.body {
            Body::Inline { len } => (0, 0, len),
            Body::Shared { offset, len } => (SHARED, offset, len),
        };
        let awaits_bye = if self.awaits_bye { AWAITS_BYE } else { 0 };
        let flags = shared | awaits_bye | if self.one_way { ONE_WAY } else { 0 };
        let last = if has_ended(self.kind) { self.ended } else { self.object };
        let (releases, entries) = (self.releases.as_slice(), self.entries.len() as u32);
        out[0] = self.kind as u8;
        out[1] = 0;
        out[2..4].copy_from_slice(&self.handles.to_le_bytes());
        let counts = releases.len() as u32 | u32::from(flags) << 8 | entries << 16;
        let words = [self.call, self.code, self.timeout_ms, len, offset, counts, last];
        for (place, word) in out[4..].chunks_exact_mut(4).zip(words.iter().chain(releases)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Self::LEN + 4 * releases.len()
    }

    /// Parses a frame. Returns its header and its body.
    ///
    /// # Errors
    /// [`Violation`]: the sender violated the protocol, and the connection must be closed.
    #[inline(always)]
    pub fn read(frame: &[u8]) -> Result<(Self, &[u8]), Violation> {
        let (head, rest) = frame.split_first_chunk::<{ Self::LEN }>().ok_or(Violation::TooShort)?;
        let kind = FrameKind::from_byte(head[0]).ok_or(Violation::UnknownKind(head[0]))?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (releases_len, flags) = (usize::from(head[24]), head[25]);
        if releases_len > Limits::RELEASES_MAX {
            return Err(Violation::TooManyReleases);
        }
        if rest.len() > 4 * releases_len + Limits::INLINE_BYTES_MAX {
            return Err(Violation::TooManyBytes);
        }
        let (offsets, rest) = rest.split_at_checked(4 * releases_len).ok_or(Violation::TooShort)?;
        let releases = Releases::read(offsets);
        let handles = half(2);
        let (entries, rest) = match half(26) {
            0 => (Entries::default(), rest),
            len => Entries::read(rest, len.into(), handles)?,
        };
        let (len, offset) = (word(16), word(20));
        let body = match flags & SHARED {
            0 if len as usize == rest.len() => Body::Inline { len },
            SHARED if rest.is_empty() => Body::Shared { offset, len },
            _ => return Err(Violation::WrongLength),
        };
        let (awaits_bye, one_way) = (flags & AWAITS_BYE != 0, flags & ONE_WAY != 0);
        let (has_ended, is_call) = (has_ended(kind), kind == FrameKind::Call);
        let is_unknown = flags & !(SHARED | AWAITS_BYE | ONE_WAY) != 0;
        if is_unknown || awaits_bye && !has_ended || one_way && !is_call {
            return Err(Violation::UnknownFlags(flags));
        }
        let header = Self {
            kind,
            handles,
            call: word(4),
            code: word(8),
            timeout_ms: word(12),
            body,
            releases,
            entries,
            object: if has_ended { 0 } else { word(28) },
            one_way,
            ended: if has_ended { word(28) } else { 0 },
            awaits_bye,
        };
        match header.has_only_its_own() {
            true => Ok((header, rest)),
            false => Err(Violation::Surplus(kind)),
        }
    }

    /// Returns whether the frame has no body, handles or entries that its kind may not have. Other
    /// fields that its kind does not use are reserved, and are ignored.
    #[inline]
    fn has_only_its_own(&self) -> bool {
        let Self { handles, body, .. } = self;
        let is_inline = matches!(body, Body::Inline { .. });
        let is_empty = matches!(body, Body::Inline { len: 0 });
        match self.kind {
            FrameKind::Call | FrameKind::Reply => true,
            _ if !self.entries.is_empty() => false,
            FrameKind::Greeting
            | FrameKind::Hello
            | FrameKind::Refused
            | FrameKind::ReleaseObjects
            | FrameKind::Acknowledge
            | FrameKind::Credit
            | FrameKind::End
            | FrameKind::Stop
            | FrameKind::Slots => *handles == 0 && is_inline,
            FrameKind::Item => is_inline,
            FrameKind::Cancel
            | FrameKind::Bye
            | FrameKind::Release
            | FrameKind::RingAnswer
            | FrameKind::RingSwitch
            | FrameKind::RingBell => *handles == 0 && is_empty,
            FrameKind::Arena => *handles <= 1 && is_empty,
            FrameKind::Attach | FrameKind::RingOffer => *handles == 1 && is_empty,
        }
    }

    /// Checks that the frame uses only features that are in effect.
    #[inline]
    pub(crate) fn check_features(&self, features: Features) -> Result<(), Violation> {
        let of_kind = match self.kind {
            FrameKind::Call if self.object != 0 => Features::OBJECTS,
            FrameKind::ReleaseObjects => Features::OBJECTS,
            FrameKind::Item | FrameKind::Credit | FrameKind::End | FrameKind::Stop => {
                Features::STREAMS
            }
            FrameKind::Acknowledge => Features::ONE_WAY,
            FrameKind::Slots => Features::REGISTERED_HANDLES,
            FrameKind::RingOffer
            | FrameKind::RingAnswer
            | FrameKind::RingSwitch
            | FrameKind::RingBell => Features::RINGS,
            _ => Features::NONE,
        };
        let of_flag = if self.one_way { Features::ONE_WAY } else { Features::NONE };
        let used = of_kind.or(of_flag).or(self.entries.features());
        match used.without(features) {
            Features::NONE => Ok(()),
            missing => Err(Violation::NotNegotiated(missing)),
        }
    }
}

/// Returns whether frames of this kind tell how many one-way calls have ended.
#[inline]
fn has_ended(kind: FrameKind) -> bool {
    matches!(kind, FrameKind::Reply | FrameKind::Acknowledge)
}

/// A violation of the protocol by the peer, after which the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The frame is shorter than its header declares.
    TooShort,
    /// The frame is longer than the maximum.
    TooLong,
    /// The kind of the frame is unknown.
    UnknownKind(u8),
    /// The frame has unknown flags.
    UnknownFlags(u8),
    /// The length of the body differs from that in the header.
    WrongLength,
    /// The frame releases more ranges than permitted.
    TooManyReleases,
    /// The frame releases a range that was not allocated.
    UnknownRelease,
    /// A frame of this kind is not allowed in this state.
    Unexpected(FrameKind),
    /// The frame has a body, handles or entries that its kind may not have.
    Surplus(FrameKind),
    /// The number of handles differs from that in the header.
    WrongHandles {
        /// Number of handles in the header.
        declared: u16,
        /// Number of received handles.
        received: u16,
    },
    /// The kernel attached a control message of an unknown type, which may contain descriptors.
    UnknownControl,
    /// The frame has more handles than the limit.
    TooManyHandles,
    /// The body has more bytes than the limit.
    TooManyBytes,
    /// The peer starts more calls than the limit.
    TooManyCalls,
    /// A running call already has this ID.
    CallTwice(u32),
    /// No running call has the ID of the reply.
    UnknownReply(u32),
    /// The status is unknown.
    UnknownStatus(u32),
    /// The frame is not a greeting or hello of this protocol.
    NotOurs,
    /// The shared memory does not meet the requirements.
    BadArena,
    /// Both sides have no version of the protocol in common.
    Version {
        /// The versions that the peer supports.
        theirs: Versions,
    },
    /// The peer gives the number of an object back more often than it was sent.
    UnknownObject(u32),
    /// The server reports the end or the failure of more one-way calls than the client has sent.
    TooManyEnded,
    /// A message opens a stream with an ID that is not free.
    StreamTwice(u32),
    /// No open stream has the ID of the frame.
    UnknownStream(u32),
    /// An item exceeds the credit of its stream.
    BeyondCredit(u32),
    /// The credit of a stream exceeds 2³²−1.
    CreditOverflow(u32),
    /// The peer has more open streams than the limit.
    TooManyStreams,
    /// The peer releases a slot that holds no handle of this generation.
    UnknownSlot(SlotId),
    /// The peer answers a request to keep a handle that was not made or was answered before.
    UnknownToken(u16),
    /// A note about a slot is of an unknown type.
    BadSlotNote(u8),
    /// The frame uses a feature that is not in effect on this connection.
    NotNegotiated(Features),
    /// A position or a length in a ring is impossible, or its memory lacks the required size, seals
    /// or pages.
    BadRing,
    /// The peer offers rings more often than permitted.
    TooManyOffers,
    /// The table of entries has an unknown type, differs from the handles of the frame, or has the
    /// number 0 in a reply.
    BadEntries,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("a frame is too short"),
            Self::TooLong => f.write_str("a frame is too long"),
            Self::UnknownKind(kind) => write!(f, "the frame kind {kind} is unknown"),
            Self::UnknownFlags(flags) => write!(f, "the flags {flags:#x} are unknown"),
            Self::WrongLength => f.write_str("the length of a body differs from its header"),
            Self::TooManyReleases => f.write_str("too many ranges are released at once"),
            Self::UnknownRelease => f.write_str("a range is released that was not in use"),
            Self::Unexpected(kind) => write!(f, "unexpected frame: {kind:?}"),
            Self::Surplus(kind) => {
                write!(
                    f,
                    "a frame of the kind {kind:?} has a body, handles or entries that this kind does not have"
                )
            }
            Self::WrongHandles { declared, received } => {
                write!(f, "expected {declared} handles with a frame, got {received}")
            }
            Self::UnknownControl => f.write_str("a frame has a control message of an unknown type"),
            Self::TooManyHandles => f.write_str("a frame has too many handles"),
            Self::TooManyBytes => f.write_str("a message has too many bytes"),
            Self::TooManyCalls => f.write_str("too many calls run at once"),
            Self::CallTwice(id) => write!(f, "call {id} is running already"),
            Self::UnknownReply(id) => write!(f, "no call waits for reply {id}"),
            Self::UnknownStatus(status) => write!(f, "the status {status} is unknown"),
            Self::UnknownObject(number) => {
                write!(
                    f,
                    "the number {number} of an object is given back more often than it was sent"
                )
            }
            Self::TooManyEnded => f.write_str("more one-way calls are acknowledged than were sent"),
            Self::StreamTwice(id) => write!(f, "stream {id} is open already"),
            Self::UnknownStream(id) => {
                write!(f, "a frame belongs to stream {id}, which is not open")
            }
            Self::BeyondCredit(id) => write!(f, "an item exceeds the credit of stream {id}"),
            Self::CreditOverflow(id) => write!(f, "the credit of stream {id} overflows"),
            Self::TooManyStreams => {
                write!(f, "more than {} streams are open", Limits::STREAMS_MAX)
            }
            Self::UnknownSlot(SlotId { slot, generation }) => write!(
                f,
                "the slot {slot} of a registered handle is released, but holds no handle of \
                 generation {generation}"
            ),
            Self::UnknownToken(token) => {
                write!(f, "no request to keep a handle has the token {token}")
            }
            Self::BadSlotNote(kind) => {
                write!(f, "the type {kind} of a note about a registered handle is unknown")
            }
            Self::NotNegotiated(feature) => {
                write!(f, "a frame uses the feature `{feature}`, which was not negotiated")
            }
            Self::BadEntries => f.write_str("the table of entries does not fit the frame"),
            Self::BadRing => f.write_str(
                "the shared memory of the rings lacks the required size, seals or pages, or has an \
                 impossible position",
            ),
            Self::TooManyOffers => f.write_str("rings are offered too often"),
            Self::NotOurs => f.write_str("the peer does not use this protocol"),
            Self::BadArena => {
                f.write_str("the shared memory lacks the required size, seals or access mode")
            }
            Self::Version { theirs } => write!(
                f,
                "the peer supports {theirs} of the protocol, and this side supports {}",
                Versions::OWN
            ),
        }
    }
}

impl std::error::Error for Violation {}

/// Flag that states that the body is in shared memory.
const SHARED: u8 = 1;

/// Flag for [`Header::awaits_bye`].
const AWAITS_BYE: u8 = 2;

/// Flag for [`Header::one_way`].
const ONE_WAY: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entry;

    /// The numbers of all kinds of frames.
    const KINDS: std::ops::RangeInclusive<u8> = 1..=23;

    /// The kinds that always have one handle.
    const HANDLE: [FrameKind; 2] = [FrameKind::Attach, FrameKind::RingOffer];

    fn example() -> Header {
        Header {
            kind: FrameKind::Call,
            handles: 2,
            call: 7,
            code: 1,
            timeout_ms: 30_000,
            body: Body::Inline { len: 3 },
            releases: Releases::take_from(&mut vec![64, 128]),
            entries: Entries::default(),
            object: 9,
            one_way: true,
            ended: 0,
            awaits_bye: false,
        }
    }

    fn bytes(header: &Header) -> Vec<u8> {
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        [&head[..len], header.entries.as_bytes()].concat()
    }

    #[test]
    fn a_header_round_trips() {
        let mut frame = bytes(&example());
        frame.extend(b"abc");
        assert_eq!(Header::read(&frame), Ok((example(), &b"abc"[..])));
        let entries = [Entry::Handle, Entry::Object(5), Entry::Handle].into_iter().collect();
        let with_table = Header { entries, ..example() };
        let frame = [bytes(&with_table), b"abc".to_vec()].concat();
        assert_eq!(Header::read(&frame), Ok((with_table, &b"abc"[..])));
        let shared = Header { body: Body::Shared { offset: 64, len: 99_999 }, ..example() };
        assert_eq!(Header::read(&bytes(&shared)), Ok((shared.clone(), &b""[..])));
        let (kind, timeout_ms) = (FrameKind::Reply, 0);
        let (object, one_way, ended) = (0, false, 3);
        let awaits_bye = true;
        let reply = Header { kind, timeout_ms, awaits_bye, object, one_way, ended, ..shared };
        assert_eq!(Header::read(&bytes(&reply)), Ok((reply, &b""[..])));
    }

    #[test]
    fn every_truncation_is_a_violation() {
        let mut frame = bytes(&example());
        frame.extend(b"abc");
        for len in 0..frame.len() {
            assert!(Header::read(&frame[..len]).is_err(), "{len}");
        }
        frame.push(0);
        assert_eq!(Header::read(&frame), Err(Violation::WrongLength));
    }

    #[test]
    fn unknown_kinds_and_flags_are_violations() {
        let mut frame = bytes(&Header::new(FrameKind::Bye));
        for flags in [AWAITS_BYE, ONE_WAY, 8, 0x80, 0xfc] {
            frame[25] = flags;
            assert_eq!(Header::read(&frame), Err(Violation::UnknownFlags(flags)));
        }
        frame[0] = 0;
        assert_eq!(Header::read(&frame), Err(Violation::UnknownKind(0)));
    }

    #[test]
    fn reserved_fields_are_ignored() {
        let inline = Header::new(FrameKind::Bye);
        let mut frame = bytes(&inline);
        frame[1] = 0xff; // the core, and two reserved bits
        frame[20..24].fill(0xff); // the offset of a body in the frame
        assert_eq!(Header::read(&frame), Ok((inline, &b""[..])));
        for kind in KINDS.filter_map(FrameKind::from_byte) {
            let handles = u16::from(HANDLE.contains(&kind));
            let header = Header { handles, call: 1, code: 2, timeout_ms: 3, ..Header::new(kind) };
            let header = match has_ended(kind) {
                true => Header { ended: 4, ..header },
                false => Header { object: 4, ..header },
            };
            assert_eq!(Header::read(&bytes(&header)), Ok((header, &b""[..])), "{kind:?}");
        }
    }

    #[test]
    fn an_object_number_is_a_violation_unless_it_was_negotiated() {
        let entries = |kind| [kind].into_iter().collect();
        let call = Header::new(FrameKind::Call);
        let (object, table) = (Entry::Object(1), entries(Entry::Handle));
        for (header, uses_objects) in [
            (Header { object: 1, ..call.clone() }, true),
            (Header { entries: entries(object), ..call.clone() }, true),
            (Header { entries: entries(object), ..Header::new(FrameKind::Reply) }, true),
            (Header { entries: table, ..call.clone() }, false),
            (Header::new(FrameKind::ReleaseObjects), true),
            (call, false),
        ] {
            let violation = Err(Violation::NotNegotiated(Features::OBJECTS));
            let expected = if uses_objects { violation } else { Ok(()) };
            assert_eq!(header.check_features(Features::NONE), expected, "{header:?}");
            assert_eq!(header.check_features(Features::from_bits(!1)), expected, "{header:?}");
            assert_eq!(header.check_features(Features::OBJECTS), Ok(()), "{header:?}");
        }
    }

    #[test]
    fn one_way_calls_are_a_violation_unless_they_were_negotiated() {
        let one_way = Header { one_way: true, ..Header::new(FrameKind::Call) };
        let ended = Header { ended: 1, ..Header::new(FrameKind::Reply) };
        for (header, is_violation) in [
            (one_way, true),
            (Header::new(FrameKind::Acknowledge), true),
            (Header::new(FrameKind::Call), false),
            (ended, false),
        ] {
            let violation = Err(Violation::NotNegotiated(Features::ONE_WAY));
            let expected = if is_violation { violation } else { Ok(()) };
            assert_eq!(header.check_features(Features::NONE), expected, "{header:?}");
            assert_eq!(header.check_features(Features::OBJECTS), expected, "{header:?}");
            assert_eq!(header.check_features(Features::ONE_WAY), Ok(()), "{header:?}");
        }
    }

    #[test]
    fn a_frame_about_rings_is_a_violation_unless_they_were_negotiated() {
        for kind in (20..=23).filter_map(FrameKind::from_byte) {
            let header = Header::new(kind);
            let violation = Err(Violation::NotNegotiated(Features::RINGS));
            assert_eq!(header.check_features(Features::OWN), violation, "{kind:?}");
            assert_eq!(header.check_features(Features::RINGS), Ok(()), "{kind:?}");
        }
    }

    #[test]
    fn only_a_reply_and_an_acknowledgement_ask_for_a_bye() {
        for kind in KINDS.filter_map(FrameKind::from_byte) {
            let handles = u16::from(HANDLE.contains(&kind));
            let header = Header { handles, awaits_bye: true, ..Header::new(kind) };
            let expected =
                if has_ended(kind) { Ok(()) } else { Err(Violation::UnknownFlags(AWAITS_BYE)) };
            assert_eq!(Header::read(&bytes(&header)).map(drop), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_body_or_handles_that_a_frame_kind_lacks_are_a_violation() {
        let kinds = KINDS.filter_map(FrameKind::from_byte);
        for kind in kinds {
            let empty = Header { handles: u16::from(HANDLE.contains(&kind)), ..Header::new(kind) };
            let read = |header: &Header, body: &[u8]| {
                let frame = [bytes(header), body.to_vec()].concat();
                Header::read(&frame).map(drop)
            };
            assert_eq!(read(&empty, &[]), Ok(()), "{kind:?}");
            let is = |kinds: &[FrameKind]| kinds.contains(&kind);
            let (call, reply) = (FrameKind::Call, FrameKind::Reply);
            let with_body = [
                FrameKind::Greeting,
                FrameKind::Hello,
                FrameKind::Refused,
                FrameKind::ReleaseObjects,
                FrameKind::Acknowledge,
                FrameKind::Item,
                FrameKind::Credit,
                FrameKind::End,
                FrameKind::Stop,
                FrameKind::Slots,
            ];
            let body = Body::Inline { len: 1 };
            let shared = Body::Shared { offset: 0, len: 1 };
            let objects: Entries =
                (0..empty.handles).map(|_| Entry::Handle).chain([Entry::Object(1)]).collect();
            for (what, has, header, body) in [
                (
                    "a handle more",
                    is(&[call, reply, FrameKind::Arena, FrameKind::Item]),
                    Header { handles: empty.handles + 1, ..empty.clone() },
                    &[][..],
                ),
                (
                    "an object",
                    is(&[call, reply]),
                    Header { entries: objects.clone(), ..empty.clone() },
                    &[],
                ),
                (
                    "two handles more",
                    is(&[call, reply, FrameKind::Item]),
                    Header { handles: empty.handles + 2, ..empty.clone() },
                    &[],
                ),
                (
                    "a body",
                    is(&[call, reply]) || is(&with_body),
                    Header { body, ..empty.clone() },
                    &[0],
                ),
                (
                    "a shared body",
                    is(&[call, reply]),
                    Header { body: shared, ..empty.clone() },
                    &[],
                ),
            ] {
                let expected = if has { Ok(()) } else { Err(Violation::Surplus(kind)) };
                assert_eq!(read(&header, body), expected, "{what} in a {kind:?}");
            }
        }
    }

    #[test]
    fn a_body_in_a_frame_has_no_more_bytes_than_the_limit() {
        for (more, expected) in [(0, Ok(())), (1, Err(Violation::TooManyBytes))] {
            let len = Limits::INLINE_BYTES_MAX + more;
            let body = Body::Inline { len: len as u32 };
            let header = Header { body, ..Header::new(FrameKind::Call) };
            let frame = [bytes(&header), vec![0; len]].concat();
            assert_eq!(Header::read(&frame).map(drop), expected, "{len}");
        }
    }

    #[test]
    fn no_more_releases_than_fit_are_taken() {
        let mut due: Vec<u32> = (0..40).collect();
        assert_eq!(Releases::take_from(&mut due).as_slice().len(), Limits::RELEASES_MAX);
        assert_eq!(due.len(), 40 - Limits::RELEASES_MAX);
        let header = Header { releases: Releases::take_from(&mut due), ..example() };
        let mut frame = bytes(&header);
        frame[24] = 17;
        assert_eq!(Header::read(&frame), Err(Violation::TooManyReleases));
    }
}
