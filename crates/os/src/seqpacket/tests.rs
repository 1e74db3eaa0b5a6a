use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::*;

#[test]
fn handles_arrive_with_their_message_close_on_exec() {
    let (a, b) = Seqpacket::pair().unwrap();
    let file = tempfile::tempfile().unwrap();
    a.send(&[IoSlice::new(b"one"), IoSlice::new(b" file")], &[file.as_fd()]).unwrap();
    a.send(&[IoSlice::new(b"none")], &[]).unwrap();
    let (mut bytes, mut handles) = ([0; 64], Vec::new());
    let received = b.receive(&mut bytes, &mut handles).unwrap();
    assert_eq!(&bytes[..received.len], b"one file");
    let arrived = File::from(handles.pop().unwrap());
    assert_eq!(arrived.metadata().unwrap().ino(), file.metadata().unwrap().ino());
    assert!(rustix::io::fcntl_getfd(&arrived).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    assert_eq!(b.receive(&mut bytes, &mut handles).unwrap().len, 4);
    assert!(handles.is_empty());
}

#[test]
fn as_many_handles_as_the_kernel_allows_arrive() {
    let (a, b) = Seqpacket::pair().unwrap();
    let handle = a.as_fd();
    a.send(&[IoSlice::new(b"x")], &[handle; HANDLES_PER_MESSAGE_MAX]).unwrap();
    let mut handles = Vec::new();
    b.receive(&mut [0; 8], &mut handles).unwrap();
    assert_eq!(handles.len(), HANDLES_PER_MESSAGE_MAX);
    assert!(a.send(&[IoSlice::new(b"x")], &[handle; HANDLES_PER_MESSAGE_MAX + 1]).is_err());
}

#[test]
fn control_messages_that_another_holder_asks_for_leave_no_descriptor_and_cost_no_handle() {
    let (a, b) = Seqpacket::pair().unwrap();
    for option in option::CONTROL_OPTIONS.into_iter().chain([option::SO_PASSPIDFD]) {
        // Older kernels lack some of these options.
        let _ = option::set(b.as_fd(), option, true);
    }
    let own = std::process::id();
    for _ in 0..10 {
        let handles = [a.as_fd(); HANDLES_PER_MESSAGE_MAX];
        a.send(&[IoSlice::new(b"x")], &handles).unwrap();
        let mut handles = Vec::new();
        let received = b.receive(&mut [0; 8], &mut handles).unwrap();
        assert!(!received.handles_truncated && !received.unknown_control);
        assert_eq!(handles.len(), HANDLES_PER_MESSAGE_MAX);
        assert_eq!(received.sender.unwrap().pid, own);
        let Some(process) = received.sender_process else {
            println!("skipped: this kernel has no SO_PASSPIDFD (Linux 6.5)");
            return;
        };
        assert!(rustix::io::fcntl_getfd(&process).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    }
}

#[test]
fn a_queue_is_empty_only_without_any_message() {
    let file = tempfile::tempfile().unwrap();
    let with_handle: &[BorrowedHandle<'_>] = &[file.as_fd()];
    let messages: [(&[u8], &[BorrowedHandle<'_>]); 4] =
        [(b"", &[]), (b"", with_handle), (b"x", &[]), (b"x", with_handle)];
    for (bytes, handles) in messages {
        let (a, b) = Seqpacket::pair().unwrap();
        a.send(&[IoSlice::new(bytes)], handles).unwrap();
        assert!(!b.end_and_check_empty(), "{bytes:?} {}", handles.len());
        assert!(a.send(&[IoSlice::new(b"late")], handles).is_err());
        b.receive(&mut [0; 8], &mut Vec::new()).unwrap();
        assert!(b.end_and_check_empty());
    }
    let (a, b) = Seqpacket::pair().unwrap();
    drop(a);
    assert!(b.end_and_check_empty());
}

#[test]
fn messages_count_as_unread_until_they_are_received() {
    let (a, b) = Seqpacket::pair().unwrap();
    assert_eq!(a.unread_bytes().unwrap(), 0);
    a.send(&[IoSlice::new(b"")], &[a.as_fd()]).unwrap();
    assert!(a.unread_bytes().unwrap() > 0);
    b.receive(&mut [0; 8], &mut Vec::new()).unwrap();
    assert_eq!(a.unread_bytes().unwrap(), 0);
    a.send(&[IoSlice::new(b"x")], &[]).unwrap();
    drop(b);
    assert_eq!(a.unread_bytes().unwrap(), 0);
}

#[test]
fn a_wait_for_a_message_ends_with_it_or_with_the_time() {
    let (a, b) = Seqpacket::pair().unwrap();
    let (mut bytes, mut handles) = ([0; 8], Vec::new());
    let start = Instant::now();
    let timeout = Duration::from_millis(30);
    let error = b.receive_within(&mut bytes, &mut handles, timeout).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(start.elapsed() >= Duration::from_millis(10));
    // A timeout that was set for a shorter wait does not shorten a longer one.
    let (start, longer) = (Instant::now(), Duration::from_millis(120));
    let error = b.receive_within(&mut bytes, &mut handles, longer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(start.elapsed() >= longer);
    let sender = std::thread::spawn(move || {
        a.send(&[IoSlice::new(b"late")], &[]).unwrap();
        a
    });
    let received = b.receive_within(&mut bytes, &mut handles, Duration::from_secs(30)).unwrap();
    assert_eq!(received.len, 4);
    drop(sender.join());
    assert_eq!(b.receive_within(&mut bytes, &mut handles, timeout).unwrap().len, 0);
}

#[test]
fn a_wait_ends_in_time_though_another_holder_of_the_end_changes_its_options() {
    let (_a, b) = Seqpacket::pair().unwrap();
    let theirs = b.fd.try_clone().unwrap();
    let b = Seqpacket::from(OwnedFd::from(b));
    let (mut bytes, mut handles) = ([0; 8], Vec::new());
    let timeout = Duration::from_millis(20);
    for _ in 0..2 {
        let error = b.receive_within(&mut bytes, &mut handles, timeout).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        rustix::net::sockopt::set_socket_timeout(&theirs, Timeout::Recv, None).unwrap();
    }
}

#[test]
fn a_message_larger_than_the_room_says_so() {
    let (a, b) = Seqpacket::pair().unwrap();
    a.send(&[IoSlice::new(&[7; 100])], &[]).unwrap();
    assert!(b.receive(&mut [0; 10], &mut Vec::new()).unwrap().bytes_truncated);
}

#[test]
fn a_message_after_a_reported_end_is_received_before_the_end() {
    let (a, b) = Seqpacket::pair().unwrap();
    // An empty message looks like an end that was reported too early.
    a.send(&[IoSlice::new(b"")], &[]).unwrap();
    a.send(&[IoSlice::new(b"last")], &[]).unwrap();
    a.shut_down();
    let (mut bytes, mut handles) = ([0; 8], Vec::new());
    assert_eq!(b.receive(&mut bytes, &mut handles).unwrap().len, 4);
    assert_eq!(b.receive(&mut bytes, &mut handles).unwrap().len, 0);
    let within = Duration::from_secs(600);
    assert_eq!(b.receive_within(&mut bytes, &mut handles, within).unwrap().len, 0);
}

/// The kernel reports the `ECONNRESET` of a peer that closes with unread messages once, at any call.
/// The call may be the one that looks for a message after a reported end.
#[test]
fn the_last_message_of_a_peer_that_closes_with_unread_messages_is_received_before_the_end() {
    const ROUNDS: usize = 20_000;
    let (peers, closing) = std::sync::mpsc::sync_channel::<Seqpacket>(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for peer in closing {
                peer.send(&[IoSlice::new(b"last")], &[]).unwrap();
                peer.shut_down();
            }
        });
        for round in 0..ROUNDS {
            let (a, b) = Seqpacket::pair().unwrap();
            b.send(&[IoSlice::new(b"unread")], &[]).unwrap();
            peers.send(a).unwrap();
            let (mut bytes, mut handles) = ([0; 8], Vec::new());
            let received = loop {
                match b.receive(&mut bytes, &mut handles) {
                    Ok(received) => break received.len,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
                }
            };
            assert_eq!(received, 4, "round {round}");
        }
        drop(peers);
    });
}
