//! The handshake, which consists of the server's greeting and the client's hello.

use syshandle_types::{Guid, Limits};

use crate::{Features, Versions, Violation};

/// The server's first frame. The client sends no call before it has received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The versions of the protocol that the server supports.
    pub versions: Versions,
    /// The features that the server implements.
    pub features: Features,
    /// The server's limits for this client.
    pub limits: Limits,
    /// The interfaces that the server offers. A client compares them with what it needs, so it
    /// detects a wrong class or interface itself.
    pub offers: Vec<Offer>,
}

/// An interface that a class of the server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// CLSID of the class. [`Guid::NIL`] if the connection is to an existing object.
    pub clsid: Guid,
    /// IID of the interface.
    pub iid: Guid,
    /// Hash of the server's description of the interface; 0 if unknown.
    pub description: u64,
}

/// The client's first frame. It requests an object of a class, and selects the interface of the
/// calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The versions of the protocol that the client supports.
    pub versions: Versions,
    /// The features that the client implements.
    pub features: Features,
    /// CLSID of the class. [`Guid::NIL`] if the connection is to an existing object.
    pub clsid: Guid,
    /// IID of the interface of the object.
    pub iid: Guid,
    /// Hash of the client's description of the interface; 0 if unknown.
    pub description: u64,
}

impl Offer {
    /// Creates an offer without the hash of a description.
    pub fn new(clsid: Guid, iid: Guid) -> Self {
        Self { clsid, iid, description: 0 }
    }
}

impl Greeting {
    /// Creates a greeting with the versions and features of this crate.
    pub fn new(limits: Limits, offers: Vec<Offer>) -> Self {
        Self { versions: Versions::OWN, features: Features::OWN, limits, offers }
    }

    /// Encodes the body of the frame.
    pub fn write(&self) -> Vec<u8> {
        let offers = &self.offers[..self.offers.len().min(Limits::OFFERS_MAX)];
        let mut out = Vec::with_capacity(GREETING_LEN + OFFER_LEN * offers.len());
        put_start(self.versions, [GREETING_LEN, OFFER_LEN], self.features, &mut out);
        let Limits { calls_max, handles_max, message_bytes_max } = self.limits;
        for half in [calls_max, handles_max, offers.len() as u16, 0] {
            out.extend(half.to_le_bytes());
        }
        out.extend(message_bytes_max.to_le_bytes());
        for Offer { clsid, iid, description } in offers {
            out.extend(clsid.to_bytes());
            out.extend(iid.to_bytes());
            out.extend(description.to_le_bytes());
        }
        out
    }

    /// Parses the body of the frame.
    ///
    /// # Errors
    /// [`Violation::NotOurs`] or [`Violation::Version`].
    pub fn read(body: &[u8]) -> Result<Self, Violation> {
        let (start, head, rest) = read_start::<{ GREETING_LEN - START_LEN }>(body)?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let limits = Limits {
            calls_max: half(0),
            handles_max: half(2).min(Limits::HANDLES_MAX),
            message_bytes_max: u32::from_le_bytes([head[8], head[9], head[10], head[11]])
                .min(Limits::ARENA_BYTES as u32),
        };
        let offers = usize::from(half(4));
        if offers > Limits::OFFERS_MAX
            || start.item_len < OFFER_LEN
            || rest.len() != offers * start.item_len
            || limits.calls_max == 0
        {
            return Err(Violation::NotOurs);
        }
        let offers = rest.chunks_exact(start.item_len).filter_map(|bytes| {
            let (clsid, iid, description) = read_interface(bytes.first_chunk()?);
            Some(Offer { clsid, iid, description })
        });
        let Start { versions, features, .. } = start;
        Ok(Self { versions, features, limits, offers: offers.collect() })
    }
}

impl Hello {
    /// Creates a hello with the versions and features of this crate, and without the hash of a
    /// description.
    pub fn new(clsid: Guid, iid: Guid) -> Self {
        let (versions, features) = (Versions::OWN, Features::OWN);
        Self { versions, features, clsid, iid, description: 0 }
    }

    /// Encodes the body of the frame.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HELLO_LEN);
        put_start(self.versions, [HELLO_LEN, 0], self.features, &mut out);
        out.extend(self.clsid.to_bytes());
        out.extend(self.iid.to_bytes());
        out.extend(self.description.to_le_bytes());
        out
    }

    /// Parses the body of the frame.
    ///
    /// # Errors
    /// [`Violation::NotOurs`] or [`Violation::Version`].
    pub fn read(body: &[u8]) -> Result<Self, Violation> {
        let (start, head, rest) = read_start::<OFFER_LEN>(body)?;
        if !rest.is_empty() {
            return Err(Violation::NotOurs);
        }
        let (clsid, iid, description) = read_interface(head);
        let Start { versions, features, .. } = start;
        Ok(Self { versions, features, clsid, iid, description })
    }
}

/// The start of a greeting and of a hello.
struct Start {
    versions: Versions,
    features: Features,
    /// Length of each item after the head, in bytes.
    item_len: usize,
}

/// Size of the start, in bytes.
const START_LEN: usize = 24;

/// Size of a greeting's head, in bytes: the start, four numbers of two bytes and one of four.
const GREETING_LEN: usize = START_LEN + 12;

/// Size of an offer, in bytes: two GUIDs and a hash.
const OFFER_LEN: usize = 40;

/// Size of a hello, in bytes: the start, and the content of an offer.
const HELLO_LEN: usize = START_LEN + OFFER_LEN;

fn put_start(versions: Versions, lengths: [usize; 2], features: Features, out: &mut Vec<u8>) {
    out.extend(MAGIC);
    let [head_len, item_len] = lengths.map(|len| len as u16);
    for half in [versions.highest, versions.lowest, head_len, item_len] {
        out.extend(half.to_le_bytes());
    }
    out.extend(features.bits().to_le_bytes());
}

/// Reads the start of a greeting or hello, and checks the magic number and the versions. Returns
/// the start, the fields of the head that this version knows, and the bytes after the head. A head
/// may be longer, because a later version may append fields.
fn read_start<const N: usize>(body: &[u8]) -> Result<(Start, &[u8; N], &[u8]), Violation> {
    let rest = body.strip_prefix(&MAGIC).ok_or(Violation::NotOurs)?;
    let (halves, rest) = rest.split_first_chunk::<8>().ok_or(Violation::NotOurs)?;
    let half = |at: usize| u16::from_le_bytes([halves[at], halves[at + 1]]);
    let versions = Versions { highest: half(0), lowest: half(2) };
    if versions.common(Versions::OWN).is_none() {
        return Err(Violation::Version { theirs: versions });
    }
    let (features, _) = rest.split_first_chunk().ok_or(Violation::NotOurs)?;
    let features = Features::from_bits(u64::from_le_bytes(*features));
    let (head, rest) = body.split_at_checked(half(4).into()).ok_or(Violation::NotOurs)?;
    let head = head.get(START_LEN..).and_then(<[u8]>::first_chunk).ok_or(Violation::NotOurs)?;
    Ok((Start { versions, features, item_len: half(6).into() }, head, rest))
}

/// Reads CLSID, IID and the hash of a description.
fn read_interface(bytes: &[u8; OFFER_LEN]) -> (Guid, Guid, u64) {
    let (mut guids, mut description) = ([[0; 16]; 2], [0; 8]);
    guids.as_flattened_mut().copy_from_slice(&bytes[..32]);
    description.copy_from_slice(&bytes[32..]);
    let [clsid, iid] = guids.map(Guid::from_bytes);
    (clsid, iid, u64::from_le_bytes(description))
}

const MAGIC: [u8; 8] = *b"syshandl";

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        let guid = |byte| Guid::from_bytes([byte; 16]);
        let offers = vec![
            Offer { clsid: guid(1), iid: guid(2), description: 7 },
            Offer::new(guid(1), guid(3)),
        ];
        let features = Features::from_bits(1 << 63 | 5);
        Greeting { features, ..Greeting::new(Limits::default(), offers) }
    }

    fn hello() -> Hello {
        Hello { description: 8, ..Hello::new(Guid::NIL, Guid::from_bytes([9; 16])) }
    }

    #[test]
    fn greeting_and_hello_round_trip() {
        assert_eq!(Greeting::read(&greeting().write()), Ok(greeting()));
        assert_eq!(Hello::read(&hello().write()), Ok(hello()));
    }

    #[test]
    fn every_truncation_is_not_ours() {
        let bytes = greeting().write();
        for len in 0..bytes.len() {
            assert_eq!(Greeting::read(&bytes[..len]), Err(Violation::NotOurs), "{len}");
        }
        let bytes = hello().write();
        for len in 0..bytes.len() {
            assert_eq!(Hello::read(&bytes[..len]), Err(Violation::NotOurs), "{len}");
        }
    }

    #[test]
    fn more_offers_than_the_limit_are_not_ours() {
        let offer = greeting().offers[0];
        let full = Greeting { offers: vec![offer; Limits::OFFERS_MAX], ..greeting() };
        let mut bytes = full.write();
        assert_eq!(Greeting::read(&bytes), Ok(full));
        bytes.extend([0; OFFER_LEN]);
        bytes[28..30].copy_from_slice(&(Limits::OFFERS_MAX as u16 + 1).to_le_bytes());
        assert_eq!(Greeting::read(&bytes), Err(Violation::NotOurs));
    }

    #[test]
    fn a_greeting_without_calls_is_not_ours_and_one_without_handles_or_bytes_is() {
        let limited = |calls_max, handles_max, message_bytes_max| {
            let limits = Limits { calls_max, handles_max, message_bytes_max };
            let greeting = Greeting { limits, ..greeting() };
            (Greeting::read(&greeting.write()), greeting)
        };
        assert_eq!(limited(0, 253, 1024).0, Err(Violation::NotOurs));
        let (read, greeting) = limited(1, 0, 0);
        assert_eq!(read, Ok(greeting));
    }

    #[test]
    fn a_longer_head_and_longer_offers_are_read_as_far_as_they_are_known() {
        let short = greeting().write();
        let (head, offers) = short.split_at(GREETING_LEN);
        let mut long = [head, &[0xff; 5]].concat();
        for offer in offers.chunks_exact(OFFER_LEN) {
            long.extend([offer, &[0xff; 3]].concat());
        }
        long[12] += 5;
        assert_eq!(Greeting::read(&long), Err(Violation::NotOurs), "the offers have 43 bytes");
        long[14] += 3;
        assert_eq!(Greeting::read(&long), Ok(greeting()));
        long[14] = OFFER_LEN as u8 - 1;
        assert_eq!(Greeting::read(&long), Err(Violation::NotOurs), "an offer lacks a byte");

        let mut long = [&hello().write()[..], &[0xff; 9]].concat();
        assert_eq!(Hello::read(&long), Err(Violation::NotOurs), "nothing follows the head");
        long[12] += 9;
        assert_eq!(Hello::read(&long), Ok(hello()));
        long[12] = HELLO_LEN as u8 - 1;
        assert_eq!(Hello::read(&long), Err(Violation::NotOurs), "the head lacks a byte");
    }

    #[test]
    fn a_peer_without_a_common_version_says_its_range() {
        let mut bytes = greeting().write();
        bytes[8..12].copy_from_slice(&[9, 0, 3, 0]);
        let theirs = Versions { highest: 9, lowest: 3 };
        let violation = Greeting::read(&bytes).unwrap_err();
        assert_eq!(violation, Violation::Version { theirs });
        let text =
            "the peer supports versions 3 to 9 of the protocol, and this side supports version 2";
        assert_eq!(violation.to_string(), text);
        bytes[10] = 1;
        let versions = Versions { highest: 9, lowest: 1 };
        assert_eq!(Greeting::read(&bytes), Ok(Greeting { versions, ..greeting() }));
        let mut bytes = hello().write();
        bytes[8..12].copy_from_slice(&[1, 0, 1, 0]);
        let theirs = Versions { highest: 1, lowest: 1 };
        assert_eq!(Hello::read(&bytes), Err(Violation::Version { theirs }));
    }
}
