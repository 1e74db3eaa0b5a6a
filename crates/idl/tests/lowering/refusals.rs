// Written by syshandle from an .idl file; changes here will be lost.

#[syshandle::interface(iid = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0a007")]
pub trait Whole {
    fn fine(&self, context: &syshandle::Context, a: i32) -> syshandle::Result<()>;
}

syshandle::class! {
    pub GOOD: Whole = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0a015";
}
