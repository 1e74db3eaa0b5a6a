//! Confines this process like a sandbox does.
#![expect(unsafe_code, reason = "seccomp and unshare have no safe wrappers")]

use std::io;

/// Confines this process permanently. `what` is `no_new_privs`, `seccomp`, `mount` or `user`.
pub(crate) fn confine(what: &str) -> io::Result<()> {
    match what {
        "no_new_privs" => Ok(rustix::thread::set_no_new_privs(true)?),
        "seccomp" => filter(),
        "mount" => unshare(libc::CLONE_NEWNS),
        "user" => unshare(libc::CLONE_NEWUSER),
        other => Err(io::Error::other(format!("no way to confine is called {other}"))),
    }
}

/// Installs a filter that rejects `acct`, a system call that none of the programs makes.
fn filter() -> io::Result<()> {
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let load_number = statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0);
    let equal = libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: 1,
        k: libc::SYS_acct as u32,
    };
    let forbid = statement(libc::BPF_RET as u16, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let allow = statement(libc::BPF_RET as u16, libc::SECCOMP_RET_ALLOW);
    let mut program = [load_number, equal, forbid, allow];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // Tries without `no_new_privs` first, because that is a confinement itself. Without
    // `CAP_SYS_ADMIN`, a filter requires it. SAFETY: the kernel reads the filter, which lives until
    // the call returns.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) }
        == 0
    {
        return Ok(());
    }
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: as above, the kernel reads the filter, which lives until the call returns.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) }
    {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn unshare(flags: i32) -> io::Result<()> {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    // SAFETY: this process has a single thread, and the call accesses no memory.
    match unsafe { libc::unshare(flags) } {
        0 if flags == libc::CLONE_NEWUSER => {
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/uid_map", format!("{0} {0} 1", uid.as_raw()))?;
            std::fs::write("/proc/self/gid_map", format!("{0} {0} 1", gid.as_raw()))
        }
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
