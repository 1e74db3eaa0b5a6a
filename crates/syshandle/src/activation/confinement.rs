//! What a process can't shed when it starts another one.
//!
//! A server that a confined client starts would be as confined, and serve everybody so. The first
//! one who uses the folder of sockets notes how confined it is; who is more confined, or in other
//! namespaces, may connect to a server that runs but not start one.

use std::fs;
use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// What of a process a child inherits for good. Landlock, which nobody can be asked about, shows
/// in `no_new_privs`; control groups are left out.
#[derive(Debug, PartialEq, Eq)]
struct Confinement {
    user: String,
    mount: String,
    pid: String,
    seccomp_filters: u32,
    no_new_privs: u32,
}

/// Checks that this process may start a server for all.
///
/// # Errors
/// [`ErrorKind::ActivationDenied`], with what confines it.
pub(super) fn check(note: &Path) -> Result<()> {
    let denied = |what: &str| {
        let text =
            format!("this process may only connect to a server that runs, not start one: {what}");
        Err(Error::new(ErrorKind::ActivationDenied, text))
    };
    let Some(own) = Confinement::own() else {
        return denied("without /proc it can't be told how confined it is");
    };
    let first = match fs::read_to_string(note) {
        Ok(text) => Confinement::parse(&text),
        Err(_) => {
            // Written whole, whoever is first.
            let new = note.with_extension(std::process::id().to_string());
            let noted = fs::write(&new, own.to_string()).and_then(|()| fs::hard_link(&new, note));
            let _ = fs::remove_file(&new);
            match (noted, fs::read_to_string(note)) {
                (_, Ok(text)) => Confinement::parse(&text),
                (Err(error), Err(_)) => {
                    return denied(&format!("{} can't be written: {error}", note.display()));
                }
                (Ok(()), Err(error)) => {
                    return denied(&format!("{} can't be read: {error}", note.display()));
                }
            }
        }
    };
    let Some(first) = first else {
        return denied(&format!("{} isn't as it should be: remove it", note.display()));
    };
    match () {
        () if own.user != first.user => denied("it is in another user namespace"),
        () if own.mount != first.mount => denied("it is in another mount namespace"),
        () if own.pid != first.pid => denied("it is in another pid namespace"),
        () if own.seccomp_filters > first.seccomp_filters => denied("seccomp confines it"),
        () if own.no_new_privs > first.no_new_privs => {
            denied("it may not gain privileges (no_new_privs)")
        }
        () => Ok(()),
    }
}

impl Confinement {
    /// That of this process.
    fn own() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        let namespace = |name: &str| {
            Some(
                fs::read_link(format!("/proc/self/ns/{name}")).ok()?.to_string_lossy().into_owned(),
            )
        };
        Some(Self {
            user: namespace("user")?,
            mount: namespace("mnt")?,
            pid: namespace("pid")?,
            seccomp_filters: field("Seccomp_filters:").or_else(|| field("Seccomp:"))?,
            no_new_privs: field("NoNewPrivs:")?,
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut word = || words.next();
        Some(Self {
            user: word()?.to_owned(),
            mount: word()?.to_owned(),
            pid: word()?.to_owned(),
            seccomp_filters: word()?.parse().ok()?,
            no_new_privs: word()?.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Confinement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, mount, pid, seccomp_filters, no_new_privs } = self;
        writeln!(f, "{user} {mount} {pid} {seccomp_filters} {no_new_privs}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_notes_it_and_an_equal_one_passes() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("confinement");
        check(&note).unwrap();
        check(&note).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(Confinement::parse(&fs::read_to_string(&note).unwrap()), Confinement::own());
    }

    #[test]
    fn another_namespace_is_denied_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("confinement");
        let other = Confinement { mount: "mnt:[1]".into(), ..Confinement::own().unwrap() };
        fs::write(&note, other.to_string()).unwrap();
        let error = check(&note).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActivationDenied);
        assert!(error.to_string().contains("another mount namespace"), "{error}");
    }
}
