//! Proves every type of object that can be created here as every kind. Only the pairs of the table
//! pass, and every rejection names the declared and the received object.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
#![expect(clippy::print_stdout, reason = "prints which rows were skipped")]
#![expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")]

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::EventfdFlags;
use rustix::fs::{CWD, FileType, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use rustix::time::{TimerfdClockId, TimerfdFlags};
use syshandle_os::{
    Declaration, Directory, Event, Kind, Kinds, Listener, ManualEvent, Mutex, Object, Process,
    ProofFailure, Requirement, Section, Semaphore, Seqpacket, Sockets, Thread, Timer, Token,
    UnsealedSection, identify, prove,
};

mod raw;

/// An object with its type and the kinds that it belongs to.
struct Row {
    name: &'static str,
    handle: OwnedFd,
    object: Object,
    kinds: &'static [Kind],
}

const NO_KIND: &[Kind] = &[];
const PLACE: &[Kind] = &[Kind::RegKey, Kind::Directory];

/// The table, and the resources that keep its objects in their state.
struct Table {
    rows: Vec<Row>,
    dir: tempfile::TempDir,
    kept: Vec<Box<dyn std::any::Any>>,
}

#[test]
fn just_the_pairs_of_the_table_pass() {
    let table = Table::new();
    for row in &table.rows {
        let facts = identify(row.handle.as_fd()).unwrap();
        assert_eq!(facts.object, row.object, "{}", row.name);
        for kind in row.kinds {
            let possible = kind.rights();
            assert!(possible.contains(facts.rights), "{}: {} as {kind}", row.name, facts.rights);
        }
        for kind in Kind::ALL {
            let proven = prove(row.handle.as_fd(), &Declaration::kind(kind));
            match (proven, row.kinds.contains(&kind)) {
                (Ok(proven), true) => assert_eq!(proven.rights, facts.rights, "{}", row.name),
                (Err(ProofFailure::Mismatch(mismatch)), false) => {
                    assert_eq!(
                        mismatch.expected,
                        Requirement::Kind(Kinds::of(kind)),
                        "{}",
                        row.name
                    );
                    assert_eq!(mismatch.received, facts, "{}", row.name);
                }
                (proven, _) => panic!("{} as {kind}: {proven:?}", row.name),
            }
        }
    }
    println!("{} objects against {} kinds", table.rows.len(), Kind::ALL.len());
}

#[test]
fn a_union_passes_what_one_of_its_kinds_passes() {
    let table = Table::new();
    for row in &table.rows {
        for (i, a) in Kind::ALL.into_iter().enumerate() {
            for b in Kind::ALL.into_iter().skip(i + 1) {
                let proven = prove(row.handle.as_fd(), &Declaration::new(Kinds::of(a).or(b)));
                let expected = row.kinds.contains(&a) || row.kinds.contains(&b);
                assert_eq!(proven.is_ok(), expected, "{} as {a} | {b}", row.name);
            }
        }
        let any = prove(row.handle.as_fd(), &Declaration::new(Kinds::ANY));
        assert_eq!(any.is_ok(), !row.kinds.is_empty(), "{} as a handle", row.name);
    }
}

#[test]
fn just_the_declared_sort_of_socket_passes() {
    let table = Table::new();
    for row in &table.rows {
        for (_, sort) in Sockets::all().iter_names() {
            let proven = prove(row.handle.as_fd(), &Declaration::socket(sort));
            assert_eq!(proven.is_ok(), sort.include(row.object), "{} as {sort}", row.name);
        }
    }
}

impl Table {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Self { rows: Vec::new(), dir, kept: Vec::new() };
        table.files();
        table.places();
        table.anonymous();
        table.memory();
        table.pipes();
        table.sockets();
        table.processes();
        table.namespaces();
        table.control_groups();
        table.elsewhere();
        table.rest();
        table
    }

    fn add(
        &mut self,
        name: &'static str,
        handle: impl Into<OwnedFd>,
        object: Object,
        kinds: &'static [Kind],
    ) {
        self.rows.push(Row { name, handle: handle.into(), object, kinds });
    }

    /// Adds an object that not every machine can create.
    fn add_if(
        &mut self,
        name: &'static str,
        made: io::Result<OwnedFd>,
        object: Object,
        kinds: &'static [Kind],
    ) {
        match made {
            Ok(handle) => self.add(name, handle, object, kinds),
            Err(error) => println!("skipped: {name}: {error}"),
        }
    }

    fn files(&mut self) {
        const FILE: &[Kind] = &[Kind::File];
        let neither = OFlags::WRONLY | OFlags::RDWR | OFlags::CLOEXEC;
        let neither = rustix::fs::open("/dev/null", neither, Mode::empty());
        self.add("a device for neither", neither.unwrap(), Object::Device, FILE);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let nameless = rustix::fs::open(self.dir.path(), flags, Mode::RUSR);
        self.add_if("a file without a name", to_io(nameless), Object::RegularFile, FILE);
        let memory = File::open("/proc/self/mem").map(OwnedFd::from);
        self.add_if("the memory of a process", memory, Object::SpecialFile, FILE);
        let path = self.dir.path().join("file");
        self.add("a new file", File::create(&path).unwrap(), Object::RegularFile, FILE);
        self.add("a file to read", File::open(&path).unwrap(), Object::RegularFile, FILE);
        self.add("a removed file", tempfile::tempfile().unwrap(), Object::RegularFile, FILE);
        self.add("a file by path", path_only(&path), Object::PathOnly, NO_KIND);
        match tempfile::tempfile_in("/dev/shm") {
            Ok(file) => self.add("a file on tmpfs", file, Object::RegularFile, FILE),
            Err(error) => println!("skipped: a file on tmpfs: {error}"),
        }
        for (name, path) in
            [("a proc file", "/proc/self/status"), ("a sysfs file", "/sys/kernel/mm")]
        {
            match File::open(path) {
                Ok(file) if file.metadata().unwrap().is_file() => {
                    self.add(name, file, Object::SpecialFile, FILE);
                }
                Ok(directory) => self.add(name, directory, Object::Directory, PLACE),
                Err(error) => println!("skipped: {name}: {error}"),
            }
        }
        self.add("a device", File::open("/dev/null").unwrap(), Object::Device, FILE);
        match File::open("/dev/ptmx") {
            Ok(pty) => self.add("a terminal", pty, Object::Device, FILE),
            Err(error) => println!("skipped: a terminal: {error}"),
        }
    }

    fn places(&mut self) {
        let path = self.dir.path().to_owned();
        self.add("a directory", Directory::open(&path).unwrap(), Object::Directory, PLACE);
        self.add("a directory by path", path_only(&path), Object::PathOnly, NO_KIND);
        let process = Directory::open("/proc/self").unwrap();
        self.add("a process's directory", process, Object::Directory, PLACE);
    }

    fn anonymous(&mut self) {
        const EVENT: &[Kind] = &[Kind::Event];
        self.add("an event", Event::new().unwrap(), Object::Event, EVENT);
        let set = ManualEvent::new().unwrap();
        set.set().unwrap();
        self.add("an event that is set", set, Object::Event, EVENT);
        let blocking = rustix::event::eventfd(0, EventfdFlags::empty()).unwrap();
        self.add("a blocking event", blocking, Object::Event, EVENT);
        let by_path = path_only(&fd_path(self.rows[self.rows.len() - 1].handle.as_fd()));
        self.add("an event by path", by_path, Object::PathOnly, NO_KIND);
        let semaphore = Semaphore::new(3).unwrap();
        self.add("a semaphore", semaphore, Object::Semaphore, &[Kind::Semaphore]);
        self.add("a timer", Timer::new().unwrap(), Object::Timer, &[Kind::Timer]);
        let realtime =
            rustix::time::timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC).unwrap();
        self.add("a timer of the day's clock", realtime, Object::Timer, &[Kind::Timer]);
        let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
        self.add("an epoll", epoll.unwrap(), Object::Other, NO_KIND);
        let inotify = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC);
        self.add("an inotify", inotify.unwrap(), Object::Other, NO_KIND);
    }

    fn memory(&mut self) {
        const SECTION: &[Kind] = &[Kind::Section];
        self.add("a section", Section::new(8).unwrap(), Object::Memory, SECTION);
        self.add("a frozen section", Section::frozen(b"x").unwrap(), Object::Memory, SECTION);
        let unsealed = UnsealedSection::new(8).unwrap();
        let path = fd_path(unsealed.as_fd());
        let read_only = File::open(&path).unwrap();
        let by_path = path_only(&path);
        self.add("an unsealed section", unsealed, Object::Memory, SECTION);
        self.add("a section to read", read_only, Object::Memory, SECTION);
        self.add("a section by path", by_path, Object::PathOnly, NO_KIND);
        let never = rustix::fs::memfd_create(c"never", MemfdFlags::CLOEXEC).unwrap();
        self.add("a section that can't be sealed", never, Object::Memory, SECTION);
        let flags = MemfdFlags::HUGETLB | MemfdFlags::CLOEXEC;
        match rustix::fs::memfd_create(c"huge", flags | MemfdFlags::ALLOW_SEALING) {
            Ok(huge) => self.add("a section of huge pages", huge, Object::Memory, SECTION),
            Err(error) => println!("skipped: a section of huge pages: {error}"),
        }
        match rustix::fs::memfd_create(c"huge", flags) {
            Ok(huge) => self.add("the same, never sealed", huge, Object::Memory, SECTION),
            Err(error) => println!("skipped: a section of huge pages: {error}"),
        }
        let mutex = Mutex::new().unwrap();
        self.add("a mutex", mutex, Object::Mutex, &[Kind::Mutex]);
        let alike = Section::new(4096).unwrap();
        rustix::fs::fcntl_add_seals(&alike, SealFlags::SEAL).unwrap();
        self.add("a section sealed like a mutex", alike, Object::Memory, SECTION);
    }

    fn pipes(&mut self) {
        const PIPE: &[Kind] = &[Kind::Pipe];
        let (reader, writer) = io::pipe().unwrap();
        self.add("the reading end of a pipe", reader, Object::Pipe, PIPE);
        self.add("the writing end of a pipe", writer, Object::Pipe, PIPE);
        let path = self.dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let fifo = File::options().read(true).write(true).open(&path).unwrap();
        self.add("a fifo", fifo, Object::Pipe, PIPE);
        self.add("a fifo by path", path_only(&path), Object::PathOnly, NO_KIND);
    }

    fn sockets(&mut self) {
        const SOCKET: &[Kind] = &[Kind::Socket];
        let dir = self.dir.path().to_owned();
        let (stream, other) = UnixStream::pair().unwrap();
        self.kept.push(Box::new(other));
        self.add("a unix stream", stream, Object::UnixStream, SOCKET);
        let (stream, _) = UnixStream::pair().unwrap();
        self.add("a unix stream without a peer", stream, Object::UnixStream, SOCKET);
        let listener = UnixListener::bind(dir.join("listener")).unwrap();
        self.add("a unix listener", listener, Object::UnixListener, SOCKET);
        let by_path = path_only(&dir.join("listener"));
        self.add("a socket by path", by_path, Object::PathOnly, NO_KIND);
        let datagram = UnixDatagram::unbound().unwrap();
        self.add("a unix datagram socket", datagram, Object::UnixDatagram, SOCKET);
        let (seqpacket, other) = Seqpacket::pair().unwrap();
        self.kept.push(Box::new(other));
        self.add("a seqpacket socket", seqpacket, Object::Seqpacket, SOCKET);
        let listener = Listener::bind(&dir.join("seqpacket")).unwrap();
        let clone = listener.as_fd().try_clone_to_owned().unwrap();
        self.add("a seqpacket listener", clone, Object::SeqpacketListener, SOCKET);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        self.add("a tcp stream", stream, Object::TcpStream, SOCKET);
        self.add("a tcp listener", listener, Object::TcpListener, SOCKET);
        match TcpListener::bind("[::1]:0") {
            Ok(listener) => self.add("a tcp6 listener", listener, Object::TcpListener, SOCKET),
            Err(error) => println!("skipped: a tcp6 listener: {error}"),
        }
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.add("a udp socket", udp, Object::UdpSocket, SOCKET);
        for (name, family, sort, protocol, object) in [
            ("a netlink socket", libc::AF_NETLINK, libc::SOCK_RAW, 0, Object::Socket),
            ("a raw socket", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP, Object::Socket),
            ("a packet socket", libc::AF_PACKET, libc::SOCK_RAW, 0, Object::Socket),
            ("a tcp socket", libc::AF_INET, libc::SOCK_STREAM, 0, Object::TcpStream),
            ("mptcp", libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_MPTCP, Object::TcpStream),
            ("an echo", libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP, Object::UdpSocket),
            ("a vsock stream", libc::AF_VSOCK, libc::SOCK_STREAM, 0, Object::VsockStream),
            ("a vsock seqpacket", libc::AF_VSOCK, libc::SOCK_SEQPACKET, 0, Object::Socket),
        ] {
            self.add_if(name, raw::socket(family, sort, protocol), object, SOCKET);
        }
        self.add_if("a vsock listener", raw::vsock_listener(), Object::VsockListener, SOCKET);
    }

    fn processes(&mut self) {
        const PROCESS: &[Kind] = &[Kind::Process];
        self.add("this process", Process::current().unwrap(), Object::Process, PROCESS);
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let dead = Process::of(&child).unwrap();
        child.wait().unwrap();
        self.add("a dead process", dead, Object::Process, PROCESS);
        let mut zombie = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let ended = Process::of(&zombie).unwrap();
        ended.wait().unwrap();
        self.add("a process nobody has waited for", ended, Object::Process, PROCESS);
        zombie.wait().unwrap();
        match (Thread::current(), Thread::open(std::process::id())) {
            (Ok(thread), Ok(first)) => {
                // Tests run on their own threads, so this is not the main thread.
                let anew = raw::thread_by_handle(&thread.try_clone().unwrap().into());
                self.add_if("a thread opened anew", anew, Object::Other, NO_KIND);
                self.add("this thread", thread, Object::Thread, &[Kind::Thread]);
                self.add("the first thread", first, Object::Thread, &[Kind::Thread]);
            }
            (thread, _) => println!("skipped: a thread: {:?}", thread.err()),
        }
    }

    fn namespaces(&mut self) {
        let token = Token::current().unwrap();
        self.add("a user namespace", token, Object::Token, &[Kind::Token]);
        for path in ["/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/pid"] {
            self.add("another namespace", File::open(path).unwrap(), Object::Other, NO_KIND);
        }
        let by_path = path_only(Path::new("/proc/self/ns/user"));
        self.add("a user namespace by path", by_path, Object::PathOnly, NO_KIND);
    }

    fn control_groups(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let at = |sort: &str| {
            let line = mounts.lines().find(|line| line.contains(sort))?;
            line.split(' ').nth(4).map(str::to_owned)
        };
        match at(" - cgroup2 ") {
            Some(path) => {
                const JOB: &[Kind] = &[Kind::RegKey, Kind::Job, Kind::Directory];
                self.add("a job", Directory::open(&path).unwrap(), Object::Job, JOB);
                let file = File::open(format!("{path}/cgroup.procs")).unwrap();
                self.add("a file of a job", file, Object::SpecialFile, &[Kind::File]);
            }
            None => println!("skipped: a job: no control groups of version 2"),
        }
        match at(" - cgroup ") {
            Some(path) => {
                let old = Directory::open(path).unwrap();
                self.add("a control group of version 1", old, Object::Directory, PLACE);
            }
            None => println!("skipped: a control group of version 1: not mounted"),
        }
    }

    fn rest(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        for (name, made) in raw::without_a_kind() {
            let (object, kinds): (_, &[Kind]) = match name {
                // The result depends on whether the file system of message queues is mounted here.
                "a message queue" if mounts.contains(" - mqueue ") => {
                    (Object::RegularFile, &[Kind::File])
                }
                "a message queue" | "secret memory" => (Object::Unjudged, NO_KIND),
                _ => (Object::Other, NO_KIND),
            };
            self.add_if(name, made, object, kinds);
        }
    }

    /// Adds files that are not mounted anywhere, like files from another mount namespace.
    fn elsewhere(&mut self) {
        let mount = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)
            .and_then(|fs| rustix::mount::fsconfig_create(&fs).map(|()| fs))
            .and_then(|fs| {
                let flags = FsMountFlags::FSMOUNT_CLOEXEC;
                rustix::mount::fsmount(&fs, flags, MountAttrFlags::empty())
            });
        let mount = match mount {
            Ok(mount) => mount,
            Err(error) => return println!("skipped: a tmpfs that is mounted nowhere: {error}"),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(&mount, c".", flags, Mode::empty()).unwrap();
        let file = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&mount, c"file", file, Mode::RUSR).unwrap();
        self.add("a mount", mount, Object::PathOnly, NO_KIND);
        self.add("a directory that is mounted nowhere", root, Object::Unjudged, NO_KIND);
        // The seals show that the kernel keeps the file in memory, so its file system need not be
        // known.
        let kinds: &[Kind] = &[Kind::File];
        self.add("a file on a tmpfs that is mounted nowhere", file, Object::RegularFile, kinds);
    }
}

fn path_only(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn to_io(made: rustix::io::Result<OwnedFd>) -> io::Result<OwnedFd> {
    made.map_err(io::Error::from)
}

fn fd_path(handle: BorrowedFd<'_>) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", handle.as_raw_fd()).into()
}
