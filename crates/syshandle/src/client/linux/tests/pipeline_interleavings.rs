//! Pipelines of several threads, in many interleavings of their steps.

use super::*;

/// Begins a held call with `len` bytes of arguments.
fn hold(connection: &ClientConnection, len: usize) -> Result<WaiterNumber> {
    let (body, objects) = (vec![7; len].into(), PassedReferences::default());
    let call = new_call(&body, &[], &objects);
    connection.begin_pipelined(&call, &Deadline::lasting(LONG, None))
}

/// Waits for the reply of one call.
fn finish(connection: &ClientConnection, waiter: WaiterNumber) -> Result<EncodedReply> {
    connection.finish(waiter, &mut Deadline::lasting(LONG, None))
}

#[test]
fn calls_that_are_held_have_not_gone_and_go_together() {
    run_once(|| {
        let (count, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, is_sent) = (count.clone(), sent.clone());
        let (connection, server) = connect(64, move |mut server| {
            while !is_sent.load(Ordering::SeqCst) {
                let (mut bytes, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
                let early = server.link.receive(&mut bytes, &mut handles, None);
                assert_eq!(early.unwrap_err().kind(), io::ErrorKind::WouldBlock);
                counted.fetch_add(1, Ordering::SeqCst);
                thread::yield_now();
            }
            (0..3).for_each(|_| assert!(server.receive().flatten().is_some()));
        });
        let started = [(); 3].map(|()| hold(&connection, 0).unwrap());
        while count.load(Ordering::SeqCst) < 3 {
            thread::yield_now();
        }
        sent.store(true, Ordering::SeqCst);
        connection.flush();
        server.join().unwrap();
        for started in started {
            // The calls were sent, so they may have run.
            let error = finish(&connection, started).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Disconnected, true));
        }
    });
}

#[test]
fn calls_that_are_held_by_many_threads_each_have_their_reply_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, ScriptedServer::serve);
        threads(2, move |_| {
            let started: Vec<_> = (0..3).map(|_| hold(&connection, 0).unwrap()).collect();
            assert_answered(call(&connection, LONG, None));
            for started in started.into_iter().rev() {
                assert_answered(finish(&connection, started));
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn calls_that_are_held_beyond_the_limit_go_before_they_wait_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, ScriptedServer::serve);
        threads(2, move |_| {
            let started: Vec<_> = (0..4).map(|_| hold(&connection, 0).unwrap()).collect();
            for started in started {
                assert_answered(finish(&connection, started));
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn held_calls_for_which_there_is_no_room_in_the_socket_wait_for_it_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, ScriptedServer::serve);
        // The buffer holds two or three messages, so that it fills up in the middle of a batch of
        // sixteen.
        rustix::net::sockopt::set_socket_send_buffer_size(&**connection.socket(), 1).unwrap();
        threads(2, move |_| {
            let started: Vec<_> = (0..8).map(|_| hold(&connection, 900).unwrap()).collect();
            for started in started {
                assert_answered(finish(&connection, started));
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn abandoned_unsent_calls_are_never_sent_and_free_their_slots_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(2, ScriptedServer::serve);
        threads(2, move |_| {
            let started = hold(&connection, 0).unwrap();
            let other = hold(&connection, 0).unwrap();
            connection.abandon(started);
            assert_answered(finish(&connection, other));
        });
        server.join().unwrap();
    });
}

#[test]
fn the_servers_death_ends_held_calls_which_did_not_run_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, drop);
        threads(2, move |_| {
            let Ok(started) = hold(&connection, 0) else { return };
            let error = finish(&connection, started).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        });
        server.join().unwrap();
        // There was no server that could have run the calls.
    });
}

#[test]
fn replies_that_come_together_are_received_together_and_what_follows_the_end_is_refused() {
    run_once(|| {
        let (connection, server) = connect(64, |mut server| {
            let calls: Vec<u32> = (0..4).map(|_| server.receive().flatten().unwrap()).collect();
            server.answer(calls[0]);
            server.answer(calls[1]);
            // No call has this id. That is a violation, which ends the connection.
            let header = Header { call: 77, ..Header::new(FrameKind::Reply) };
            server.link.send_header(&header).unwrap();
            let null = std::fs::File::open("/dev/null").unwrap();
            let header = server.end.reply(calls[2], Status::Done, 1, 0).unwrap();
            server.link.send(&header, &Payload::default(), &[null.as_fd()]).unwrap();
        });
        let started = [(); 4].map(|()| hold(&connection, 0).unwrap());
        connection.flush();
        server.join().unwrap();
        let [first, second, third, fourth] = started;
        assert_answered(finish(&connection, second));
        assert_answered(finish(&connection, first));
        for started in [third, fourth] {
            let error = finish(&connection, started).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Violation, "{error}");
        }
    });
}
