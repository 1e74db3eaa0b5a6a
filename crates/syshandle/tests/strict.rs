//! A crate of a user who takes no warnings at all: what the macros generate passes. This file is
//! such a crate; that it compiles, with and without clippy, is most of the test.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unused_qualifications)]
#![deny(
    rust_2018_idioms,
    single_use_lifetimes,
    trivial_casts,
    unused_lifetimes,
    let_underscore_drop
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(clippy::allow_attributes_without_reason, clippy::unwrap_used, clippy::absolute_paths)]

use std::collections::BTreeMap;
use std::fs::File;

use syshandle::{CallError, Context, Decode, Encode, Event, Interface, Result, class, interface};

/// An interface with documentation.
///
/// In two paragraphs.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1c01")]
pub trait Documented {
    /// Takes and gives all sorts of things.
    ///
    /// # Errors
    /// Those of a call.
    fn all(
        &self,
        context: &Context,
        number: u32,
        text: String,
        list: Vec<u8>,
        map: BTreeMap<String, Option<u8>>,
        #[handle(file, read)] file: Option<File>,
    ) -> Result<Everything>;

    /// Fails.
    ///
    /// # Errors
    /// Always.
    fn fail(&self, kind: Kind) -> Result<(), Kind>;
}

/// All sorts of fields.
#[derive(Debug, Encode, Decode)]
pub struct Everything {
    /// A number.
    pub number: u32,
    /// A handle.
    #[handle(file, read)]
    pub file: Option<File>,
    /// More.
    pub pair: Pair<Event>,
}

/// A generic pair.
#[derive(Debug, Encode, Decode)]
pub struct Pair<T>(pub Vec<T>, pub Nothing);

/// Nothing.
#[derive(Debug, Encode, Decode)]
pub struct Nothing;

/// One of several.
#[derive(Debug, Encode, Decode)]
pub enum Kind {
    /// Nothing.
    None,
    /// A tuple.
    Some(u8, String),
    /// Fields.
    Fields {
        /// The first.
        first: u8,
    },
}

class! {
    /// A class with documentation.
    pub DOCUMENTED: Documented = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1c02";
}

/// Implements it.
#[derive(Debug)]
pub struct Implementation;

impl Documented for Implementation {
    fn all(
        &self,
        _: &Context,
        number: u32,
        _: String,
        _: Vec<u8>,
        _: BTreeMap<String, Option<u8>>,
        file: Option<File>,
    ) -> Result<Everything> {
        Ok(Everything { number, file, pair: Pair(vec![Event::new()?], Nothing) })
    }

    fn fail(&self, kind: Kind) -> Result<(), Kind> {
        Err(kind)
    }
}

/// What a private module says of itself needn't be said; and what nobody uses is no mistake.
mod private {
    use syshandle::{Result, class, interface};

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1c03")]
    pub(crate) trait Limited {
        fn nobody_calls_this(&self) -> Result<()>;
        fn nothing(&self) -> Result<()>;
    }

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1c04")]
    pub(super) trait Unused {
        fn nobody_calls_this(&self) -> Result<()>;
    }

    class! { pub(super) LIMITED: Limited + Unused = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1c05"; }
}

#[test]
fn a_strict_crate_uses_its_interfaces() {
    let Ok(client) = DocumentedClient::in_process(Implementation) else {
        panic!("no object in this process")
    };
    let map = BTreeMap::from([("a".to_owned(), Some(1))]);
    let all = client.all(7, "text", &[1, 2], &map, None);
    assert_eq!(all.map(|all| (all.number, all.pair.0.len())).ok(), Some((7, 1)));
    let failed = client.fail(&Kind::Fields { first: 3 });
    assert!(matches!(failed, Err(CallError::Method(Kind::Fields { first: 3 }))));
    assert_eq!(DOCUMENTED.name(), "DOCUMENTED");
}

#[test]
fn an_interface_may_be_private_to_a_module_or_a_function() {
    use private::{LIMITED, Limited, LimitedClient};

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1c06")]
    trait Local {
        fn twice(&self, value: u8) -> Result<u8>;
    }

    struct Here;

    impl Limited for Here {
        fn nobody_calls_this(&self) -> Result<()> {
            Ok(())
        }

        fn nothing(&self) -> Result<()> {
            Ok(())
        }
    }

    impl Local for Here {
        fn twice(&self, value: u8) -> Result<u8> {
            Ok(2 * value)
        }
    }

    let client = LimitedClient::in_process(Here);
    assert!(client.and_then(|client| client.nothing()).is_ok());
    let twice = LocalClient::in_process(Here).and_then(|client| client.twice(4));
    assert_eq!(twice.ok(), Some(8));
    assert_eq!(LIMITED.interfaces().len(), 2);
}

#[test]
fn documentation_is_kept() {
    let description = <dyn Documented as Interface>::DESCRIPTION;
    assert_eq!(description.docs, "An interface with documentation.\n\nIn two paragraphs.");
    assert!(description.methods[0].docs.starts_with("Takes and gives all sorts of things."));
}
