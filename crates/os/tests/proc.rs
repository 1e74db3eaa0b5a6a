//! A file system mounted at `/proc` is trusted only if it is the kernel's procfs.
//!
//! The test runs itself again in namespaces in which another file system is mounted at `/proc`.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
#![expect(clippy::print_stdout, reason = "prints why a test was skipped")]

mod namespace;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use namespace::{in_namespace, is_within};
use rustix::time::{TimerfdClockId, TimerfdFlags};
use syshandle_os::{
    Declaration, Event, Kind, ProofFailure, Token, UserId, memory_limit, prove, read_proc,
    read_proc_link,
};

/// Asserts that a proof failed because `/proc` is not procfs.
#[track_caller]
fn not_believed(proven: Result<(), ProofFailure>) {
    match proven.unwrap_err() {
        ProofFailure::Failed(error) => assert!(error.to_string().contains("procfs"), "{error}"),
        other => panic!("{other:?}"),
    }
}

fn prove_as(handle: impl AsFd, kind: Kind) -> Result<(), ProofFailure> {
    prove(handle.as_fd(), &Declaration::kind(kind)).map(drop)
}

fn timer() -> OwnedFd {
    rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap()
}

#[test]
fn a_file_system_over_proc_turns_no_handle_into_another_kind() {
    if !is_within() {
        let test = "a_file_system_over_proc_turns_no_handle_into_another_kind";
        return in_namespace(test, "mount -t tmpfs tmpfs /proc");
    }
    // The forged files claim that this timer is an event.
    let timer = timer();
    let inode = File::from(timer.try_clone().unwrap()).metadata().unwrap().ino();
    let text = format!(
        "pos:\t0\nflags:\t02\nmnt_id:\t16\nino:\t{inode}\neventfd-count: 0\neventfd-id: 1\n\
         eventfd-semaphore: 0\n"
    );
    // The forged mount table lists this file's file system with the name of a trusted one.
    let file = File::open(std::env::args().next().unwrap()).unwrap();
    let device = file.metadata().unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    for whose in ["self", "thread-self"] {
        let folder = format!("/proc/{whose}");
        fs::create_dir_all(format!("{folder}/fdinfo")).unwrap();
        fs::create_dir_all(format!("{folder}/ns")).unwrap();
        for number in 0..256 {
            fs::write(format!("{folder}/fdinfo/{number}"), &text).unwrap();
        }
        fs::write(format!("{folder}/ns/user"), "").unwrap();
        let line = format!("22 1 {major}:{minor} / /proc rw - ext4 /dev/vda rw\n");
        fs::write(format!("{folder}/mountinfo"), line).unwrap();
    }
    not_believed(prove_as(&timer, Kind::Event));
    // Even correct statements in forged files are not accepted.
    not_believed(prove_as(Event::new().unwrap(), Kind::Event));
    not_believed(prove_as(&file, Kind::File));
    assert!(prove_as(File::open("/proc/self/ns/user").unwrap(), Kind::Token).is_err());
    let error = Token::current().unwrap_err();
    assert!(error.to_string().contains("procfs"), "{error}");
    assert!(syshandle_os::prepare().unwrap_err().to_string().contains("procfs"));
}

#[test]
fn a_file_system_over_proc_tells_nothing_about_the_process_or_the_machine() {
    if !is_within() {
        let test = "a_file_system_over_proc_tells_nothing_about_the_process_or_the_machine";
        return in_namespace(test, "mount -t tmpfs tmpfs /proc");
    }
    for folder in ["/proc/self/ns", "/proc/1", "/proc/sys/kernel/random"] {
        fs::create_dir_all(folder).unwrap();
    }
    std::os::unix::fs::symlink("mnt:[4026531841]", "/proc/self/ns/mnt").unwrap();
    let files =
        ["/proc/meminfo", "/proc/self/status", "/proc/1/stat", "/proc/sys/kernel/random/boot_id"];
    for file in files {
        fs::write(file, "MemTotal: 1 kB\n").unwrap();
        assert_eq!(read_proc(file).unwrap_err().kind(), ErrorKind::Unsupported, "{file}");
    }
    assert_ne!(memory_limit(), Some(1024));
    let link = read_proc_link("/proc/self/ns", "mnt");
    assert_eq!(link.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn files_of_another_process_over_ones_own_are_not_believed() {
    if !is_within() {
        let test = "files_of_another_process_over_ones_own_are_not_believed";
        return in_namespace(test, "");
    }
    // The first ten descriptors of the other process are events.
    let mut other = Command::new("sh")
        .args(["-c", "exec 1<&0 2<&0 3<&0 4<&0 5<&0 6<&0 7<&0 8<&0 9<&0; exec sleep 60"])
        .stdin(OwnedFd::from(Event::new().unwrap()))
        .spawn()
        .unwrap();
    let (theirs, own) = (format!("/proc/{}/fdinfo", other.id()), "/proc/self/fdinfo");
    until_is_event(&format!("{theirs}/9"));
    let over = format!("/proc/{}/fdinfo", std::process::id());
    let output = Command::new("mount").args(["--bind", &theirs, &over]).output().unwrap();
    if !output.status.success() {
        println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        other.kill().unwrap();
        other.wait().unwrap();
        return;
    }
    assert!(fs::read_to_string(format!("{own}/9")).unwrap().contains("eventfd-count"));
    assert!(matches!(prove_as(timer(), Kind::Event), Err(ProofFailure::Mismatch(_))));
    prove_as(Event::new().unwrap(), Kind::Event).unwrap();
    syshandle_os::prepare().unwrap();
    assert!(matches!(prove_as(timer(), Kind::Event), Err(ProofFailure::Mismatch(_))));
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Waits until the file at the path describes an event.
fn until_is_event(path: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(path).is_ok_and(|text| text.contains("eventfd-count")) {
        assert!(Instant::now() < deadline, "{path} describes no event");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn another_file_over_a_setting_of_the_system_is_not_read() {
    if !is_within() {
        let test = "another_file_over_a_setting_of_the_system_is_not_read";
        let script = "mount --bind /proc/sys/kernel/pid_max /proc/sys/kernel/overflowuid";
        return in_namespace(test, script);
    }
    let error = read_proc("/proc/sys/kernel/overflowuid").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(read_proc("/proc/sys/kernel/overflowgid").is_ok());
    // 65534 is the overflow ID unless the kernel is configured otherwise.
    assert_eq!(UserId::from_kernel(65_534).number(), None);
}
