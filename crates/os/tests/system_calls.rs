//! If a function that creates a handle fails, its error names the failed system call and a remedy.
//!
//! This test is a separate program, because it lowers the limit of file descriptors.
#![cfg(not(windows))]

use std::fs::File;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use syshandle_os::{
    Event, ManualEvent, Mutex, Poller, Process, Section, Semaphore, Seqpacket, Timer,
    UnsealedSection, raw_os_error,
};

#[test]
fn where_no_descriptor_is_left_every_maker_names_its_system_call_and_the_limit() {
    let event = Event::new().unwrap();
    let process = Process::current().unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
    let null = || File::open("/dev/null");
    let full: Vec<File> = std::iter::from_fn(|| null().ok()).collect();
    let failures: [(&str, io::Result<()>); 13] = [
        ("eventfd2", Event::new().map(drop)),
        ("eventfd2", ManualEvent::new().map(drop)),
        ("eventfd2", Semaphore::new(1).map(drop)),
        ("timerfd_create", Timer::new().map(drop)),
        ("memfd_create", Section::new(1).map(drop)),
        ("memfd_create", UnsealedSection::new(1).map(drop)),
        ("memfd_create", Mutex::new().map(drop)),
        ("pidfd_open", Process::current().map(drop)),
        ("socketpair", Seqpacket::pair().map(drop)),
        ("epoll_create1", Poller::new().map(drop)),
        ("fcntl(F_DUPFD_CLOEXEC)", event.try_clone().map(drop)),
        ("fcntl(F_DUPFD_CLOEXEC)", process.try_clone().map(drop)),
        ("memfd_create", syshandle_os::prepare()),
    ];
    drop(full);
    setrlimit(Resource::Nofile, limit).unwrap();
    for (call, failure) in failures {
        let error = failure.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("{call} failed, because ")), "{call}: {text}");
        assert!(text.contains("RLIMIT_NOFILE") && text.ends_with("(os error 24)"), "{text}");
        assert_eq!(raw_os_error(&error), Some(24));
    }
}
