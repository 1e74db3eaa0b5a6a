use std::fs::File;

use syshandle::stream::Stream;
use syshandle::{Result, interface};

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e61")]
trait InList {
    fn take(&self, parts: Vec<Stream<u32>>) -> Result<()>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e62")]
trait InItem {
    fn give(&self) -> Result<Stream<Option<Stream<u32>>>>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e64")]
trait WrongKind {
    fn take(&self, #[handle(pipe)] files: Stream<File>) -> Result<()>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e66")]
trait Right {
    fn both(&self, input: Option<Stream<File>>) -> Result<(u64, Stream<String>)>;
}

fn main() {}
