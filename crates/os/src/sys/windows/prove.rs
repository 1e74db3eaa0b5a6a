//! Queries that identify a handle of a declared kind.

use std::io;

use crate::{BorrowedHandle, Declaration, Facts};

/// Returns `None`, because no query is cheaper than [`identify`](crate::identify).
pub(crate) const fn quick(_: BorrowedHandle<'_>, _: &Declaration) -> io::Result<Option<Facts>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::{
        Declaration, Directory, Event, Handle, Job, Kind, Mutex, Process, RegKey, Section,
        Semaphore, Thread, Timer, Token, prove,
    };

    /// Proves each type of object that can be created here as each kind. Only the object's own kind
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
                let proven = prove(object, &Declaration::kind(declared));
                assert_eq!(proven.is_ok(), kind == declared, "{kind} as {declared}: {proven:?}");
            }
        }
    }
}
