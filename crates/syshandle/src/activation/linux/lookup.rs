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
use syshandle_registry::{RegistrationFile, Registry, RuntimePaths};
use syshandle_types::Guid;

use crate::{Error, Result};

/// The result of finding a class.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The user of this process when it looked the class up.
    pub(super) user: UserId,
    pub(super) file: RegistrationFile,
    pub(super) server: ServerLocation,
    /// The reason why this process may only connect to the server: other users may have changed the
    /// files.
    pub(super) distrust: Option<Error>,
}

/// The location of a class's server.
#[derive(Debug)]
pub(super) enum ServerLocation {
    /// The runtime files of the registration, where clients start the server.
    Runtime(RuntimePaths),
    /// A socket that another program manages, such as systemd.
    External(PathBuf),
}

/// A cache entry and its dependencies.
#[derive(Debug)]
struct CacheEntry {
    registry: Registry,
    clsid: Guid,
    since: Instant,
    states: Vec<(PathBuf, Aspect, FileState)>,
    lookup: Arc<Lookup>,
}

/// The metadata of a file or folder that shows whether a cache entry is still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aspect {
    /// The links in the folder, its owner and its mode.
    Links,
    /// The content, owner and mode.
    Content,
    /// The owner and mode.
    Owner,
}

/// The recorded properties of a file or folder; `None` if it did not exist.
type FileState = Option<[i64; 4]>;

/// Returns the cached location of a class's server if no link of a class has changed since. The
/// caller must check that this user runs the server, and must not start one.
pub(super) fn recall(registry: &Registry, clsid: Guid) -> Option<Arc<Lookup>> {
    let last = take(is_of(registry, clsid))?;
    let lookup = last.is_still_so(|aspect| aspect == Aspect::Links).then(|| last.lookup.clone());
    keep(last);
    lookup
}

/// Finds the registration of a class and the location of its server.
///
/// # Errors
/// The errors of [`Registry::look_up`] and [`RuntimePaths::find`].
#[expect(
    clippy::disallowed_methods,
    reason = "files have times of the wall clock; a jump costs a look"
)]
pub(super) fn find(registry: &Registry, clsid: Guid) -> Result<Arc<Lookup>> {
    find_at(SystemTime::now(), registry, clsid)
}

/// Finds the registration as of the time `time`, from which the age of changes is computed.
fn find_at(time: SystemTime, registry: &Registry, clsid: Guid) -> Result<Arc<Lookup>> {
    let user = UserId::current();
    if let Some(last) = take(is_of(registry, clsid)).filter(|last| last.is_still_so(|_| true)) {
        let lookup = last.lookup.clone();
        keep(last);
        return Ok(lookup);
    }
    let since = Instant::now();
    let (file, distrust) = registry.look_up(clsid)?;
    let (server, insecure) = match &file.registration.socket {
        Some(socket) => (ServerLocation::External(socket.clone()), None),
        None => {
            let (paths, insecure) = RuntimePaths::find(&file, registry)?;
            (ServerLocation::Runtime(paths), insecure)
        }
    };
    let distrust = distrust.or(insecure).map(Error::from);
    let lookup = Arc::new(Lookup { user, file, server, distrust });
    if lookup.distrust.is_some() {
        // The problem may be corrected at any time without a change of the compared properties.
        return Ok(lookup);
    }
    let mut states = Vec::new();
    let mut is_recorded = |(path, aspect): (PathBuf, Aspect)| {
        let lasts = |state: &FileState| aspect == Aspect::Owner || is_old(*state, time);
        let Some(state) = state(&path, aspect).ok().filter(lasts) else { return false };
        states.push((path, aspect, state));
        true
    };
    if dependencies(registry, &lookup).into_iter().all(&mut is_recorded) {
        let (registry, lookup) = (registry.clone(), lookup.clone());
        keep(CacheEntry { registry, clsid, since, states, lookup });
    }
    Ok(lookup)
}

impl CacheEntry {
    /// Returns whether the entry is fresh and the dependencies that `matters` selects are
    /// unchanged.
    fn is_still_so(&self, matters: impl Fn(Aspect) -> bool) -> bool {
        let is_so = |(path, aspect, then): &(PathBuf, Aspect, FileState)| {
            !matters(*aspect) || state(path, *aspect).is_ok_and(|now| now == *then)
        };
        self.since.elapsed() < CACHE_LIFETIME && self.states.iter().all(is_so)
    }
}

/// Returns a predicate for entries of this class, this user and these folders.
fn is_of(registry: &Registry, clsid: Guid) -> impl Fn(&CacheEntry) -> bool {
    let user = UserId::current();
    move |entry| entry.clsid == clsid && entry.lookup.user == user && entry.registry == *registry
}

/// Returns the files and folders that determine which registration is found.
fn dependencies(registry: &Registry, lookup: &Lookup) -> Vec<(PathBuf, Aspect)> {
    let file = &lookup.file.path;
    let mut paths = vec![(file.clone(), Aspect::Content)];
    for folder in registry.folders() {
        // A folder in which the class wasn't found counts too, because a link could be added.
        paths.push((folder.join("classes"), Aspect::Links));
        if file.parent() == Some(&folder.join("programs")) {
            break;
        }
    }
    if let ServerLocation::Runtime(runtime) = &lookup.server {
        paths.extend(runtime.socket.parent().map(|folder| (folder.to_owned(), Aspect::Owner)));
    }
    paths
}

fn state(path: &Path, aspect: Aspect) -> io::Result<FileState> {
    match std::fs::metadata(path) {
        Ok(is) => {
            let [first, second] = match aspect {
                Aspect::Links | Aspect::Content => [is.ctime(), is.ctime_nsec()],
                Aspect::Owner => {
                    [is.mode().into(), i64::from(is.uid()) << 32 | i64::from(is.gid())]
                }
            };
            Ok(Some([is.dev() as i64, is.ino() as i64, first, second]))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether every change after `time` gets another change time, however coarse the file
/// system's clock is.
fn is_old(state: FileState, time: SystemTime) -> bool {
    let Some([_, _, seconds, _]) = state else { return true };
    let changed = u64::try_from(seconds).map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    changed.is_ok_and(|changed| time.duration_since(changed).is_ok_and(|age| age > CLOCK_MAX))
}

/// Removes an entry from the cache, so that no lock is held while its files are checked.
fn take(same: impl Fn(&CacheEntry) -> bool) -> Option<CacheEntry> {
    let mut cache = cache()?;
    let position = cache.iter().position(same)?;
    cache.remove(position)
}

/// Adds an entry at the front of the cache, and drops the oldest one if the cache is full.
fn keep(last: CacheEntry) {
    let Some(mut cache) = cache() else { return };
    cache.truncate(CACHE_ENTRIES_MAX - 1);
    cache.push_front(last);
}

fn cache() -> Option<MutexGuard<'static, VecDeque<CacheEntry>>> {
    static CACHE: PerProcess<Mutex<VecDeque<CacheEntry>>> = PerProcess::new();
    CACHE.lock()
}

/// Lifetime of an entry: about as long as it takes to move a folder. A program that activates a class
/// for each piece of work saves 20 of the 78 system calls that a connection takes on both sides.
const CACHE_LIFETIME: Duration = Duration::from_secs(1);

/// The coarsest file system clock has a resolution of two seconds. Another second accounts for the
/// fraction that is cut off.
const CLOCK_MAX: Duration = Duration::from_secs(4);

/// Number of entries. Few clients activate more classes within a second.
const CACHE_ENTRIES_MAX: usize = 8;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files have times of the wall clock")]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    use super::*;
    use syshandle_registry::{Policy, RegisteredClass, Registration};

    use crate::ErrorKind;

    #[test]
    fn recent_changes_are_not_cached() {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!(!is_old(Some([0, 0, seconds, 0]), now));
        assert!(!is_old(Some([0, 0, seconds + 100, 0]), now), "of a clock that was set back");
        assert!(is_old(Some([0, 0, seconds - 10, 0]), now));
        assert!(is_old(None, now));
    }

    #[test]
    fn no_time_of_the_wall_clock_makes_a_file_old_that_may_have_been_changed_just_now() {
        let year = Duration::from_secs(365 * 24 * 3600);
        for changed in [0, 1, 100, 2_200_000_000] {
            let state = Some([0, 0, changed, 0]);
            let at = UNIX_EPOCH + Duration::from_secs(changed as u64);
            assert!(!is_old(state, at) && !is_old(state, at + CLOCK_MAX));
            // The clock was set back after the change, also to a time before 1970.
            assert!(!is_old(state, at - year));
            assert!(is_old(state, at + year));
        }
        // A change before 1970.
        assert!(!is_old(Some([0, 0, -100, 0]), UNIX_EPOCH + year));
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

    fn folders() -> (tempfile::TempDir, Registry) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::DirBuilder::new().mode(0o700).create(&run).unwrap();
        let registry = Registry {
            data_home: Some(folder.path().join("home")),
            data_dirs: vec![folder.path().join("system")],
            runtime_dir: Some(run),
        };
        (folder, registry)
    }

    #[test]
    fn a_cached_location_is_valid_until_a_link_changes() {
        let (folder, registry) = folders();
        let clsid: Guid = "0d4cfb0e-54b1-4f6e-8a52-3c1f6f0a2b91".parse().unwrap();
        let other: Guid = "63b1f0c7-94b5-4a80-bd5c-0f6c6f7e9a15".parse().unwrap();
        assert!(recall(&registry, clsid).is_none(), "before it was found");
        registry.register(&registration("/usr/bin/one", clsid)).unwrap();
        let later = SystemTime::now() + 2 * CLOCK_MAX;
        let found = || find_at(later, &registry, clsid).unwrap();
        // The entry must be the last one, unless it has expired on a slow machine.
        let recalled = |last: &Arc<Lookup>| {
            recall(&registry, clsid).is_none_or(|lookup| Arc::ptr_eq(&lookup, last))
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
        registry.register(&another).unwrap();
        assert!(recall(&registry, clsid).is_none());
        assert!(recalled(&found()));
    }

    #[test]
    fn a_cached_location_is_valid_until_any_folder_changes() {
        let (folder, registry) = folders();
        let clsid: Guid = "8e1c6a52-91b4-4f0d-9f5a-2f6f0f9c1a77".parse().unwrap();
        let sockets = folder.path().join("run/syshandle");
        let later = || SystemTime::now() + 2 * CLOCK_MAX;
        let program = |lookup: &Lookup| lookup.file.registration.program.clone();
        // This registry is one of the system's, so the user's registry takes precedence.
        let system = Registry { data_home: Some(folder.path().join("system")), ..registry.clone() };
        system.register(&registration("/usr/bin/one", clsid)).unwrap();
        let mut last = find_at(later(), &registry, clsid).unwrap();
        let changes: [(&dyn Fn(), &str); 3] = [
            (
                &|| drop(system.register(&registration("/usr/bin/two", clsid)).unwrap()),
                "/usr/bin/two",
            ),
            (
                &|| drop(registry.register(&registration("/usr/bin/six", clsid)).unwrap()),
                "/usr/bin/six",
            ),
            (
                &|| std::fs::set_permissions(&sockets, Permissions::from_mode(0o500)).unwrap(),
                "/usr/bin/six",
            ),
        ];
        for (change, then) in changes {
            // The entry may have expired on a slow machine.
            let again = find_at(later(), &registry, clsid).unwrap();
            assert!(Arc::ptr_eq(&again, &last) || program(&again) == program(&last));
            last = again;
            // Longer than a tick of the file system's clock.
            std::thread::sleep(Duration::from_millis(20));
            change();
            let next = find_at(later(), &registry, clsid).unwrap();
            assert!(!Arc::ptr_eq(&next, &last));
            assert_eq!(program(&next), PathBuf::from(then));
            last = next;
        }
        std::fs::set_permissions(&sockets, Permissions::from_mode(0o755)).unwrap();
        let distrust = &find_at(later(), &registry, clsid).unwrap().distrust;
        assert_eq!(distrust.as_ref().unwrap().kind(), ErrorKind::Insecure);
    }

    #[test]
    fn a_mark_changes_with_content_mode_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content = |path: &Path| state(path, Aspect::Content).unwrap();
        let states = || (content(&path), content(folder.path()));
        let absent = states();
        assert_eq!(absent.0, None);
        std::fs::write(&path, "one").unwrap();
        let first = states();
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
            while states().0 == last && Instant::now() < deadline {
                step();
            }
            assert_ne!(states().0, last);
            last = states().0;
        }
    }

    #[test]
    fn where_only_the_owner_was_asked_the_content_does_not_matter_and_the_mode_does() {
        let folder = tempfile::tempdir().unwrap();
        let look = || state(folder.path(), Aspect::Owner).unwrap();
        let first = look();
        std::fs::write(folder.path().join("new"), "two").unwrap();
        assert!(first.is_some() && look() == first);
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert_ne!(look(), first);
    }
}
