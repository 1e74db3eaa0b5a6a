use syshandle::{Result, interface};

#[interface]
trait NoIdentifier {
    fn greet(&self) -> Result<String>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e11")]
struct NoTrait;

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e12")]
trait Several {
    fn borrowed(&self, name: &str) -> Result<()>;
    fn wait(&self) -> Result<()>;
    fn no_result(&self);
}

fn main() {}
