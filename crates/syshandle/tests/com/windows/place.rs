//! Registers the classes of the tests.

use std::time::{Duration, Instant};

use syshandle::{
    handle::Process,
    object::{Class, ClassInfo},
};
use syshandle_registry::{ClassRegistration, ComRegistry};

use super::error_kinds::FAILING;
use super::interface::{ATTACKED, BEREFT, COLD, CRASHING, CROWDED, KILLED, SHARED};
use super::layouts::LAYOUTS;
use super::reentrancy::NODE;
use super::references::{DESK, OTHER_DESK};
use super::serving::{LONG_SHIFT, OTHER_SHIFT, OWN_SHIFT, SHORT_SHIFT};

/// Registers this program as the server of all classes.
pub(crate) fn register() {
    for class in classes() {
        ComRegistry::own().register(&class).unwrap();
    }
}

/// Removes the registrations.
pub(crate) fn clean() {
    for class in classes() {
        // Another test run may have removed the class.
        let _ = ComRegistry::own().clean(class.clsid);
    }
}

fn classes() -> Vec<ClassRegistration> {
    vec![
        class(SHARED, "shared"),
        class(COLD, "cold"),
        class(KILLED, "killed"),
        class(CRASHING, "crashing"),
        class(BEREFT, "bereft"),
        class(CROWDED, "crowded"),
        class(ATTACKED, "attacked"),
        class(LAYOUTS, "layouts"),
        class(DESK, "desk"),
        class(OTHER_DESK, "other desk"),
        class(FAILING, "failing"),
        class(NODE, "node"),
        class(SHORT_SHIFT, "short shift"),
        class(LONG_SHIFT, "long shift"),
        class(OWN_SHIFT, "nothing"),
        class(OTHER_SHIFT, "nothing"),
    ]
}

fn class<C: ClassInfo>(class: Class<C>, word: &str) -> ClassRegistration {
    ClassRegistration {
        clsid: class.clsid(),
        name: class.name().to_owned(),
        program: std::env::current_exe().unwrap(),
        arguments: vec!["serve".to_owned(), word.to_owned()],
        environment: Vec::new(),
    }
}

/// Waits until a condition holds. The timeout is so long that a busy machine does not exceed it.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a process has ended.
pub(crate) fn until_ended(process: &Process) {
    assert!(process.wait_timeout(PATIENCE).unwrap(), "a process goes on");
}

/// Timeout for everything that the tests wait for, which usually takes far less time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
