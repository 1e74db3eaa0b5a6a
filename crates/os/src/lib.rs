//! Typed handles to kernel objects, and sockets that carry them.
//!
//! A handle is an owned reference to a kernel object with a known kind and known rights: a file
//! descriptor on Linux, a `HANDLE` on Windows. Kind and rights are established by *proof*: before
//! any other use of a handle from another process, [`prove`] asks the kernel whether the handle
//! matches a [`Declaration`].
//!
//! ```
//! use syshandle_os::{Declaration, Event, Handle, Kind, Rights, prove};
//!
//! # fn main() -> std::io::Result<()> {
//! let file = std::fs::File::open("/dev/null")?;
//! let declared = Declaration::kind(Kind::File).at_least(Rights::READ);
//! assert!(prove(file.as_handle(), &declared).is_ok());
//! // A file is no event, and a file to read can't be written.
//! assert!(prove(file.as_handle(), &Event::DECLARATION).is_err());
//! assert!(prove(file.as_handle(), &declared.at_least(Rights::WRITE)).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! Suggested reading order: [`Kind`], [`Rights`] and [`Declaration`]; then [`Object`], which maps
//! objects to kinds; then [`prove`] and [`identify`], with `Filesystems`, the Linux policy on
//! trusted file systems. Then one module per kind of object, for example [`Event`], each of which
//! documents the proof and the enforcement of the rights. On Linux, `Seqpacket` transfers handles
//! between processes. [`Waitable`], [`wait_any`] and [`wait_all`] wait for objects. With the
//! feature `tokio`, `asynchronous` waits in a tokio runtime.
//!
//! A type that exists on both Linux and Windows is declared once. Its documentation names the
//! differences, and marks methods that exist on one system as "Linux only" or "Windows only".
//!
//! On Linux, all `unsafe` code of syshandle is in this crate, with one system call per block. The
//! crate doesn't interpret messages, which is the task of `syshandle-wire`. It never reduces the
//! rights of a handle implicitly, and never grants authority that a descriptor doesn't carry.

mod composition;
mod credentials;
mod directory;
mod event;
mod file;
mod handle_ref;
mod identify;
mod job;
mod mutex;
mod owned;
#[cfg(std_pipes)]
mod pipe;
mod process;
mod prove;
mod reg_key;
mod section;
mod semaphore;
mod socket;
mod sys;
mod system_call;
mod thread;
mod timer;
mod token;
mod wait;

pub use composition::Composition;
pub use credentials::Credentials;
pub use directory::Directory;
pub use event::{Event, ManualEvent};
pub use handle_ref::HandleRef;
pub use identify::identify;
pub use job::Job;
pub use mutex::{Mutex, MutexGuard};
pub use process::Process;
pub use prove::{ProofFailure, prove};
pub use reg_key::RegKey;
pub use section::{Section, SectionMap};
pub use semaphore::Semaphore;
pub use syshandle_types::{
    BorrowedHandle, Declaration, Facts, Files, Handle, Kind, Kinds, Mismatch, Object, OwnedHandle,
    Requirement, Rights, Sockets,
};
pub use system_call::{raw_os_error, remedy, without_call};
pub use thread::Thread;
pub use timer::Timer;
pub use token::Token;
pub use wait::{Waitable, try_take, wait_all, wait_any};

// Modules for one system only.
cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod transfer;
        mod watch;

        pub use process::set_variable;
        pub use sys::wine::under_wine;
        pub use transfer::{is_pseudo, pull, push};
        pub use watch::{Watch, WatchOutcome};
    } else {
        #[cfg(feature = "tokio")]
        pub mod asynchronous;
        mod batch;
        mod closer;
        mod confined;
        mod file_lock;
        mod file_status;
        mod filesystems;
        mod job_watch;
        mod limits;
        mod listener;
        mod machine;
        mod memory;
        mod narrow;
        mod peer;
        mod poller;
        mod prepare;
        mod ring_memory;
        mod seqpacket;
        mod spawn;
        mod unfinished;
        mod unsealed_section;
        mod user;

        pub use batch::{MESSAGES_AT_ONCE_MAX, Slot};
        pub use closer::Closer;
        pub use confined::{has_no_new_privileges, is_filtered};
        pub use file_lock::{FileLock, LockAttempt};
        pub use file_status::FileStatus;
        pub use filesystems::Filesystems;
        pub use identify::identify_with;
        pub use job_watch::JobWatch;
        pub use limits::{
            descriptor_limit, file_size_limit, ignore_file_size_signal, memory_limit,
            raise_descriptor_limit, resource_limits, restore_descriptor_limit, within_file_size_limit,
        };
        pub use listener::{Listener, UnconnectedSocket, take_listener};
        pub use machine::{current_core, uptime, usable_cores};
        pub use memory::{SharedReader, SharedWriter};
        pub use narrow::Narrow;
        pub use peer::{Peer, has_ended, is_elevated};
        pub use poller::{Alarm, Interest, PollEvent, Poller};
        pub use prepare::{prepare, prepare_once, prepare_to_serve};
        pub use prove::prove_with;
        pub use ring_memory::{OfferedRing, ReceivedRing, RingMemory};
        pub use section::SectionView;
        pub use seqpacket::{
            HANDLES_PER_MESSAGE_MAX, ReceivedMessage, Seqpacket, WaitOutcome, wait_readable,
        };
        pub use spawn::{Program, SpawnStep, SpawnedProcess, spawn};
        pub use sys::fork::{PerProcess, ProcessMark};
        pub use sys::proc::{read as read_proc, read_link as read_proc_link};
        pub use unfinished::unfinished;
        pub use unsealed_section::UnsealedSection;
        pub use user::{GroupId, UserId};
        pub use wait::Readiness;
    }
}
