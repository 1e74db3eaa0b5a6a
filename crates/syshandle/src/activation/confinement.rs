//! What a process can't shed when it starts another one.
//!
//! A server that a confined client starts would be as confined, and serve everybody so. Who starts
//! a server notes how confined it is, unless that is noted; who is more confined, or in other
//! namespaces, may connect to a server that runs but not start one. Who is less confined is the
//! measure from then on: so it doesn't matter for long who was the first.

use std::fs;
use std::io;
use std::path::Path;

use syshandle_os::{has_no_new_privileges, is_filtered, within_file_size_limit};

use crate::{Error, ErrorKind, Result};

/// What of a process, or of the thread that starts it, a child inherits for good. Landlock, which
/// nobody can be asked about, shows in `no_new_privs`; control groups are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    let error = |what: &str| {
        let text =
            format!("this process may only connect to a server that runs, not start one: {what}");
        Error::new(ErrorKind::ActivationDenied, text)
    };
    let denied = |what: &str| Err(error(what));
    let cannot_be_written =
        |cause: io::Error| error(&format!("{} can't be written", note.display())).because(cause);
    let own = Confinement::own().map_err(|cause| {
        error("without /proc it can't be told how confined it is").because(cause)
    })?;
    let first = match fs::read_to_string(note) {
        Ok(text) => match Confinement::parse(&text) {
            Some(first) => first,
            None => return denied(&format!("{} isn't as it should be: remove it", note.display())),
        },
        // Of several who are the first at once it doesn't matter whose note stays.
        Err(_) => return own.write(note).map_err(cannot_be_written),
    };
    match own.beyond(&first) {
        None if own == first => Ok(()),
        None => own.write(note).map_err(cannot_be_written),
        Some(what) => denied(&format!("{what} (those who may are noted in {})", note.display())),
    }
}

impl Confinement {
    /// That of this thread.
    fn own() -> io::Result<Self> {
        let namespace = |name: &str| {
            let link = fs::read_link(format!("/proc/thread-self/ns/{name}"))?;
            io::Result::Ok(link.to_string_lossy().into_owned())
        };
        Ok(Self {
            user: namespace("user")?,
            mount: namespace("mnt")?,
            pid: namespace("pid")?,
            // How many there are only a long text says.
            seccomp_filters: if is_filtered() { seccomp_filters()? } else { 0 },
            no_new_privs: has_no_new_privileges()?.into(),
        })
    }

    /// What confines this process that doesn't confine that one.
    fn beyond(&self, that: &Self) -> Option<&'static str> {
        let other = |own: &str, that: &str| own != that && !is_initial(own);
        match () {
            () if other(&self.user, &that.user) => Some("it is in another user namespace"),
            () if other(&self.mount, &that.mount) => Some("it is in another mount namespace"),
            () if other(&self.pid, &that.pid) => Some("it is in another pid namespace"),
            () if self.seccomp_filters > that.seccomp_filters => Some("seccomp confines it"),
            () if self.no_new_privs > that.no_new_privs => {
                Some("it may not gain privileges (no_new_privs)")
            }
            () => None,
        }
    }

    /// Notes it, whole.
    fn write(&self, note: &Path) -> io::Result<()> {
        let new = note.with_extension(std::process::id().to_string());
        within_file_size_limit(|| fs::write(&new, self.to_string()))
            .and_then(|()| fs::rename(&new, note))
            .inspect_err(|_| drop(fs::remove_file(&new)))
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

/// How many filters of system calls there are; before Linux 5.9 whether there are any.
fn seccomp_filters() -> io::Result<u32> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let field = |name: &str| {
        let field = status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        field.ok_or_else(|| io::Error::other(format!("/proc/thread-self/status has no {name}")))
    };
    field("Seccomp_filters:").or_else(|_| field("Seccomp:"))
}

/// Whether a namespace is the one that the system started with, as far as its number tells: theirs
/// are the smallest, by `linux/nsfs.h`, and before Linux 6.18 that of mounts was among the first.
fn is_initial(namespace: &str) -> bool {
    let number = namespace.trim_end_matches(']').rsplit('[').next();
    number.and_then(|number| number.parse().ok()).is_some_and(|number: u64| number <= 0xf000_0001)
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
        assert_eq!(
            Confinement::parse(&fs::read_to_string(&note).unwrap()),
            Confinement::own().ok()
        );
    }

    #[test]
    fn another_namespace_is_denied_by_name() {
        let own = Confinement {
            user: "user:[4026531837]".into(),
            mount: "mnt:[4026531841]".into(),
            pid: "pid:[4026531836]".into(),
            seccomp_filters: 0,
            no_new_privs: 0,
        };
        let sandboxed = || Confinement { mount: "mnt:[4026532800]".into(), ..own.clone() };
        assert_eq!(own.beyond(&own), None);
        assert_eq!(own.beyond(&sandboxed()), None, "it is less confined");
        assert_eq!(sandboxed().beyond(&own), Some("it is in another mount namespace"));
        let other = Confinement { mount: "mnt:[4026532900]".into(), ..own.clone() };
        assert_eq!(other.beyond(&sandboxed()), Some("it is in another mount namespace"));
        let filtered = Confinement { seccomp_filters: 1, ..own.clone() };
        assert_eq!(filtered.beyond(&own), Some("seccomp confines it"));
    }

    #[test]
    fn a_note_that_is_damaged_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("confinement");
        fs::write(&note, "nothing").unwrap();
        let error = check(&note).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActivationDenied);
        assert!(error.to_string().contains("remove it"), "{error}");
    }
}
