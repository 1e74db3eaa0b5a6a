#[interface]
trait NoIdentifier {}

#[interface(uuid = "1284c788-6978-43d5-9a02-414901a2ec75")]
trait WrongWord {}

#[interface(iid = 7)]
trait NumberAsIdentifier {}

#[interface(iid = "1284c788")]
trait ShortIdentifier {}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
trait Generic<T> {}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
trait Derived: Clone + Send {}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
unsafe trait Unsafe {}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
trait OtherItems {
    const LIMIT: u32;
    type Item;
}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
#[must_use]
trait OtherAttributes {}

/// Documented.
#[interface(iid = "{1284C788-6978-43D5-9A02-414901A2EC75}")]
pub trait Right {
    /// Does it.
    fn right(
        &self,
        context: &Context,
        #[handle(file | socket(unix_stream | tcp_stream), read, at_most = read | write)] a: OwnedFd,
        b: Option<Vec<u8>>,
    ) -> Result<(), Problem>;
}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75", crate = my_sdk::syshandle)]
trait Reexported {
    fn call(&self) -> Result<()>;
}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75", crate = my_sdk())]
trait NoPath {
    fn call(&self) -> Result<()>;
}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75", crate = a, crate = b)]
trait TwoPaths {
    fn call(&self) -> Result<()>;
}
