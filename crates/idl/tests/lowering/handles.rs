// Written by syshandle from an .idl file; changes here will be lost.

/// The results of `Several`.
#[derive(Debug, syshandle::Encode, syshandle::Decode)]
pub struct HandlesSeveral {
    #[handle(file, read)]
    pub file: std::fs::File,
    pub done: syshandle::handle::Event,
    pub code: i32,
}

#[derive(Debug, syshandle::Encode, syshandle::Decode)]
pub struct Delivery {
    #[handle(file, read|write)]
    pub file: std::fs::File,
    pub events: [syshandle::handle::Event; 2],
}

#[syshandle::interface(iid = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0a004")]
pub trait Handles {
    #[com(
        differs = "parameter `d`: the access mask SYNCHRONIZE reduces the rights that are sent, but traits don't support masks; parameter `e`: the access mask READ_CONTROL | 0x19 reduces the rights that are sent, but traits don't support masks; parameter `h`: the access mask 0x1 reduces the rights that are sent, but traits don't support masks"
    )]
    fn kinds(
        &self,
        context: &syshandle::Context,
        a: syshandle::handle::Composition,
        b: syshandle::handle::Job,
        c: syshandle::handle::Mutex,
        #[handle(process, wait)]
        d: syshandle::handle::Process,
        e: syshandle::handle::RegKey,
        f: syshandle::handle::Semaphore,
        #[handle(socket)]
        g: syshandle::handle::OwnedHandle,
        #[handle(thread, signal)]
        h: syshandle::handle::Thread,
        i: syshandle::handle::Token,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `reads`: the access mask GENERIC_READ reduces the rights that are sent, but traits don't support masks; parameter `writes`: the access mask GENERIC_WRITE reduces the rights that are sent, but traits don't support masks"
    )]
    fn pipes(
        &self,
        context: &syshandle::Context,
        #[handle(pipe)]
        any: syshandle::handle::OwnedHandle,
        reads: std::io::PipeReader,
    ) -> syshandle::Result<std::io::PipeWriter>;
    #[com(
        differs = "parameter `n`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `one`: the access mask SYNCHRONIZE | GENERIC_READ reduces the rights that are sent, but traits don't support masks; parameter `log`: the access mask 0x4 reduces the rights that are sent, but traits don't support masks"
    )]
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
    #[com(
        differs = "parameter `picture`: the access mask 0x4 reduces the rights that are sent, but traits don't support masks; parameter `grows`: the access mask 0x10 reduces the rights that are sent, but traits don't support masks"
    )]
    fn sections(
        &self,
        context: &syshandle::Context,
        #[handle(section, read)]
        picture: syshandle::handle::Section,
        #[handle(section, resize)]
        grows: syshandle::handle::UnsealedSection,
    ) -> syshandle::Result<()>;
    fn out(
        &self,
        context: &syshandle::Context,
    ) -> syshandle::Result<Vec<syshandle::handle::Event>>;
    #[com(
        differs = "the trait passes its values as opaque bytes: result: a handle within a struct; parameter `file`: the access mask GENERIC_READ reduces the rights that are sent, but traits don't support masks"
    )]
    fn several(&self, context: &syshandle::Context) -> syshandle::Result<HandlesSeveral>;
    #[com(
        differs = "parameter `delivery`: field `file`: `system_handle` is within another value, where traits don't support handles"
    )]
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
