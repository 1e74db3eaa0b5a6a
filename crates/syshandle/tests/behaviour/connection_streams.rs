//! Streams over a connection.

use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel as queue};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use syshandle::direct::connect;
use syshandle::stream::{Sink, Stream, TrySendError, channel};
use syshandle::{Error, ErrorKind, Result, Server, class, in_process, interface};

use crate::support::process::alone;
use crate::support::{LONG, eventually};

class! { TAP: Tap = "5b3f0b1e-52c0-4c0e-8f5e-6a1d2c3b4e01"; }

/// An object with streams in both directions.
#[interface(iid = "5b3f0b1e-52c0-4c0e-8f5e-6a1d2c3b4e02")]
trait Tap {
    /// Streams numbers from 0, and finishes.
    fn count(&self, to: u32) -> Result<Stream<u32>>;
    /// Streams until the test takes the sink.
    fn open(&self) -> Result<Stream<u32>>;
    /// Streams texts of this size.
    fn texts(&self, bytes: u32, count: u32) -> Result<Stream<String>>;
    /// Streams the reading ends of pipes, each of which contains its number.
    fn pipes(&self, count: u32) -> Result<Stream<PipeReader>>;
    /// Adds the numbers.
    fn sum(&self, numbers: Stream<u32>) -> Result<u64>;
    /// Adds the numbers in files.
    fn sum_files(&self, files: Stream<File>) -> Result<u64>;
    /// Takes this number of items and drops the stream.
    fn take(&self, numbers: Stream<u32>, count: u32) -> Result<()>;
    /// Keeps the stream.
    fn keep(&self, numbers: Stream<u32>) -> Result<()>;
    /// Returns the numbers of one stream in another one.
    fn double(&self, numbers: Stream<u32>) -> Result<Stream<u32>>;
    fn ping(&self) -> Result<()>;
}

#[derive(Clone)]
struct Source {
    sinks: Sender<Sink<u32>>,
    kept: Arc<Mutex<Vec<Stream<u32>>>>,
    sent: Arc<AtomicU64>,
}

fn source() -> (Source, Receiver<Sink<u32>>) {
    let (sinks, opened) = queue();
    (Source { sinks, kept: Arc::default(), sent: Arc::default() }, opened)
}

impl Tap for Source {
    fn count(&self, to: u32) -> Result<Stream<u32>> {
        let (sink, stream) = channel();
        let sent = self.sent.clone();
        thread::spawn(move || {
            for number in 0..to {
                if sink.send(number).is_err() {
                    return;
                }
                sent.fetch_add(1, Ordering::Relaxed);
            }
            sink.finish().unwrap();
        });
        Ok(stream)
    }

    fn open(&self) -> Result<Stream<u32>> {
        let (sink, stream) = channel();
        self.sinks.send(sink).unwrap();
        Ok(stream)
    }

    fn texts(&self, bytes: u32, count: u32) -> Result<Stream<String>> {
        let (sink, stream) = channel();
        thread::spawn(move || {
            for _ in 0..count {
                sink.send("x".repeat(bytes as usize))?;
            }
            sink.finish()
        });
        Ok(stream)
    }

    fn pipes(&self, count: u32) -> Result<Stream<PipeReader>> {
        let (sink, stream) = channel();
        thread::spawn(move || {
            for number in 0..count {
                let (reader, mut writer) = std::io::pipe()?;
                writer.write_all(&number.to_le_bytes())?;
                sink.send(reader)?;
            }
            sink.finish()
        });
        Ok(stream)
    }

    fn sum(&self, numbers: Stream<u32>) -> Result<u64> {
        numbers.map(|number| number.map(u64::from)).sum()
    }

    fn sum_files(&self, files: Stream<File>) -> Result<u64> {
        let mut sum = 0;
        for file in files {
            let mut text = String::new();
            file?.read_to_string(&mut text)?;
            sum += text.trim().parse::<u64>().map_err(|error| Error::failed(error.to_string()))?;
        }
        Ok(sum)
    }

    fn take(&self, numbers: Stream<u32>, count: u32) -> Result<()> {
        for number in numbers.take(count as usize) {
            number?;
        }
        Ok(())
    }

    fn keep(&self, numbers: Stream<u32>) -> Result<()> {
        self.kept.lock().unwrap().push(numbers);
        Ok(())
    }

    fn double(&self, numbers: Stream<u32>) -> Result<Stream<u32>> {
        let (sink, stream) = channel();
        thread::spawn(move || {
            for number in numbers {
                sink.send(2 * number?)?;
            }
            sink.finish()
        });
        Ok(stream)
    }

    fn ping(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs a test with an object of this process, and with one of a server.
fn with_tap(test: impl Fn(TapClient, &Receiver<Sink<u32>>, &Source)) {
    let (source_, opened) = source();
    test(in_process::<dyn Tap, _>(source_.clone()).unwrap(), &opened, &source_);
}

#[test]
fn the_items_of_a_result_arrive_in_order_and_the_end_after_them() {
    with_tap(|tap, _, _| {
        let all: Result<Vec<u32>> = tap.count(10_000).unwrap().collect();
        assert_eq!(all.unwrap(), (0..10_000).collect::<Vec<_>>());
        assert_eq!(tap.count(0).unwrap().count(), 0);
    });
}

#[test]
fn the_items_of_a_parameter_arrive_while_the_method_waits_for_them() {
    with_tap(|tap, _, _| {
        let (sink, stream) = channel();
        let writer = thread::spawn(move || {
            (0..10_000).try_for_each(|number| sink.send(number))?;
            sink.finish()
        });
        assert_eq!(tap.sum(stream).unwrap(), 49_995_000);
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn items_that_were_sent_before_the_call_arrive_too() {
    with_tap(|tap, _, _| {
        let (sink, stream) = channel();
        (0..16).for_each(|number| sink.send(number).unwrap());
        sink.finish().unwrap();
        assert_eq!(tap.sum(stream).unwrap(), 120);
    });
}

#[test]
fn streams_in_both_directions_go_on_at_once() {
    with_tap(|tap, _, _| {
        let (sink, stream) = channel();
        let doubled = tap.double(stream).unwrap();
        let writer = thread::spawn(move || {
            (0..5_000).try_for_each(|number| sink.send(number))?;
            sink.finish()
        });
        let all: Result<Vec<u32>> = doubled.collect();
        assert_eq!(all.unwrap(), (0..5_000).map(|number| 2 * number).collect::<Vec<_>>());
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn items_larger_than_the_first_credit_are_requested() {
    with_tap(|tap, _, _| {
        for bytes in [1, 4_000, 4_093, 10_000, 32_764] {
            let texts = tap.texts(bytes, 20).unwrap();
            let lens: Result<Vec<usize>> = texts.map(|text| Ok(text?.len())).collect();
            assert_eq!(lens.unwrap(), [bytes as usize; 20], "{bytes}");
        }
    });
}

#[test]
fn an_item_larger_than_a_frame_is_refused_and_the_reader_learns_it() {
    with_tap(|tap, _, _| {
        let error = tap.texts(32_765, 1).unwrap().next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    });
}

#[test]
fn handles_in_items_arrive_and_are_proven() {
    with_tap(|tap, _, _| {
        for (number, pipe) in tap.pipes(300).unwrap().enumerate() {
            let mut bytes = [0; 4];
            pipe.unwrap().read_exact(&mut bytes).unwrap();
            assert_eq!(u32::from_le_bytes(bytes), number as u32);
        }
        let (sink, stream) = channel();
        let writer = thread::spawn(move || {
            for number in 0..300 {
                sink.send(text_file(number))?;
            }
            sink.finish()
        });
        assert_eq!(tap.sum_files(stream).unwrap(), 44_850);
        writer.join().unwrap().unwrap();
    });
}

fn text_file(number: u32) -> File {
    use std::io::Seek;
    let mut file = tempfile::tempfile().unwrap();
    writeln!(file, "{number}").unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn a_reader_that_drops_its_stream_stops_the_writer() {
    with_tap(|tap, opened, _| {
        let mut stream = tap.open().unwrap();
        let sink = opened.recv().unwrap();
        sink.send(7).unwrap();
        assert_eq!(stream.next().unwrap().unwrap(), 7);
        drop(stream);
        let mut error = None;
        eventually("the sink notices it", || {
            error = sink.try_send(8).err();
            matches!(error, Some(TrySendError::Failed(_)))
        });
        let Some(TrySendError::Failed(error)) = error else { unreachable!() };
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");

        let (sink, stream) = channel();
        tap.take(stream, 0).unwrap();
        let error = (0..100_000).find_map(|number| sink.send(number).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    });
}

#[test]
fn a_sink_that_fails_or_is_dropped_ends_the_stream_with_an_error() {
    with_tap(|tap, opened, _| {
        for (end, kind, text) in [
            (
                &(|sink: Sink<u32>| sink.fail(Error::new(ErrorKind::Busy, "too hot")).unwrap())
                    as &dyn Fn(Sink<u32>),
                ErrorKind::Busy,
                "too hot",
            ),
            (&drop::<Sink<u32>>, ErrorKind::Failed, "before `finish`"),
        ] {
            let mut stream = tap.open().unwrap();
            let sink = opened.recv().unwrap();
            sink.send(1).unwrap();
            end(sink);
            assert_eq!(stream.next().unwrap().unwrap(), 1);
            let error = stream.next().unwrap().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(text), "{error}");
            assert!(stream.next().is_none());
        }
    });
}

#[test]
fn a_slow_reader_stops_its_writer_and_no_call() {
    with_tap(|tap, opened, source| {
        let slow = tap.count(1_000_000).unwrap();
        let mut sent = u64::MAX;
        eventually("the writer waits", || {
            thread::sleep(Duration::from_millis(20));
            let before = std::mem::replace(&mut sent, source.sent.load(Ordering::Relaxed));
            before == sent
        });
        assert!(sent < 1_000, "{sent}");
        for _ in 0..100 {
            tap.ping().unwrap();
        }
        let all: Result<Vec<u32>> = tap.count(1_000).unwrap().collect();
        assert_eq!(all.unwrap().len(), 1_000);
        let other = tap.open().unwrap();
        let sink = opened.recv().unwrap();
        sink.send(3).unwrap();
        sink.finish().unwrap();
        assert_eq!(other.map(Result::unwrap).collect::<Vec<_>>(), [3]);
        drop(slow);
    });
}

#[test]
fn a_wait_for_an_item_or_for_credit_ends_with_its_timeout() {
    with_tap(|tap, opened, _| {
        let mut stream = tap.open().unwrap();
        let mut sink = opened.recv().unwrap();
        let begin = Instant::now();
        let error = stream.next_timeout(Duration::from_millis(30)).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(begin.elapsed() >= Duration::from_millis(30));
        sink.set_timeout(Duration::from_millis(30));
        let error = (0..1_000).find_map(|number| sink.send(number).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        // Both go on.
        assert_eq!(stream.next().unwrap().unwrap(), 0);
    });
}

#[test]
fn the_end_of_the_client_ends_its_streams_in_the_server() {
    with_tap(|tap, opened, source| {
        let stream = tap.open().unwrap();
        let (client_sink, client_stream) = channel();
        tap.keep(client_stream).unwrap();
        client_sink.send(5).unwrap();
        let sink = opened.recv().unwrap();
        drop((tap, stream, client_sink));
        let mut kept = source.kept.lock().unwrap().pop().unwrap();
        assert_eq!(kept.next().unwrap().unwrap(), 5);
        let error = kept.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
        eventually("the sink notices it", || {
            matches!(sink.try_send(8), Err(TrySendError::Failed(_)))
        });
    });
}

#[test]
fn the_end_of_the_server_ends_the_streams_of_its_clients() {
    let (source, opened) = source();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::new().class(TAP, move || source.clone()).path(&path);
    let server = server.start().unwrap();
    let tap: TapClient = connect(path).unwrap();
    let mut stream = tap.open().unwrap();
    let _sink = opened.recv().unwrap();
    let (sink, client_stream) = channel();
    tap.keep(client_stream).unwrap();
    server.shutdown();
    let error = stream.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    let error = (0..100_000).find_map(|number| sink.send(number).err()).unwrap();
    assert!(matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Cancelled), "{error}");
}

#[test]
fn a_cancelled_call_leaves_no_stream_open() {
    with_tap(|tap, opened, _| {
        let quick = tap.with_timeout(Duration::from_nanos(1));
        let mut sinks = Vec::new();
        for _ in 0..100 {
            let _ = quick.open();
        }
        tap.ping().unwrap();
        while let Ok(sink) = opened.try_recv() {
            sinks.push(sink);
        }
        for sink in sinks {
            eventually("the sink ends", || {
                tap.ping().unwrap();
                matches!(sink.try_send(8), Err(TrySendError::Failed(_)))
            });
        }
    });
}

#[test]
fn a_received_stream_cannot_be_passed_on_and_no_stream_twice() {
    with_tap(|tap, opened, _| {
        let stream = tap.open().unwrap();
        let sink = opened.recv().unwrap();
        let error = tap.sum(stream).unwrap_err();
        assert!(!error.may_have_run(), "{error}");
        assert!(error.to_string().contains("can't be passed on"), "{error}");
        eventually("the stream was dropped", || {
            tap.ping().unwrap();
            matches!(sink.try_send(8), Err(TrySendError::Failed(_)))
        });
    });
}

#[test]
fn many_streams_of_one_client_take_no_thread_and_no_descriptor() {
    const MANY: usize = 2_000;
    alone(|| {
        with_tap(|tap, opened, source| {
            tap.ping().unwrap();
            let before = crate::support::descriptors();
            let (mut streams, mut client_sinks) = (Vec::new(), Vec::new());
            for _ in 0..MANY {
                streams.push(tap.open().unwrap());
                let (sink, stream) = channel();
                tap.keep(stream).unwrap();
                client_sinks.push(sink);
            }
            assert!(crate::support::descriptors() <= before + 4);
            let sinks: Vec<_> = opened.try_iter().collect();
            assert_eq!(sinks.len(), MANY);
            let writer = thread::spawn(move || {
                for (number, sink) in sinks.iter().enumerate() {
                    sink.send(number as u32).unwrap();
                    sink.finish().unwrap();
                }
            });
            for (number, stream) in streams.into_iter().enumerate() {
                assert_eq!(stream.map(Result::unwrap).collect::<Vec<_>>(), [number as u32]);
            }
            writer.join().unwrap();
            for (number, sink) in client_sinks.iter().enumerate() {
                sink.send(number as u32).unwrap();
                sink.finish().unwrap();
            }
            let kept = std::mem::take(&mut *source.kept.lock().unwrap());
            for (number, stream) in kept.into_iter().enumerate() {
                assert_eq!(stream.map(Result::unwrap).collect::<Vec<_>>(), [number as u32]);
            }
        })
    });
}

#[test]
fn a_thread_that_waits_for_a_call_leaves_the_streams_of_others_going() {
    with_tap(|tap, _, _| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let tap = tap.clone();
                thread::spawn(move || {
                    for _ in 0..5 {
                        let all: Result<Vec<u32>> = tap.count(500).unwrap().collect();
                        assert_eq!(all.unwrap().len(), 500);
                        let (sink, stream) = channel();
                        let writer = thread::spawn(move || {
                            (0..500).try_for_each(|number| sink.send(number))?;
                            sink.finish()
                        });
                        assert_eq!(tap.sum(stream).unwrap(), 124_750);
                        writer.join().unwrap().unwrap();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[cfg(feature = "tokio")]
#[test]
fn tasks_read_and_write_streams() {
    let (source, opened) = source();
    let tap: TapClient = in_process::<dyn Tap, _>(source).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tap = TapAsyncClient::from(tap);
        let mut stream = tap.count(3_000).await.unwrap();
        let mut next = 0;
        while let Some(number) = stream.next_async().await {
            assert_eq!(number.unwrap(), next);
            next += 1;
        }
        assert_eq!(next, 3_000);
        let (sink, stream) = channel();
        let writer = tokio::spawn(async move {
            for number in 0..3_000 {
                sink.send_async(number).await?;
            }
            sink.finish()
        });
        assert_eq!(tap.sum(stream).await.unwrap(), 4_498_500);
        writer.await.unwrap().unwrap();
        let mut stream = tap.open().await.unwrap();
        let sink = opened.recv().unwrap();
        stream.set_timeout(Duration::from_millis(20));
        let error = stream.next_async().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        drop(stream);
        let stopped = tokio::time::timeout(LONG, async {
            loop {
                if let Err(error) = sink.send_async(1).await {
                    return error;
                }
            }
        });
        assert_eq!(stopped.await.unwrap().kind(), ErrorKind::Cancelled);
    });
}
