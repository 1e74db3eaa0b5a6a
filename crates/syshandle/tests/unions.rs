//! Parameters that accept handles of several kinds. The method gets the kind of the received
//! handle.
#![cfg(not(windows))]
#![expect(missing_docs, reason = "the interface of a test")]
#![expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")]

use std::fs::File;
use std::io::{PipeReader, Read};

use syshandle::{
    Decode, Encode, ErrorKind, Result,
    handle::{Event, KernelObject, OwnedHandle, Timer, identify},
    interface,
};

/// A handle of one of two kinds. The sender names the kind, and the receiver proves it.
#[derive(Debug, Encode, Decode)]
pub enum Source {
    File(#[handle(file, read)] File),
    Pipe(PipeReader),
}

#[interface(iid = "51b0a4a1-4d1c-4f0e-9a83-8f3b7f0f7c21")]
pub trait Reader {
    fn sort(&self, #[handle(file | pipe, read)] from: OwnedHandle) -> Result<String>;
    fn read(&self, from: Source) -> Result<String>;
}

struct Desk;

impl Reader for Desk {
    fn sort(&self, from: OwnedHandle) -> Result<String> {
        Ok(match identify(std::os::fd::AsFd::as_fd(&from))?.object {
            KernelObject::RegularFile => "file",
            KernelObject::Device => "device",
            KernelObject::Pipe => "pipe",
            other => unreachable!("{other} was proven"),
        }
        .to_owned())
    }

    fn read(&self, from: Source) -> Result<String> {
        let mut text = String::new();
        match from {
            Source::File(mut file) => file.read_to_string(&mut text)?,
            Source::Pipe(mut pipe) => pipe.read_to_string(&mut text)?,
        };
        Ok(text)
    }
}

#[test]
fn a_method_that_takes_several_kinds_learns_which_came() {
    let reader = ReaderClient::in_process(Desk).unwrap();
    let (pipe, _writer) = std::io::pipe().unwrap();
    assert_eq!(reader.sort(&tempfile::tempfile().unwrap().into()).unwrap(), "file");
    assert_eq!(reader.sort(&File::open("/dev/null").unwrap().into()).unwrap(), "device");
    assert_eq!(reader.sort(&pipe.into()).unwrap(), "pipe");
    for other in [Event::new().unwrap().into(), Timer::new().unwrap().into()] {
        assert_eq!(reader.sort(&other).unwrap_err().kind(), ErrorKind::WrongHandle);
    }
}

#[test]
fn the_kind_that_a_sender_names_is_proven() {
    let reader = ReaderClient::in_process(Desk).unwrap();
    let (pipe, writer) = std::io::pipe().unwrap();
    drop(writer);
    assert_eq!(reader.read(&Source::Pipe(pipe)).unwrap(), "");
    assert_eq!(reader.read(&Source::File(tempfile::tempfile().unwrap())).unwrap(), "");
    let (pipe, _writer) = std::io::pipe().unwrap();
    let disguised = Source::File(std::os::fd::OwnedFd::from(pipe).into());
    assert_eq!(reader.read(&disguised).unwrap_err().kind(), ErrorKind::WrongHandle);
}
