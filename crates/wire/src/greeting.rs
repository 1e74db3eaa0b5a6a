//! The handshake, which consists of the server's greeting and the client's hello.

use syshandle_types::{Guid, Limits};

use crate::Violation;

/// The server's first frame. The client sends nothing before it has received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
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
}

/// The client's first frame. It requests an object of a class, and selects the interface of the
/// calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// CLSID of the class. [`Guid::NIL`] if the connection is to an existing object.
    pub clsid: Guid,
    /// IID of the interface to which all calls belong.
    pub iid: Guid,
}

impl Greeting {
    /// The version of the protocol.
    pub const VERSION: u16 = 1;

    /// Encodes the body of the frame.
    pub fn write(&self) -> Vec<u8> {
        let offers = &self.offers[..self.offers.len().min(Limits::OFFERS_MAX)];
        let mut out = Vec::with_capacity(HEAD_LEN + OFFER_LEN * offers.len());
        out.extend(MAGIC);
        for half in
            [Self::VERSION, self.limits.calls_max, self.limits.handles_max, offers.len() as u16]
        {
            out.extend(half.to_le_bytes());
        }
        out.extend(self.limits.message_bytes_max.to_le_bytes());
        for offer in offers {
            out.extend(offer.clsid.to_bytes());
            out.extend(offer.iid.to_bytes());
        }
        out
    }

    /// Parses the body of the frame.
    ///
    /// # Errors
    /// [`Violation::NotOurs`] or [`Violation::Version`].
    pub fn read(body: &[u8]) -> Result<Self, Violation> {
        let rest = version_checked(body)?;
        let (head, rest) = rest.split_first_chunk::<10>().ok_or(Violation::NotOurs)?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let limits = Limits {
            calls_max: half(0),
            handles_max: half(2).min(Limits::HANDLES_MAX),
            message_bytes_max: u32::from_le_bytes([head[6], head[7], head[8], head[9]])
                .min(Limits::ARENA_BYTES as u32),
        };
        let offers = usize::from(half(4));
        if offers > Limits::OFFERS_MAX || rest.len() != offers * OFFER_LEN || limits.calls_max == 0
        {
            return Err(Violation::NotOurs);
        }
        let offers = rest.chunks_exact(OFFER_LEN).filter_map(<[u8]>::first_chunk).map(|bytes| {
            let (clsid, iid) = two_guids(bytes);
            Offer { clsid, iid }
        });
        Ok(Self { limits, offers: offers.collect() })
    }
}

impl Hello {
    /// Encodes the body of the frame.
    pub fn write(&self) -> [u8; HELLO_LEN] {
        let mut out = [0; HELLO_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&Greeting::VERSION.to_le_bytes());
        out[10..26].copy_from_slice(&self.clsid.to_bytes());
        out[26..].copy_from_slice(&self.iid.to_bytes());
        out
    }

    /// Parses the body of the frame.
    ///
    /// # Errors
    /// [`Violation::NotOurs`] or [`Violation::Version`].
    pub fn read(body: &[u8]) -> Result<Self, Violation> {
        let guids = version_checked(body)?.try_into().map_err(|_| Violation::NotOurs)?;
        let (clsid, iid) = two_guids(guids);
        Ok(Self { clsid, iid })
    }
}

/// Size of a greeting's body without offers, in bytes.
const HEAD_LEN: usize = 22;

/// Size of an offer, in bytes: two GUIDs.
const OFFER_LEN: usize = 32;

/// Checks the magic number and the version at the start of a greeting or hello. Returns the rest of
/// the body.
fn version_checked(body: &[u8]) -> Result<&[u8], Violation> {
    let rest = body.strip_prefix(&MAGIC).ok_or(Violation::NotOurs)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Violation::NotOurs)?;
    match u16::from_le_bytes(*version) {
        Greeting::VERSION => Ok(rest),
        theirs => Err(Violation::Version { theirs }),
    }
}

fn two_guids(bytes: &[u8; OFFER_LEN]) -> (Guid, Guid) {
    let mut guids = [[0; 16]; 2];
    guids.as_flattened_mut().copy_from_slice(bytes);
    (Guid::from_bytes(guids[0]), Guid::from_bytes(guids[1]))
}

const MAGIC: [u8; 8] = *b"syshandl";
const HELLO_LEN: usize = 42;

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        let guid = |byte| Guid::from_bytes([byte; 16]);
        let offers =
            vec![Offer { clsid: guid(1), iid: guid(2) }, Offer { clsid: guid(1), iid: guid(3) }];
        Greeting { limits: Limits::default(), offers }
    }

    #[test]
    fn greeting_and_hello_round_trip() {
        assert_eq!(Greeting::read(&greeting().write()), Ok(greeting()));
        let hello = Hello { clsid: Guid::NIL, iid: Guid::from_bytes([9; 16]) };
        assert_eq!(Hello::read(&hello.write()), Ok(hello));
    }

    #[test]
    fn every_truncation_is_not_ours() {
        let bytes = greeting().write();
        for len in 0..bytes.len() {
            assert_eq!(Greeting::read(&bytes[..len]), Err(Violation::NotOurs), "{len}");
        }
        let bytes = Hello { clsid: Guid::NIL, iid: Guid::NIL }.write();
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
        bytes.extend([0; 32]);
        bytes[14..16].copy_from_slice(&(Limits::OFFERS_MAX as u16 + 1).to_le_bytes());
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
    fn another_version_says_which() {
        let mut bytes = greeting().write();
        bytes[8] = 9;
        assert_eq!(Greeting::read(&bytes), Err(Violation::Version { theirs: 9 }));
    }
}
