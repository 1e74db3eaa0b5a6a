//! User and group IDs as the kernel reports them to this process.
//!
//! A user namespace maps some IDs to users of the machine. The kernel reports all unmapped users as
//! one ID, the overflow ID (`/proc/sys/kernel/overflowuid`, 65534 unless configured otherwise).
//! That ID identifies no user: the host's root and every other host user look alike. So an ID that
//! may be the overflow ID is *unknown*, and an unknown ID equals no ID, not even itself.
//!
//! A namespace that maps every ID, as the initial one does, has no unmapped users. There, 65534 is
//! an ordinary user.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::sys::proc;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $noun:literal, $space:ident) => {
        $(#[$meta])*
        ///
        /// Two values are equal if both are known and have the same number.
        #[derive(Clone, Copy)]
        pub struct $name {
            shown: u32,
            is_known: bool,
        }

        impl $name {
            /// Creates a value from the ID that the kernel reported.
            #[doc(hidden)]
            pub fn from_kernel(shown: u32) -> Self {
                Self { shown, is_known: !$space.is_unknown(shown) }
            }

            #[doc = concat!("Returns the ID of the ", $noun, "; `None` if it is unknown.")]
            pub fn number(self) -> Option<u32> {
                self.is_known.then_some(self.shown)
            }

            /// Returns the ID as the kernel reported it, even if it is unknown. For display only,
            /// never for decisions.
            pub fn shown(self) -> u32 {
                self.shown
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.is_known && other.is_known && self.shown == other.shown
            }
        }

        impl PartialEq<u32> for $name {
            fn eq(&self, other: &u32) -> bool {
                self.number() == Some(*other)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.is_known {
                    true => write!(f, "{} {}", $noun, self.shown),
                    false => write!(
                        f,
                        "a {} that this user namespace doesn't know (shown as {})",
                        $noun, self.shown
                    ),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// A user ID.
    UserId, "user", USERS
}

id! {
    /// A group ID.
    GroupId, "group", GROUPS
}

impl UserId {
    /// Returns the effective user ID of this process.
    pub fn current() -> Self {
        Self::from_kernel(rustix::process::geteuid().as_raw())
    }
}

impl GroupId {
    /// Returns the effective group ID of this process.
    pub fn current() -> Self {
        Self::from_kernel(rustix::process::getegid().as_raw())
    }
}

/// Reads the files that distinguish known IDs from unknown ones, so that `/proc` isn't needed
/// later.
///
/// The files describe the user namespace of the process at the time of the call.
pub(crate) fn prepare() {
    for space in [&USERS, &GROUPS] {
        space.overflow();
        space.maps_every_id();
    }
}

/// Stops reading ID maps. From now on, the overflow ID is unknown in every namespace that this
/// process enters.
pub(crate) fn open_nothing() {
    OPENS_NOTHING.store(true, Ordering::Relaxed);
}

static OPENS_NOTHING: AtomicBool = AtomicBool::new(false);

/// The user IDs or the group IDs of this namespace.
struct IdSpace {
    overflow_file: &'static str,
    map_file: &'static str,
    overflow: OnceLock<u32>,
    /// The result of the last successful read of the ID map: [`UNREAD`], [`COMPLETE`] or
    /// [`PARTIAL`].
    map: AtomicU8,
}

static USERS: IdSpace = IdSpace::new("/proc/sys/kernel/overflowuid", "/proc/thread-self/uid_map");
static GROUPS: IdSpace = IdSpace::new("/proc/sys/kernel/overflowgid", "/proc/thread-self/gid_map");

const UNREAD: u8 = 0;
const COMPLETE: u8 = 1;
const PARTIAL: u8 = 2;

impl IdSpace {
    const fn new(overflow_file: &'static str, map_file: &'static str) -> Self {
        Self { overflow_file, map_file, overflow: OnceLock::new(), map: AtomicU8::new(UNREAD) }
    }

    fn is_unknown(&self, shown: u32) -> bool {
        shown == INVALID || (shown == self.overflow() && !self.maps_every_id())
    }

    /// Returns the ID that the kernel reports for unmapped users or groups.
    fn overflow(&self) -> u32 {
        *self.overflow.get_or_init(|| {
            let text = proc::read(self.overflow_file).ok();
            text.and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW)
        })
    }

    /// Returns whether the namespace maps every ID, so that the overflow ID is an ordinary one.
    /// Reads the map each time, because a process can enter another user namespace. This is only
    /// called for IDs that look like the overflow ID.
    fn maps_every_id(&self) -> bool {
        if OPENS_NOTHING.load(Ordering::Relaxed) {
            return false;
        }
        if let Ok(map) = proc::read(self.map_file) {
            let map = if is_complete(&map) { COMPLETE } else { PARTIAL };
            self.map.store(map, Ordering::Relaxed);
        }
        self.map.load(Ordering::Relaxed) == COMPLETE
    }
}

/// Returns whether an ID map, in the format of
/// [user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html), covers all
/// IDs. The highest number is not an ID.
fn is_complete(map: &str) -> bool {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    map.lines().filter_map(count).sum::<u64>() >= u64::from(INVALID)
}

/// The number `(uid_t) -1`, which is not a valid ID.
const INVALID: u32 = u32::MAX;

/// The default overflow ID (`DEFAULT_OVERFLOWUID` in the kernel).
const OVERFLOW: u32 = 65_534;

#[cfg(test)]
mod tests {
    use super::*;

    fn space(overflow: u32, map: u8) -> IdSpace {
        let space = IdSpace::new("/no/such/file", "/no/such/file");
        space.overflow.set(overflow).unwrap();
        space.map.store(map, Ordering::Relaxed);
        space
    }

    #[test]
    fn the_overflow_id_is_unknown_unless_every_id_is_mapped() {
        assert!(space(65_534, PARTIAL).is_unknown(65_534));
        assert!(space(65_534, UNREAD).is_unknown(65_534), "without /proc");
        assert!(!space(65_534, COMPLETE).is_unknown(65_534));
        assert!(space(7, PARTIAL).is_unknown(7), "as configured");
        assert!(!space(7, PARTIAL).is_unknown(65_534));
        assert!(space(65_534, COMPLETE).is_unknown(u32::MAX));
    }

    #[test]
    fn an_unknown_id_equals_nothing() {
        let unknown = UserId { shown: 65_534, is_known: false };
        let known = UserId { shown: 65_534, is_known: true };
        for (one, other) in [(unknown, unknown), (unknown, known), (known, unknown)] {
            assert_ne!(one, other);
        }
        assert_ne!(unknown, 65_534);
        assert_eq!(known, 65_534);
        assert_eq!((unknown.number(), known.number()), (None, Some(65_534)));
        assert!(unknown.to_string().contains("doesn't know"), "{unknown}");
    }

    #[test]
    fn a_map_is_complete_if_its_ranges_cover_all_numbers() {
        assert!(is_complete("         0          0 4294967295\n"));
        assert!(is_complete("0 0 1000\n1000 1000 4294966295\n"));
        assert!(!is_complete("65534 1000 1\n"));
        assert!(!is_complete("0 1000 1\n1 100000 65536\n"));
        assert!(!is_complete(""));
    }

    #[test]
    fn this_process_has_the_user_that_its_files_have() {
        use std::os::unix::fs::MetadataExt;
        let own = UserId::current();
        assert_eq!(own.shown(), std::fs::metadata("/proc/thread-self").unwrap().uid());
    }
}
