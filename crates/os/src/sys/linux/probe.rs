//! Reads `/proc/self/fdinfo` without opening a file for each descriptor.
//!
//! This process reserves a descriptor number N and keeps the file `/proc/self/fdinfo/N` open. To
//! examine a handle, it duplicates the handle onto N and reads the file, because the kernel
//! describes the current descriptor N at each read. Afterwards it duplicates the file itself onto
//! N, so that the number stays reserved and no peer's handle stays open. So a prepared process can
//! examine handles in a sandbox in which it can't open files, after `chroot`, and without `/proc`.
//!
//! Opening a file for each proof instead takes eight more system calls, of about thirty, for a call
//! that passes a file and an event and returns the event.
//!
//! The open file describes the descriptor table of the thread that opened it. In the following
//! cases that table is not in use, or N has been closed. These cases are detected, and the `fdinfo`
//! file of the handle's own number is opened instead:
//! - in a forked child: [`PerProcess`];
//! - a thread with its own descriptor table (`unshare` with `CLONE_FILES`), or any other reason why
//!   N in the file isn't the handle: the text has a different inode number than the handle;
//! - the thread that opened the file has exited: reading the file fails;
//! - other code in this program has closed N, for example a daemon that closes all descriptors: the
//!   open file at N no longer has the [`tag`]. Nothing is duplicated onto such a number, which may
//!   be in use again. The file has a number below N, so code that closes all descriptors from some
//!   number on closes N if it closes the file. If only the file was closed, the text doesn't
//!   describe the handle.

use std::io::{self, ErrorKind};
use std::mem;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::event::EventfdFlags;
use rustix::io::{DupFlags, Errno};

use crate::sys::fork::PerProcess;
use crate::sys::tag;
use crate::sys::{device, fdinfo, proc};
use crate::system_call::failed;

/// Reads the kernel's description of a handle with the inode number `inode` into `text`. Returns
/// the range of the lines that are specific to the type of the object.
///
/// # Errors
/// Fails if the file can't be opened: with `Unsupported` if procfs isn't mounted at `/proc`, and
/// with `PermissionDenied` in a sandbox.
pub(crate) fn read(
    handle: BorrowedFd<'_>,
    inode: u64,
    text: &mut [u8],
) -> io::Result<Range<usize>> {
    let own = PROBE.lock().and_then(|mut probe| probe.read(handle, inode, text));
    if let Some(own) = own {
        return Ok(own);
    }
    let len = read_start(&open("thread-self", handle.as_raw_fd())?, text)?;
    Ok(fdinfo::general(&text[..len]).map_or(len, |(_, end)| end)..len)
}

/// Opens the file, so that no file has to be opened later.
///
/// # Errors
/// Fails if the file can't be opened, if this process can't open more file descriptors, or if the
/// kernel can't detect a forked child.
pub(crate) fn prepare() -> io::Result<()> {
    let unsupported = "this kernel can't clear memory on fork (MADV_WIPEONFORK)";
    let mut probe =
        PROBE.lock().ok_or_else(|| io::Error::new(ErrorKind::Unsupported, unsupported))?;
    if probe.reserved.as_ref().is_none_or(|reserved| !reserved.is_intact()) {
        probe.give_up();
        probe.reserved = Some(ReservedNumber::new()?);
    }
    Ok(())
}

static PROBE: PerProcess<Mutex<Probe>> = PerProcess::new();

#[derive(Debug, Default)]
struct Probe {
    reserved: Option<ReservedNumber>,
    /// Number of times that the file became unusable.
    losses: u32,
}

impl Probe {
    /// Returns the range of the lines that are specific to the object. Returns `None` if the
    /// reserved number can't be used.
    fn read(
        &mut self,
        handle: BorrowedFd<'_>,
        inode: u64,
        text: &mut [u8],
    ) -> Option<Range<usize>> {
        for _ in 0..2 {
            if self.reserved.is_none() && self.losses < LOSSES_MAX {
                self.reserved = ReservedNumber::new().ok();
            }
            let reserved = self.reserved.as_mut()?;
            if tag::is_set(reserved.number.as_fd()) {
                match reserved.examine(handle, inode, text) {
                    Ok(ProbeResult::Described(own)) => return Some(own),
                    Ok(ProbeResult::NotDescribed) => return None,
                    Ok(ProbeResult::ThreadGone) => {}
                    // Other code owns the file's descriptor number now, so the file isn't closed.
                    // Only the duplicate of the handle is closed.
                    Ok(ProbeResult::NotOurFile) => {
                        if let Some(ReservedNumber { file, number }) = self.reserved.take() {
                            drop(number);
                            mem::forget(file);
                        }
                    }
                    Err(_) => return None,
                }
            }
            self.give_up();
        }
        None
    }

    /// Discards an unusable file. A descriptor without the tag belongs to other code, and isn't
    /// closed.
    fn give_up(&mut self) {
        let Some(ReservedNumber { file, number }) = self.reserved.take() else { return };
        self.losses += 1;
        for descriptor in [file, number] {
            if !tag::is_set(descriptor.as_fd()) {
                mem::forget(descriptor);
            }
        }
    }
}

/// The result of reading the open `fdinfo` file.
enum ProbeResult {
    /// The text describes the handle. The range contains the lines that are specific to the object.
    Described(Range<usize>),
    /// The text describes another object.
    NotDescribed,
    /// The thread that opened the file has exited.
    ThreadGone,
    /// The file's descriptor number now belongs to other code. The duplicate of the handle is still
    /// at N.
    NotOurFile,
}

/// A reserved descriptor number N, and the open file in which the kernel describes N.
#[derive(Debug)]
struct ReservedNumber {
    /// The file `/proc/self/fdinfo/N`, whose descriptor number is below N.
    file: OwnedFd,
    /// Descriptor N: a duplicate of `file`, except while a handle is examined.
    number: OwnedFd,
}

impl ReservedNumber {
    fn new() -> io::Result<Self> {
        // The file in `/proc/self` stays usable as long as the main thread runs, which is usually the
        // longest. If the main thread has exited or has another descriptor table, the file in
        // `/proc/thread-self` is used.
        Self::of("self").or_else(|_| Self::of("thread-self"))
    }

    fn of(whose: &str) -> io::Result<Self> {
        // Any descriptor can reserve the numbers until the file is open.
        let any = || rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(failed("eventfd2"));
        let mut numbers = [any()?, any()?];
        numbers.sort_by_key(AsRawFd::as_raw_fd);
        let [mut file, mut number] = numbers;
        let opened = open(whose, number.as_raw_fd())?;
        tag::set(opened.as_fd())?;
        put(opened.as_fd(), &mut file)?;
        put(opened.as_fd(), &mut number)?;
        let mut text = [0; 128];
        let len = read_start(&file, &mut text)?;
        if !fdinfo::general(&text[..len])
            .is_some_and(|(inode, _)| device::stat(&file).is_ok_and(|stat| stat.inode == inode))
        {
            return Err(fdinfo::without_proc());
        }
        Ok(Self { file, number })
    }

    /// Returns whether both descriptors still have the tag that was set when they were opened.
    fn is_intact(&self) -> bool {
        tag::is_set(self.number.as_fd()) && tag::is_set(self.file.as_fd())
    }

    fn examine(
        &mut self,
        handle: BorrowedFd<'_>,
        inode: u64,
        text: &mut [u8],
    ) -> Result<ProbeResult, Errno> {
        put(handle, &mut self.number)?;
        let result = match read_start(&self.file, text) {
            Ok(len) => match fdinfo::general(&text[..len]) {
                Some((found, end)) if found == inode => ProbeResult::Described(end..len),
                _ => ProbeResult::NotDescribed,
            },
            Err(Errno::NOENT | Errno::SRCH) => ProbeResult::ThreadGone,
            Err(_) => ProbeResult::NotDescribed,
        };
        if !matches!(result, ProbeResult::Described(_)) && !tag::is_set(self.file.as_fd()) {
            return Ok(ProbeResult::NotOurFile);
        }
        put(self.file.as_fd(), &mut self.number)?;
        Ok(result)
    }
}

/// Duplicates a descriptor onto a number, atomically closing the previous descriptor there.
fn put(from: BorrowedFd<'_>, number: &mut OwnedFd) -> Result<(), Errno> {
    loop {
        match rustix::io::dup3(from, number, DupFlags::CLOEXEC) {
            // Another thread is opening a file at this number at the moment, so try again.
            Err(Errno::BUSY | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Opens the file that describes a descriptor number of the main thread (`self`) or of the calling
/// thread (`thread-self`).
fn open(whose: &str, number: i32) -> io::Result<OwnedFd> {
    let path = format!("/proc/{whose}/fdinfo/{number}");
    proc::open(&path).map_err(|error| match error {
        Errno::NOENT => fdinfo::without_proc(),
        Errno::OPNOTSUPP => proc::explained(error),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => failed("openat")(error),
        error => denied(error),
    })
}

/// Returns the error for a process that can't open files, with a remedy.
fn denied(error: Errno) -> io::Error {
    let error = io::Error::from(error);
    let remedy = match PROBE.is_inherited() {
        true => "this process is a forked copy, which prepares by itself before it is confined",
        false => "call syshandle::direct::prepare() before the process is confined",
    };
    let what = format!("/proc/self/fdinfo can't be opened to examine a handle: {error}; {remedy}");
    io::Error::new(error.kind(), what)
}

/// Reads the start of a file.
fn read_start(file: &OwnedFd, text: &mut [u8]) -> Result<usize, Errno> {
    rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *text, 0))
}

/// Maximum number of replacements of the file. If it is exceeded, other code in the process keeps
/// closing the file.
const LOSSES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use std::os::fd::FromRawFd;

    use rustix::fs::{Mode, OFlags};

    use super::*;

    fn text_of(handle: &OwnedFd) -> String {
        let (mut text, stat) = ([0; 256], device::stat(handle).unwrap());
        let own = read(handle.as_fd(), stat.inode, &mut text).unwrap();
        String::from_utf8_lossy(&text[own]).into_owned()
    }

    fn event(count: u32) -> OwnedFd {
        rustix::event::eventfd(count, EventfdFlags::CLOEXEC).unwrap()
    }

    /// Creates a separate probe for the test, because all tests in this process share the global
    /// one.
    fn probe() -> Probe {
        Probe { reserved: Some(ReservedNumber::new().unwrap()), losses: 0 }
    }

    fn examine(probe: &mut Probe, handle: &OwnedFd) -> Option<String> {
        let (mut text, stat) = ([0; 256], device::stat(handle).unwrap());
        let own = probe.read(handle.as_fd(), stat.inode, &mut text)?;
        Some(String::from_utf8_lossy(&text[own]).into_owned())
    }

    #[test]
    fn each_reading_describes_the_handle_that_was_given() {
        for count in 1..4 {
            assert!(
                text_of(&event(count)).contains(&format!("eventfd-count:                {count}"))
            );
        }
    }

    #[test]
    fn the_reserved_number_keeps_no_handle_open() {
        let mut probe = probe();
        let (reader, writer) = io::pipe().unwrap();
        let writer = OwnedFd::from(writer);
        examine(&mut probe, &writer).unwrap();
        drop(writer);
        // The read returns 0 when the last writer is closed.
        assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0));
        assert!(probe.reserved.unwrap().is_intact());
    }

    #[test]
    fn a_thread_with_a_descriptor_table_of_its_own_reads_of_its_own_descriptors() {
        let there = std::thread::spawn(|| {
            drop(text_of(&event(1)));
            // SAFETY: the call accesses no memory. The thread gets copies of all descriptors.
            #[expect(unsafe_code, reason = "a system call without a safe wrapper")]
            let unshared = unsafe { libc::unshare(libc::CLONE_FILES) };
            assert_eq!(unshared, 0);
            // The number of the event may be open or closed in the rest of the process.
            text_of(&event(5))
        });
        assert!(there.join().unwrap().contains("eventfd-count:                5"));
    }

    #[test]
    fn a_number_that_the_program_closed_and_uses_again_is_left_alone() {
        let mut probe = probe();
        let number = probe.reserved.as_ref().unwrap().number.as_raw_fd();
        // Simulates a program that closes all descriptors and then opens its own.
        #[expect(unsafe_code, reason = "the test simulates a descriptor of other code")]
        // SAFETY: the probe owns the number, but doesn't close a descriptor that it doesn't
        // recognize. So only this value closes it.
        let mut taken = unsafe { OwnedFd::from_raw_fd(number) };
        let (reader, _writer) = io::pipe().unwrap();
        put(reader.as_fd(), &mut taken).unwrap();
        let inode = device::stat(&taken).unwrap().inode;
        assert!(examine(&mut probe, &event(3)).unwrap().contains("eventfd-count"));
        assert_ne!(probe.reserved.as_ref().unwrap().number.as_raw_fd(), number);
        assert_eq!(device::stat(&taken).unwrap().inode, inode);
    }

    #[test]
    fn a_file_that_the_program_closed_alone_is_left_alone() {
        let mut probe = probe();
        let reserved = probe.reserved.as_ref().unwrap();
        let (file, number) = (reserved.file.as_raw_fd(), reserved.number.as_raw_fd());
        assert!(file < number);
        #[expect(unsafe_code, reason = "the test simulates a descriptor of other code")]
        // SAFETY: the probe owns the number, but doesn't close a descriptor that it doesn't
        // recognize. So only this value closes it.
        let mut taken = unsafe { OwnedFd::from_raw_fd(file) };
        let (reader, writer) = io::pipe().unwrap();
        put(writer.as_fd(), &mut taken).unwrap();
        drop(writer);
        assert!(examine(&mut probe, &event(4)).unwrap().contains("eventfd-count"));
        drop(taken);
        // The read returns 0 only if the probe has left no duplicate of the program's descriptor
        // open.
        assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0));
    }

    #[test]
    fn a_file_whose_thread_has_exited_is_replaced() {
        let mut probe = std::thread::spawn(|| {
            let mut number = event(0);
            let path = format!("/proc/thread-self/fdinfo/{}", number.as_raw_fd());
            let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            let file = file.unwrap();
            tag::set(file.as_fd()).unwrap();
            put(file.as_fd(), &mut number).unwrap();
            Probe { reserved: Some(ReservedNumber { file, number }), losses: 0 }
        })
        .join()
        .unwrap();
        // The kernel may remove an exited thread shortly after it was joined.
        assert!(
            examine(&mut probe, &event(2)).unwrap().contains("eventfd-count:                2")
        );
    }
}
