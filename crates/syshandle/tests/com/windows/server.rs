//! The server of the tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Mutex as Lock;
use std::time::Duration;

use syshandle::{
    Context, Error, Guid, Result, Server,
    handle::{
        Event, Handle, Job, ManualEvent, Mutex, Process, RegKey, Section, Semaphore, Thread, Timer,
        Token,
    },
};

use super::error_kinds::{FAILING, Failer};
use super::interface::{
    ATTACKED, BEREFT, COLD, CRASHING, CROWDED, Everything, KILLED, Parcel, Refusal, SHARED, Who,
};
use super::layouts::{Echo, LAYOUTS};
use super::place::PATIENCE;
use super::reentrancy::{NODE, Peer};
use super::references::{Clerk, DESK, OTHER_DESK};
use super::serving::{self, LONG_SHIFT, SHORT_SHIFT, Worker};

/// Serves one class.
pub(crate) fn main(class: &str) -> ExitCode {
    let server = Server::new().idle_timeout(Duration::from_millis(300));
    let make = || Servant::default();
    let server = match class {
        "shared" => server.class(SHARED, make),
        "cold" => server.class(COLD, make),
        "killed" => server.class(KILLED, make),
        "crashing" => server.class(CRASHING, make),
        "bereft" => server.class(BEREFT, make),
        "crowded" => server.class(CROWDED, make),
        "attacked" => server.class(ATTACKED, make),
        "layouts" => server.class(LAYOUTS, || Echo),
        "desk" => server.class(DESK, Clerk::default),
        "other desk" => server.class(OTHER_DESK, Clerk::default),
        "failing" => server.class(FAILING, || Failer),
        "node" => server.class(NODE, Peer::default),
        "short shift" => server.class(SHORT_SHIFT, Worker::default),
        "long shift" => server.class(LONG_SHIFT, Worker::default),
        _ => return ExitCode::from(2),
    };
    let served = match class {
        "short shift" => serving::main(server, Duration::from_millis(100)),
        "long shift" => serving::main(server, PATIENCE),
        _ => server.run(),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[derive(Default)]
pub(crate) struct Servant {
    kept: Lock<Vec<File>>,
}

impl Everything for Servant {
    fn file(&self, mut file: File) -> Result<File> {
        file.write_all(b"served")?;
        Ok(file)
    }

    fn pipe(&self, mut pipe: PipeReader) -> Result<PipeReader> {
        let mut bytes = [0; 6];
        pipe.read_exact(&mut bytes)?;
        let (reader, mut writer) = std::io::pipe()?;
        writer.write_all(&bytes)?;
        Ok(reader)
    }

    fn pipe_to_write(&self, mut pipe: PipeWriter) -> Result<PipeWriter> {
        pipe.write_all(b"served")?;
        Ok(pipe)
    }

    fn event(&self, event: Event) -> Result<Event> {
        event.set()?;
        Ok(event)
    }

    fn manual_event(&self, event: ManualEvent) -> Result<ManualEvent> {
        event.reset()?;
        Ok(event)
    }

    fn semaphore(&self, semaphore: Semaphore) -> Result<Semaphore> {
        semaphore.release(2)?;
        Ok(semaphore)
    }

    fn mutex(&self, mutex: Mutex) -> Result<(bool, Mutex)> {
        let is_taken = mutex.try_lock()?.is_none();
        Ok((is_taken, mutex))
    }

    fn section(&self, section: Section) -> Result<Section> {
        section.write(0, b"served")?;
        Ok(section)
    }

    fn process(&self, process: Process) -> Result<(u32, Process)> {
        Ok((process.id()?.unwrap_or_default(), Process::current()?))
    }

    fn thread(&self, thread: Thread) -> Result<(u32, Thread)> {
        Ok((thread.id()?.unwrap_or_default(), Thread::current()?))
    }

    fn job(&self, job: Job) -> Result<(u32, Job)> {
        Ok((job.process_ids()?.len() as u32, job))
    }

    fn token(&self, token: Token) -> Result<(String, Token)> {
        Ok((token.user()?, Token::current()?))
    }

    fn key(&self, key: RegKey) -> Result<(String, RegKey)> {
        Ok((key.text("text")?, key))
    }

    fn socket(&self, mut socket: TcpStream) -> Result<TcpStream> {
        socket.write_all(b"served")?;
        Ok(socket)
    }

    fn timer(&self, _timer: Timer) -> Result<()> {
        Ok(())
    }

    fn numbers(&self, a: f64, b: u8, c: f32, d: i64, e: bool, f: f64) -> Result<(f64, i64, bool)> {
        Ok((a + f64::from(b) + f64::from(c) + f, -d, !e))
    }

    fn texts(&self, text: String, id: Guid, list: Vec<u32>) -> Result<(String, Guid, Vec<u32>)> {
        Ok((text.chars().rev().collect(), id, list.into_iter().rev().collect()))
    }

    fn files(&self, files: Vec<File>) -> Result<u32> {
        for mut file in &files {
            file.write_all(b"served")?;
        }
        Ok(files.len() as u32)
    }

    fn perhaps(&self, event: Option<Event>) -> Result<Option<Event>> {
        event.iter().try_for_each(Event::set)?;
        Ok(event)
    }

    fn opaque(&self, parcels: BTreeMap<String, Parcel>) -> Result<BTreeMap<String, Parcel>> {
        for parcel in parcels.values() {
            match parcel {
                Parcel::File(file, number) => {
                    let mut file: &File = file;
                    file.write_all(number.to_string().as_bytes())?;
                }
                Parcel::Events(events) => events.iter().try_for_each(Event::set)?,
                Parcel::Empty => {}
            }
        }
        Ok(parcels)
    }

    fn refuse(&self, with: Refusal) -> Result<u32, Refusal> {
        Err(with)
    }

    fn fail(&self, text: String) -> Result<u32> {
        Err(Error::failed(text))
    }

    #[expect(clippy::panic, reason = "that is what is tried")]
    fn panic(&self) -> Result<()> {
        panic!("so it was asked")
    }

    fn who(&self, context: &Context) -> Result<Who> {
        Ok(Who { server_pid: std::process::id(), client_pid: context.client().pid })
    }

    fn write_outcome(&self, context: &Context, mut file: File, event: Event) -> Result<()> {
        context.on_signal(event, Duration::from_secs(60), move |outcome| {
            let _ = write!(file, "{outcome:?}");
        })?;
        Ok(())
    }

    fn fail_later(&self, context: &Context, event: Event) -> Result<Event> {
        let client = context.clone();
        context
            .on_signal(event, Duration::from_secs(60), move |_| client.abort("it went wrong"))?;
        Ok(Event::new()?)
    }

    fn rest(&self, context: &Context, begun: Event) -> Result<()> {
        begun.set()?;
        while !context.is_cancelled() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn crash(&self) -> Result<()> {
        std::process::abort()
    }

    fn keep_open(&self, path: String) -> Result<u64> {
        let file = File::options().read(true).write(true).open(path)?;
        let number = std::os::windows::io::AsRawHandle::as_raw_handle(&file.as_handle());
        let number = number.addr() as u64;
        self.kept.lock().map_err(|_| Error::failed("poisoned"))?.push(file);
        Ok(number)
    }
}
