//! Rings: frames through shared memory. The layout of the memory, and the frames by which the two
//! sides begin to use it.
//!
//! Each direction of a connection has a *transport*: the socket, or the ring that its sender
//! writes. The sender changes it with a `Switch` frame, the last one in the transport that it
//! leaves. So the order of frames needs no numbers, and a sender can use the socket for any frame,
//! for example for one with handles or while the ring is full.

use crate::{FrameKind, Header, Violation};

/// Offsets of the words in a half of the memory, and of its records. The writer of the half stores
/// them, and the other side only loads them. Each word has a cache line.
#[derive(Debug)]
pub struct RingLayout;

impl RingLayout {
    /// The number of bytes that the side has written to its ring since the start.
    pub const WRITTEN: usize = 0;

    /// The number of bytes that the side has read from the peer's ring since the start.
    pub const READ: usize = 64;

    /// How the side waits for frames: bits 0 and 1 are 0 while a thread is going to look, 1 while
    /// one sleeps in the futex of the peer's bell, 2 while the side waits for the socket. The other
    /// bits change with each change.
    pub const WAITING: usize = 128;

    /// The futex on which the peer sleeps: its lower half changes when the side wakes the peer.
    pub const BELL: usize = 192;

    /// The start of the records.
    pub const DATA: usize = 256;

    /// Length of a record without its frame: the length of the frame. Records are aligned to it.
    pub const RECORD_HEAD: usize = 8;

    /// Limit of the length of a half. It bounds the memory of a peer that a server maps.
    pub const HALF_MAX: usize = 1024 * 1024;

    /// Returns the number of bytes of a half that hold records.
    #[must_use]
    pub const fn capacity(half_len: usize) -> usize {
        half_len.saturating_sub(Self::DATA)
    }

    /// Returns the length of the record of a frame.
    #[inline]
    #[must_use]
    pub const fn record_len(frame_len: usize) -> usize {
        Self::RECORD_HEAD + frame_len.next_multiple_of(Self::RECORD_HEAD)
    }
}

/// The way by which frames of one direction travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// The socket.
    Socket,
    /// The ring that the sender writes.
    Ring,
}

/// The side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RingSide {
    /// The side that makes the memory and offers it.
    Client,
    /// The side that accepts or declines.
    Server,
}

/// One side's view of the rings of a connection: the frames that it may receive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RingEnd {
    side: RingSide,
    phase: Phase,
    incoming: Transport,
    /// The number of offers that were made.
    offers: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// There is no memory.
    Closed,
    /// The client has offered memory, and there is no answer.
    Offered,
    /// The server has accepted it. The client may switch.
    Accepted,
    /// The client has switched at least once. Both sides may switch.
    Open,
}

/// The effect of a frame about rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingEvent {
    /// The client offers the memory that is the handle of the frame. The driver calls
    /// [`RingEnd::answer`].
    Offer,
    /// The server has mapped the memory. The driver seals it, and may switch.
    Accepted,
    /// The server declines. The memory is not needed any more.
    Declined,
    /// The client has switched for the first time. The driver verifies the memory before it reads,
    /// and may switch.
    Opened,
    /// The peer has switched: its next frame is in this transport.
    Switched(Transport),
    /// The peer has woken this side.
    Bell,
}

impl RingEnd {
    /// Starts without memory.
    #[must_use]
    pub fn new(side: RingSide) -> Self {
        Self { side, phase: Phase::Closed, incoming: Transport::Socket, offers: 0 }
    }

    /// Returns the transport of the peer's next frame.
    #[inline]
    #[must_use]
    pub fn incoming(&self) -> Transport {
        self.incoming
    }

    /// Returns the frame by which the client offers memory, whose handle is sent with it. Returns
    /// `None` if the client may not offer now.
    pub fn offer(&mut self) -> Option<Header> {
        let may = self.side == RingSide::Client && self.phase == Phase::Closed;
        if !may || self.offers == OFFERS_MAX {
            return None;
        }
        self.offers += 1;
        self.phase = Phase::Offered;
        Some(Header { handles: 1, ..Header::new(FrameKind::RingOffer) })
    }

    /// Undoes [`RingEnd::offer`] for a frame that could not be sent.
    pub fn unoffered(&mut self) {
        self.phase = Phase::Closed;
    }

    /// Returns the frame by which the server accepts or declines an offer.
    pub fn answer(&mut self, accepts: bool) -> Header {
        self.phase = if accepts { Phase::Accepted } else { Phase::Closed };
        Header { code: accepts.into(), ..Header::new(FrameKind::RingAnswer) }
    }

    /// Returns the frame by which a side switches.
    #[must_use]
    pub fn switch() -> Header {
        Header::new(FrameKind::RingSwitch)
    }

    /// Returns the frame that wakes a peer which waits for the socket.
    #[must_use]
    pub fn bell() -> Header {
        Header::new(FrameKind::RingBell)
    }

    /// Returns whether a frame is for [`RingEnd::receive`].
    #[inline]
    #[must_use]
    pub fn is_about_rings(frame: &[u8]) -> bool {
        frame.first().is_some_and(|kind| FIRST <= *kind && *kind <= LAST)
    }

    /// Processes a received frame about rings, which came through `via` with this number of
    /// handles. `truncated` says whether the kernel dropped handles.
    ///
    /// # Errors
    /// Returns a [`Violation`] if the frame breaks the protocol. The connection must then be
    /// closed.
    pub fn receive(
        &mut self,
        frame: &[u8],
        via: Transport,
        (handles, truncated): (usize, bool),
    ) -> Result<RingEvent, Violation> {
        let (header, _) = Header::read(frame)?;
        crate::client_end::check_handles(&header, handles, truncated)?;
        // Frames about rings release no ranges, so that only the ends keep track of them.
        if !header.releases.as_slice().is_empty() {
            return Err(Violation::UnknownRelease);
        }
        let unexpected = Err(Violation::Unexpected(header.kind));
        match (header.kind, self.side, self.phase) {
            // A bell may have been sent before the peer's last switch.
            (FrameKind::RingBell, _, Phase::Accepted | Phase::Open) => match via {
                Transport::Socket => Ok(RingEvent::Bell),
                Transport::Ring => unexpected,
            },
            _ if via != self.incoming => unexpected,
            (FrameKind::RingOffer, RingSide::Server, Phase::Closed) => {
                if self.offers == OFFERS_MAX {
                    return Err(Violation::TooManyOffers);
                }
                self.offers += 1;
                self.phase = Phase::Offered;
                Ok(RingEvent::Offer)
            }
            (FrameKind::RingAnswer, RingSide::Client, Phase::Offered) => match header.code {
                DECLINED => {
                    self.phase = Phase::Closed;
                    Ok(RingEvent::Declined)
                }
                ACCEPTED => {
                    self.phase = Phase::Accepted;
                    Ok(RingEvent::Accepted)
                }
                code => Err(Violation::UnknownStatus(code)),
            },
            (FrameKind::RingSwitch, RingSide::Server, Phase::Accepted) => {
                self.phase = Phase::Open;
                self.incoming = Transport::Ring;
                Ok(RingEvent::Opened)
            }
            (FrameKind::RingSwitch, RingSide::Server, Phase::Open)
            | (FrameKind::RingSwitch, RingSide::Client, Phase::Accepted | Phase::Open) => {
                self.phase = Phase::Open;
                self.incoming = match self.incoming {
                    Transport::Socket => Transport::Ring,
                    Transport::Ring => Transport::Socket,
                };
                Ok(RingEvent::Switched(self.incoming))
            }
            _ => unexpected,
        }
    }
}

/// Limit of offers on a connection. Each one costs the server some system calls.
const OFFERS_MAX: u8 = 4;

/// The codes of an answer.
const DECLINED: u32 = 0;
const ACCEPTED: u32 = 1;

/// The range of the kinds of frames about rings.
const FIRST: u8 = FrameKind::RingOffer as u8;
const LAST: u8 = FrameKind::RingBell as u8;

#[cfg(test)]
mod tests {
    use FrameKind::{RingAnswer, RingBell, RingOffer, RingSwitch};
    use RingSide::{Client, Server};
    use Transport::{Ring, Socket};

    use super::*;

    fn bytes(header: &Header) -> Vec<u8> {
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        head[..len].to_vec()
    }

    fn receive(end: &mut RingEnd, header: &Header, via: Transport) -> Result<RingEvent, Violation> {
        let frame = bytes(header);
        assert!(RingEnd::is_about_rings(&frame));
        end.receive(&frame, via, (header.handles.into(), false))
    }

    /// Opens rings, up to the client's first switch.
    fn open() -> (RingEnd, RingEnd) {
        let (mut client, mut server) = (RingEnd::new(Client), RingEnd::new(Server));
        let offer = client.offer().unwrap();
        assert_eq!(receive(&mut server, &offer, Socket), Ok(RingEvent::Offer));
        let answer = server.answer(true);
        assert_eq!(receive(&mut client, &answer, Socket), Ok(RingEvent::Accepted));
        assert_eq!(receive(&mut server, &RingEnd::switch(), Socket), Ok(RingEvent::Opened));
        (client, server)
    }

    #[test]
    fn each_direction_has_its_own_transport() {
        let (mut client, mut server) = open();
        assert_eq!((server.incoming(), client.incoming()), (Ring, Socket));
        let switched = |end: &mut RingEnd, via| receive(end, &RingEnd::switch(), via);
        for _ in 0..2 {
            assert_eq!(switched(&mut client, Socket), Ok(RingEvent::Switched(Ring)));
            assert_eq!(switched(&mut client, Ring), Ok(RingEvent::Switched(Socket)));
        }
        assert_eq!(switched(&mut server, Ring), Ok(RingEvent::Switched(Socket)));
        assert_eq!((server.incoming(), client.incoming()), (Socket, Socket));
    }

    #[test]
    fn a_declined_client_may_offer_again_a_few_times() {
        let (mut client, mut server) = (RingEnd::new(Client), RingEnd::new(Server));
        for _ in 0..OFFERS_MAX {
            let offer = client.offer().unwrap();
            assert_eq!(client.offer(), None, "one offer at a time");
            assert_eq!(receive(&mut server, &offer, Socket), Ok(RingEvent::Offer));
            let answer = server.answer(false);
            assert_eq!(receive(&mut client, &answer, Socket), Ok(RingEvent::Declined));
        }
        assert_eq!(client.offer(), None);
        let offer = Header { handles: 1, ..Header::new(RingOffer) };
        assert_eq!(receive(&mut server, &offer, Socket), Err(Violation::TooManyOffers));
    }

    #[test]
    fn a_frame_about_rings_at_another_point_is_a_violation() {
        let all = [
            Header { handles: 1, ..Header::new(RingOffer) },
            Header { code: 1, ..Header::new(RingAnswer) },
            RingEnd::switch(),
            RingEnd::bell(),
        ];
        let states = |side| {
            let closed = RingEnd::new(side);
            let (client, server) = open();
            let offered = RingEnd { phase: Phase::Offered, ..closed.clone() };
            let accepted = RingEnd { phase: Phase::Accepted, ..closed.clone() };
            [closed, offered, accepted, if side == Client { client } else { server }]
        };
        let (mut allowed, mut count) = (Vec::new(), 0);
        for side in [Client, Server] {
            for (state, start) in states(side).into_iter().enumerate() {
                for (header, via) in
                    all.iter().flat_map(|header| [(header, Socket), (header, Ring)])
                {
                    count += 1;
                    let mut end = start.clone();
                    match receive(&mut end, header, via) {
                        Ok(_) => allowed.push((side, state, header.kind, via)),
                        Err(error) => {
                            assert_eq!(error, Violation::Unexpected(header.kind));
                            assert_eq!(end, start, "a violation changes nothing");
                        }
                    }
                }
            }
        }
        assert_eq!(count, 64);
        let expected = [
            (Client, 1, RingAnswer, Socket),
            (Client, 2, RingSwitch, Socket),
            (Client, 2, RingBell, Socket),
            (Client, 3, RingSwitch, Socket),
            (Client, 3, RingBell, Socket),
            (Server, 0, RingOffer, Socket),
            (Server, 2, RingSwitch, Socket),
            (Server, 2, RingBell, Socket),
            (Server, 3, RingSwitch, Ring),
            (Server, 3, RingBell, Socket),
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn an_unknown_answer_is_a_violation() {
        let mut client = RingEnd::new(Client);
        client.offer().unwrap();
        let answer = Header { code: 2, ..Header::new(RingAnswer) };
        let received = receive(&mut client, &answer, Socket);
        assert_eq!(received, Err(Violation::UnknownStatus(2)));
    }
}
