//! Files of file systems that show other device numbers, opened in another mount namespace.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]
#![expect(unsafe_code, reason = "unshare, which has no safe form")]

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use syshandle_os::{Object, identify};

/// Gives this thread a mount namespace of its own; `false` if it may not have one.
fn unshare() -> bool {
    // SAFETY: no memory is involved. The thread shares its root and folder with no other one then.
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
        // Layers of two file systems, so that files show the device of their layer.
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
        // An overlay that is mounted in the other namespace alone may have any layers.
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
