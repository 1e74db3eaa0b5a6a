//! The measured versions of the peers' libraries and of installed programs.

use std::collections::BTreeMap;
use std::process::Command;

/// Returns the versions by contender.
pub(crate) fn all() -> BTreeMap<String, String> {
    let locked = ["zbus", "zlink", "rsbinder", "ipc-channel", "tarpc", "tonic"];
    let locked =
        locked.into_iter().filter_map(|name| Some((name.to_owned(), of_lock(LOCK, name)?)));
    let daemon = answer("dbus-daemon", &["--version"]).and_then(|text| {
        let version = text.lines().next()?.split(' ').next_back()?.to_owned();
        Some(("zbus-daemon".to_owned(), format!("dbus-daemon {version}")))
    });
    let systemd = answer("pkg-config", &["--modversion", "libsystemd"])
        .map(|text| ("sd-bus".to_owned(), format!("libsystemd {}", text.trim())));
    locked.chain(daemon).chain(systemd).collect()
}

/// Returns the version of a package in a lock file.
fn of_lock(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"\n");
    let after = &lock[lock.find(&name)? + name.len()..];
    Some(after.lines().next()?.strip_prefix("version = ")?.trim_matches('"').to_owned())
}

fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// The lock file of the benchmark.
const LOCK: &str = include_str!("../../Cargo.lock");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_has_a_version_of_every_peer() {
        for name in ["zbus", "zlink", "rsbinder", "ipc-channel", "tarpc", "tonic"] {
            let version = of_lock(LOCK, name).unwrap();
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{name} {version}");
        }
        assert_eq!(of_lock(LOCK, "no-such-thing"), None);
    }
}
