//! Tests a process that has called `prepare`. The call affects all threads, so these tests are a
//! separate program.
#![cfg(target_os = "linux")]

use syshandle_os::{UserId, prepare};

#[test]
fn a_process_may_prepare_more_than_once_and_knows_the_overflow_id_no_more() {
    prepare().unwrap();
    prepare().unwrap();
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap();
    let overflow = text.trim().parse().unwrap();
    assert_eq!(UserId::from_kernel(overflow).number(), None);
    assert_eq!(UserId::from_kernel(1).number(), Some(1));
}
