//! A proxy DLL for an interface whose layout differs from its `.idl` file's.

#[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ec71")]
pub trait Marked {
    fn fine(&self, count: u32) -> syshandle::Result<()>;
    #[com(differs = "parameter `b`: the file passes a pointer to a 2-byte integer")]
    fn is_done(&self) -> syshandle::Result<bool>;
}

#[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ec72", com = "private")]
pub trait Private {
    #[com(differs = "parameter `b`: the file passes a pointer to a 2-byte integer")]
    fn is_done(&self) -> syshandle::Result<bool>;
}

#[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ec73", com = "public")]
pub trait Unknown {
    fn is_done(&self) -> syshandle::Result<bool>;
}

#[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ec74")]
pub trait Wrong {
    #[com(same)]
    fn is_done(&self) -> syshandle::Result<bool>;
}

syshandle::proxy_dll! {
    Private, Marked = "086bfa6b-3c18-4b61-9d4b-120e64f165dc"
}

fn main() {}
