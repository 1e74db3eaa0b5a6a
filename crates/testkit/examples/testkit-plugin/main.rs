//! A plugin with its own copy of the library. It runs a server in the process of another copy, and
//! calls that copy's server.
#![cfg(not(windows))]
#![expect(unsafe_code, reason = "the exported name of the plugin")]

use std::fs::File;
use std::path::PathBuf;

use syshandle::{Result, Server, direct};
use syshandle_testkit::{
    MIRROR, MirrorClient, MirrorObject, fill_in_flight, restored_descriptor_limit,
};

fn folder() -> PathBuf {
    std::env::var_os("TESTKIT_PLUGIN").unwrap_or_default().into()
}

/// Serves on a socket at a path until `SIGTERM`.
fn serve() -> Result<()> {
    Server::new().class(MIRROR, || MirrorObject).path(folder().join("plugin")).never_exit().run()
}

/// Calls the server of the host program, and passes it an object of this copy.
fn call_host() -> Result<()> {
    let host: MirrorClient = direct::connect(folder().join("host"))?;
    host.mirror(&File::open("/dev/null")?)?;
    host.call(&MirrorClient::in_process(MirrorObject)?)
}

/// Runs the server. Returns 0 if the server has ended normally.
// SAFETY: no other symbol in the process has this name.
#[unsafe(no_mangle)]
pub extern "C" fn testkit_plugin_serve() -> i32 {
    serve().map_or(1, |()| 0)
}

/// Calls the host's server. Returns 0 if all calls succeeded.
// SAFETY: no other symbol in the process has this name.
#[unsafe(no_mangle)]
pub extern "C" fn testkit_plugin_call_host() -> i32 {
    call_host().map_or(1, |()| 0)
}

/// Sends handles until the library refuses to send more. Returns their number.
// SAFETY: no other symbol in the process has this name.
#[unsafe(no_mangle)]
pub extern "C" fn testkit_plugin_fill_in_flight() -> i32 {
    i32::try_from(fill_in_flight().0).unwrap_or(-1)
}

/// Returns the limit of descriptors of a program that the plugin starts.
// SAFETY: no other symbol in the process has this name.
#[unsafe(no_mangle)]
pub extern "C" fn testkit_plugin_restored_descriptor_limit() -> i32 {
    i32::try_from(restored_descriptor_limit()).unwrap_or(-1)
}
