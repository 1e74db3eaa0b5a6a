//! Clients that send numbers of handles that they do not own.
//!
//! Under Wine, a handle is encoded as eight bytes, which the server looks up among the handles of
//! its caller. The attacker declares the same interface with plain numbers in place of handles, so
//! it can send any eight bytes.

use std::fs::File;

use syshandle::{Result, interface, object::Proxy};
use syshandle_os::under_wine;

use super::Test;
use super::clients::start;
use super::interface::{ATTACKED, EverythingClient};

pub(crate) const TESTS: &[Test] = &[
    ("the_number_of_a_handle_of_the_server_s_opens_nothing", servers_own),
    ("a_number_with_a_process_in_it_opens_nothing", forged_process),
    ("pseudo_handles_are_refused", pseudo),
];

/// The attacker's declaration of the interface: the identifier and the order of the methods are
/// those of `Everything`.
#[interface(iid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f01")]
trait Forged {
    /// Passes a number as a file.
    fn file(&self, file: u64) -> Result<u64>;
    fn pipe(&self, pipe: u64) -> Result<u64>;
    fn pipe_to_write(&self, pipe: u64) -> Result<u64>;
    fn event(&self, event: u64) -> Result<u64>;
    fn manual_event(&self, event: u64) -> Result<u64>;
    fn semaphore(&self, semaphore: u64) -> Result<u64>;
    fn mutex(&self, mutex: u64) -> Result<(bool, u64)>;
    fn section(&self, section: u64) -> Result<u64>;
    /// Passes a number as a process, and returns the identifier of the process that the server
    /// found.
    fn process(&self, process: u64) -> Result<(u32, u64)>;
}

/// Sends a number as a handle, and returns the server's answer. Runs in a process of its own,
/// because a process can have only one declaration of an interface.
pub(crate) fn attack(number: u64, kind: &str) -> String {
    let attacker = ForgedClient::activate(ATTACKED).unwrap();
    let answer = match kind {
        "file" => attacker.file(number).map(|_| 0),
        _ => attacker.process(number).map(|(id, _)| id),
    };
    match answer {
        Ok(id) => format!("taken {id}"),
        Err(error) => format!("refused {:?}", error.kind()),
    }
}

/// Makes another process send a number, and returns the server's answer. Returns `None` on Windows,
/// where the RPC runtime encodes handles and a client can't forge them in this way.
fn attacked(number: u64, kind: &str) -> Option<String> {
    if !under_wine() {
        say_skipped();
        return None;
    }
    let attacker = start(&["forge", &number.to_string(), kind]);
    let output = attacker.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[expect(clippy::print_stderr, reason = "a test that can't run says so")]
fn say_skipped() {
    eprintln!("skipped: on Windows the RPC runtime carries handles, and their numbers aren't sent");
}

/// A file that the attacker may not write.
struct Secret(tempfile::NamedTempFile);

impl Secret {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret").unwrap();
        Self(file)
    }

    fn is_untouched(&self) -> bool {
        std::fs::read_to_string(self.0.path()).unwrap() == "secret"
    }
}

fn servers_own() {
    let secret = Secret::new();
    let client = EverythingClient::activate(ATTACKED).unwrap();
    let number = client.keep_open(secret.0.path().to_str().unwrap()).unwrap();
    // The attacker has just started, so it is unlikely to have a handle with this number.
    for _ in 0..3 {
        if let Some(answer) = attacked(number, "file") {
            assert!(secret.is_untouched(), "{answer}");
        }
    }
    let _ = client.as_client();
}

fn forged_process() {
    let secret = Secret::new();
    // These forged numbers contain the process identifier of the victim, which is this process.
    let file = File::options().read(true).write(true).open(secret.0.path()).unwrap();
    let number = std::os::windows::io::AsRawHandle::as_raw_handle(&file).addr() as u64;
    let own = u64::from(std::process::id());
    for forged in [number | own << 32, own | number << 32] {
        let Some(answer) = attacked(forged, "file") else { return };
        assert!(answer.starts_with("refused"), "{forged:#x}: {answer}");
        assert!(secret.is_untouched());
    }
}

fn pseudo() {
    for number in [0, u64::MAX, u64::MAX - 1, u64::from(u32::MAX), u64::from(u32::MAX) - 4] {
        let Some(answer) = attacked(number, "process") else { return };
        assert!(answer.starts_with("refused"), "{number:#x}: {answer}");
    }
}
