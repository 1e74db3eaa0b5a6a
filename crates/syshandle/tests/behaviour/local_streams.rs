//! The two ends of a stream within a process, without a connection.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use syshandle::stream::{TrySendError, channel};
use syshandle::{Error, ErrorKind, Result};

use crate::support::LONG;

/// Number of items that wait until the stream is read.
const QUEUE: u32 = 16;

#[test]
fn items_arrive_in_order_and_the_end_after_them() {
    let (sink, stream) = channel();
    let writer = thread::spawn(move || {
        for number in 0..1000_u32 {
            sink.send(number)?;
        }
        sink.finish()
    });
    let all: Result<Vec<u32>> = stream.collect();
    assert_eq!(all.unwrap(), (0..1000).collect::<Vec<_>>());
    writer.join().unwrap().unwrap();
}

#[test]
fn a_short_list_needs_no_other_thread() {
    let (sink, stream) = channel();
    for number in 0..QUEUE {
        sink.send(number).unwrap();
    }
    sink.finish().unwrap();
    let items: Result<Vec<u32>> = stream.collect();
    assert_eq!(items.unwrap().len(), 16);
}

#[test]
fn a_full_queue_returns_the_item() {
    let (sink, mut stream) = channel();
    for number in 0..QUEUE {
        sink.try_send(number).unwrap();
    }
    let Err(TrySendError::Full(item)) = sink.try_send(77) else { panic!("the queue is full") };
    assert_eq!(item, 77);
    let error = sink.send_timeout(78, Duration::from_millis(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("limit: 16 items"), "{error}");
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    sink.try_send(79).unwrap();
    sink.finish().unwrap();
    assert_eq!(stream.last().unwrap().unwrap(), 79);
}

#[test]
fn a_stream_without_items_times_out_and_goes_on() {
    let (sink, mut stream) = channel();
    stream.set_timeout(Duration::from_millis(10));
    for _ in 0..2 {
        assert_eq!(stream.next().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    }
    sink.send(5).unwrap();
    sink.finish().unwrap();
    assert_eq!(stream.next_timeout(LONG).unwrap().unwrap(), 5);
    assert!(stream.next().is_none());
    assert!(stream.next().is_none());
}

#[test]
fn a_failed_stream_gives_its_items_and_then_the_error() {
    let (sink, mut stream) = channel();
    sink.send(1).unwrap();
    sink.fail(Error::new(ErrorKind::Busy, "the tape is in use")).unwrap();
    assert_eq!(stream.next().unwrap().unwrap(), 1);
    let error = stream.next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Busy, "the tape is in use"));
    assert!(stream.next().is_none());
    let error = sink.send(2).unwrap_err();
    assert_eq!(error.to_string(), "the sink has already ended the stream");
}

#[test]
fn a_sink_that_is_dropped_without_an_end_is_an_error_of_the_reader() {
    let (sink, mut stream) = channel();
    sink.send(1).unwrap();
    drop(sink);
    assert_eq!(stream.next().unwrap().unwrap(), 1);
    let error = stream.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains("dropped before `finish`"), "{error}");
    assert!(stream.next().is_none());
}

#[test]
fn a_dropped_stream_stops_a_writer_that_waits_and_drops_the_items() {
    let (sink, stream) = channel();
    let (sink, kept) = (Arc::new(sink), ManualDrop::default());
    for _ in 0..QUEUE {
        sink.send(kept.clone()).unwrap();
    }
    let (waiting, more) = (sink.clone(), kept.clone());
    let writer = thread::spawn(move || waiting.send_timeout(more, LONG));
    thread::sleep(Duration::from_millis(20));
    drop(stream);
    let error = writer.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.to_string(), "the reader has stopped the stream");
    assert_eq!(Arc::strong_count(&kept.0), 1);
    assert_eq!(sink.finish().unwrap_err().kind(), ErrorKind::Cancelled);
}

/// A value whose copies are counted.
#[derive(Clone, Default, syshandle::Encode, syshandle::Decode)]
struct ManualDrop(Arc<u32>);

#[test]
fn several_threads_feed_one_sink() {
    let (sink, stream) = channel();
    let reader = thread::spawn(move || stream.map(|item| item.unwrap()).sum::<u64>());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500_u64).for_each(|number| sink.send(number).unwrap()));
        }
    });
    sink.finish().unwrap();
    assert_eq!(reader.join().unwrap(), 4 * (0..500).sum::<u64>());
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use super::*;

    #[test]
    fn tasks_send_and_receive() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sink, mut stream) = channel();
        let sum = runtime.block_on(async {
            let writer = tokio::spawn(async move {
                for number in 0..1000_u64 {
                    sink.send_async(number).await?;
                }
                sink.finish()
            });
            let mut sum = 0;
            while let Some(item) = stream.next_async().await {
                sum += item.unwrap();
            }
            writer.await.unwrap().unwrap();
            sum
        });
        assert_eq!(sum, (0..1000).sum::<u64>());
    }

    #[test]
    fn waits_of_tasks_end_at_their_timeout() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (mut sink, mut stream) = channel();
        stream.set_timeout(Duration::from_millis(10));
        sink.set_timeout(Duration::from_millis(10));
        runtime.block_on(async {
            let error = stream.next_async().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            for number in 0..QUEUE {
                sink.send_async(number).await.unwrap();
            }
            assert_eq!(sink.send_async(0).await.unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(stream.next_async().await.unwrap().unwrap(), 0);
        });
    }
}
