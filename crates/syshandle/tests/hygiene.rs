//! Interfaces whose names and attributes could conflict with those of generated code.

use syshandle::{Result, interface, object::Interface};

/// Declares interfaces that are named like type parameters of generated code, with methods that are
/// named like generated methods.
macro_rules! interfaces {
    ($($name:ident $iid:literal),*) => { $(
        #[interface(iid = $iid)]
        trait $name {
            fn dispatch(&self, call: u32, method: u32) -> Result<u32>;
            fn object(&self, implementation: u32) -> Result<u32>;
            fn clone(&self, class: u32, client: u32) -> Result<u32>;
            fn from_client(&self, out: u32, input: u32) -> Result<u32>;
            fn as_client(&self, parameter: u32) -> Result<u32>;
            fn encode(&self, context: u32) -> Result<u32>;
            fn decode(&self, number: u32, result: String) -> Result<u32>;
            fn fmt(&self, f: u32) -> Result<u32>;
        }
    )* };
}

interfaces! {
    T "1284c788-6978-43d5-9a02-414901a2ec01",
    C "1284c788-6978-43d5-9a02-414901a2ec02",
    P "1284c788-6978-43d5-9a02-414901a2ec03",
    I "1284c788-6978-43d5-9a02-414901a2ec04",
    E "1284c788-6978-43d5-9a02-414901a2ec05"
}

struct Sum;

impl T for Sum {
    fn dispatch(&self, call: u32, method: u32) -> Result<u32> {
        Ok(call + method)
    }

    fn object(&self, implementation: u32) -> Result<u32> {
        Ok(implementation)
    }

    fn clone(&self, class: u32, client: u32) -> Result<u32> {
        Ok(class + client)
    }

    fn from_client(&self, out: u32, input: u32) -> Result<u32> {
        Ok(out + input)
    }

    fn as_client(&self, parameter: u32) -> Result<u32> {
        Ok(parameter)
    }

    fn encode(&self, context: u32) -> Result<u32> {
        Ok(context)
    }

    fn decode(&self, number: u32, result: String) -> Result<u32> {
        Ok(number + result.len() as u32)
    }

    fn fmt(&self, f: u32) -> Result<u32> {
        Ok(f)
    }
}

#[test]
fn an_interface_its_methods_and_parameters_may_have_the_names_of_generated_code() {
    let client = TClient::in_process(Sum).unwrap();
    assert_eq!(client.dispatch(1, 2).unwrap(), 3);
    assert_eq!(client.object(4).unwrap(), 4);
    assert_eq!(client.clone(5, 1).unwrap(), 6);
    assert_eq!(client.from_client(2, 2).unwrap(), 4);
    assert_eq!(client.as_client(7).unwrap(), 7);
    assert_eq!(client.encode(8).unwrap(), 8);
    assert_eq!(client.decode(9, "1").unwrap(), 10);
    assert_eq!(client.fmt(11).unwrap(), 11);
}

/// The trait and the client both get the attributes of the methods.
#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec07")]
trait Attributes {
    #[deprecated = "write `into_it`"]
    fn old(&self) -> Result<()>;
    #[must_use = "the number costs time"]
    #[expect(clippy::too_many_arguments, reason = "for the test")]
    fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> Result<u8>;
    fn into_it(&self) -> Result<()>;
}

struct Attributed;

impl Attributes for Attributed {
    fn old(&self) -> Result<()> {
        Ok(())
    }

    fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> Result<u8> {
        Ok(a + b + c + d + e + f + g + h)
    }

    fn into_it(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_clients_methods_have_the_attributes_of_the_traits() {
    let client = AttributesClient::in_process(Attributed).unwrap();
    #[expect(deprecated, reason = "the client's method is deprecated as well")]
    client.old().unwrap();
    assert_eq!(client.many(1, 1, 1, 1, 1, 1, 1, 1).unwrap(), 8);
    client.into_it().unwrap();
    assert_eq!(<dyn Attributes as Interface>::DESCRIPTION.methods.len(), 3);
}
