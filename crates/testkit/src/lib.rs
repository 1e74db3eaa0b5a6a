//! Support for tests of activation: a place with folders of its own, processes that end with it, and
//! the interface of the server and the client under test.
#![cfg(not(windows))]
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what helps a test fails as a test does")]

mod activator;
mod broker;
mod cgroup;
mod interface;
mod notes;
mod place;
mod process;

pub use activator::Activator;
pub use broker::{BROKER, Broker, BrokerClient};
pub use cgroup::ControlGroup;
pub use interface::{
    SET_METHOD, TEST_SERVICE, TestService, TestServiceClient, TestServiceStarter, WAIT_METHOD, Who,
    who,
};
pub use notes::Notes;
pub use place::{CLIENT, Place, SERVER, WORKER, copy, example, program};
pub use process::Process;

use std::time::{Duration, Instant};

/// Time limit for an expected event, long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
///
/// # Panics
/// Panics if the condition does not hold after [`PATIENCE`].
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the version of the kernel.
pub fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}
