//! Observes state that two copies of the library in one process share, or have twice.

use std::process::Command;
use std::time::Duration;

use syshandle::ErrorKind;
use syshandle::direct::{Connector, socket_pair};
use syshandle::handle::{OwnedHandle, restore_descriptor_limit};

use crate::mirror::MirrorClient;

/// Sends handles that this process does not receive until the library refuses to send more. Returns
/// the number of handles, and the sockets that contain them.
///
/// # Panics
/// Panics if an attempt ends in another way.
pub fn fill_in_flight() -> (usize, Vec<(OwnedHandle, OwnedHandle)>) {
    // One socket alone has no room for all of them.
    let pairs: Vec<_> = (0..8).map(|_| socket_pair().unwrap()).collect();
    let connector = Connector::new().timeout(Duration::ZERO);
    let mut sent = 0;
    loop {
        // Each attempt sends one handle through the door, which nobody opens.
        let door = pairs[sent % pairs.len()].0.try_clone().unwrap();
        let error = connector.from_door::<MirrorClient>(door).unwrap_err();
        match error.kind() {
            ErrorKind::TimedOut => sent += 1,
            _ => {
                let text = error.to_string();
                assert!(text.contains("nor others that it was asked before"), "{error:?}");
                return (sent, pairs);
            }
        }
    }
}

/// Returns the limit of descriptors of a program that is started with [`restore_descriptor_limit`].
///
/// # Panics
/// Panics if the program can't be started.
pub fn restored_descriptor_limit() -> u64 {
    let mut command = Command::new("sh");
    let output = restore_descriptor_limit(command.args(["-c", "ulimit -n"])).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}
