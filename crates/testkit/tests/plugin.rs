//! Two copies of the library in one process: one in a program, and one in its plugin.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]
#![expect(unsafe_code, reason = "loads a plugin and calls its functions")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use syshandle::{Server, direct};
use syshandle_testkit::{
    MIRROR, MirrorClient, MirrorObject, SERVER, fill_in_flight, restored_descriptor_limit,
    wait_until,
};

type Function = extern "C" fn() -> i32;

/// Loads the plugin, and returns its functions. The plugin is never unloaded.
fn load(path: &Path) -> [Function; 4] {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the initializers of the plugin have no preconditions.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!library.is_null(), "the plugin can't be loaded");
    [
        c"testkit_plugin_serve",
        c"testkit_plugin_call_host",
        c"testkit_plugin_fill_in_flight",
        c"testkit_plugin_restored_descriptor_limit",
    ]
    .map(|name: &CStr| {
        // SAFETY: the library is never unloaded.
        let function = unsafe { libc::dlsym(library, name.as_ptr()) };
        assert!(!function.is_null(), "{name:?}");
        // SAFETY: the plugin defines both functions with this type.
        unsafe { std::mem::transmute::<*mut libc::c_void, Function>(function) }
    })
}

#[test]
fn a_program_and_its_plugin_use_their_copies_of_the_library_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // SAFETY: no other thread of this process accesses the environment yet.
    unsafe { std::env::set_var("TESTKIT_PLUGIN", folder.path()) };
    let [serve, call_host, fill, restored_limit] =
        load(&SERVER.with_file_name("libtestkit_plugin.so"));
    each_copy_counts_its_handles_in_flight(fill);

    let host =
        Server::new().class(MIRROR, || MirrorObject).path(folder.path().join("host")).never_exit();
    let host = thread::spawn(|| host.run());
    wait_until("the host listens", || folder.path().join("host").exists());
    let plugin = thread::spawn(move || serve());
    let connect = |name: &str| -> MirrorClient {
        let mut client = None;
        wait_until(&format!("the {name} listens"), || {
            client = direct::connect(folder.path().join(name)).ok();
            client.is_some()
        });
        client.unwrap()
    };
    let null = File::open("/dev/null").unwrap();
    let (of_host, of_plugin) = (connect("host"), connect("plugin"));
    of_host.mirror(&null).unwrap();
    assert_eq!(call_host(), 0);
    for _ in 0..100 {
        of_plugin.mirror(&null).unwrap();
    }
    of_plugin.call(&MirrorClient::in_process(MirrorObject).unwrap()).unwrap();
    // Passes a reference to an object of the host's server in a call to the plugin's server.
    of_plugin.call(&of_host).unwrap();
    // Only the host knows the limit before the first server raised it.
    assert_eq!(restored_descriptor_limit(), LIMIT);
    let raised = getrlimit(Resource::Nofile).current;
    assert_eq!(u64::try_from(restored_limit()).ok(), raised);

    // SAFETY: the signal has a handler.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    host.join().unwrap().unwrap();
    assert_eq!(plugin.join().unwrap(), 0);
}

/// Each copy sends up to half of the limit, as if it were the only copy.
fn each_copy_counts_its_handles_in_flight(fill: Function) {
    let set_limit = |limit| {
        let limit = Rlimit { current: Some(limit), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, limit).unwrap();
    };
    set_limit(LIMIT / 2);
    let (sent, sockets) = fill_in_flight();
    assert_eq!(u64::try_from(sent), Ok(LIMIT / 4));
    // The sockets of both copies use descriptors.
    set_limit(LIMIT);
    assert_eq!(u64::try_from(fill()), Ok(LIMIT / 2));
    drop(sockets);
}

/// The limit of descriptors of this process.
const LIMIT: u64 = 2048;
