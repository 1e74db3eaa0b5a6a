//! The process that the kernel asks about each system call of another one.
#![expect(unsafe_code, reason = "fork, seccomp and its ioctls have no safe form")]

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

use crate::calls;
use crate::faults::Fault;

/// From `linux/seccomp.h`: `_IOWR('!', 0, struct seccomp_notif)` and its answer.
const NOTIF_RECV: libc::c_ulong = 0xc050_2100;
const NOTIF_SEND: libc::c_ulong = 0xc018_2101;

/// Where the one end of the socket to the supervisor is, so that the filter knows it.
const CONTROL: RawFd = 900;

/// Starts the supervisor, and puts this process under it.
pub(crate) fn arm(fault: Fault, report: &Path) -> io::Result<()> {
    let report = File::options().write(true).open(report)?;
    let (own, other) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let supervised = rustix::process::getpid();
    // SAFETY: there is one thread, so the child may do whatever this process may.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(own);
            let done = supervise(&other, &report, fault, supervised.as_raw_nonzero().get());
            // SAFETY: ends the child without running what the program has registered.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        _ => {
            drop((other, report));
            // SAFETY: the number is nobody's: programs that are armed have a few descriptors open.
            let control = unsafe { libc::fcntl(own.as_raw_fd(), libc::F_DUPFD_CLOEXEC, CONTROL) };
            if control != CONTROL {
                return Err(io::Error::other("the number of the control socket is taken"));
            }
            // SAFETY: just made, for this one owner.
            let control = unsafe { OwnedFd::from_raw_fd(control) };
            let listener = filter()?;
            let handles = [listener.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut message = SendAncillaryBuffer::new(&mut space);
            message.push(SendAncillaryMessage::ScmRights(&handles));
            let parts = [IoSlice::new(b"x")];
            rustix::net::sendmsg(&control, &parts, &mut message, SendFlags::empty())?;
            // From here on the supervisor has the one listener: it must not outlive it.
            Ok(())
        }
    }
}

/// Has the kernel ask about the calls of this process from now on; returns where it asks.
fn filter() -> io::Result<OwnedFd> {
    let statement = |code: u32, k| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    // Goes on with the next statement, or skips that many.
    let unless = |k: u32, skip: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k,
    };
    let allow = || statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW);
    let ask = || statement(libc::BPF_RET, libc::SECCOMP_RET_USER_NOTIF);
    let mut program = vec![load(0)];
    for call in calls::ALL {
        let number = call.number as u32;
        match call.number {
            // Those over the control socket, and memory that is no file's: the fifth argument.
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
            // What a program says to people isn't the product's.
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
            // SAFETY: the kernel has just opened it, close-on-exec, for this one owner.
            listener => Ok(unsafe { OwnedFd::from_raw_fd(listener as RawFd) }),
        }
    };
    // Without the right to do more it needs no_new_privs.
    set().or_else(|_| {
        rustix::thread::set_no_new_privs(true)?;
        set()
    })
}

/// Where the low half of an argument is in what a filter sees.
fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// Answers all questions until nobody is left who asks.
fn supervise(control: &OwnedFd, report: &File, fault: Fault, supervised: i32) -> io::Result<()> {
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
        // SAFETY: zeros are what the kernel wants there.
        let mut question: libc::seccomp_notif = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the kernel writes a question, for which there is room.
        if unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut question) } == -1 {
            // Whoever asked is gone, or was interrupted.
            continue;
        }
        let thread = question.pid;
        let is_supervised =
            *threads.entry(thread).or_insert_with(|| is_thread_of(thread, supervised));
        let number = libc::c_long::from(question.data.nr);
        let call = calls::ALL.iter().find(|call| call.number == number);
        let mut error = 0;
        if let Some(call) = call.filter(|_| is_supervised) {
            let count = counts.entry(call.name).or_default();
            *count += 1;
            if *call == fault.call && *count == fault.nth {
                error = -fault.error.1;
                failed += 1;
            }
        }
        let flags = match error {
            0 => libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
            _ => 0,
        };
        let mut answer = libc::seccomp_notif_resp { id: question.id, val: 0, error, flags };
        // SAFETY: the kernel reads the answer. It fails only where whoever asked is gone.
        unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw mut answer) };
    }
    let words: Vec<_> = counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
    let mut report = report;
    report.write_all(format!("{} failed={failed}\n", words.join(" ")).as_bytes())
}

/// Takes the listener, and closes all else: the program's files are to end with it.
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
        // SAFETY: what these three were isn't used any more, by anybody here.
        unsafe { libc::dup2(null.as_raw_fd(), standard) };
    }
    listener.ok_or_else(|| io::Error::other("no listener came"))
}

/// Whether a thread is one of this process's.
fn is_thread_of(thread: u32, process: i32) -> bool {
    Path::new(&format!("/proc/{process}/task/{thread}")).exists()
}
