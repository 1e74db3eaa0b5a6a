//! Asks the kernel for the type and the rights of a handle's object.
//!
//! The kernel's name of the object type comes first, because no peer can delay this query. Only a
//! `File` is queried further, to distinguish files on disks, devices, pipes, sockets and
//! directories.

use std::io;

use super::{object, socket};
use crate::socket::RIGHTS;
use crate::{BorrowedHandle, Facts, Object, Rights};

pub(crate) fn identify(handle: BorrowedHandle<'_>) -> io::Result<Facts> {
    let name = object::type_name(handle)?;
    let access = object::granted_access(handle)?;
    let object = match name.as_str() {
        "File" => file(handle)?,
        name => of_type(name),
    };
    Ok(Facts { object, rights: rights(object, access) })
}

/// Maps the kernel's name of a type to the object, for types that need no further queries.
fn of_type(name: &str) -> Object {
    match name {
        "Event" => Object::Event,
        "Semaphore" => Object::Semaphore,
        "Timer" => Object::Timer,
        "Section" => Object::Memory,
        "Process" => Object::Process,
        "Thread" => Object::Thread,
        "Token" => Object::Token,
        "Job" => Object::Job,
        "Mutant" => Object::Mutex,
        "Key" => Object::RegistryKey,
        "Composition" | "DxgkCompositionObject" => Object::Composition,
        _ => Object::Other,
    }
}

/// Returns the object that a handle of type `File` refers to.
fn file(handle: BorrowedHandle<'_>) -> io::Result<Object> {
    Ok(match object::file_type(handle) {
        object::FileType::Disk if object::is_directory(handle)? => Object::Directory,
        object::FileType::Disk => Object::RegularFile,
        object::FileType::Character => Object::Device,
        // `GetFileType` also returns pipe for a socket.
        object::FileType::Pipe if object::is_pipe(handle) => Object::Pipe,
        _ => socket::identify(handle).unwrap_or(Object::Other),
    })
}

/// Maps an access mask to rights.
fn rights(object: Object, access: u32) -> Rights {
    let table: &[(u32, Rights)] = match object {
        Object::RegularFile | Object::Device | Object::Pipe => &FILE,
        Object::Directory => &[(FILE_READ_DATA, Rights::READ)],
        Object::Event | Object::Semaphore | Object::Timer => &SIGNALLED,
        Object::Mutex => &[(SYNCHRONIZE, Rights::WAIT)],
        Object::Memory => &SECTION,
        Object::Process | Object::Thread => &PROCESS,
        Object::Job => &JOB,
        Object::Token => &[(TOKEN_QUERY, Rights::READ)],
        Object::RegistryKey => &KEY,
        Object::Socket
        | Object::UnixStream
        | Object::UnixListener
        | Object::TcpStream
        | Object::TcpListener
        | Object::UdpSocket => return RIGHTS,
        _ => &[],
    };
    let granted = table.iter().filter(|(mask, _)| access & mask == *mask).map(|(_, right)| *right);
    let always = match object {
        // A handle with the right to write may always exist elsewhere.
        Object::Memory => Rights::CHANGE,
        // The owner of a mutex may always unlock it, with any handle.
        Object::Mutex => Rights::SIGNAL,
        _ => Rights::empty(),
    };
    granted.fold(always, Rights::union)
}

/// From `winnt.h`, like the access bits below.
const SYNCHRONIZE: u32 = 0x0010_0000;
const FILE_READ_DATA: u32 = 1;
const TOKEN_QUERY: u32 = 8;

/// `FILE_READ_DATA`, `FILE_WRITE_DATA`, `FILE_APPEND_DATA`.
const FILE: [(u32, Rights); 3] =
    [(FILE_READ_DATA, Rights::READ), (2, Rights::WRITE), (4, Rights::APPEND)];

/// `EVENT_MODIFY_STATE`, and the equivalent access bits of semaphores and timers.
const SIGNALLED: [(u32, Rights); 2] = [(2, Rights::SIGNAL), (SYNCHRONIZE, Rights::WAIT)];

/// `SECTION_MAP_READ` and `SECTION_MAP_WRITE`.
const SECTION: [(u32, Rights); 2] = [(4, Rights::READ.union(Rights::MAP)), (2, Rights::WRITE)];

/// `PROCESS_TERMINATE`, and the equivalent access bit of threads.
const PROCESS: [(u32, Rights); 2] = [(1, Rights::SIGNAL), (SYNCHRONIZE, Rights::WAIT)];

/// `JOB_OBJECT_QUERY`, `JOB_OBJECT_ASSIGN_PROCESS`, `JOB_OBJECT_TERMINATE`.
const JOB: [(u32, Rights); 3] = [(4, Rights::READ), (1, Rights::WRITE), (8, Rights::SIGNAL)];

/// `KEY_QUERY_VALUE` and `KEY_SET_VALUE`.
const KEY: [(u32, Rights); 2] = [(1, Rights::READ), (2, Rights::WRITE)];
