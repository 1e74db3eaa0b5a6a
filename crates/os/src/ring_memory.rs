//! Shared memory of two processes that exchange frames through it. Each process writes one half and
//! reads the other.
//!
//! The client makes the memory and allocates all of it. The server maps it, and then the client
//! seals it: no process can map it for writing from then on, free a page, or change the size. The
//! server verifies this before it reads. So reading never allocates a page at the reader's cost,
//! and never raises `SIGBUS`.
//!
//! A process stores to its own half and never reads it back. The peer may therefore write there
//! without any effect on this process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::fs::{FallocateFlags, OFlags, SealFlags, StatxFlags};
use rustix::io::Errno;
use rustix::thread::futex;

use crate::OwnedHandle;
use crate::memory::{create, len, resize};
use crate::sys::device;
use crate::sys::map::lower_half;
use crate::sys::stat::stat;
use crate::sys::wait::until_timespec;
use crate::sys::words::Words;
use crate::system_call::failed;

/// Memory of two processes, as one of them accesses it. Offsets are in bytes, from the start of a
/// half. An access outside the half, or in a forked child, does nothing and reports that.
#[derive(Debug)]
pub struct RingMemory {
    own: Words,
    peer: Words,
}

/// Memory that this process has made and not sealed yet.
#[derive(Debug)]
pub struct OfferedRing {
    file: OwnedFd,
    memory: RingMemory,
}

/// Memory that another process has made, and that isn't verified yet.
#[derive(Debug)]
pub struct ReceivedRing {
    file: OwnedHandle,
    memory: RingMemory,
}

impl OfferedRing {
    /// Creates memory with two halves of at least `half_len` bytes, and allocates all of it.
    ///
    /// # Errors
    /// The errors of [`memfd_create(2)`](https://man7.org/linux/man-pages/man2/memfd_create.2.html),
    /// [`fallocate(2)`](https://man7.org/linux/man-pages/man2/fallocate.2.html), `fcntl(2)` and
    /// `mmap(2)`, and `FileTooLarge` beyond the file size limit of this process.
    pub fn new(half_len: usize) -> io::Result<Self> {
        let half_len = half_len.max(1).next_multiple_of(rustix::param::page_size());
        let file = create(c"syshandle-ring")?;
        resize(file.as_fd(), 2 * half_len as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)
            .map_err(failed("fcntl(F_ADD_SEALS)"))?;
        loop {
            let flags = FallocateFlags::KEEP_SIZE;
            match rustix::fs::fallocate(&file, flags, 0, 2 * half_len as u64) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed("fallocate")(error)),
            }
        }
        let memory = RingMemory {
            own: Words::new(file.as_fd(), 0, half_len, true)?,
            peer: Words::new(file.as_fd(), half_len, half_len, false)?,
        };
        Ok(Self { file, memory })
    }

    /// Seals the memory, after the peer has mapped it.
    ///
    /// # Errors
    /// The errors of `fcntl(2)`.
    pub fn seal(self) -> io::Result<RingMemory> {
        rustix::fs::fcntl_add_seals(&self.file, SEALS).map_err(failed("fcntl(F_ADD_SEALS)"))?;
        Ok(self.memory)
    }
}

/// Returns the handle to send to the peer.
impl AsFd for OfferedRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl ReceivedRing {
    /// Maps memory of another process's [`OfferedRing`] with halves of at most `half_len_max`
    /// bytes.
    ///
    /// # Errors
    /// Returns the handle with the error. The error is `InvalidData` if the handle isn't such
    /// memory. Otherwise it is the error of `mmap(2)`, or of a system call that failed for lack of
    /// memory or descriptors.
    pub fn new(file: OwnedHandle, half_len_max: usize) -> Result<Self, (OwnedHandle, io::Error)> {
        let mapped = check(file.as_fd(), half_len_max).and_then(|half_len| {
            Ok(RingMemory {
                own: Words::new(file.as_fd(), half_len, half_len, true)?,
                peer: Words::new(file.as_fd(), 0, half_len, false)?,
            })
        });
        match mapped {
            Ok(memory) => Ok(Self { file, memory }),
            Err(error) => Err((file, error)),
        }
    }

    /// Returns the length of a half in bytes.
    pub fn half_len(&self) -> usize {
        self.memory.half_len()
    }

    /// Verifies that the other process has sealed the memory, and that all of it is allocated.
    ///
    /// # Errors
    /// `InvalidData` if the memory isn't sealed or isn't allocated; otherwise the errors of
    /// `fcntl(2)` and `statx(2)`.
    pub fn verify(self) -> io::Result<RingMemory> {
        if !rustix::fs::fcntl_get_seals(&self.file)?.contains(SEALS) {
            return invalid("the memory of a ring is not sealed");
        }
        // No page can be freed any more, so the number can't fall after this query.
        let allocated = stat(self.file.as_fd(), StatxFlags::BLOCKS)?.blocks;
        if allocated.saturating_mul(BLOCK_LEN) < 2 * self.memory.half_len() as u64 {
            return invalid("the memory of a ring is not allocated");
        }
        Ok(self.memory)
    }
}

impl RingMemory {
    /// Returns the length of a half in bytes.
    #[inline]
    pub fn half_len(&self) -> usize {
        self.own.bytes()
    }

    /// Returns whether this process has the memory. A forked child has not.
    #[inline]
    pub fn is_of_this_process(&self) -> bool {
        self.own.word(0).is_some()
    }

    /// Loads a word of the peer. Later loads see what the peer stored before the word.
    #[inline]
    pub fn load(&self, at: usize) -> Option<u64> {
        self.peer.load(at)
    }

    /// Stores a word of this side, after all earlier stores.
    #[inline]
    #[must_use]
    pub fn store(&self, at: usize, value: u64) -> bool {
        self.own.store(at, value)
    }

    /// Copies bytes of the peer, from a multiple of 8 on.
    #[inline]
    #[must_use]
    pub fn read(&self, at: usize, out: &mut [u8]) -> bool {
        self.peer.read(at, out)
    }

    /// Copies bytes to the half of this side, from a multiple of 8 on. Fills the last 8 bytes with
    /// zeros.
    #[inline]
    #[must_use]
    pub fn write(&self, at: usize, bytes: &[u8]) -> bool {
        self.own.write(at, bytes)
    }

    /// Wakes the peer if it waits for a word of this side.
    pub fn wake(&self, at: usize) {
        if let Some(word) = self.own.word(at) {
            // The call fails only for an invalid address.
            let _ = futex::wake(lower_half(word), futex::Flags::empty(), 1);
        }
    }

    /// Waits while the lower half of a peer's word has the value `expected`, up to `until`. A
    /// signal and the peer may end the wait early.
    ///
    /// # Errors
    /// The errors of [`futex(2)`](https://man7.org/linux/man-pages/man2/futex.2.html), for example
    /// because a system call filter forbids the call.
    pub fn wait(&self, at: usize, expected: u32, until: Instant) -> io::Result<()> {
        let Some(word) = self.peer.word(at) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let (any, end) = (std::num::NonZero::<u32>::MAX, until_timespec(until));
        // The kernel only reads the word, so the mapping needn't be writable.
        match futex::wait_bitset(lower_half(word), futex::Flags::empty(), expected, Some(&end), any)
        {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
            Err(error) => Err(failed("futex")(error)),
        }
    }
}

/// Checks that a handle is memory that an [`OfferedRing`] has made, and returns the length of a
/// half.
fn check(file: BorrowedFd<'_>, half_len_max: usize) -> io::Result<usize> {
    device::learn()?;
    if !device::is_memory(&device::stat(file)?) {
        return invalid("the memory of a ring is not a memory file");
    }
    let seals = rustix::fs::fcntl_get_seals(file)?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
        return invalid("the size of a ring's memory is not sealed");
    }
    let is_writable = rustix::fs::fcntl_getfl(file)?.contains(OFlags::RDWR);
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) || !is_writable {
        return invalid("the memory of a ring can't be written by its receiver");
    }
    let page = rustix::param::page_size() as u64;
    match len(file)? {
        len if len > 0 && len % (2 * page) == 0 && len / 2 <= half_len_max as u64 => {
            Ok((len / 2) as usize)
        }
        _ => invalid("the memory of a ring is of a wrong size"),
    }
}

fn invalid<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// The seals of memory that both sides have mapped. Newer kernels add further seals, such as
/// `F_SEAL_EXEC` for each memory file that can't be executed.
const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);

/// Unit of the number of allocated blocks, from `stat(2)`.
const BLOCK_LEN: u64 = 512;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::fs::MemfdFlags;

    use super::*;
    use crate::SharedWriter;

    const HALF: usize = 16 * 1024;

    fn pair() -> (RingMemory, RingMemory) {
        let offered = OfferedRing::new(HALF).unwrap();
        let received = ReceivedRing::new(copy(&offered), HALF.max(page())).unwrap();
        assert_eq!(received.half_len(), HALF.max(page()));
        let client = offered.seal().unwrap();
        (client, received.verify().unwrap())
    }

    fn page() -> usize {
        rustix::param::page_size()
    }

    fn copy(file: &impl AsFd) -> OwnedHandle {
        file.as_fd().try_clone_to_owned().unwrap()
    }

    /// Returns the reason for which memory is refused.
    fn refusal(file: impl Into<OwnedFd>) -> String {
        let (_, error) = ReceivedRing::new(file.into(), HALF.max(page())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        error.to_string()
    }

    /// Returns a memory file with these seals, `len` bytes of which are allocated.
    fn file(flags: MemfdFlags, len: usize, seals: SealFlags) -> rustix::io::Result<OwnedFd> {
        let file = rustix::fs::memfd_create(c"wrong", flags | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, len as u64)?;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        Ok(file)
    }

    const SIZE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

    #[test]
    fn each_side_reads_what_the_other_one_wrote() {
        let (client, server) = pair();
        for (from, to, text) in [(&client, &server, b"request!"), (&server, &client, b"response")] {
            assert!(from.write(256, text) && from.store(64, 3));
            let mut out = [0; 8];
            assert!(to.read(256, &mut out));
            assert_eq!((&out, to.load(64)), (text, Some(3)));
            assert_eq!(to.load(from.half_len()), None);
        }
        assert!(client.is_of_this_process());
    }

    #[test]
    fn sealed_memory_can_neither_be_mapped_for_writing_nor_be_freed() {
        let offered = OfferedRing::new(HALF).unwrap();
        let file = copy(&offered);
        let received = ReceivedRing::new(copy(&offered), HALF.max(page())).unwrap();
        let client = offered.seal().unwrap();
        assert!(Words::new(file.as_fd(), 0, page(), true).is_err());
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        assert_eq!(rustix::fs::fallocate(&file, hole, 0, page() as u64), Err(Errno::PERM));
        assert!(rustix::io::pwrite(&file, b"x", 0).is_err());
        assert!(received.verify().unwrap().store(0, 1) && client.load(0) == Some(1));
    }

    #[test]
    fn memory_that_is_not_that_of_a_ring_is_refused() {
        let usual = MemfdFlags::CLOEXEC;
        assert_eq!(
            refusal(tempfile::tempfile().unwrap()),
            "the memory of a ring is not a memory file"
        );
        let (len, wrong_size) = (2 * page(), "the memory of a ring is of a wrong size");
        let unsealed = "the size of a ring's memory is not sealed";
        for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::GROW] {
            assert_eq!(refusal(file(usual, len, seals).unwrap()), unsealed);
        }
        let unwritable = "the memory of a ring can't be written by its receiver";
        for seals in [SealFlags::WRITE, SealFlags::FUTURE_WRITE] {
            assert_eq!(refusal(file(usual, len, seals | SIZE).unwrap()), unwritable);
        }
        for len in [0, 1, page(), 3 * page(), 2 * page() + 8, 4 * HALF.max(page())] {
            assert_eq!(refusal(file(usual, len, SIZE).unwrap()), wrong_size, "{len}");
        }
        let arena = SharedWriter::new(page()).unwrap();
        assert_eq!(refusal(copy(&arena)), wrong_size);
    }

    #[test]
    fn memory_in_huge_pages_is_refused() {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB;
        match file(flags, 0, SIZE) {
            Ok(file) => assert_eq!(refusal(file), "the memory of a ring is not a memory file"),
            Err(error) => println!("skipped: no memory file in huge pages can be made: {error}"),
        }
    }

    #[test]
    fn a_read_only_handle_is_refused() {
        let offered = OfferedRing::new(HALF).unwrap();
        let read_only = match crate::sys::directory::open_anew(offered.as_fd(), OFlags::RDONLY) {
            Ok(read_only) => read_only,
            Err(error) => {
                return println!("skipped: without /proc there is no read-only handle: {error}");
            }
        };
        assert_eq!(refusal(read_only), "the memory of a ring can't be written by its receiver");
    }

    #[test]
    fn memory_is_not_read_unless_all_its_pages_are_allocated_for_ever() {
        // Memory that is mapped for writing can still be sealed against future writers.
        let verify = |file: &OwnedFd, seals| {
            let received = ReceivedRing::new(copy(file), HALF.max(page())).unwrap();
            rustix::fs::fcntl_add_seals(file, seals).unwrap();
            received.verify().map(drop).map_err(|error| error.to_string())
        };
        let allocated = |len: usize| {
            let file = file(MemfdFlags::CLOEXEC, 2 * page(), SIZE).unwrap();
            rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, len as u64).unwrap();
            file
        };
        let whole = 2 * page();
        let (unsealed, hole) =
            ("the memory of a ring is not sealed", "the memory of a ring is not allocated");
        for seals in [SealFlags::empty(), SealFlags::SEAL, SealFlags::FUTURE_WRITE] {
            let file = allocated(whole);
            assert_eq!(verify(&file, seals).unwrap_err(), unsealed, "{seals:?}");
        }
        let file = allocated(page());
        assert_eq!(verify(&file, SEALS).unwrap_err(), hole);
        let file = allocated(whole);
        assert_eq!(verify(&file, SEALS), Ok(()));
    }

    #[test]
    fn a_page_that_was_freed_before_the_seals_is_noticed() {
        let offered = OfferedRing::new(HALF).unwrap();
        let file = copy(&offered);
        let received = ReceivedRing::new(copy(&offered), HALF.max(page())).unwrap();
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&file, hole, 0, page() as u64).unwrap();
        drop(offered.seal().unwrap());
        let error = received.verify().unwrap_err().to_string();
        assert_eq!(error, "the memory of a ring is not allocated");
    }

    #[test]
    fn a_wait_ends_when_the_writer_wakes_it_and_no_later_than_its_end() {
        let (client, server) = pair();
        let began = Instant::now();
        let soon = began + Duration::from_millis(20);
        server.wait(64, 0, soon).unwrap();
        assert!(Instant::now() >= soon);
        let late = Instant::now() + Duration::from_secs(60);
        server.wait(64, 1, late).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while server.load(64) == Some(0) {
                    server.wait(64, 0, late).unwrap();
                }
            });
            std::thread::sleep(Duration::from_millis(5));
            assert!(client.store(64, 1));
            client.wake(64);
        });
        assert!(Instant::now() < late);
    }
}
