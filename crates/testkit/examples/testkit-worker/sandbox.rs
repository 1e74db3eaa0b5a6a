//! Confines this process in the ways of common sandboxes.
#![expect(unsafe_code, reason = "seccomp, Landlock and unshare have no safe wrappers")]

use std::io;
use std::process::ExitCode;
use std::ptr;

/// Ends this process without running destructors.
pub(crate) fn exit(code: i32) -> ExitCode {
    // SAFETY: `_exit` has no preconditions and doesn't return.
    unsafe { libc::_exit(code) }
}

/// Confines this process permanently.
pub(crate) fn confine(how: &str) -> io::Result<()> {
    match how {
        "seccomp" => seccomp(&[CLIENT_CALLS, OWN_CALLS], &[]),
        "seccomp-serve" => seccomp(&[CLIENT_CALLS, SERVER_CALLS, OWN_CALLS], REFUSED_CALLS),
        "seccomp-serve-open" => {
            seccomp(&[CLIENT_CALLS, SERVER_CALLS, OWN_CALLS, REFUSED_CALLS, READ_CALLS], &[])
        }
        "landlock" => landlock(),
        "chroot" => chroot(),
        "namespaces" => unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWIPC),
        "mount" => unshare(libc::CLONE_NEWNS),
        other => Err(io::Error::other(format!("no sandbox is called {other}"))),
    }
}

/// The system calls that `docs/sandbox.md` lists for a worker that is a client.
const CLIENT_CALLS: &[libc::c_long] = &[
    // For connections and messages.
    libc::SYS_socketpair,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_getpeername,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_sendmmsg,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_shutdown,
    libc::SYS_close,
    // For the proof of handles.
    libc::SYS_fcntl,
    libc::SYS_statx,
    libc::SYS_dup3,
    libc::SYS_pread64,
    libc::SYS_ioctl,
    libc::SYS_timerfd_gettime,
    libc::SYS_fstatfs,
    // For waiting for events and semaphores, and for setting them.
    libc::SYS_preadv2,
    libc::SYS_write,
    // For references to objects: checks whether this process serves the object.
    libc::SYS_getpid,
    libc::SYS_geteuid,
    // For memory, and for values that are too large for a message.
    libc::SYS_memfd_create,
    libc::SYS_prlimit64,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // For the end of the process.
    libc::SYS_exit_group,
];

/// The additional system calls that `docs/sandbox.md` lists for a worker that is a server.
const SERVER_CALLS: &[libc::c_long] = &[
    // For event loops.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_read,
    // For threads.
    libc::SYS_clone3,
    libc::SYS_mprotect,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sched_getaffinity,
    libc::SYS_prctl,
    libc::SYS_gettid,
    libc::SYS_exit,
    // For a server that was stopped and continues: the kernel restarts waits with a time limit.
    libc::SYS_restart_syscall,
    // For `SIGTERM` and `SIGINT`.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    // For setting events that a peer also has open.
    libc::SYS_io_setup,
    libc::SYS_io_submit,
    libc::SYS_io_getevents,
];

/// System calls that may fail. They open files about the amount of memory.
const REFUSED_CALLS: &[libc::c_long] = &[libc::SYS_openat];

/// System calls that reading such a file needs too.
const READ_CALLS: &[libc::c_long] = &[libc::SYS_lseek];

/// The other system calls of this program. It reads a file and creates an event.
const OWN_CALLS: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_eventfd2,
    // The Rust runtime calls this once in each thread that uses a hash map.
    libc::SYS_getrandom,
];

/// Installs a filter that rejects opening files, and kills this process at any other system call
/// that is not allowed.
fn seccomp(allowed: &[&[libc::c_long]], refused: &[libc::c_long]) -> io::Result<()> {
    let statement = |code: u32, k| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load_number = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0);
    let mut program = vec![load_number];
    let allowed = allowed.iter().flat_map(|calls| *calls);
    let allowed = allowed.map(|call| (call, libc::SECCOMP_RET_ALLOW));
    let refused = refused.iter().map(|call| (call, libc::SECCOMP_RET_ERRNO | libc::EACCES as u32));
    for (call, verdict) in allowed.chain(refused) {
        program.push(libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: *call as u32,
        });
        program.push(statement(libc::BPF_RET, verdict));
    }
    program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_KILL_PROCESS));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: the kernel reads the filter, which lives until the call returns.
    let set =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    check(set.into())
}

/// Installs a Landlock ruleset that denies every file access right that the kernel's Landlock
/// version knows.
fn landlock() -> io::Result<()> {
    const CREATE_RULESET: libc::c_long = 444;
    const RESTRICT_SELF: libc::c_long = 446;
    const VERSION: u32 = 1;
    // SAFETY: with these arguments, the call only returns the version and accesses no memory.
    let version = unsafe { libc::syscall(CREATE_RULESET, ptr::null::<u64>(), 0_usize, VERSION) };
    check(version)?;
    // The highest access right is bit 12 in version 1, 13 in version 2, 14 in versions 3 and 4, and
    // 15 from version 5 on.
    let handled: u64 = match version {
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    };
    // SAFETY: the kernel reads eight bytes from `handled`, which is the first field of the struct
    // and has that size.
    let ruleset =
        unsafe { libc::syscall(CREATE_RULESET, &raw const handled, size_of_val(&handled), 0_u32) };
    check(ruleset)?;
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: the call accesses no memory, and the ruleset's descriptor is open.
    check(unsafe { libc::syscall(RESTRICT_SELF, ruleset, 0_u32) })?;
    // SAFETY: the descriptor was opened above and is not used again.
    check(unsafe { libc::close(ruleset as i32) }.into())
}

/// Changes the root to an empty directory that the test names. It does not even contain `/proc`.
fn chroot() -> io::Result<()> {
    let root = std::env::var_os("TESTKIT_ROOT").unwrap_or_default();
    rustix::process::chroot(std::path::Path::new(&root))?;
    Ok(rustix::process::chdir("/")?)
}

fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: this process has a single thread, and the call accesses no memory.
    check(unsafe { libc::unshare(flags) }.into())
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
