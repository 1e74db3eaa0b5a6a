//! Proves that a handle matches the declaration of an interface.

use std::io;

use crate::{BorrowedHandle, Declared, Facts, Mismatch, identify};

/// The reason why a handle wasn't proven.
#[derive(Debug)]
pub enum Unproven {
    /// The handle doesn't match the declaration.
    Mismatch(Mismatch),
    /// The kernel couldn't be asked.
    Failed(io::Error),
}

/// Proves that a handle matches the declaration, by asking the kernel.
///
/// # Errors
/// [`Unproven::Mismatch`] with the declared and the received properties; [`Unproven::Failed`] if
/// the kernel couldn't be asked. A handle never passes without proof.
pub fn prove(handle: BorrowedHandle<'_>, declared: &Declared) -> Result<Facts, Unproven> {
    let facts = identify(handle).map_err(Unproven::Failed)?;
    declared.check(&facts).map_err(Unproven::Mismatch)?;
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Directory, Event, Handle, Job, Kind, Mutex, Process, RegKey, Section, Semaphore, Thread,
        Timer, Token,
    };

    /// Tries every object that can be made here against every kind. Only the object's own kind
    /// passes.
    #[test]
    fn each_object_is_of_one_kind() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let objects: Vec<(Kind, crate::OwnedHandle)> = vec![
            (Kind::File, std::fs::File::create(dir.path().join("file")).unwrap().into()),
            (Kind::Semaphore, Semaphore::new(1).unwrap().into()),
            (Kind::Event, Event::new().unwrap().into()),
            (Kind::Mutex, Mutex::new().unwrap().into()),
            (Kind::Process, Process::current().unwrap().into()),
            (Kind::Token, Token::current().unwrap().into()),
            (Kind::Section, Section::new(1).unwrap().into()),
            (Kind::RegKey, RegKey::open_to_read(r"HKCU\Software").unwrap().into()),
            (Kind::Thread, Thread::current().unwrap().into()),
            (Kind::Job, Job::new().unwrap().into()),
            (Kind::Pipe, reader.into()),
            (Kind::Pipe, writer.into()),
            (Kind::Directory, Directory::open(dir.path()).unwrap().into()),
            (Kind::Timer, Timer::new().unwrap().into()),
        ];
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let lent = objects.iter().map(|(kind, object)| (*kind, object.as_handle()));
        for (kind, object) in lent.chain([(Kind::Socket, listener.as_handle())]) {
            for declared in Kind::ALL {
                let proven = prove(object, &Declared::kind(declared));
                assert_eq!(proven.is_ok(), kind == declared, "{kind} as {declared}: {proven:?}");
            }
        }
    }
}
