//! Tests of handles in flight and of kept sockets.

use std::time::{Duration, Instant};

use super::*;
use crate::in_flight::LOOK_EACH;

/// Waits until all sockets that were kept open for this peer are closed.
fn wait_for_the_kept_ones(peer: &Quota) {
    let until = Instant::now() + Duration::from_secs(60);
    while peer.in_flight().kept_sockets() > 0 {
        assert!(Instant::now() < until, "a socket is kept for ever");
        std::thread::sleep(LOOK_EACH / 10);
        in_flight::look_at_kept();
    }
}

#[test]
fn a_peer_that_receives_has_its_handles_counted_off_though_its_queue_is_never_empty() {
    let peer = Quota::with_in_flight(100);
    let (ours, theirs) = Seqpacket::pair().unwrap();
    let socket = PeerSocket::new(ours, peer.clone());
    let send = |len: usize| {
        let body = vec![0; len];
        socket.send(&[IoSlice::new(&body)], &[socket.as_fd(); 5]).map_err(|error| error.kind())
    };
    let receive = || theirs.receive(&mut [0; 40_000], &mut Vec::new()).unwrap();
    for lens in [[28; 4], [30_000, 28, 28, 30_000]] {
        send(28).unwrap();
        for len in lens.into_iter().cycle().take(200) {
            send(len).unwrap();
            receive();
        }
        receive();
    }
    // The handles that the peer has not received still count.
    for _ in 0..20 {
        send(28).unwrap();
    }
    assert_eq!(send(28), Err(io::ErrorKind::QuotaExceeded));
}

#[test]
fn a_dropped_socket_is_kept_until_the_peer_has_received_its_messages_or_is_gone() {
    let peer = Quota::with_in_flight(10);
    let send_and_drop = || {
        let (ours, theirs) = Seqpacket::pair().unwrap();
        let socket = PeerSocket::new(ours, peer.clone());
        socket.send(&[IoSlice::new(&[0; 1000])], &[]).unwrap();
        theirs
    };
    let received = send_and_drop();
    assert_eq!(peer.in_flight().kept_sockets(), 1);
    received.receive(&mut [0; 1000], &mut Vec::new()).unwrap();
    wait_for_the_kept_ones(&peer);
    let gone = send_and_drop();
    assert_eq!(peer.in_flight().kept_sockets(), 1);
    drop(gone);
    wait_for_the_kept_ones(&peer);
    // A socket with an empty queue is closed at once.
    drop(PeerSocket::new(Seqpacket::pair().unwrap().0, peer.clone()));
    assert_eq!(peer.in_flight().kept_sockets(), 0);
}

#[test]
fn handles_count_until_the_peer_has_received_them_also_when_the_socket_is_dropped() {
    let peer = Quota::with_in_flight(10);
    let pair = || {
        let (ours, theirs) = Seqpacket::pair().unwrap();
        (PeerSocket::new(ours, peer.clone()), theirs)
    };
    let send = |socket: &PeerSocket, count| {
        let handles = vec![socket.as_fd(); count];
        socket.send(&[IoSlice::new(b"x")], &handles).map_err(|error| error.kind())
    };
    let ((first, first_end), (second, second_end)) = (pair(), pair());
    send(&first, 6).unwrap();
    assert_eq!(send(&second, 6), Err(io::ErrorKind::QuotaExceeded));
    send(&second, 0).unwrap();
    send(&second, 4).unwrap();
    drop(first);
    assert_eq!(send(&second, 1), Err(io::ErrorKind::QuotaExceeded));
    assert_eq!(peer.in_flight().kept_sockets(), 1);
    first_end.receive(&mut [0; 8], &mut Vec::new()).unwrap();
    wait_for_the_kept_ones(&peer);
    send(&second, 6).unwrap();
    // After the peer has closed its end, no handle counts as in flight to it.
    drop(second_end);
    let (third, _third_end) = pair();
    assert!(send(&second, 1).is_err());
    send(&third, 10).unwrap();
}
