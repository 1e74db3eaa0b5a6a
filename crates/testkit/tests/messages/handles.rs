//! Messages of errors with handles, inside and outside of calls.

use std::io;

use syshandle::handle::{Process, Section};
use syshandle::wait::wait_any;

use crate::group;

#[test]
fn the_messages_of_handles() {
    let mut messages = group("handles");
    let section = Section::new(4096).unwrap();
    messages.add_io("a range outside of a section", &section.read(0, &mut [0; 8192]).unwrap_err());
    messages.add_io("a process that does not exist", &Process::open(u32::MAX / 2).unwrap_err());
    let error = wait_any(&[], None).unwrap_err();
    messages.add_io("a wait for nothing", &error);
    let error = syshandle::Error::from(io::Error::from_raw_os_error(28));
    messages.add("a full disk", &error);
    messages.check();
}
