//! A client whose thread is continuously interrupted by signals.
#![cfg(not(windows))]
#![expect(unsafe_code, reason = "installing a handler without SA_RESTART has no safe wrapper")]

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use syshandle::{
    ErrorKind,
    handle::{Event, Semaphore},
};
use syshandle_testkit::{Fixture, SERVER, SetOnDrop, TEST_SERVICE};

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn handle(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Runs a step while its thread receives signals continuously. The handler is installed without
/// `SA_RESTART`, so every blocked system call returns `EINTR`.
fn interrupted(step: impl FnOnce()) {
    // SAFETY: the handler only changes an atomic integer, and all fields of the action are
    // initialized.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handle as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut()), 0);
    }
    // SAFETY: the call takes no arguments. It returns an ID of this thread, which is valid until
    // the scope ends.
    let target = unsafe { libc::pthread_self() };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // SAFETY: the target thread waits for this one, so its ID is valid.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                thread::sleep(Duration::from_micros(50));
            }
        });
        let _is_over = SetOnDrop(&is_over);
        step();
    });
}

#[test]
fn signals_interrupt_no_call_no_wait_and_no_deadline() {
    let fixture = Fixture::new();
    let notes = fixture.path().join("notes");
    File::create(&notes).unwrap();
    let environment = [("TESTKIT_FIFO", notes.to_str().unwrap()), ("TESTKIT_IDLE_MS", "100")];
    fixture.register(&SERVER, TEST_SERVICE, &environment);
    let null = OwnedFd::from(File::open("/dev/null").unwrap());
    interrupted(|| {
        let large = "large".repeat(50_000);
        for _ in 0..20 {
            let client = fixture.activate().unwrap();
            for _ in 0..20 {
                client.peer_ids().unwrap();
                let (_, text) = client.echo(&null, &large).unwrap();
                assert!(text == large);
            }
        }
        let (event, semaphore) = (Event::new().unwrap(), Semaphore::new(0).unwrap());
        let (moment, long) = (Duration::from_millis(100), Duration::from_secs(30));
        let begin = Instant::now();
        assert!(!event.wait_timeout(moment).unwrap());
        assert!(!semaphore.acquire_timeout(moment).unwrap());
        event.set().unwrap();
        semaphore.release(1).unwrap();
        assert!(event.wait_timeout(long).unwrap() && semaphore.acquire_timeout(long).unwrap());
        let client = fixture.activate().unwrap();
        let error = client.with_timeout(moment).hang().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:#}");
        let took = begin.elapsed();
        assert!(took >= 3 * moment && took < long, "{took:?}");
    });
    println!("{} signals", HANDLED.load(Ordering::Relaxed));
}
