//! Calls of several threads, in many interleavings of their steps.

use std::task::{Context, Poll, Wake, Waker};

use super::*;

/// Wakes a thread that polls a call like a task.
struct UnparkOnWake(thread::Thread);

impl Wake for UnparkOnWake {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Makes a call like a task: polls it when it is woken.
fn awaited_call(connection: &ClientConnection) -> Result<EncodedReply> {
    let deadline = Deadline::lasting(LONG, None);
    let (body, objects) = Default::default();
    let call = new_call(&body, &[], &objects);
    let waiter = connection.begin_later(&call, &deadline)?;
    let waker = Waker::from(Arc::new(UnparkOnWake(thread::current())));
    loop {
        match connection.poll(waiter, &deadline, &mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park_timeout(LONG),
        }
    }
}

#[test]
fn threads_and_tasks_get_their_replies_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(2, ScriptedServer::serve);
        let done = Arc::new(AtomicUsize::new(0));
        threads(4, move |number| match number {
            0 => {
                while done.load(Ordering::SeqCst) < 3 {
                    connection.dispatch();
                    thread::yield_now();
                }
            }
            1 => {
                assert_answered(call(&connection, LONG, None));
                done.fetch_add(1, Ordering::SeqCst);
            }
            _ => {
                assert_answered(awaited_call(&connection));
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn each_of_many_threads_has_its_reply_in_any_order() {
    explore(|| {
        let (connection, server) = connect(64, ScriptedServer::serve);
        threads(3, move |_| (0..2).for_each(|_| assert_answered(call(&connection, LONG, None))));
        server.join().unwrap();
    });
}

#[test]
fn replies_in_another_order_reach_their_callers_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(64, |mut server| {
            let mut calls: Vec<u32> = Vec::new();
            while calls.len() < 3 {
                calls.extend(server.receive().unwrap());
            }
            calls.into_iter().rev().for_each(|call| server.answer(call));
            server.serve();
        });
        threads(3, move |_| assert_answered(call(&connection, LONG, None)));
        server.join().unwrap();
    });
}

#[test]
fn a_reply_is_had_when_it_comes_though_others_wait_on_in_any_order() {
    explore(|| {
        let one_is_back = Arc::new(AtomicBool::new(false));
        let is_back = one_is_back.clone();
        let (connection, server) = connect(64, move |mut server| {
            let mut calls: Vec<u32> = Vec::new();
            while calls.len() < 2 {
                calls.extend(server.receive().unwrap());
            }
            server.answer(calls[1]);
            while !is_back.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            server.answer(calls[0]);
            server.serve();
        });
        threads(2, move |_| {
            assert_answered(call(&connection, LONG, None));
            one_is_back.store(true, Ordering::SeqCst);
        });
        server.join().unwrap();
    });
}

#[test]
fn calls_beyond_the_limit_start_when_others_end_in_any_order() {
    explore(|| {
        let (connection, server) = connect(1, ScriptedServer::serve);
        threads(3, move |_| assert_answered(call(&connection, LONG, None)));
        server.join().unwrap();
    });
}

/// Answers no call before `count` calls have come.
fn answer_when_there_are(mut server: ScriptedServer, count: usize) {
    let mut calls: Vec<u32> = Vec::new();
    while calls.len() < count {
        calls.extend(server.receive().unwrap());
    }
    calls.into_iter().for_each(|call| server.answer(call));
    server.serve();
}

#[test]
fn a_place_that_a_reply_frees_is_taken_though_others_wait_on_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, |mut server| {
            // Answers the second of three calls, which frees a slot for the third.
            let first = server.receive().flatten().unwrap();
            let second = server.receive().flatten().unwrap();
            server.answer(second);
            let third = server.receive().flatten().unwrap();
            server.answer(first);
            server.answer(third);
            server.serve();
        });
        threads(3, move |_| assert_answered(call(&connection, LONG, None)));
        server.join().unwrap();
    });
}

#[test]
fn a_place_that_was_not_needed_is_taken_though_others_wait_on_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, |server| answer_when_there_are(server, 2));
        threads(3, move |number| match number {
            0 => drop(unsendable_call(&connection)),
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}

#[test]
fn a_call_that_gives_up_leaves_the_others_to_theirs_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, ScriptedServer::serve);
        threads(3, move |number| match number {
            // The call may time out at once or after some rounds.
            0 => match call(&connection, Duration::from_millis(4), None) {
                Ok(reply) => assert_answered(Ok(reply)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            },
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}

#[test]
fn a_call_that_is_cancelled_ends_and_leaves_the_others_to_theirs_in_any_order() {
    explore(|| {
        // The first call is answered only after it is cancelled.
        let (connection, server) = connect(2, |mut server| {
            let mut first = None;
            while let Some(call) = server.receive() {
                match call {
                    Some(call) if first.is_none() => first = Some(call),
                    Some(call) => server.answer(call),
                    None => first.take().into_iter().for_each(|call| server.answer(call)),
                }
            }
        });
        let cancel = Cancel::new().unwrap();
        threads(4, move |number| match number {
            0 => {
                // Cancels before the other threads have begun, or while they wait.
                (0..shuttle::rand::thread_rng().gen_range(0..100))
                    .for_each(|_| thread::yield_now());
                cancel.cancel();
            }
            1 => match call(&connection, LONG, Some(&cancel)) {
                Ok(reply) => assert_answered(Ok(reply)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
            },
            _ => {
                // Any of the calls may be the first, so each one ends by a reply or by its cancel.
                let mine = Cancel::new().unwrap();
                let (also, canceller) = (mine.clone(), cancel.clone());
                let other = shuttle::thread::spawn(move || {
                    while !canceller.is_cancelled() {
                        shuttle::thread::yield_now();
                    }
                    also.cancel();
                });
                match call(&connection, LONG, Some(&mine)) {
                    Ok(reply) => assert_answered(Ok(reply)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
                }
                other.join().unwrap();
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn a_call_that_is_cancelled_ends_though_others_wait_on_in_any_order() {
    explore(|| {
        let cancelled_is_back = Arc::new(AtomicBool::new(false));
        let is_back = cancelled_is_back.clone();
        let (connection, server) = connect(64, move |server| {
            while !is_back.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            server.serve();
        });
        let cancel = Cancel::new().unwrap();
        threads(3, move |number| match number {
            0 => {
                // Cancels before the other threads have begun, or while they wait.
                (0..shuttle::rand::thread_rng().gen_range(0..100))
                    .for_each(|_| thread::yield_now());
                cancel.cancel();
            }
            1 => {
                let error = call(&connection, LONG, Some(&cancel)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Cancelled);
                cancelled_is_back.store(true, Ordering::SeqCst);
            }
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}

#[test]
fn the_servers_death_ends_all_waits_in_any_order() {
    explore(|| {
        let (connection, server) = connect(2, |mut server| {
            // The server answers one call and ends.
            while let Some(call) = server.receive() {
                if let Some(call) = call {
                    server.answer(call);
                    break;
                }
            }
        });
        threads(3, move |_| {
            if let Err(error) = call(&connection, LONG, None) {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            }
            let again = call(&connection, LONG, None).map(drop);
            if let Err(error) = again {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn the_last_message_of_the_server_is_the_reason_of_all_calls_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(2, |mut server| {
            while server.receive() == Some(None) {}
            let (header, body) =
                ServerEnd::<()>::refused(&Fault::Failed { text: "the oven is off".into() });
            server.link.send(&header, &body.into(), &[]).unwrap();
        });
        threads(3, move |_| {
            let error = call(&connection, LONG, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
        });
        server.join().unwrap();
    });
}

#[test]
fn an_unsent_call_frees_its_slot_in_any_interleaving() {
    explore(|| {
        let (connection, server) = connect(1, ScriptedServer::serve);
        threads(3, move |number| match number {
            0 => assert_eq!(unsendable_call(&connection).kind(), ErrorKind::System),
            _ => assert_answered(call(&connection, LONG, None)),
        });
        server.join().unwrap();
    });
}
