use std::fs::File;
use std::net::TcpStream;

use syshandle::{Result, interface, handle::Event};

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e21")]
trait WrongKind {
    fn take(&self, #[handle(pipe)] file: Vec<File>) -> Result<()>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e22")]
trait WrongSort {
    fn take(&self, #[handle(socket(unix_stream))] stream: TcpStream) -> Result<()>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e23")]
trait NoSuchRight {
    fn take(&self, #[handle(event, read)] event: Event) -> Result<()>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e24")]
trait NoHandle {
    fn take(&self, #[handle(file)] number: u32) -> Result<()>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e25", crate = syshandle)]
trait WrongKindByPath {
    fn take(&self, #[handle(pipe)] file: File) -> Result<()>;
}

fn main() {}
