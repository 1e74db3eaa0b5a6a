// Written by syshandle from an .idl file; changes here will be lost.

/// What `Several` returns.
#[derive(Debug, syshandle::Encode, syshandle::Decode)]
pub struct HandlesSeveral {
    #[handle(file, read)]
    pub file: std::fs::File,
    pub done: syshandle::Event,
    pub code: i32,
}

#[derive(Debug, syshandle::Encode, syshandle::Decode)]
pub struct Delivery {
    #[handle(file, read|write)]
    pub file: std::fs::File,
    pub events: [syshandle::Event; 2],
}

#[syshandle::interface(iid = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0a004")]
pub trait Handles {
    fn kinds(
        &self,
        context: &syshandle::Context,
        a: syshandle::Composition,
        b: syshandle::Job,
        c: syshandle::Mutex,
        #[handle(process, wait)]
        d: syshandle::Process,
        e: syshandle::RegKey,
        f: syshandle::Semaphore,
        #[handle(socket)]
        g: syshandle::OwnedHandle,
        #[handle(thread, signal)]
        h: syshandle::Thread,
        i: syshandle::Token,
    ) -> syshandle::Result<()>;
    fn pipes(
        &self,
        context: &syshandle::Context,
        #[handle(pipe)]
        any: syshandle::OwnedHandle,
        reads: std::io::PipeReader,
    ) -> syshandle::Result<std::io::PipeWriter>;
    fn files(
        &self,
        context: &syshandle::Context,
        #[handle(file, read)]
        one: std::fs::File,
        #[range(0..=16)]
        many: Vec<std::fs::File>,
        #[handle(file, append)]
        log: std::fs::File,
    ) -> syshandle::Result<()>;
    fn sections(
        &self,
        context: &syshandle::Context,
        #[handle(section, read)]
        picture: syshandle::Section,
        #[handle(section, resize)]
        grows: syshandle::UnsealedSection,
    ) -> syshandle::Result<()>;
    fn out(
        &self,
        context: &syshandle::Context,
    ) -> syshandle::Result<Vec<syshandle::Event>>;
    fn several(&self, context: &syshandle::Context) -> syshandle::Result<HandlesSeveral>;
    fn deliver(
        &self,
        context: &syshandle::Context,
        delivery: Delivery,
    ) -> syshandle::Result<()>;
}

syshandle::class! {
    /// All of them.
    pub HANDLES_THING: Handles = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0a006";
}
