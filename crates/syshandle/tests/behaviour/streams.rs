//! Streams behave in the same way over every transport: their items, their ends, their errors and
//! their deadlines.

use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use syshandle::direct::from_door;
use syshandle::handle::Registered;
use syshandle::object::Interface;
use syshandle::pipeline::pipelined;
use syshandle::stream::{Sink, channel};
use syshandle::{Cancel, ErrorKind, Result, in_process};
use syshandle_wire::{
    Entry, Fault, FrameKind, Header, SlotId, SlotNote, SlotNotes, Status, StreamFrame,
};

use crate::support::bench::{Listener, ListenerClient};
use crate::support::process::alone;
use crate::support::raw::{Frame, Raw, scripted_server};
use crate::support::streamer::{
    STREAMER, Streamer, StreamerAsyncClient, StreamerClient, Streams, Tool,
};
use crate::support::world::{World, door, file};
use crate::support::{LONG, descriptors, eventually, eventually_equal};

/// Runs a test with an object in this process, through a door, and with an object of a server.
fn over_every_transport(test: impl Fn(&StreamerClient)) {
    println!("in process");
    let streams = StreamerClient::in_process(Streams::default()).unwrap();
    test(&streams);
    println!("through a door");
    test(&from_door(door(&streams)).unwrap());
    println!("over a socket");
    let world = World::new();
    test(&world.activate(STREAMER));
}

/// Writes numbers from another thread.
fn writer(sink: Sink<u64>, end: u64) -> thread::JoinHandle<Result<()>> {
    thread::spawn(move || {
        for number in 0..end {
            sink.send(number)?;
        }
        sink.finish()
    })
}

#[test]
fn items_arrive_in_order_and_then_the_end() {
    over_every_transport(|streams| {
        let items: Result<Vec<u64>> = streams.count(10_000).unwrap().collect();
        assert_eq!(items.unwrap(), (0..10_000).collect::<Vec<_>>());
        assert_eq!(streams.count(0).unwrap().count(), 0);
    });
}

#[test]
fn items_that_are_sent_before_the_method_returns_arrive() {
    over_every_transport(|streams| {
        for count in [0, 1, 3, 16] {
            let items: Result<Vec<String>> = streams.list(count).unwrap().collect();
            let expected: Vec<_> = (0..count).map(|number| format!("text {number}")).collect();
            assert_eq!(items.unwrap(), expected);
        }
    });
}

#[test]
fn a_client_streams_to_a_method() {
    over_every_transport(|streams| {
        let (sink, numbers) = channel();
        let writer = writer(sink, 10_000);
        assert_eq!(streams.sum(numbers).unwrap(), (0..10_000).sum::<u64>());
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn streams_of_both_directions_run_at_once() {
    over_every_transport(|streams| {
        let (sink, texts) = channel();
        let echo = streams.echo(texts).unwrap();
        let writer = thread::spawn(move || {
            (0..2000).try_for_each(|number| sink.send("x".repeat(number)))?;
            sink.finish()
        });
        for (number, text) in echo.enumerate() {
            assert_eq!(text.unwrap().len(), number);
        }
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn options_and_tuples_contain_streams() {
    over_every_transport(|streams| {
        let (number, none) = streams.sums(None).unwrap();
        assert!(number == 0 && none.is_none());
        let (sink, numbers) = channel();
        let (number, sums) = streams.sums(Some(numbers)).unwrap();
        assert_eq!(number, 7);
        for number in 1..=4 {
            sink.send(number).unwrap();
        }
        sink.finish().unwrap();
        let sums: Result<Vec<u64>> = sums.unwrap().collect();
        assert_eq!(sums.unwrap(), [1, 3, 6, 10]);
    });
}

#[test]
fn a_failed_stream_has_the_error_of_its_writer() {
    over_every_transport(|streams| {
        let mut failing = streams.fail().unwrap();
        assert_eq!(failing.next().unwrap().unwrap(), 1);
        let error = failing.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(error.to_string(), "Streamer::fail: result: the tape is in use");
        assert!(failing.next().is_none());
        let (sink, numbers) = channel();
        sink.send(1).unwrap();
        sink.fail(syshandle::Error::failed("the disk is gone")).unwrap();
        let error = streams.sum(numbers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains("the disk is gone"), "{error}");
    });
}

#[test]
fn a_writer_that_drops_its_sink_fails_the_stream() {
    over_every_transport(|streams| {
        let mut lost = streams.lose().unwrap();
        assert_eq!(lost.next().unwrap().unwrap(), 1);
        let error = lost.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains("dropped before `finish`"), "{error}");
        assert!(lost.next().is_none());
    });
}

#[test]
fn a_reader_that_drops_its_stream_stops_the_writer() {
    over_every_transport(|streams| {
        let before = streams.ends().unwrap().len();
        let mut numbers = streams.count(u64::MAX).unwrap();
        assert_eq!(numbers.next().unwrap().unwrap(), 0);
        drop(numbers);
        eventually("the writer was stopped", || streams.ends().unwrap().len() > before);
        let end = streams.ends().unwrap().pop().unwrap();
        assert_eq!(end, "Cancelled: the reader has stopped the stream");
        // The writer waits while the reader stops.
        let (sink, numbers) = channel();
        streams.keep(numbers).unwrap();
        let writer = writer(sink, u64::MAX);
        streams.release().unwrap();
        assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    });
}

#[test]
fn a_slow_reader_stops_its_writer_and_no_other_call() {
    over_every_transport(|streams| {
        let before = streams.sent().unwrap();
        let mut slow = streams.count(200_000).unwrap();
        eventually("the writer waits", || {
            let sent = streams.sent().unwrap();
            thread::sleep(Duration::from_millis(20));
            sent > before && streams.sent().unwrap() == sent
        });
        assert!(streams.sent().unwrap() - before < 100_000);
        for _ in 0..100 {
            streams.nothing().unwrap();
        }
        assert_eq!(streams.count(100).unwrap().count(), 100);
        assert!(slow.by_ref().take(200_000).all(|number| number.is_ok()));
        assert!(slow.next().is_none());
    });
}

#[test]
fn items_have_handles_of_every_kind() {
    over_every_transport(|streams| {
        let mut count = 0;
        for tool in streams.tools(50).unwrap() {
            tool.unwrap().check(count);
            count += 1;
        }
        assert_eq!(count, 50);
        let (sink, tools) = channel();
        let writer = thread::spawn(move || {
            (0..50).try_for_each(|number| sink.send(Tool::new(number)))?;
            sink.finish()
        });
        assert_eq!(streams.use_tools(tools).unwrap(), 50);
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn items_have_references_to_objects() {
    struct Polite;

    impl Listener for Polite {
        fn hear(&self, text: String) -> Result<String> {
            Ok(format!("{text} back"))
        }
    }

    over_every_transport(|streams| {
        let (sink, listeners) = channel();
        for _ in 0..3 {
            let listener: ListenerClient = in_process::<dyn Listener, _>(Polite).unwrap();
            sink.send(listener).unwrap();
        }
        sink.finish().unwrap();
        assert_eq!(streams.tell_all(listeners).unwrap(), ["hello back"; 3]);
    });
}

#[test]
fn a_wrong_handle_in_an_item_names_its_stream_and_the_item() {
    over_every_transport(|streams| {
        let mut files = streams.wrong_files().unwrap();
        files.next().unwrap().unwrap();
        let error = files.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongHandle, "{error}");
        assert_eq!(
            error.to_string(),
            "Streamer::wrong_files: result: item 1: expected read, got a device with write | append"
        );
        assert!(error.wrong_handle().is_some());
        assert!(files.next().is_none());
        let (sink, files) = channel();
        sink.send(file()).unwrap();
        sink.send(File::options().write(true).open("/dev/null").unwrap()).unwrap();
        let error = streams.sizes(files).unwrap_err();
        let expected = "Streamer::sizes: parameter `files`: item 1: expected read, got a device with write | append";
        assert!(error.to_string().contains(expected), "{error}");
    });
}

#[test]
fn a_wait_of_either_end_has_a_deadline() {
    over_every_transport(|streams| {
        let mut silent = streams.silent().unwrap();
        for _ in 0..2 {
            let error = silent.next_timeout(Duration::from_millis(20)).unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        let hasty = streams.with_timeout(Duration::from_millis(100));
        let error = hasty.silent().unwrap().next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "the default is the timeout of the client");
        let (mut sink, numbers) = channel();
        sink.set_timeout(Duration::from_millis(20));
        streams.keep(numbers).unwrap();
        let error = (0..u64::MAX).find_map(|number| sink.send(number).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        streams.release().unwrap();
        eventually("the reader has stopped", || {
            sink.send(0).is_err_and(|error| error.kind() == ErrorKind::Cancelled)
        });
    });
}

#[test]
fn the_death_of_the_server_ends_its_streams() {
    let world = World::new();
    let streams: StreamerClient = world.activate(STREAMER);
    let mut silent = streams.silent().unwrap();
    let (sink, numbers) = channel();
    streams.keep(numbers).unwrap();
    let writer = writer(sink, u64::MAX);
    let reader = thread::spawn(move || silent.next_timeout(LONG).unwrap().unwrap_err());
    let server = Pid::from_raw(streams.pid().unwrap() as i32).unwrap();
    thread::sleep(Duration::from_millis(20));
    kill_process(server, Signal::KILL).unwrap();
    assert_eq!(reader.join().unwrap().kind(), ErrorKind::Disconnected);
    assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn a_cancelled_call_ends_the_stream_that_it_has_passed() {
    over_every_transport(|streams| {
        let cancel = Cancel::new().unwrap();
        let cancelled = streams.with_cancel(&cancel);
        let (sink, numbers) = channel();
        let before = streams.ends().unwrap().len();
        thread::scope(|scope| {
            let call = scope.spawn(|| cancelled.read_on(numbers));
            sink.send(1).unwrap();
            thread::sleep(Duration::from_millis(20));
            cancel.cancel();
            let error = call.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        });
        eventually("the method ends", || {
            let _ = sink.send_timeout(2, Duration::from_millis(20));
            streams.ends().unwrap().len() > before
        });
        eventually("the writer is stopped", || {
            sink.send_timeout(2, Duration::from_millis(20))
                .is_err_and(|error| error.kind() == ErrorKind::Cancelled)
        });
    });
}

#[test]
fn a_thousand_streams_are_open_at_once() {
    over_every_transport(|streams| {
        let open: Vec<_> = (0..1000).map(|_| streams.list(3).unwrap()).collect();
        for stream in open {
            assert_eq!(stream.map(|text| text.unwrap()).count(), 3);
        }
        streams.nothing().unwrap();
    });
}

#[test]
fn a_received_stream_is_not_passed_on() {
    over_every_transport(|streams| {
        let (_sink, numbers) = channel();
        let error = streams.pass_on(numbers).unwrap_err();
        assert!(error.to_string().contains("received can't be passed on"), "{error}");
        let error = streams.sum(streams.count(3).unwrap()).unwrap_err();
        assert!(error.to_string().contains("received can't be passed on"), "{error}");
        assert!(!error.may_have_run());
    });
}

#[test]
fn the_sink_of_a_message_that_is_not_sent_has_an_error() {
    over_every_transport(|streams| {
        let (sink, numbers) = channel();
        let error = streams.sum_with(&vec![0; 17 << 20], numbers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let error = sink.send(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    });
}

#[test]
fn a_writer_that_waits_learns_that_its_call_is_never_sent() {
    over_every_transport(|streams| {
        let (sink, numbers) = channel();
        pipelined(&StreamerAsyncClient::from(streams), |streams| {
            let call = streams.sum(numbers);
            let writer = writer(sink, u64::MAX);
            thread::sleep(Duration::from_millis(20));
            drop(call);
            let error = writer.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        });
    });
}

#[test]
fn a_call_passes_a_stream_and_a_registered_handle() {
    over_every_transport(|streams| {
        let image = Registered::new(File::open("/etc/passwd").unwrap());
        let len = image.metadata().unwrap().len();
        for _ in 0..4 {
            let (sink, numbers) = channel();
            sink.send(1).unwrap();
            sink.finish().unwrap();
            assert_eq!(streams.measure(&image, Some(numbers)).unwrap(), len + 1);
            assert_eq!(streams.measure(&image, None).unwrap(), len);
        }
    });
}

#[test]
fn a_call_that_passes_a_stream_names_no_slot() {
    // The server may answer that a slot is gone. The client can't make such a call again.
    let (server, client) = scripted_server::<StreamerClient>();
    let calling = thread::spawn(move || {
        let image = Registered::new(File::open("/etc/passwd").unwrap());
        client.measure(&image, None).unwrap();
        let (_sink, numbers) = channel();
        client.measure(&image, Some(numbers)).unwrap();
        client.measure(&image, None).unwrap();
    });
    let entries = || {
        let Frame { header, .. } = server.receive().unwrap();
        assert_eq!(header.kind, FrameKind::Call);
        (header.call, header.entries.iter().collect::<Vec<_>>())
    };
    let answer = |call| {
        let reply = Header { call, ..Header::new(FrameKind::Reply) };
        server.send(&reply, &0_u64.to_le_bytes(), &[]);
    };
    let (call, first) = entries();
    let [Entry::HandleToKeep(token)] = first[..] else { panic!("{first:?}") };
    let slot = SlotId { slot: 3, generation: 1 };
    let (header, body) = SlotNotes::write(&[SlotNote::Kept { token, slot }]);
    server.send(&header, &body, &[]);
    answer(call);
    let (call, second) = entries();
    assert!(matches!(second[..], [Entry::Handle, Entry::Stream(_)]), "{second:?}");
    answer(call);
    let (call, third) = entries();
    assert_eq!(third, [Entry::Slot(slot)]);
    answer(call);
    calling.join().unwrap();
}

#[test]
fn the_stream_of_a_refused_call_is_stopped() {
    const ID: u32 = 5;
    let world = World::new();
    let streams: StreamerClient = world.activate(STREAMER);
    streams.nothing().unwrap();
    let iid = <dyn Streamer>::DESCRIPTION.iid;
    let raw = Raw::open(&world.socket(), STREAMER.clsid(), iid);
    let methods = <dyn Streamer>::DESCRIPTION.methods;
    let sum = methods.iter().position(|method| method.name == "sum").unwrap() as u32;
    // Calls a method and returns the reply, after the stream has ended on both sides.
    let call = |object, code, more: &[Entry], body: &[u8]| {
        let entries = [&[Entry::Stream(ID)], more].concat().into_iter().collect();
        let timeout_ms = 60_000;
        let call = Header::new(FrameKind::Call);
        let call = Header { call: 1, object, code, entries, timeout_ms, ..call };
        raw.send(&call, body, &[]);
        let (end, body) = StreamFrame::End(None).write(ID);
        raw.send(&end, &body, &[]);
        let (mut reply, mut is_stopped) = (None, false);
        while reply.is_none() || !is_stopped {
            let frame = raw.receive().expect("the connection goes on");
            match frame.header.kind {
                FrameKind::Reply => reply = Some(frame),
                FrameKind::Stop => is_stopped = frame.header.call == ID,
                other => panic!("{other:?}"),
            }
        }
        reply.unwrap()
    };
    let gone = [Entry::Slot(SlotId { slot: 3, generation: 1 })];
    let one = [0, 0];
    let refused: [(u32, u32, &[Entry], &[u8]); 4] =
        [(77, sum, &[], &one), (0, 999, &[], &one), (0, sum, &gone, &one), (0, sum, &[], &[])];
    for (object, code, more, body) in refused {
        // The ID is used again, which is a violation unless the stream was opened and has ended.
        let Frame { header, body, .. } = call(object, code, more, body);
        assert_eq!(header.code, Status::Fault as u32);
        assert!(!Fault::read(&body).unwrap().may_have_run());
    }
    let Frame { header, body, .. } = call(0, sum, &[], &one);
    assert_eq!((header.code, &body[..]), (Status::Done as u32, &0_u64.to_le_bytes()[..]));
}

#[test]
fn an_item_that_is_too_large_leaves_the_stream() {
    over_every_transport(|streams| {
        let (sink, texts) = channel();
        let echo = streams.echo(texts).unwrap();
        sink.send("one".into()).unwrap();
        let error = sink.send("x".repeat(1 << 20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        sink.send("two".into()).unwrap();
        sink.finish().unwrap();
        let texts: Result<Vec<String>> = echo.collect();
        assert_eq!(texts.unwrap(), ["one", "two"]);
    });
}

#[test]
fn a_method_reads_a_stream_whose_writer_is_another_method() {
    // Both methods run on threads of the same event loops.
    let streams = Arc::new(StreamerClient::in_process(Streams::default()).unwrap());
    let (sink, numbers) = channel();
    let sums = thread::spawn({
        let streams = streams.clone();
        move || streams.sum(numbers)
    });
    for number in streams.count(500).unwrap() {
        sink.send(number.unwrap()).unwrap();
    }
    sink.finish().unwrap();
    assert_eq!(sums.join().unwrap().unwrap(), (0..500).sum::<u64>());
}

#[test]
fn streams_leave_no_descriptor() {
    alone(|| {
        let streams = StreamerClient::in_process(Streams::default()).unwrap();
        let run = || {
            let mut tools = streams.tools(100).unwrap();
            tools.next().unwrap().unwrap().check(0);
            drop(tools);
            let (sink, tools) = channel();
            (0..5).for_each(|number| sink.send(Tool::new(number)).unwrap());
            drop(tools);
        };
        run();
        let before = descriptors();
        for _ in 0..20 {
            run();
        }
        eventually_equal(&before, descriptors);
    });
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use std::pin::Pin;

    use futures_core::Stream as _;
    use syshandle::object::AsyncProxy;
    use tokio::runtime::Builder;
    use tokio::task::JoinSet;

    use super::*;

    #[test]
    fn tasks_read_and_write_streams() {
        over_every_transport(|streams| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let streams = StreamerAsyncClient::from(streams);
            runtime.block_on(async {
                let mut sum = 0;
                let mut numbers = streams.count(2000).await.unwrap();
                while let Some(number) = numbers.next_async().await {
                    sum += number.unwrap();
                }
                assert_eq!(sum, (0..2000).sum::<u64>());
                let (sink, numbers) = channel();
                let writer = tokio::spawn(async move {
                    for number in 0..2000 {
                        sink.send_async(number).await?;
                    }
                    sink.finish()
                });
                assert_eq!(streams.sum(numbers).await.unwrap(), (0..2000).sum::<u64>());
                writer.await.unwrap().unwrap();
            });
            assert!(streams.as_client().server().is_ok());
        });
    }

    #[test]
    fn the_trait_of_other_libraries_reads_a_stream() {
        over_every_transport(|streams| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let mut numbers = streams.count(100).unwrap();
            let count = runtime.block_on(async {
                let mut count = 0;
                while let Some(number) =
                    std::future::poll_fn(|context| Pin::new(&mut numbers).poll_next(context)).await
                {
                    assert_eq!(number.unwrap(), count);
                    count += 1;
                }
                count
            });
            assert_eq!(count, 100);
        });
    }

    #[test]
    fn many_tasks_read_streams_of_one_client() {
        over_every_transport(|streams| {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let streams = StreamerAsyncClient::from(streams);
            runtime.unwrap().block_on(async {
                let mut tasks = JoinSet::new();
                for _ in 0..50 {
                    let streams = streams.clone();
                    tasks.spawn(async move {
                        let mut texts = streams.list(10).await.unwrap();
                        let mut count = 0;
                        while let Some(text) = texts.next_async().await {
                            text.unwrap();
                            count += 1;
                        }
                        count
                    });
                }
                assert_eq!(tasks.join_all().await, [10; 50]);
            });
        });
    }

    #[test]
    fn a_task_that_waits_has_a_deadline() {
        over_every_transport(|streams| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let mut silent = streams.silent().unwrap();
            silent.set_timeout(Duration::from_millis(20));
            let error = runtime.block_on(silent.next_async()).unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        });
    }
}
