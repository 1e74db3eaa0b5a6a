//! The list of contenders.

use bench_harness::{Placement, Result, Work};

/// A contender.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Name of the package and of its program.
    pub(crate) package: &'static str,
    pub(crate) sort: Sort,
    /// How the contender is used.
    pub(crate) how: &'static str,
}

/// The sort of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Floor,
    Ours,
    Peer,
}

pub(crate) const ALL: &[Entry] = &[
    floor("seqpacket", "SOCK_SEQPACKET, blocking sendmsg and recvmsg, a thread per connection"),
    floor("stream", "SOCK_STREAM, otherwise the same"),
    floor("epoll", "SOCK_SEQPACKET, an epoll reactor per core on the server's side"),
    floor("poll-yield", "SOCK_SEQPACKET, both look and yield for 50 µs before they block"),
    floor("sendmmsg", "SOCK_SEQPACKET, 64 calls in flight, sendmmsg and recvmmsg"),
    floor("arena", "large values through memory shared once, copied out by the receiver"),
    floor("memfd", "large values through a memory file each"),
    Entry {
        name: "syshandle",
        package: "bench-syshandle",
        sort: Sort::Ours,
        how: "started by activation; limits, deadlines, kind proof and identity on, as always",
    },
    peer(
        "zbus",
        "bench-zbus",
        "D-Bus, peer to peer, on tokio, methods run on the receiving thread",
    ),
    peer("zbus-daemon", "bench-zbus", "D-Bus through a dbus-daemon, otherwise the same"),
    peer("sd-bus", "bench-sd-bus", "D-Bus in C, peer to peer, an event loop per core"),
    peer("zlink", "bench-zlink", "Varlink, on tokio; bytes as text in base 64"),
    peer(
        "rsbinder",
        "bench-rsbinder",
        "Binder's RPC transport, blocking calls, a thread per connection",
    ),
    peer("ipc-channel", "bench-ipc-channel", "a channel each way, a thread per connection"),
    peer("tarpc", "bench-tarpc", "bincode, on tokio"),
    peer("tonic", "bench-tonic", "gRPC, on tokio"),
];

const fn peer(name: &'static str, package: &'static str, how: &'static str) -> Entry {
    Entry { name, package, sort: Sort::Peer, how }
}

const fn floor(name: &'static str, how: &'static str) -> Entry {
    Entry { name, package: "bench-floors", sort: Sort::Floor, how }
}

/// Returns the contender with this name.
///
/// # Errors
/// No contender has this name. The error lists all names.
pub(crate) fn named(name: &str) -> Result<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
        format!("no contender is called `{name}`; there are {}", names.join(", ")).into()
    })
}

/// Returns the floor to which this work is compared.
pub(crate) fn floor_of(work: Work, placement: Placement) -> &'static str {
    match (work, placement) {
        (Work::Null | Work::Handles | Work::Sparkle, Placement::Free | Placement::Split) => {
            "poll-yield"
        }
        (Work::Clients(_) | Work::Idle(_) | Work::Connect, _) => "epoll",
        (Work::Pipelined(_), _) => "sendmmsg",
        (Work::Payload(_), _) => "arena",
        _ => "seqpacket",
    }
}
