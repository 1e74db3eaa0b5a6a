//! The interface between a program and its plugin, each of which has its own copy of the library.

use std::fs::File;

use syshandle::{Result, class, interface};

/// Returns a handle, and calls an object of the other copy of the library.
#[interface(iid = "0f8dca8f-44f3-4c75-8a2c-3c9d9b6c1f02")]
pub trait Mirror {
    /// Returns the file.
    #[handle(file, read)]
    fn mirror(&self, #[handle(file, read)] file: File) -> Result<File>;

    /// Passes a file to the other object, which must return it.
    fn call(&self, other: MirrorClient) -> Result<()>;
}

class! {
    /// The class of the objects that a program and its plugin serve to each other.
    pub MIRROR: Mirror = "0f8dca8f-44f3-4c75-8a2c-3c9d9b6c1f01";
}

/// An object of the class [`MIRROR`].
#[derive(Debug)]
pub struct MirrorObject;

impl Mirror for MirrorObject {
    fn mirror(&self, file: File) -> Result<File> {
        Ok(file)
    }

    fn call(&self, other: MirrorClient) -> Result<()> {
        other.mirror(&File::open("/dev/null")?).map(drop)
    }
}
