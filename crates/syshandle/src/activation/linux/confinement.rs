//! Detects restrictions that a process passes on to every program that it starts.
//!
//! A server that a confined client starts would be confined too, and would serve all clients that
//! way. The client that starts the first server records its own restrictions in a note. A client
//! with further restrictions, or in other namespaces, may connect to a running server but not start
//! one. A client with fewer restrictions replaces the note.
//!
//! The note is valid as long as the system that it describes exists. It contains the boot id and,
//! because namespace numbers are reused, the start time of the first process of its pid namespace.
//! After a reboot the note is invalid. A restarted container has another pid namespace. From
//! inside, that looks like a sandbox with its own pid namespace in the same container, so in this
//! case the check ignores the namespaces and compares only the other restrictions. The initial pid
//! namespace always exists: if the note names it and this process has another one, the process is
//! in a sandbox.

use std::fs;
use std::io;
use std::path::Path;

use syshandle_os::{
    has_no_new_privileges, is_filtered, read_proc, read_proc_link, unfinished,
    within_file_size_limit,
};
use syshandle_registry::trust;

use crate::{Error, ErrorKind, Result};

/// The restrictions of a process, or of the thread that starts another process, that a child
/// inherits permanently. The kernel doesn't report Landlock restrictions, but `no_new_privs`
/// indicates them. Control groups are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Confinement {
    /// The boot id.
    boot: String,
    user: String,
    mount: String,
    pid: String,
    /// Start time of the first process of the pid namespace, in ticks since the boot; 0 if it can't
    /// be read.
    pid_since: u64,
    seccomp_filters: u32,
    no_new_privs: u32,
}

/// Checks that this process may start a server for all clients.
///
/// # Errors
/// [`ErrorKind::ActivationDenied`] with the restriction; errors of the system.
pub(super) fn check(note: &Path) -> Result<()> {
    let denied = |what: &str| {
        let text =
            format!("this process may only connect to a server that runs, not start one: {what}");
        Error::detected(ErrorKind::ActivationDenied, text)
    };
    let cannot_be_written = |cause| Error::from(trust::cannot(note, "written", cause));
    let own = Confinement::own().map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
            denied("without /proc it can't be told how confined it is").because(cause)
        }
        _ => {
            let text = "/proc, which tells how confined this process is, can't be read";
            Error::detected(ErrorKind::System, text).because(cause)
        }
    })?;
    let first = match fs::read_to_string(note) {
        // A note that is incomplete, or that another version wrote, is ignored.
        Ok(text) => Confinement::parse(&text).filter(|first| first.is_of_this_boot(&own)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(trust::cannot(note, "read", error).into());
        }
    };
    // If several clients write the first note at once, any of their notes may remain.
    let Some(first) = first else { return own.write(note).map_err(cannot_be_written) };
    match own.beyond(&first) {
        None if own == first => Ok(()),
        None => own.write(note).map_err(cannot_be_written),
        Some(what) => {
            let place = note.display();
            let text = format!("{what} (as noted in {place}; remove that if it is out of date)");
            Err(denied(&text))
        }
    }
}

impl Confinement {
    /// Returns the restrictions of this thread.
    fn own() -> io::Result<Self> {
        let namespace = |name: &str| read_proc_link("/proc/thread-self/ns", name);
        Ok(Self {
            boot: read_proc("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            user: namespace("user")?,
            mount: namespace("mnt")?,
            pid: namespace("pid")?,
            pid_since: first_process_since().unwrap_or(0),
            // Reading the number of filters is expensive, because only a long text has it.
            seccomp_filters: if is_filtered() { seccomp_filters()? } else { 0 },
            no_new_privs: has_no_new_privileges()?.into(),
        })
    }

    fn is_of_this_boot(&self, own: &Self) -> bool {
        self.boot == own.boot
    }

    /// Returns a restriction of this process that `that` doesn't have.
    fn beyond(&self, that: &Self) -> Option<&'static str> {
        let other = |own: &str, that: &str| own != that && !is_initial(own);
        let same_pid_namespace = self.pid == that.pid && self.pid_since == that.pid_since;
        if same_pid_namespace || is_initial(&that.pid) {
            if other(&self.user, &that.user) {
                return Some("it is in another user namespace");
            }
            if other(&self.mount, &that.mount) {
                return Some("it is in another mount namespace");
            }
            if other(&self.pid, &that.pid) {
                return Some("it is in another pid namespace");
            }
        }
        if self.seccomp_filters > that.seccomp_filters {
            return Some("seccomp confines it");
        }
        if self.no_new_privs > that.no_new_privs {
            return Some("it may not gain privileges (no_new_privs)");
        }
        None
    }

    /// Writes the note atomically.
    fn write(&self, note: &Path) -> io::Result<()> {
        let new = unfinished(note);
        within_file_size_limit(|| fs::write(&new, self.to_string()))
            .and_then(|()| fs::rename(&new, note))
            .inspect_err(|_| drop(fs::remove_file(&new)))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut word = || words.next();
        Some(Self {
            boot: word()?.to_owned(),
            user: word()?.to_owned(),
            mount: word()?.to_owned(),
            pid: word()?.to_owned(),
            pid_since: word()?.parse().ok()?,
            seccomp_filters: word()?.parse().ok()?,
            no_new_privs: word()?.parse().ok()?,
        })
    }
}

/// Returns the start time of the first process of this pid namespace, in ticks since the boot.
fn first_process_since() -> Option<u64> {
    let stat = read_proc("/proc/1/stat").ok()?;
    // The program name in brackets may contain any character. The state is the first field after
    // it.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Returns the number of seccomp filters. Before Linux 5.9 the result is 1 if there are any.
fn seccomp_filters() -> io::Result<u32> {
    let status = read_proc("/proc/thread-self/status")?;
    let field = |name: &str| {
        let field = status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        field.ok_or_else(|| io::Error::other(format!("/proc/thread-self/status has no {name}")))
    };
    field("Seccomp_filters:").or_else(|_| field("Seccomp:"))
}

/// Returns whether a namespace is the initial one, judging by its number. Initial namespaces have
/// the smallest numbers (`linux/nsfs.h`); before Linux 6.18 the initial mount namespace had one of
/// the first regular numbers.
fn is_initial(namespace: &str) -> bool {
    let number = namespace.trim_end_matches(']').rsplit('[').next();
    number.and_then(|number| number.parse().ok()).is_some_and(|number: u64| number <= 0xf000_0001)
}

impl std::fmt::Display for Confinement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { boot, user, mount, pid, pid_since, seccomp_filters, no_new_privs } = self;
        writeln!(f, "{boot} {user} {mount} {pid} {pid_since} {seccomp_filters} {no_new_privs}")
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

    fn outside() -> Confinement {
        Confinement {
            boot: "this".into(),
            user: "user:[4026531837]".into(),
            mount: "mnt:[4026531841]".into(),
            pid: "pid:[4026531836]".into(),
            pid_since: 7,
            seccomp_filters: 0,
            no_new_privs: 0,
        }
    }

    fn container(pid: &str, pid_since: u64) -> Confinement {
        let mount = format!("mnt:[{}]", 4_026_600_000 + pid_since);
        Confinement { mount, pid: pid.into(), pid_since, ..outside() }
    }

    #[test]
    fn another_namespace_is_denied_by_name() {
        let own = outside();
        let sandboxed = || Confinement { mount: "mnt:[4026532800]".into(), ..own.clone() };
        assert_eq!(own.beyond(&own), None);
        assert_eq!(own.beyond(&sandboxed()), None, "it is less confined");
        assert_eq!(sandboxed().beyond(&own), Some("it is in another mount namespace"));
        let other = Confinement { mount: "mnt:[4026532900]".into(), ..own.clone() };
        assert_eq!(other.beyond(&sandboxed()), Some("it is in another mount namespace"));
        let filtered = Confinement { seccomp_filters: 1, ..own.clone() };
        assert_eq!(filtered.beyond(&own), Some("seccomp confines it"));
        let contained = container("pid:[4026532700]", 9);
        assert!(contained.beyond(&own).is_some(), "the initial namespaces exist always");
    }

    #[test]
    fn a_restarted_container_is_the_measure_anew() {
        let before = container("pid:[4026532700]", 9);
        // The numbers of namespaces may be reused.
        for pid in ["pid:[4026532700]", "pid:[4026532701]"] {
            let after = container(pid, 11);
            assert_eq!(after.beyond(&before), None);
            let sandbox = Confinement { no_new_privs: 1, ..after };
            assert!(sandbox.beyond(&before).is_some(), "other restrictions count");
        }
        let sandbox = Confinement { mount: "mnt:[4026532999]".into(), ..before.clone() };
        assert_eq!(sandbox.beyond(&before), Some("it is in another mount namespace"));
    }

    #[test]
    fn a_note_of_another_boot_or_left_in_part_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("confinement");
        let own = Confinement::own().unwrap();
        let other = Confinement { boot: "another".into(), mount: "mnt:[1]".into(), ..own.clone() };
        for text in [String::new(), "nothing".into(), other.to_string()] {
            fs::write(&note, text).unwrap();
            check(&note).unwrap();
            assert_eq!(Confinement::parse(&fs::read_to_string(&note).unwrap()), Some(own.clone()));
        }
    }
}
