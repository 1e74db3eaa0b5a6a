//! Creates objects that require raw system calls, for the table of all objects.
#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::fs::OFlags;

/// Returns objects without a kind, each with its name. If this machine can't create an object,
/// returns the error instead.
pub(crate) fn without_a_kind() -> Vec<(&'static str, io::Result<OwnedFd>)> {
    let secret = call(libc::SYS_memfd_secret, [0; 5]);
    vec![
        ("a signalfd", signals()),
        ("a userfaultfd", call(libc::SYS_userfaultfd, [USER_MODE_ONLY, 0, 0, 0, 0])),
        ("a fanotify", call(libc::SYS_fanotify_init, [FAN_REPORT_FID, 0, 0, 0, 0])),
        ("an io_uring", rings()),
        ("a bpf map", map()),
        ("a counter of events", counter()),
        ("a landlock", landlock()),
        ("a file system that isn't mounted", file_system()),
        ("secret memory", secret),
        ("a message queue", queue()),
    ]
}

/// Reopens the pidfd of a thread by its file handle. The result lacks the flag that marks a
/// thread's pidfd.
pub(crate) fn thread_by_handle(pidfd: &OwnedFd) -> io::Result<OwnedFd> {
    /// `struct file_handle` of `linux/fs.h`, with space for the largest handle.
    #[repr(C)]
    struct FileHandle {
        len: u32,
        sort: i32,
        bytes: [u8; 128],
    }
    let mut handle = FileHandle { len: 128, sort: 0, bytes: [0; 128] };
    let mut mount: libc::c_int = 0;
    // SAFETY: the kernel writes a file handle with at most `len` bytes, and an int.
    let named = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            pidfd.as_raw_fd(),
            c"".as_ptr(),
            &raw mut handle,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if named < 0 {
        return Err(io::Error::last_os_error());
    }
    let raw = i64::from(pidfd.as_raw_fd());
    call(libc::SYS_open_by_handle_at, [raw, (&raw mut handle) as i64, 0, 0, 0])
}

/// Creates a socket for which the standard library has no type.
pub(crate) fn socket(family: i32, sort: i32, protocol: i32) -> io::Result<OwnedFd> {
    let sort = sort | libc::SOCK_CLOEXEC;
    call(libc::SYS_socket, [family.into(), sort.into(), protocol.into(), 0, 0])
}

/// Creates a listening `AF_VSOCK` socket on a free port.
pub(crate) fn vsock_listener() -> io::Result<OwnedFd> {
    let socket = socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)?;
    // SAFETY: the struct consists of integers, for which zero is valid.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_cid = libc::VMADDR_CID_ANY;
    address.svm_port = libc::VMADDR_PORT_ANY;
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is initialized and has that size.
    let bound = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast::<libc::sockaddr>(), len)
    };
    // SAFETY: the call accesses no memory.
    match bound == 0 && unsafe { libc::listen(socket.as_raw_fd(), 1) } == 0 {
        true => Ok(socket),
        false => Err(io::Error::last_os_error()),
    }
}

fn signals() -> io::Result<OwnedFd> {
    let none = 0_u64;
    let len = size_of_val(&none) as i64;
    call(libc::SYS_signalfd4, [-1, (&raw const none) as i64, len, CLOEXEC, 0])
}

fn rings() -> io::Result<OwnedFd> {
    // `struct io_uring_params` has 120 bytes.
    let mut parameters = [0_u64; 16];
    call(libc::SYS_io_uring_setup, [4, parameters.as_mut_ptr() as i64, 0, 0, 0])
}

fn map() -> io::Result<OwnedFd> {
    // `union bpf_attr`, for an array with one value of 8 bytes.
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 8, 1]);
    call(libc::SYS_bpf, [0, attributes.as_mut_ptr() as i64, size_of_val(&attributes) as i64, 0, 0])
}

fn counter() -> io::Result<OwnedFd> {
    // The first version of `struct perf_event_attr` has 64 bytes. The event is the clock of this
    // thread.
    let mut attributes = [0_u64; 8];
    attributes[0] = u64::from_ne_bytes(
        [1_u32.to_ne_bytes(), 64_u32.to_ne_bytes()].concat().try_into().unwrap(),
    );
    call(libc::SYS_perf_event_open, [attributes.as_mut_ptr() as i64, 0, -1, -1, 8])
}

fn landlock() -> io::Result<OwnedFd> {
    let rules = 1_u64;
    call(libc::SYS_landlock_create_ruleset, [(&raw const rules) as i64, 8, 0, 0, 0])
}

fn file_system() -> io::Result<OwnedFd> {
    call(libc::SYS_fsopen, [c"tmpfs".as_ptr() as i64, 1, 0, 0, 0])
}

/// Creates a message queue and removes its name.
fn queue() -> io::Result<OwnedFd> {
    let name = std::ffi::CString::new(format!("syshandle-{}", std::process::id())).unwrap();
    let flags = i64::from((OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC).bits());
    let opened = call(libc::SYS_mq_open, [name.as_ptr() as i64, flags, 0o600, 0, 0]);
    // SAFETY: the name is null-terminated.
    unsafe { libc::syscall(libc::SYS_mq_unlink, name.as_ptr()) };
    opened
}

/// Makes a system call that opens a new descriptor, and returns the descriptor.
fn call(number: libc::c_long, [a, b, c, d, e]: [i64; 5]) -> io::Result<OwnedFd> {
    // SAFETY: the memory that each caller above passes has the size that the kernel expects, and
    // outlives the call.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, ptr::null::<u8>()) };
    match i32::try_from(result) {
        // SAFETY: the kernel has just opened the descriptor, and no other value owns it.
        Ok(raw) if raw >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(raw) }),
        _ => Err(io::Error::last_os_error()),
    }
}

const USER_MODE_ONLY: i64 = 1;
const FAN_REPORT_FID: i64 = 0x200;
const CLOEXEC: i64 = OFlags::CLOEXEC.bits() as i64;
