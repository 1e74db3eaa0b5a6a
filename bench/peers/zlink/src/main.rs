//! zlink: Varlink in Rust.
//!
//! The code follows the readme, on tokio. The server is one task on a runtime with one thread,
//! because it can't use more. Bytes are sent as base64 text, because JSON and Varlink have no type
//! for bytes. Descriptors accompany their message.

#![expect(missing_docs, reason = "what its macros write has none")]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;

use bench_asynchronous::{Client, Peer, check, decorate_when, one_thread};
use bench_harness::{Result, Role, die_with_parent, listener, role, take_orders};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use zlink::tokio::unix;
use zlink::{ReplyError, Server, introspect, proxy, service};

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) => take_orders(&mut Client::<Zlink>::start(&name)?),
        Role::Server(_) => {
            die_with_parent();
            one_thread()?.block_on(async {
                let listener = unix::Listener::try_from(listener()?)?;
                Ok(Server::new(listener, Implementation).run().await?)
            })
        }
    }
}

#[derive(Debug, Serialize, Deserialize, introspect::Type)]
struct Number {
    number: u64,
}

#[derive(Debug, Serialize, Deserialize, introspect::Type)]
struct Bytes {
    bytes: String,
}

#[derive(Debug, PartialEq, ReplyError, introspect::ReplyError)]
#[zlink(interface = "org.example.bench")]
enum Error {
    Failed,
}

struct Implementation;

#[service(interface = "org.example.bench")]
impl Implementation {
    async fn null(&mut self, number: u64) -> Number {
        Number { number: number + 1 }
    }

    async fn echo(&mut self, bytes: String) -> Bytes {
        Bytes { bytes }
    }

    #[zlink(return_fds)]
    async fn exchange(
        &mut self,
        #[zlink(fds)] mut fds: Vec<OwnedFd>,
    ) -> (Result<Number, Error>, Vec<OwnedFd>) {
        let event = fds.pop();
        (
            event.as_ref().map(|_| Number { number: 0 }).ok_or(Error::Failed),
            event.into_iter().collect(),
        )
    }

    #[zlink(return_fds)]
    async fn sparkle(
        &mut self,
        #[zlink(fds)] mut fds: Vec<OwnedFd>,
    ) -> (Result<Number, Error>, Vec<OwnedFd>) {
        let done =
            fds.pop().zip(fds.pop()).and_then(|(ready, file)| decorate_when(file, ready).ok());
        (
            done.as_ref().map(|_| Number { number: 0 }).ok_or(Error::Failed),
            done.into_iter().collect(),
        )
    }
}

#[proxy("org.example.bench")]
trait BenchProxy {
    async fn null(&mut self, number: u64) -> zlink::Result<Result<Number, Error>>;
    async fn echo(&mut self, bytes: &str) -> zlink::Result<Result<Bytes, Error>>;
    #[zlink(return_fds)]
    async fn exchange(
        &mut self,
        #[zlink(fds)] fds: Vec<OwnedFd>,
    ) -> zlink::Result<(Result<Number, Error>, Vec<OwnedFd>)>;
    #[zlink(return_fds)]
    async fn sparkle(
        &mut self,
        #[zlink(fds)] fds: Vec<OwnedFd>,
    ) -> zlink::Result<(Result<Number, Error>, Vec<OwnedFd>)>;
}

struct Zlink;

impl Peer for Zlink {
    type Connection = unix::Connection;
    type Payload = String;

    const HANDLES: bool = true;

    async fn connect(address: &str) -> Result<Self::Connection> {
        Ok(unix::connect(address).await?)
    }

    /// Returns `None`, because a connection supports only one caller.
    fn share(_connection: &Self::Connection) -> Option<Self::Connection> {
        None
    }

    async fn null(connection: &mut Self::Connection, number: u64) -> Result<u64> {
        let reply = BenchProxy::null(connection, number).await?;
        Ok(reply.map_err(|_| "it failed")?.number)
    }

    /// Sends a chain of calls, as the documentation calls it.
    async fn flight(connection: &mut Self::Connection, calls: usize) -> Result<bool> {
        let mut chain = connection.chain_null(1)?;
        for _ in 1..calls {
            chain = chain.null(1)?;
        }
        let mut replies = pin!(chain.send::<Number, Error>().await?);
        for _ in 0..calls {
            let (reply, _) = replies.next().await.ok_or("a reply is missing")??;
            let number = reply.map_err(|_| "it failed")?.into_parameters();
            check(number.ok_or("a reply has no number")?.number)?;
        }
        Ok(true)
    }

    /// Returns a text of the same length as the base64 form of the bytes, which has four characters
    /// for three bytes.
    fn payload(bytes: Vec<u8>) -> String {
        "A".repeat(bytes.len().div_ceil(3) * 4)
    }

    async fn echo(connection: &mut Self::Connection, payload: &String) -> Result<usize> {
        let reply = BenchProxy::echo(connection, payload).await?;
        Ok(reply.map_err(|_| "it failed")?.bytes.len() / 4 * 3)
    }

    async fn exchange(
        connection: &mut Self::Connection,
        file: &File,
        event: &OwnedFd,
    ) -> Result<OwnedFd> {
        let handles = own(file, event)?;
        let (reply, handles) = BenchProxy::exchange(connection, handles).await?;
        reply.map_err(|_| "it failed")?;
        Ok(handles.into_iter().next().ok_or("no event came back")?)
    }

    async fn sparkle(
        connection: &mut Self::Connection,
        file: &File,
        ready: &OwnedFd,
    ) -> Result<OwnedFd> {
        let handles = own(file, ready)?;
        let (reply, handles) = BenchProxy::sparkle(connection, handles).await?;
        reply.map_err(|_| "it failed")?;
        Ok(handles.into_iter().next().ok_or("no event came back")?)
    }
}

/// The library takes ownership of descriptors, so the caller passes duplicates of the descriptors
/// that it still needs.
fn own(file: &File, event: &OwnedFd) -> Result<Vec<OwnedFd>> {
    Ok(vec![file.as_fd().try_clone_to_owned()?, event.try_clone()?])
}
