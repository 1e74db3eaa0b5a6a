//! The supervisor, a process that the kernel notifies of the system calls of another process.
#![expect(unsafe_code, reason = "fork, seccomp and its ioctls have no safe wrappers")]

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::injection::InjectedFailure;
use crate::system_calls;

/// From `linux/seccomp.h`: `_IOWR('!', 0, struct seccomp_notif)`, and the equivalent for the
/// response.
const NOTIF_RECV: libc::c_ulong = 0xc050_2100;
const NOTIF_SEND: libc::c_ulong = 0xc018_2101;

/// Number of the descriptor of the socket to the supervisor. The filter exempts this socket.
const CONTROL: RawFd = 900;

/// Starts the supervisor, and makes it supervise this process.
pub(crate) fn arm(failure: InjectedFailure, report: &Path) -> io::Result<()> {
    let report = File::options().write(true).open(report)?;
    let (own, other) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let supervised = rustix::process::getpid();
    // SAFETY: the process has a single thread, so the child may call any function.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(own);
            let done = supervise(&other, &report, failure, supervised.as_raw_nonzero().get());
            // SAFETY: `_exit` ends the child without running the exit handlers of the program.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        _ => {
            drop((other, report));
            // SAFETY: `F_DUPFD_CLOEXEC` uses the lowest free descriptor number from `CONTROL` on,
            // so it replaces no other descriptor.
            let control = unsafe { libc::fcntl(own.as_raw_fd(), libc::F_DUPFD_CLOEXEC, CONTROL) };
            if control != CONTROL {
                return Err(io::Error::other("the number of the control socket is taken"));
            }
            // SAFETY: the descriptor was just created and has no other owner.
            let control = unsafe { OwnedFd::from_raw_fd(control) };
            let listener = filter()?;
            let handles = [listener.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut message = SendAncillaryBuffer::new(&mut space);
            message.push(SendAncillaryMessage::ScmRights(&handles));
            let parts = [IoSlice::new(b"x")];
            rustix::net::sendmsg(&control, &parts, &mut message, SendFlags::empty())?;
            // Closes the listener here, because the supervisor must have the only one. The kernel
            // reports the end of this process only to an otherwise unused listener.
            Ok(())
        }
    }
}

/// Installs a filter that from now on sends a notification of each filtered call of this process.
/// Returns the listener that receives the notifications.
fn filter() -> io::Result<OwnedFd> {
    let statement = |code: u32, k| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    // Continues with the next instruction if the value equals `k`, and otherwise skips `skip`
    // instructions.
    let unless = |k: u32, skip: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k,
    };
    let allow = || statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW);
    let ask = || statement(libc::BPF_RET, libc::SECCOMP_RET_USER_NOTIF);
    let mut program = vec![load(0)];
    for call in system_calls::ALL {
        let number = call.number as u32;
        match call.number {
            // Exempts `sendmsg` on the control socket. Also exempts `mmap` without a file, whose
            // fifth argument, the descriptor, is -1.
            libc::SYS_sendmsg => program.extend([
                unless(number, 4),
                load(argument(0)),
                unless(CONTROL as u32, 1),
                allow(),
                ask(),
            ]),
            libc::SYS_mmap => program.extend([
                unless(number, 4),
                load(argument(4)),
                unless(u32::MAX, 1),
                allow(),
                ask(),
            ]),
            // Exempts writes to the standard streams, because the library makes none.
            libc::SYS_write => program.extend([
                unless(number, 6),
                load(argument(0)),
                unless(1, 1),
                allow(),
                unless(2, 1),
                allow(),
                ask(),
            ]),
            _ => program.extend([unless(number, 1), ask()]),
        }
    }
    program.push(allow());
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let set = || {
        // SAFETY: the kernel reads the filter, which lives until the call returns.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const filter,
            )
        };
        match listener {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the kernel has just opened this close-on-exec descriptor, and no other value
            // owns it.
            listener => Ok(unsafe { OwnedFd::from_raw_fd(listener as RawFd) }),
        }
    };
    // Without `CAP_SYS_ADMIN`, installing a filter requires `no_new_privs`.
    set().or_else(|_| {
        rustix::thread::set_no_new_privs(true)?;
        set()
    })
}

/// Returns the offset of the lower 32 bits of an argument in the data of a filter.
fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// Answers notifications until the last supervised process has ended.
fn supervise(
    control: &OwnedFd,
    report: &File,
    failure: InjectedFailure,
    supervised: i32,
) -> io::Result<()> {
    let listener = receive_listener(control)?;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut threads: HashMap<u32, bool> = HashMap::new();
    let mut failed = 0;
    loop {
        let mut polls = [PollFd::new(&listener, PollFlags::IN)];
        match poll(&mut polls, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if polls[0].revents().contains(PollFlags::HUP) {
            break;
        }
        // SAFETY: a `seccomp_notif` of all zeros is valid, and the kernel requires it here.
        let mut question: libc::seccomp_notif = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the kernel writes a notification to a buffer of its size.
        if unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut question) } == -1 {
            // The notifying thread has ended, or a signal interrupted the call.
            continue;
        }
        let thread = question.pid;
        let is_supervised =
            *threads.entry(thread).or_insert_with(|| is_thread_of(thread, supervised));
        let number = libc::c_long::from(question.data.nr);
        let call = system_calls::ALL.iter().find(|call| call.number == number);
        let mut error = 0;
        if let Some(call) = call.filter(|_| is_supervised) {
            let count = counts.entry(call.name).or_default();
            *count += 1;
            if *call == failure.call && *count == failure.nth {
                error = -failure.error.1;
                failed += 1;
            }
        }
        let flags = match error {
            0 => libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
            _ => 0,
        };
        let mut answer = libc::seccomp_notif_resp { id: question.id, val: 0, error, flags };
        // SAFETY: the kernel reads the response. The call fails only if the notifying thread has
        // ended.
        unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw mut answer) };
    }
    let words: Vec<_> = counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
    let mut report = report;
    report.write_all(format!("{} failed={failed}\n", words.join(" ")).as_bytes())
}

/// Receives the listener. Closes this process's standard streams, so that readers of the program's
/// output see its end when the program ends.
fn receive_listener(control: &OwnedFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(control, &mut parts, &mut message, RecvFlags::CMSG_CLOEXEC)?;
    let listener = message.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut handles) => handles.next(),
        _ => None,
    });
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for standard in 0..3 {
        // SAFETY: this process does not use the standard streams, so it may replace them.
        unsafe { libc::dup2(null.as_raw_fd(), standard) };
    }
    listener.ok_or_else(|| io::Error::other("no listener came"))
}

/// Returns whether a thread belongs to a process.
fn is_thread_of(thread: u32, process: i32) -> bool {
    Path::new(&format!("/proc/{process}/task/{thread}")).exists()
}
