//! Handles of every kind travel to another process and back.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};

use syshandle::{
    ErrorKind,
    handle::{
        Event, Job, ManualEvent, Mutex, Process, RegKey, Section, Semaphore, Thread, Timer, Token,
    },
};

use super::Test;
use super::clients::start;
use super::interface::{EverythingClient, SHARED};
use super::place::PATIENCE;

pub(crate) const TESTS: &[Test] = &[
    ("a_file_crosses", file),
    ("a_pipe_crosses", pipe),
    ("an_event_crosses", event),
    ("a_manual_event_crosses", manual_event),
    ("a_semaphore_crosses", semaphore),
    ("a_mutex_crosses", mutex),
    ("a_section_crosses", section),
    ("a_process_crosses", process),
    ("a_thread_crosses", thread),
    ("a_job_crosses", job),
    ("a_token_crosses", token),
    ("a_registry_key_crosses", key),
    ("a_socket_crosses", socket),
    ("a_timer_has_no_kind_of_com_s", timer),
    ("the_wrong_kind_is_refused", wrong_kind),
    ("a_missing_right_is_refused", missing_right),
];

fn client() -> EverythingClient {
    EverythingClient::activate(SHARED).unwrap()
}

fn file() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"mine ").unwrap();
    let mut returned = client().file(&file).unwrap();
    // The passed handle and the returned handle share one file position.
    assert_eq!(returned.stream_position().unwrap(), 11);
    returned.seek(SeekFrom::Start(0)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "mine served");
}

fn pipe() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"served").unwrap();
    let mut bytes = [0; 6];
    client().pipe(&reader).unwrap().read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"served");
    let (mut reader, writer) = std::io::pipe().unwrap();
    client().pipe_to_write(&writer).unwrap().write_all(b"!").unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "served!");
}

fn event() {
    let event = Event::new().unwrap();
    let returned = client().event(&event).unwrap();
    assert!(returned.poll().unwrap());
    assert!(!event.poll().unwrap());
}

fn manual_event() {
    let event = ManualEvent::new().unwrap();
    event.set().unwrap();
    let returned = client().manual_event(&event).unwrap();
    assert!(!event.poll().unwrap());
    returned.set().unwrap();
    assert!(event.poll().unwrap());
}

fn semaphore() {
    let semaphore = Semaphore::new(0).unwrap();
    let returned = client().semaphore(&semaphore).unwrap();
    assert!(semaphore.try_acquire().unwrap() && returned.try_acquire().unwrap());
    assert!(!semaphore.try_acquire().unwrap());
}

fn mutex() {
    let mutex = Mutex::new().unwrap();
    let guard = mutex.lock().unwrap();
    let (is_taken, returned) = client().mutex(&mutex).unwrap();
    assert!(is_taken);
    drop(guard);
    assert!(!client().mutex(&returned).unwrap().0);
}

fn section() {
    let section = Section::new(4096).unwrap();
    let returned = client().section(&section).unwrap();
    let mut bytes = [0; 6];
    returned.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"served");
    section.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"served");
}

fn process() {
    let client = client();
    let (id, server) = client.process(&Process::current().unwrap()).unwrap();
    assert_eq!(id, std::process::id());
    assert_eq!(server.id().unwrap(), Some(client.who().unwrap().server_pid));
}

fn thread() {
    let own = Thread::current().unwrap();
    let (id, server) = client().thread(&own).unwrap();
    assert_eq!(Some(id), own.id().unwrap());
    assert_ne!(server.id().unwrap(), own.id().unwrap());
}

fn job() {
    let job = Job::new().unwrap();
    let mut child = start(&["stay"]);
    job.add(&Process::of(&child).unwrap()).unwrap();
    let (count, returned) = client().job(&job).unwrap();
    assert_eq!(count, 1);
    returned.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(job.wait_empty(Some(PATIENCE)).unwrap());
}

fn token() {
    let token = Token::current().unwrap();
    let (user, server) = client().token(&token).unwrap();
    assert_eq!(user, token.user().unwrap());
    assert_eq!(server.user().unwrap(), user);
}

fn key() {
    let software = RegKey::open(r"HKCU\Software").unwrap();
    let name = format!("syshandle key {}", std::process::id());
    let key = software.create_key(&name).unwrap();
    key.set_text("text", "sparkly").unwrap();
    let (text, returned) = client().key(&key).unwrap();
    assert_eq!(text, "sparkly");
    assert_eq!(returned.text("text").unwrap(), "sparkly");
    drop((key, returned));
    software.remove_key(&name).unwrap();
}

fn socket() {
    if syshandle_os::under_wine() {
        return say_skipped();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    let mut returned = client().socket(&ours).unwrap();
    returned.write_all(b"!").unwrap();
    drop((ours, returned));
    let mut text = [0; 7];
    other.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"served!");
}

#[expect(clippy::print_stderr, reason = "a test that can't run says so")]
fn say_skipped() {
    eprintln!("skipped: Wine's Winsock knows no sockets but those that a process made itself");
}

fn timer() {
    let error = client().timer(&Timer::new().unwrap()).unwrap_err();
    assert!(error.to_string().contains("timer"), "{error}");
}

fn wrong_kind() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let pipe = File::from(std::os::windows::io::OwnedHandle::from(reader));
    let error = client().file(&pipe).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongHandle, "{error:?}");
    assert_eq!(
        error.to_string(),
        "Everything::file: parameter `file`: expected a file, got a pipe"
    );
}

fn missing_right() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let file = File::open(path.path()).unwrap();
    let error = client().file(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Everything::file: parameter `file`: expected read | write, got a file with read"
    );
}
