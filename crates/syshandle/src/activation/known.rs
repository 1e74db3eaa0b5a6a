//! Caches the registration of a class for the next activation, as long as its files are unchanged.
//!
//! Finding a class takes about thirty system calls: for a link, a file, the folders on the way and
//! their owners, and the location of the socket. None of these checks may be skipped. But when the
//! content of a file or folder changes, its change time (`ctime`) changes too, and no program can
//! set that time. So a cache entry is still correct if the change times of the registration file
//! and of the folder of links are the same as when the entry was made, at a time when no other user
//! could write there. For the folder of sockets, only owner and mode are compared, because each
//! server creates and removes files in it.
//!
//! A client that only connects needs fewer checks: the folder of links determines the location, and
//! the kernel reports the user of the server that greets. The registration file and the folder of
//! sockets matter only to a client that starts a server. They are checked before a server is
//! started, or if the server's user isn't this user.
//!
//! Recently changed files are not cached, because they may change again within one tick of the file
//! system's clock. Entries expire soon, because a parent folder may be moved or made accessible to
//! other users, which changes none of the compared times.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use syshandle_os::{PerProcess, UserId};
use syshandle_wire::Guid;

use super::registry::{Locations, Registered};
use super::runtime::Meeting;
use crate::{Error, Result};

/// The result of finding a class.
#[derive(Debug)]
pub(super) struct Known {
    /// The user who looked the class up.
    pub(super) user: UserId,
    pub(super) registered: Registered,
    pub(super) server: Met,
    /// The reason why this process may only connect to the server: other users may have changed the
    /// files.
    pub(super) distrust: Option<Error>,
}

/// The location of a class's server.
#[derive(Debug)]
pub(super) enum Met {
    /// The runtime files of the registration, where clients start the server.
    Here(Meeting),
    /// A socket that another program manages, such as systemd.
    Elsewhere(PathBuf),
}

/// A cache entry and its dependencies.
#[derive(Debug)]
struct Kept {
    locations: Locations,
    clsid: Guid,
    since: Instant,
    marks: Vec<(PathBuf, Asked, Mark)>,
    known: Arc<Known>,
}

/// The properties of a file or folder that an entry depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The links in the folder, its owner and its mode.
    Links,
    /// The content, owner and mode.
    Content,
    /// The owner and mode.
    Owner,
}

/// The recorded properties of a file or folder; `None` if it did not exist.
type Mark = Option<[i64; 4]>;

/// Returns the cached location of a class's server if no link of a class has changed since. The
/// caller must check that this user runs the server, and must not start one.
pub(super) fn recall(locations: &Locations, clsid: Guid) -> Option<Arc<Known>> {
    let last = take(is_of(locations, clsid))?;
    let known = last.is_still_so(|asked| asked == Asked::Links).then(|| last.known.clone());
    keep(last);
    known
}

/// Finds the registration of a class and the location of its server.
///
/// # Errors
/// The errors of [`Locations::look_up`] and [`Meeting::find`].
#[expect(
    clippy::disallowed_methods,
    reason = "files have times of the wall clock; a jump costs a look"
)]
pub(super) fn find(locations: &Locations, clsid: Guid) -> Result<Arc<Known>> {
    find_at(SystemTime::now(), locations, clsid)
}

/// Finds the registration as of the time `looked`, from which the age of changes is computed.
fn find_at(looked: SystemTime, locations: &Locations, clsid: Guid) -> Result<Arc<Known>> {
    let user = UserId::current();
    if let Some(last) = take(is_of(locations, clsid))
        && last.is_still_so(|_| true)
    {
        let known = last.known.clone();
        keep(last);
        return Ok(known);
    }
    let since = Instant::now();
    let (registered, distrust) = locations.look_up(clsid)?;
    let (server, insecure) = match &registered.registration.socket {
        Some(socket) => (Met::Elsewhere(socket.clone()), None),
        None => {
            let (meeting, insecure) = Meeting::find(&registered, locations)?;
            (Met::Here(meeting), insecure)
        }
    };
    let distrust = distrust.or(insecure);
    let known = Arc::new(Known { user, registered, server, distrust });
    if known.distrust.is_some() {
        // The problem may be corrected at any time without a change of the compared properties.
        return Ok(known);
    }
    let mut marks = Vec::new();
    let mut is_marked = |(path, asked): (PathBuf, Asked)| {
        let lasts = |mark: &Mark| asked == Asked::Owner || is_old(*mark, looked);
        let Some(mark) = mark(&path, asked).ok().filter(lasts) else { return false };
        marks.push((path, asked, mark));
        true
    };
    if dependencies(locations, &known).into_iter().all(&mut is_marked) {
        let (locations, known) = (locations.clone(), known.clone());
        keep(Kept { locations, clsid, since, marks, known });
    }
    Ok(known)
}

impl Kept {
    /// Returns whether the entry is fresh and the dependencies that `matters` selects are
    /// unchanged.
    fn is_still_so(&self, matters: impl Fn(Asked) -> bool) -> bool {
        let is_so = |(path, asked, then): &(PathBuf, Asked, Mark)| {
            !matters(*asked) || mark(path, *asked).is_ok_and(|now| now == *then)
        };
        self.since.elapsed() < KEPT_FOR && self.marks.iter().all(is_so)
    }
}

/// Returns a predicate for entries of this class, this user and these folders.
fn is_of(locations: &Locations, clsid: Guid) -> impl Fn(&Kept) -> bool {
    let user = UserId::current();
    move |kept| kept.clsid == clsid && kept.known.user == user && kept.locations == *locations
}

/// Returns the files and folders that determine which registration is found.
fn dependencies(locations: &Locations, known: &Known) -> Vec<(PathBuf, Asked)> {
    let file = &known.registered.file;
    let mut paths = vec![(file.clone(), Asked::Content)];
    for registry in locations.registries() {
        // A folder in which the class wasn't found counts too, because a link could be added.
        paths.push((registry.join("classes"), Asked::Links));
        if file.parent() == Some(&registry.join("programs")) {
            break;
        }
    }
    if let Met::Here(meeting) = &known.server {
        paths.extend(meeting.socket.parent().map(|folder| (folder.to_owned(), Asked::Owner)));
    }
    paths
}

fn mark(path: &Path, asked: Asked) -> io::Result<Mark> {
    match std::fs::metadata(path) {
        Ok(is) => {
            let [first, second] = match asked {
                Asked::Links | Asked::Content => [is.ctime(), is.ctime_nsec()],
                Asked::Owner => [is.mode().into(), i64::from(is.uid()) << 32 | i64::from(is.gid())],
            };
            Ok(Some([is.dev() as i64, is.ino() as i64, first, second]))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether every change after `looked` gets another change time, however coarse the file
/// system's clock is.
fn is_old(mark: Mark, looked: SystemTime) -> bool {
    let Some([_, _, seconds, _]) = mark else { return true };
    let changed = u64::try_from(seconds).map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    changed.is_ok_and(|changed| looked.duration_since(changed).is_ok_and(|age| age > CLOCK_MAX))
}

/// Removes an entry from the cache, so that no lock is held while its files are checked.
fn take(same: impl Fn(&Kept) -> bool) -> Option<Kept> {
    let mut kept = kept()?;
    let position = kept.iter().position(same)?;
    kept.remove(position)
}

/// Adds an entry at the front of the cache, and drops the oldest one if the cache is full.
fn keep(last: Kept) {
    let Some(mut kept) = kept() else { return };
    kept.truncate(KEPT_MAX - 1);
    kept.push_front(last);
}

fn kept() -> Option<MutexGuard<'static, VecDeque<Kept>>> {
    static KEPT: PerProcess<Mutex<VecDeque<Kept>>> = PerProcess::new();
    KEPT.lock()
}

/// Lifetime of an entry: about as long as it takes to move a folder.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// The coarsest file system clock has a resolution of two seconds. Another second accounts for the
/// fraction that is cut off.
const CLOCK_MAX: Duration = Duration::from_secs(4);

/// Number of entries. Few clients activate more classes within a second.
const KEPT_MAX: usize = 8;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files have times of the wall clock")]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    use super::*;
    use crate::{ErrorKind, Policy, RegisteredClass, Registration};

    #[test]
    fn recent_changes_are_not_cached() {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!(!is_old(Some([0, 0, seconds, 0]), now));
        assert!(!is_old(Some([0, 0, seconds + 100, 0]), now), "of a clock that was set back");
        assert!(is_old(Some([0, 0, seconds - 10, 0]), now));
        assert!(is_old(None, now));
    }

    fn registration(program: &str, clsid: Guid) -> Registration {
        Registration {
            name: "known".into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Default::default(),
            socket: None,
            start_timeout: Registration::START_TIMEOUT,
            policy: Policy::same_user(),
            classes: vec![RegisteredClass { clsid, name: "KNOWN".into(), interfaces: Vec::new() }],
        }
    }

    fn folders() -> (tempfile::TempDir, Locations) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::DirBuilder::new().mode(0o700).create(&run).unwrap();
        let locations = Locations {
            data_home: Some(folder.path().join("home")),
            data_dirs: vec![folder.path().join("system")],
            runtime_dir: Some(run),
        };
        (folder, locations)
    }

    #[test]
    fn a_cached_location_is_valid_until_a_link_changes() {
        let (folder, locations) = folders();
        let clsid: Guid = "0d4cfb0e-54b1-4f6e-8a52-3c1f6f0a2b91".parse().unwrap();
        let other: Guid = "63b1f0c7-94b5-4a80-bd5c-0f6c6f7e9a15".parse().unwrap();
        assert!(recall(&locations, clsid).is_none(), "before it was found");
        locations.register(&registration("/usr/bin/one", clsid)).unwrap();
        let later = SystemTime::now() + 2 * CLOCK_MAX;
        let found = || find_at(later, &locations, clsid).unwrap();
        // The entry must be the last one, unless it has expired on a slow machine.
        let recalled = |last: &Arc<Known>| {
            recall(&locations, clsid).is_none_or(|known| Arc::ptr_eq(&known, last))
        };
        let first = found();
        assert!(recalled(&first));
        let sockets = folder.path().join("run/syshandle");
        std::fs::set_permissions(&sockets, Permissions::from_mode(0o500)).unwrap();
        assert!(recalled(&first), "nothing is started there");
        let second = found();
        assert!(!Arc::ptr_eq(&second, &first));
        // Longer than a tick of the file system's clock.
        std::thread::sleep(Duration::from_millis(20));
        let another =
            Registration { name: "another".into(), ..registration("/usr/bin/two", other) };
        locations.register(&another).unwrap();
        assert!(recall(&locations, clsid).is_none());
        assert!(recalled(&found()));
    }

    #[test]
    fn a_cached_location_is_valid_until_any_folder_changes() {
        let (folder, locations) = folders();
        let clsid: Guid = "8e1c6a52-91b4-4f0d-9f5a-2f6f0f9c1a77".parse().unwrap();
        let sockets = folder.path().join("run/syshandle");
        let later = || SystemTime::now() + 2 * CLOCK_MAX;
        let program = |known: &Known| known.registered.registration.program.clone();
        // This registry is one of the system's, so the user's registry takes precedence.
        let system =
            Locations { data_home: Some(folder.path().join("system")), ..locations.clone() };
        system.register(&registration("/usr/bin/one", clsid)).unwrap();
        let mut last = find_at(later(), &locations, clsid).unwrap();
        let changes: [(&dyn Fn(), &str); 3] = [
            (
                &|| drop(system.register(&registration("/usr/bin/two", clsid)).unwrap()),
                "/usr/bin/two",
            ),
            (
                &|| drop(locations.register(&registration("/usr/bin/six", clsid)).unwrap()),
                "/usr/bin/six",
            ),
            (
                &|| std::fs::set_permissions(&sockets, Permissions::from_mode(0o500)).unwrap(),
                "/usr/bin/six",
            ),
        ];
        for (change, then) in changes {
            // The entry may have expired on a slow machine.
            let again = find_at(later(), &locations, clsid).unwrap();
            assert!(Arc::ptr_eq(&again, &last) || program(&again) == program(&last));
            last = again;
            // Longer than a tick of the file system's clock.
            std::thread::sleep(Duration::from_millis(20));
            change();
            let next = find_at(later(), &locations, clsid).unwrap();
            assert!(!Arc::ptr_eq(&next, &last));
            assert_eq!(program(&next), PathBuf::from(then));
            last = next;
        }
        std::fs::set_permissions(&sockets, Permissions::from_mode(0o755)).unwrap();
        let distrust = &find_at(later(), &locations, clsid).unwrap().distrust;
        assert_eq!(distrust.as_ref().unwrap().kind(), ErrorKind::Insecure);
    }

    #[test]
    fn a_mark_changes_with_content_mode_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content = |path: &Path| mark(path, Asked::Content).unwrap();
        let marks = || (content(&path), content(folder.path()));
        let absent = marks();
        assert_eq!(absent.0, None);
        std::fs::write(&path, "one").unwrap();
        let first = marks();
        assert!(first.0.is_some() && first.1 != absent.1);
        let mut last = first.0;
        let steps: [&dyn Fn(); 3] = [
            &|| std::fs::write(&path, "two").unwrap(),
            &|| std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap(),
            &|| {
                std::fs::write(folder.path().join("new"), "two").unwrap();
                std::fs::rename(folder.path().join("new"), &path).unwrap();
            },
        ];
        for step in steps {
            // A change within one tick of the file system's clock is not visible.
            let deadline = Instant::now() + Duration::from_secs(60);
            while marks().0 == last && Instant::now() < deadline {
                step();
            }
            assert_ne!(marks().0, last);
            last = marks().0;
        }
    }

    #[test]
    fn where_only_the_owner_was_asked_the_content_does_not_matter_and_the_mode_does() {
        let folder = tempfile::tempdir().unwrap();
        let look = || mark(folder.path(), Asked::Owner).unwrap();
        let first = look();
        std::fs::write(folder.path().join("new"), "two").unwrap();
        assert!(first.is_some() && look() == first);
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert_ne!(look(), first);
    }
}
