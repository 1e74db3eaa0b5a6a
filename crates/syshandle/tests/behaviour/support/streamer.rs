//! An interface with streams, and its implementations.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use syshandle::handle::{Event, Process, Section, Semaphore};
use syshandle::stream::{Sink, Stream, channel};
use syshandle::{Context, Decode, Encode, Error, ErrorKind, Result, class, interface};

use super::bench::ListenerClient;
use super::world::file;

#[interface(iid = "5d1f7a52-2a0b-4f5e-8f0a-6f8f3c1c2b01")]
pub(crate) trait Streamer {
    fn nothing(&self) -> Result<()>;
    fn pid(&self) -> Result<u32>;
    /// Sends numbers from another thread.
    fn count(&self, end: u64) -> Result<Stream<u64>>;
    /// Sends texts before it returns.
    fn list(&self, count: u32) -> Result<Stream<String>>;
    /// Returns the sum of the numbers.
    fn sum(&self, numbers: Stream<u64>) -> Result<u64>;
    /// Does the same, and has another parameter.
    fn sum_with(&self, bytes: Vec<u8>, numbers: Stream<u64>) -> Result<u64>;
    /// Sends the texts back.
    fn echo(&self, texts: Stream<String>) -> Result<Stream<String>>;
    /// Sends the sum of the numbers after each number, and returns a number.
    fn sums(&self, numbers: Option<Stream<u64>>) -> Result<(u32, Option<Stream<u64>>)>;
    /// Returns the size of the file plus the sum of the numbers.
    fn measure(
        &self,
        #[handle(file, read)] file: Arc<File>,
        numbers: Option<Stream<u64>>,
    ) -> Result<u64>;
    /// Returns the total size of the files.
    fn sizes(&self, #[handle(file, read)] files: Stream<File>) -> Result<u64>;
    /// Sends a readable file, and then one that can only be written.
    #[handle(file, read)]
    fn wrong_files(&self) -> Result<Stream<File>>;
    /// Sends items with handles of many kinds.
    fn tools(&self, count: u32) -> Result<Stream<Tool>>;
    /// Uses the handles of the items.
    fn use_tools(&self, tools: Stream<Tool>) -> Result<u32>;
    /// Speaks to each listener.
    fn tell_all(&self, listeners: Stream<ListenerClient>) -> Result<Vec<String>>;
    /// Sends an item and then fails the stream.
    fn fail(&self) -> Result<Stream<u64>>;
    /// Sends an item and then drops the sink.
    fn lose(&self) -> Result<Stream<u64>>;
    /// Keeps the sink and sends nothing.
    fn silent(&self) -> Result<Stream<u64>>;
    /// Keeps the stream and reads nothing.
    fn keep(&self, numbers: Stream<u64>) -> Result<()>;
    /// Drops what [`Streamer::silent`] and [`Streamer::keep`] have kept.
    fn release(&self) -> Result<()>;
    /// Reads until the stream or the call ends.
    #[blocking]
    fn read_on(&self, context: &Context, numbers: Stream<u64>) -> Result<u64>;
    /// Tries to pass the stream on.
    fn pass_on(&self, numbers: Stream<u64>) -> Result<Stream<u64>>;
    /// Returns the number of items that the threads of [`Streamer::count`] have sent.
    fn sent(&self) -> Result<u64>;
    /// Returns the errors of these threads.
    fn ends(&self) -> Result<Vec<String>>;
}

class! { pub(crate) STREAMER: Streamer = "5d1f7a52-2a0b-4f5e-8f0a-6f8f3c1c2b02"; }

/// An item with handles.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Tool {
    pub(crate) name: String,
    #[handle(file, read)]
    pub(crate) file: File,
    pub(crate) event: Event,
    pub(crate) more: Vec<Semaphore>,
    pub(crate) pipe: (PipeReader, PipeWriter),
    pub(crate) socket: UnixStream,
    pub(crate) process: Process,
    pub(crate) section: Option<Section>,
}

impl Tool {
    pub(crate) fn new(number: u32) -> Self {
        let mut pipe = std::io::pipe().unwrap();
        pipe.1.write_all(&number.to_le_bytes()).unwrap();
        let event = Event::new().unwrap();
        event.set().unwrap();
        Self {
            name: format!("tool {number}"),
            file: file(),
            event,
            more: vec![Semaphore::new(1).unwrap(), Semaphore::new(1).unwrap()],
            pipe,
            socket: UnixStream::pair().unwrap().0,
            process: Process::current().unwrap(),
            section: Some(Section::frozen(&number.to_le_bytes()).unwrap()),
        }
    }

    /// Checks that the handles are those of [`Tool::new`].
    pub(crate) fn check(mut self, number: u32) {
        assert_eq!(self.name, format!("tool {number}"));
        assert!(self.file.metadata().unwrap().is_file());
        self.event.wait().unwrap();
        assert_eq!(self.more.len(), 2);
        let mut bytes = [0; 4];
        self.pipe.0.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, number.to_le_bytes());
        self.socket.local_addr().unwrap();
        assert!(self.section.is_some());
    }
}

/// Implements [`Streamer`].
#[derive(Debug, Default)]
pub(crate) struct Streams {
    sent: Arc<AtomicU64>,
    ends: Arc<Mutex<Vec<String>>>,
    sinks: Mutex<Vec<Sink<u64>>>,
    streams: Mutex<Vec<Stream<u64>>>,
}

impl Streams {
    /// Runs the writer of a stream on another thread.
    fn write(&self, write: impl FnOnce() -> Result<()> + Send + 'static) {
        let ends = self.ends.clone();
        thread::spawn(move || {
            if let Err(error) = write() {
                ends.lock().unwrap().push(format!("{:?}: {error}", error.kind()));
            }
        });
    }
}

impl Streamer for Streams {
    fn nothing(&self) -> Result<()> {
        Ok(())
    }

    fn pid(&self) -> Result<u32> {
        Ok(std::process::id())
    }

    fn count(&self, end: u64) -> Result<Stream<u64>> {
        let (sink, stream) = channel();
        let sent = self.sent.clone();
        self.write(move || {
            for number in 0..end {
                sink.send(number)?;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            sink.finish()
        });
        Ok(stream)
    }

    fn list(&self, count: u32) -> Result<Stream<String>> {
        let (sink, stream) = channel();
        for number in 0..count {
            sink.send(format!("text {number}"))?;
        }
        sink.finish()?;
        Ok(stream)
    }

    fn sum(&self, numbers: Stream<u64>) -> Result<u64> {
        numbers.sum()
    }

    fn sum_with(&self, _: Vec<u8>, numbers: Stream<u64>) -> Result<u64> {
        numbers.sum()
    }

    fn echo(&self, texts: Stream<String>) -> Result<Stream<String>> {
        let (sink, stream) = channel();
        self.write(move || {
            for text in texts {
                sink.send(text?)?;
            }
            sink.finish()
        });
        Ok(stream)
    }

    fn sums(&self, numbers: Option<Stream<u64>>) -> Result<(u32, Option<Stream<u64>>)> {
        let Some(numbers) = numbers else { return Ok((0, None)) };
        let (sink, stream) = channel();
        self.write(move || {
            let mut sum = 0;
            for number in numbers {
                sum += number?;
                sink.send(sum)?;
            }
            sink.finish()
        });
        Ok((7, Some(stream)))
    }

    fn measure(&self, file: Arc<File>, numbers: Option<Stream<u64>>) -> Result<u64> {
        let sum: u64 = numbers.into_iter().flatten().sum::<Result<_>>()?;
        Ok(file.metadata()?.len() + sum)
    }

    fn sizes(&self, files: Stream<File>) -> Result<u64> {
        let mut sum = 0;
        for file in files {
            sum += file?.metadata()?.len();
        }
        Ok(sum)
    }

    fn wrong_files(&self) -> Result<Stream<File>> {
        let (sink, stream) = channel();
        sink.send(File::open("/dev/null")?)?;
        sink.send(File::options().write(true).open("/dev/null")?)?;
        sink.finish()?;
        Ok(stream)
    }

    fn tools(&self, count: u32) -> Result<Stream<Tool>> {
        let (sink, stream) = channel();
        self.write(move || {
            (0..count).try_for_each(|number| sink.send(Tool::new(number)))?;
            sink.finish()
        });
        Ok(stream)
    }

    fn use_tools(&self, tools: Stream<Tool>) -> Result<u32> {
        let mut count = 0;
        for tool in tools {
            tool?.check(count);
            count += 1;
        }
        Ok(count)
    }

    fn tell_all(&self, listeners: Stream<ListenerClient>) -> Result<Vec<String>> {
        listeners.map(|listener| listener?.hear("hello".into())).collect()
    }

    fn fail(&self) -> Result<Stream<u64>> {
        let (sink, stream) = channel();
        sink.send(1)?;
        sink.fail(Error::new(ErrorKind::Busy, "the tape is in use"))?;
        Ok(stream)
    }

    fn lose(&self) -> Result<Stream<u64>> {
        let (sink, stream) = channel();
        sink.send(1)?;
        Ok(stream)
    }

    fn silent(&self) -> Result<Stream<u64>> {
        let (sink, stream) = channel();
        self.sinks.lock().unwrap().push(sink);
        Ok(stream)
    }

    fn keep(&self, numbers: Stream<u64>) -> Result<()> {
        self.streams.lock().unwrap().push(numbers);
        Ok(())
    }

    fn release(&self) -> Result<()> {
        self.sinks.lock().unwrap().clear();
        self.streams.lock().unwrap().clear();
        Ok(())
    }

    fn read_on(&self, context: &Context, numbers: Stream<u64>) -> Result<u64> {
        let mut count = 0;
        for number in numbers {
            match number {
                Ok(_) => count += 1,
                Err(error) => {
                    self.ends.lock().unwrap().push(format!("{:?}: {error}", error.kind()));
                    return Err(error);
                }
            }
            if context.is_cancelled() {
                self.ends.lock().unwrap().push("cancelled".into());
                break;
            }
        }
        Ok(count)
    }

    fn pass_on(&self, numbers: Stream<u64>) -> Result<Stream<u64>> {
        Ok(numbers)
    }

    fn sent(&self) -> Result<u64> {
        Ok(self.sent.load(Ordering::Relaxed))
    }

    fn ends(&self) -> Result<Vec<String>> {
        Ok(self.ends.lock().unwrap().clone())
    }
}
