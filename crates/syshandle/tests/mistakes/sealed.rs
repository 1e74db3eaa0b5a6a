//! Handwritten implementations of traits that only the macros may implement.

use std::sync::Arc;

use syshandle::object::{Class, ClassInfo, Implements, Interface, Proxy, Serves};
use syshandle::{Client, Guid, Result, class, describe, generated, interface};

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e51")]
trait Greeter {
    fn greet(&self) -> Result<String>;
}

class! { GREETER: Greeter = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e52"; }

struct Own;

struct OwnClient(Client);

impl Interface for Own {
    type Proxy = OwnClient;

    const DESCRIPTION: &'static describe::Interface = <dyn Greeter as Interface>::DESCRIPTION;

    fn dispatch(&self, _: generated::IncomingCall<'_>) {}
}

impl Proxy for OwnClient {
    type Interface = Own;

    fn from_client(client: Client) -> Self {
        Self(client)
    }

    fn as_client(&self) -> &Client {
        &self.0
    }
}

impl ClassInfo for Own {
    const CLSID: Guid = Guid::NIL;
    const NAME: &'static str = "OWN";
    const INTERFACES: &'static [&'static describe::Interface] = &[];
    const MARK: &'static [u8] = &[];
}

impl Implements<Own> for dyn Greeter {
    fn serve(_: Arc<Own>) -> generated::ServedInterface {
        unimplemented!()
    }
}

fn serves<C>(_: Class<C>)
where
    C: Serves<Own>,
{
}

fn main() {
    serves(GREETER);
}
