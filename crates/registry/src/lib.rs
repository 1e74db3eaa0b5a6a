//! The registry of syshandle, which records the program that serves a class and the location of its
//! server.
//!
//! On Linux, a `Registration` is a file in the XDG data folders, and a `Registry` finds it by the
//! CLSID of a class. `RuntimePaths` are the paths of the socket, the lock and the notes of one
//! registration's server, and `ServerSocket` is the socket on which a server listens. A client
//! starts a server only from files that other users can't change, which `trust` checks. On Windows,
//! `ComRegistry` is the part of the Windows registry in which COM finds servers.
//!
//! A program file contains a [`mark`] for each class that the program serves, so that the program
//! can be registered without being executed.

mod error;
mod hash;
pub mod mark;

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        pub use windows::{ClassRegistration, ProxyRegistration, ComRegistry};
    } else {
        mod policy;
        mod program_file;
        mod registration;
        mod registry;
        mod runtime_paths;
        mod server_socket;
        pub mod trust;

        pub use policy::Policy;
        pub use program_file::ProgramFile;
        pub use registration::{RegisteredClass, Registration};
        pub use registry::{RegistrationFile, Registry};
        pub use runtime_paths::{FailureNote, Lock, RunningServers, RuntimePaths};
        pub use server_socket::{ServerSocket, SocketLocation};
    }
}

pub use error::{Error, ErrorKind, Result};
