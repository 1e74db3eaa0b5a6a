//! A stream: a method reports its progress, and the client stops it.
//!
//! The object is in this process, and its calls and items go through a real connection.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::fs::File;
use std::io::{Read, Write};
use std::thread;

use syshandle::stream::{Stream, channel};
use syshandle::{Result, interface};

/// Copies files.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d203")]
trait Copier {
    /// Copies a file, and reports the number of copied bytes after each block.
    fn copy(
        &self,
        #[handle(file, read)] from: File,
        #[handle(file, write)] to: File,
    ) -> Result<Stream<u64>>;
}

struct BlockCopier;

impl Copier for BlockCopier {
    fn copy(&self, mut from: File, mut to: File) -> Result<Stream<u64>> {
        let (sink, progress) = channel();
        thread::spawn(move || {
            let (mut block, mut copied) = ([0; 4096], 0);
            loop {
                match from.read(&mut block)? {
                    0 => return sink.finish(),
                    len => {
                        to.write_all(&block[..len])?;
                        copied += len as u64;
                        // Waits if the client is slow, and fails if the client has stopped.
                        sink.send(copied)?;
                    }
                }
            }
        });
        Ok(progress)
    }
}

fn main() -> Result<()> {
    let copier = CopierClient::in_process(BlockCopier)?;
    let (zeros, null) = (File::open("/dev/zero")?, File::options().write(true).open("/dev/null")?);
    // The source never ends. Dropping the stream stops the copy.
    for copied in copier.copy(&zeros, &null)?.take(3) {
        println!("{} bytes are copied", copied?);
    }
    Ok(())
}
