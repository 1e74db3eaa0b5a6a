//! The policy on which file systems are trusted to answer without delay.
//!
//! A file system in user space can delay `fstat`, `fstatfs`, `read` and even `close` of its files
//! indefinitely, and in a container it can be mounted without privileges. So a file from a peer is
//! first checked by its mount, which the kernel knows without asking the file system.

use std::borrow::Cow;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::stat::Stat;
use crate::sys::{device, mounts};

/// The file systems on which a peer's files may be.
///
/// The default is [`Filesystems::local`]: the kernel's own file systems, which depend on neither a
/// network nor a server in user space.
///
/// The mount of a file, or another mount of its file system, must be in the [mount
/// namespace](https://man7.org/linux/man-pages/man7/mount_namespaces.7.html) of this process. A
/// tmpfs may be in any namespace, if the policy allows tmpfs. A file that is only mounted in
/// another namespace, such as the sender's container, is rejected as
/// [`Object::Unjudged`](crate::Object::Unjudged).
///
/// Files of btrfs and overlay report other device numbers than their file system. For these files,
/// the kernel compares the file systems themselves.
///
/// Each value caches its decisions about mounts, so create one value and pass it to each proof.
#[derive(Debug)]
pub struct Filesystems {
    /// The allowed types of file system, by their names in `/proc/self/mountinfo`; `None` allows
    /// all.
    allowed: Option<Vec<Cow<'static, str>>>,
    cache: VerdictCache,
}

impl Filesystems {
    /// Allows the kernel's local file systems.
    pub fn local() -> Self {
        Self::with(Some(LOCAL.iter().copied().map(Cow::Borrowed).collect()))
    }

    /// Allows every file system. Only for peers that are trusted not to stall this process.
    pub fn any() -> Self {
        Self::with(None)
    }

    /// Allows no file system: rejects files, directories and devices, but not memory.
    pub fn none() -> Self {
        Self::with(Some(Vec::new()))
    }

    /// Also allows a type of file system, by its name in
    /// [proc_pid_mountinfo(5)](https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html),
    /// for example `nfs4` or `fuse.sshfs`.
    #[must_use]
    pub fn allow(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        if let Some(allowed) = &mut self.allowed {
            allowed.push(name.into());
        }
        Self::with(self.allowed)
    }

    /// Returns the policy that [`prove`](crate::prove) and [`identify`](crate::identify) use.
    pub(crate) fn usual() -> &'static Self {
        static USUAL: LazyLock<Filesystems> = LazyLock::new(Filesystems::local);
        &USUAL
    }

    /// Returns the verdict on a file, determined from its mount alone.
    ///
    /// # Errors
    /// `Unsupported` if `/proc` isn't mounted, unless every file system is allowed.
    pub(crate) fn judge(&self, handle: BorrowedFd<'_>, stat: &Stat) -> io::Result<Verdict> {
        let (mount, is_unique) = device::mount(stat);
        let known = if is_unique { self.cache.verdict(mount) } else { None };
        if let Some(verdict) = known {
            return Ok(verdict);
        }
        let verdict = self.look_up(handle, stat)?;
        if is_unique {
            self.cache.remember(mount, verdict);
        }
        Ok(verdict)
    }

    /// Returns whether this type of file system is allowed.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|known| known == name))
    }

    /// Returns whether every file system is allowed.
    pub(crate) fn allow_any(&self) -> bool {
        self.allowed.is_none()
    }

    fn with(allowed: Option<Vec<Cow<'static, str>>>) -> Self {
        Self { allowed, cache: VerdictCache::default() }
    }

    /// Determines the verdict from the current mounts.
    fn look_up(&self, handle: BorrowedFd<'_>, stat: &Stat) -> io::Result<Verdict> {
        // The open file keeps its mount alive, so the kernel can't give the mount's ID to another
        // mount now.
        let number = device::reused_mount(handle)?;
        let found = mounts::file_system(number, device::of(stat));
        let found = match found {
            // The device numbers of a file and of its file system can differ only if the major
            // number is 0.
            Ok(None) if device::of(stat).0 == 0 => mounts::shared_file_system(handle),
            found => found,
        };
        let found = match found {
            Ok(found) => found,
            Err(_) if self.allowed.is_none() => {
                let is_special = has_special_number(handle)?;
                return Ok(if is_special { Verdict::Special } else { Verdict::Trusted });
            }
            Err(error) => return Err(error),
        };
        Ok(match found.as_deref() {
            Some(name) if !self.allows(name) => Verdict::Untrusted,
            Some("cgroup2") => Verdict::ControlGroups,
            Some(name) if SPECIAL.iter().any(|(special, _)| *special == name) => Verdict::Special,
            Some(_) => Verdict::Trusted,
            None => Verdict::Unknown,
        })
    }
}

/// Returns [`Filesystems::local`].
impl Default for Filesystems {
    fn default() -> Self {
        Self::local()
    }
}

/// The verdict on a file, by its mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The file system is allowed.
    Trusted,
    /// The file system is allowed, and is cgroup v2.
    ControlGroups,
    /// The file system is allowed, and the kernel generates its files' content.
    Special,
    /// The file system isn't allowed.
    Untrusted,
    /// The file system is not mounted in this mount namespace.
    Unknown,
}

/// A lock-free cache of verdicts on mounts. Mount IDs are never reused, so verdicts don't expire.
/// The mount ID selects the entry, and a newer verdict overwrites an older one in the same entry.
#[derive(Debug)]
struct VerdictCache([AtomicU64; 64]);

impl VerdictCache {
    fn verdict(&self, mount: u64) -> Option<Verdict> {
        let word = self.place(mount).load(Ordering::Relaxed);
        match (word >> 3 == mount, word & 7) {
            (true, 1) => Some(Verdict::Trusted),
            (true, 2) => Some(Verdict::ControlGroups),
            (true, 3) => Some(Verdict::Untrusted),
            (true, 4) => Some(Verdict::Special),
            _ => None,
        }
    }

    fn remember(&self, mount: u64, verdict: Verdict) {
        let code = match verdict {
            Verdict::Trusted => 1,
            Verdict::ControlGroups => 2,
            Verdict::Untrusted => 3,
            Verdict::Special => 4,
            // Not cached, because the file system may be mounted here later.
            Verdict::Unknown => return,
        };
        // The entry has 61 bits for the mount ID. A larger ID isn't cached, because it could be
        // confused with another one.
        if mount >> 61 == 0 {
            self.place(mount).store(mount << 3 | code, Ordering::Relaxed);
        }
    }

    fn place(&self, mount: u64) -> &AtomicU64 {
        &self.0[mount as usize % self.0.len()]
    }
}

impl Default for VerdictCache {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; 64])
    }
}

/// Returns whether the file system of a file is one of [`SPECIAL`]. This asks the file system
/// itself, which may take long, so it is only for a policy that allows every file system.
///
/// # Errors
/// Returns the errors of [`fstatfs(2)`](https://man7.org/linux/man-pages/man2/fstatfs.2.html).
pub(crate) fn has_special_number(handle: BorrowedFd<'_>) -> io::Result<bool> {
    // Magic numbers have 32 bits, but the width and sign of the field depend on the architecture.
    let number = rustix::fs::fstatfs(handle)?.f_type as u64 & u64::from(u32::MAX);
    Ok(SPECIAL.iter().any(|(_, special)| *special == number))
}

/// File systems without stored content, with their magic numbers from `linux/magic.h`. The kernel
/// generates the content at each read, and a read may wait for an event.
const SPECIAL: &[(&str, u64)] = &[
    ("anon_inodefs", 0x0904_1934),
    ("binder", 0x6c6f_6f70),
    ("binfmt_misc", 0x4249_4e4d),
    ("bpf", 0xcafe_4a11),
    ("cgroup", 0x0027_e0eb),
    ("cgroup2", 0x6367_7270),
    ("configfs", 0x6265_6570),
    ("debugfs", 0x6462_6720),
    ("devpts", 0x0000_1cd1),
    ("efivarfs", 0xde5e_81e4),
    ("fusectl", 0x6573_5543),
    ("mqueue", 0x1980_0202),
    ("nsfs", 0x6e73_6673),
    ("proc", 0x0000_9fa0),
    ("pstore", 0x6165_676c),
    ("resctrl", 0x0765_5821),
    ("rpc_pipefs", 0x6759_6969),
    ("securityfs", 0x7363_6673),
    ("selinuxfs", 0xf97c_ff8c),
    ("smackfs", 0x4341_5d53),
    ("sysfs", 0x6265_6572),
    ("tracefs", 0x7472_6163),
    ("xenfs", 0xabba_1974),
];

/// File systems that the kernel serves itself, from memory or from a local device.
const LOCAL: &[&str] = &[
    "bcachefs",
    "binfmt_misc",
    "bpf",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hugetlbfs",
    "iso9660",
    "jfs",
    "mqueue",
    "nilfs2",
    "nsfs",
    "ntfs3",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
    "vfat",
    "xfs",
    "zfs",
];

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::feature::{Feature, seam::without};

    fn judge(policy: &Filesystems, file: &File) -> io::Result<Verdict> {
        policy.judge(file.as_fd(), &device::stat(file).unwrap())
    }

    #[test]
    fn only_what_is_allowed_is_trusted() {
        let file = File::open("/proc/self/status").unwrap();
        assert_eq!(judge(&Filesystems::local(), &file).unwrap(), Verdict::Special);
        assert_eq!(judge(&Filesystems::any(), &file).unwrap(), Verdict::Special);
        let none = Filesystems::none();
        assert_eq!(judge(&none, &file).unwrap(), Verdict::Untrusted);
        assert_eq!(judge(&none.allow("proc"), &file).unwrap(), Verdict::Special);
    }

    #[test]
    fn special_file_systems_have_the_numbers_that_the_kernel_gives_them() {
        for (name, path) in
            [("proc", "/proc/self/status"), ("sysfs", "/sys/kernel/mm"), ("devpts", "/dev/pts")]
        {
            match File::open(path) {
                Ok(file) => assert!(has_special_number(file.as_fd()).unwrap(), "{name}"),
                Err(error) => println!("skipped: {name}: {error}"),
            }
        }
        let stored = tempfile::tempfile().unwrap();
        assert!(!has_special_number(stored.as_fd()).unwrap());
    }

    #[test]
    fn a_file_system_without_a_mount_is_unknown() {
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let stat = device::stat(&event).unwrap();
        let verdict = Filesystems::local().judge(event.as_fd(), &stat).unwrap();
        assert_eq!(verdict, Verdict::Unknown);
    }

    #[test]
    fn a_verdict_is_the_same_where_mounts_have_no_unique_number() {
        let file = File::open("/proc/self/status").unwrap();
        let policy = Filesystems::none().allow("proc");
        without(Feature::UniqueMounts, || {
            assert_eq!(judge(&policy, &file).unwrap(), Verdict::Special);
            assert_eq!(judge(&policy, &file).unwrap(), Verdict::Special);
        });
    }

    #[test]
    fn without_proc_nothing_is_trusted_silently() {
        let file = File::open("/proc/self/status").unwrap();
        without(Feature::Proc, || {
            assert!(judge(&Filesystems::local(), &file).is_err());
            assert_eq!(judge(&Filesystems::any(), &file).unwrap(), Verdict::Special);
        });
    }
}
