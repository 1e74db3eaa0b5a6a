//! Support for tests of activation: a fixture with its own folders, processes that end with it, and
//! the interface of the server under test.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "a test says what it could not do")]
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test helper is a failed test")]

mod broker;
mod control_group;
mod fixture;
mod fork;
#[cfg(doctest)]
pub mod guide;
mod line_fifo;
mod messages;
mod mirror;
mod process;
mod process_state;
mod readable;
mod socket_activator;
mod stopped_process;
mod test_service;

pub use broker::{BROKER, Broker, BrokerClient, BrokerObject};
pub use control_group::ControlGroup;
pub use fixture::{CLIENT, Fixture, SERVER, WORKER, copy, example, program};
pub use fork::leave_child;
pub use line_fifo::LineFifo;
pub use messages::{Messages, describe, parse_messages};
pub use mirror::{MIRROR, Mirror, MirrorClient, MirrorObject};
pub use process::Process;
pub use process_state::{fill_in_flight, restored_descriptor_limit};
pub use socket_activator::SocketActivator;
pub use stopped_process::stop_and_continue;
pub use test_service::{
    EVENTS_METHOD, PeerIds, SET_METHOD, TEST_SERVICE, TestService, TestServiceAsyncClient,
    TestServiceClient, WAIT_METHOD, peer_ids,
};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time limit for an expected event, which suffices even on a busy machine.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
///
/// # Panics
/// Panics if the condition does not hold after [`TEST_TIMEOUT`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sets a flag when dropped. Use it in a thread scope whose other threads run until the flag is
/// set. If the test panics, they end too, and the scope does not wait for them for ever.
#[derive(Debug)]
pub struct SetOnDrop<'f>(pub &'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Returns whether this process runs as root.
pub fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Converts the output of a program to text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the kernel version.
pub fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}
