//! The type of a parameter decides how a client lends it. The name by which the trait refers to the
//! type doesn't matter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use syshandle::handle::Event;
use syshandle::{Decode, Encode, Result, interface};

type Bytes = Vec<u8>;
type Name = String;
type Shared<T> = Arc<T>;
type Maybe<T> = Option<T>;

#[derive(Debug, Encode, Decode)]
struct Pair<T>(T, T);

/// Types of this program that have the names of well-known types.
mod own {
    use syshandle::{Decode, Encode};

    #[derive(Debug, PartialEq, Encode, Decode)]
    pub(super) struct String(pub(super) u32);

    #[derive(Debug, PartialEq, Encode, Decode)]
    pub(super) struct Arc<T>(pub(super) T);

    #[derive(Debug, PartialEq, Encode, Decode)]
    pub(super) struct Vec<T> {
        pub(super) first: T,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    pub(super) enum Option<T> {
        Unknown,
        Known(T),
    }
}

macro_rules! lender {
    ($($name:ident: $type:ty),+) => {
        /// An interface with types that a macro passes on.
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed01")]
        trait Lender {
            $(fn $name(&self, value: $type) -> Result<$type>;)+
        }

        struct Echo;

        impl Lender for Echo {
            $(fn $name(&self, value: $type) -> Result<$type> {
                Ok(value)
            })+
        }
    };
}
lender!(
    number: u32,
    name: Name,
    text: String,
    bytes: Bytes,
    names: Vec<String>,
    path: PathBuf,
    maybe_path: Option<PathBuf>,
    nested: Maybe<Option<Vec<u8>>>,
    boxed: Box<u32>,
    shared: Shared<Event>,
    maybe_shared: Option<Arc<Event>>,
    pair: Pair<String>,
    tuple: (u8, String),
    array: [u16; 2],
    map: BTreeMap<String, u32>,
    duration: Duration,
    event: Event
);

#[test]
fn a_client_lends_by_the_type_and_not_by_its_spelling() {
    let client = LenderClient::in_process(Echo).unwrap();
    assert_eq!(client.number(1).unwrap(), 1);
    let name: &str = "name";
    assert_eq!(client.name(name).unwrap(), name);
    assert_eq!(client.text(name).unwrap(), name);
    let bytes: &[u8] = &[1, 2];
    assert_eq!(client.bytes(bytes).unwrap(), bytes);
    assert_eq!(client.names(&["a".into(), "b".into()]).unwrap(), ["a", "b"]);
    assert_eq!(client.nested(Some(Some(bytes))).unwrap(), Some(Some(vec![1, 2])));
    assert_eq!(client.nested(Some(None)).unwrap(), Some(None));
    let boxed: Box<u32> = client.boxed(3).unwrap();
    assert_eq!(*boxed, 3);
    let pair = client.pair(&Pair("a".into(), "b".into())).unwrap();
    assert_eq!((pair.0.as_str(), pair.1.as_str()), ("a", "b"));
    assert_eq!(client.tuple(&(1, "a".into())).unwrap(), (1, "a".to_owned()));
    assert_eq!(client.array(&[1, 2]).unwrap(), [1, 2]);
    let map = BTreeMap::from([("a".to_owned(), 1)]);
    assert_eq!(client.map(&map).unwrap(), map);
    assert_eq!(client.duration(&Duration::MAX).unwrap(), Duration::MAX);
}

#[test]
fn a_path_is_lent_as_a_path() {
    let client = LenderClient::in_process(Echo).unwrap();
    let path = Path::new("/dev/null");
    assert_eq!(client.path(path).unwrap(), path);
    assert_eq!(client.path(&path.join("a")).unwrap(), path.join("a"));
    assert_eq!(client.maybe_path(Some(path)).unwrap().as_deref(), Some(path));
    assert_eq!(client.maybe_path(None).unwrap(), None);
}

#[test]
fn the_receiver_owns_a_shared_value() {
    let client = LenderClient::in_process(Echo).unwrap();
    let event = Event::new().unwrap();
    let received: Event = client.event(&event).unwrap();
    let received: Event = client.shared(&received).unwrap();
    let received: Option<Event> = client.maybe_shared(Some(&received)).unwrap();
    received.unwrap().set().unwrap();
    assert!(event.wait_timeout(Duration::ZERO).unwrap());
    let shared = Arc::new(event);
    client.shared(&shared).unwrap();
}

/// An interface whose parameters have the types of `own`, under the names of well-known types.
#[expect(non_camel_case_types, reason = "primitive types have such names")]
mod shadowed {
    use super::own::{Arc, Option, String, Vec};

    type u32 = String;
    type i64 = std::vec::Vec<u8>;

    #[syshandle::interface(iid = "1284c788-6978-43d5-9a02-414901a2ed02")]
    pub(super) trait Shadowed {
        fn string(&self, value: String) -> syshandle::Result<String>;
        fn arc(&self, value: Arc<u8>) -> syshandle::Result<Arc<u8>>;
        fn vec(&self, value: Vec<u8>) -> syshandle::Result<Vec<u8>>;
        fn option(&self, value: Option<u8>) -> syshandle::Result<Option<u8>>;
        fn number(&self, value: u32) -> syshandle::Result<u32>;
        fn bytes(&self, value: i64) -> syshandle::Result<i64>;
    }

    pub(super) struct Echo;

    impl Shadowed for Echo {
        fn string(&self, value: String) -> syshandle::Result<String> {
            Ok(value)
        }

        fn arc(&self, value: Arc<u8>) -> syshandle::Result<Arc<u8>> {
            Ok(value)
        }

        fn vec(&self, value: Vec<u8>) -> syshandle::Result<Vec<u8>> {
            Ok(value)
        }

        fn option(&self, value: Option<u8>) -> syshandle::Result<Option<u8>> {
            Ok(value)
        }

        fn number(&self, value: u32) -> syshandle::Result<u32> {
            Ok(value)
        }

        fn bytes(&self, value: i64) -> syshandle::Result<i64> {
            Ok(value)
        }
    }
}

#[test]
fn a_type_with_a_well_known_name_is_the_programs_own() {
    let client = shadowed::ShadowedClient::in_process(shadowed::Echo).unwrap();
    assert_eq!(client.string(&own::String(7)).unwrap(), own::String(7));
    assert_eq!(client.arc(&own::Arc(7)).unwrap(), own::Arc(7));
    assert_eq!(client.vec(&own::Vec { first: 7 }).unwrap(), own::Vec { first: 7 });
    assert_eq!(client.option(&own::Option::Known(7)).unwrap(), own::Option::Known(7));
    assert_eq!(client.option(&own::Option::Unknown).unwrap(), own::Option::Unknown);
    assert_eq!(client.number(&own::String(7)).unwrap(), own::String(7));
    let bytes: &[u8] = &[1, 2];
    assert_eq!(client.bytes(bytes).unwrap(), bytes);
}

#[cfg(not(windows))]
#[test]
fn a_call_in_flight_has_the_same_types() {
    let client = LenderClient::in_process(Echo).unwrap();
    let starter = LenderAsyncClient::from(&client);
    let path = starter.maybe_path(Some(Path::new("/")));
    let event = starter.shared(&Event::new().unwrap());
    let text = starter.text("text");
    assert_eq!(path.wait().unwrap(), Some(PathBuf::from("/")));
    let _: Event = event.wait().unwrap();
    assert_eq!(text.wait().unwrap(), "text");
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn an_asynchronous_client_has_the_same_types() {
    let client = LenderAsyncClient::from(LenderClient::in_process(Echo).unwrap());
    assert_eq!(client.path(Path::new("/")).await.unwrap(), Path::new("/"));
    let _: Event = client.shared(&Event::new().unwrap()).await.unwrap();
    assert_eq!(client.text("text").await.unwrap(), "text");
}
