//! Files with a device number that differs from their file system's, opened in another mount
//! namespace.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]
#![expect(unsafe_code, reason = "unshare has no safe wrapper")]

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use syshandle_os::{Object, identify};

/// Moves this thread to a new mount namespace. Returns `false` if that isn't permitted.
fn unshare() -> bool {
    // SAFETY: the call accesses no memory. Afterwards the thread shares its root and working
    // directory with no other thread.
    if unsafe { libc::unshare(libc::CLONE_FS | libc::CLONE_NEWNS) } != 0 {
        return false;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).is_ok()
}

fn mount_at(path: &Path, kind: &str, options: &str) -> bool {
    fs::create_dir_all(path).unwrap();
    let options = std::ffi::CString::new(options).unwrap();
    mount(kind, path, kind, MountFlags::empty(), Some(&*options)).is_ok()
}

#[test]
fn an_overlay_file_from_another_mount_namespace_is_a_file_if_the_overlay_is_mounted_here_too() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let test = std::thread::spawn(move || {
        if !unshare() {
            return println!("skipped: no mount namespace without root");
        }
        // The layers are on two file systems, so that each file reports the device number of its
        // layer.
        let (lower, upper, merged) = (root.join("lower"), root.join("upper"), root.join("merged"));
        assert!(mount_at(&lower, "tmpfs", "") && mount_at(&upper, "tmpfs", ""));
        fs::write(lower.join("file"), "hello").unwrap();
        fs::create_dir(upper.join("up")).unwrap();
        fs::create_dir(upper.join("work")).unwrap();
        let at = |path: &Path| path.display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            at(&lower),
            at(&upper.join("up")),
            at(&upper.join("work"))
        );
        if !mount_at(&merged, "overlay", &options) {
            return println!("skipped: this kernel mounts no overlay on a tmpfs");
        }
        let here = File::open(merged.join("file")).unwrap();
        assert_eq!(identify(here.as_fd()).unwrap().object, Object::RegularFile);
        let path = merged.clone();
        let elsewhere = move |name: &'static str| {
            let path = path.clone();
            let open = move || {
                assert!(unshare());
                File::open(path.join(name)).unwrap()
            };
            std::thread::spawn(open).join().unwrap()
        };
        let file = elsewhere("file");
        assert_eq!(identify(file.as_fd()).unwrap().object, Object::RegularFile);
        assert_eq!(identify(elsewhere(".").as_fd()).unwrap().object, Object::Directory);
        // An overlay that is mounted only in the other namespace could have any layers, so its
        // files are rejected.
        let unknown = std::thread::spawn(move || {
            assert!(unshare());
            let other = root.join("other");
            let lower_only = format!("lowerdir={}:{}", at(&lower), at(&upper));
            assert!(mount_at(&other, "overlay", &lower_only));
            File::open(other.join("file")).unwrap()
        });
        let unknown = unknown.join().unwrap();
        assert_eq!(identify(unknown.as_fd()).unwrap().object, Object::Unjudged);
    });
    test.join().unwrap();
}

#[test]
fn a_btrfs_file_from_another_mount_namespace_is_a_file_if_btrfs_is_mounted_here_too() {
    let folder = tempfile::tempdir().unwrap();
    let (image, root) = (folder.path().join("image"), folder.path().join("root"));
    let test = std::thread::spawn(move || {
        if !unshare() {
            return println!("skipped: no mount namespace without root");
        }
        fs::create_dir(&root).unwrap();
        File::create(&image).unwrap().set_len(256 << 20).unwrap();
        // The loop device is released when the namespace ends, and its mount with it.
        let script = "mkfs.btrfs -q \"$0\" && mount -o loop \"$0\" \"$1\" && \
                      btrfs -q subvolume create \"$1/sub\" && echo hello > \"$1/sub/file\"";
        let mut command = std::process::Command::new("sh");
        let output = command.args(["-c", script]).args([&image, &root]).output().unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return println!("skipped: no btrfs can be mounted: {why}");
        }
        let path = root.join("sub/file");
        let file = std::thread::spawn(move || {
            assert!(unshare());
            File::open(path).unwrap()
        });
        let file = file.join().unwrap();
        assert_eq!(identify(file.as_fd()).unwrap().object, Object::RegularFile);
    });
    test.join().unwrap();
}
