//! The interface that the client and the server share.

#![expect(missing_docs, reason = "generated")]

include!(concat!(env!("OUT_DIR"), "/hello.rs"));
