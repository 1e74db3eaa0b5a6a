//! tarpc: RPC on tokio, with bincode over a Unix socket.
//!
//! The code follows the `readme` example: a channel per connection and a task per request. It uses
//! bincode, the faster of the two formats, and sends bytes with `serde_bytes`. tarpc passes no
//! descriptors.

use bench_asynchronous::{Client, Peer, listener, many_threads};
use bench_harness::{Result, Role, die_with_parent, role, take_orders};
use futures::StreamExt;
use serde_bytes::ByteBuf;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tarpc::{context, serde_transport};
use tokio::net::UnixStream;

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) => take_orders(&mut Client::<Tarpc>::start(&name)?),
        Role::Server(_) => {
            die_with_parent();
            many_threads()?.block_on(serve())
        }
    }
}

#[tarpc::service]
trait Bench {
    async fn null(number: u64) -> u64;
    async fn echo(bytes: ByteBuf) -> ByteBuf;
}

#[derive(Clone)]
struct Implementation;

impl Bench for Implementation {
    async fn null(self, _: context::Context, number: u64) -> u64 {
        number + 1
    }

    async fn echo(self, _: context::Context, bytes: ByteBuf) -> ByteBuf {
        bytes
    }
}

async fn serve() -> Result<()> {
    let listener = listener()?;
    loop {
        let socket = listener.accept().await?.0;
        let framed = LengthDelimitedCodec::builder().new_framed(socket);
        let channel = BaseChannel::with_defaults(serde_transport::new(framed, Bincode::default()));
        tokio::spawn(channel.execute(Implementation.serve()).for_each(|response| async {
            tokio::spawn(response);
        }));
    }
}

struct Tarpc;

impl Peer for Tarpc {
    type Connection = BenchClient;
    type Payload = ByteBuf;

    const HANDLES: bool = false;

    async fn connect(address: &str) -> Result<BenchClient> {
        let socket = UnixStream::connect(address).await?;
        let framed = LengthDelimitedCodec::builder().new_framed(socket);
        let transport = serde_transport::new(framed, Bincode::default());
        Ok(BenchClient::new(tarpc::client::Config::default(), transport).spawn())
    }

    fn share(connection: &BenchClient) -> Option<BenchClient> {
        Some(connection.clone())
    }

    async fn null(connection: &mut BenchClient, number: u64) -> Result<u64> {
        Ok(connection.null(context::current(), number).await?)
    }

    fn payload(bytes: Vec<u8>) -> ByteBuf {
        ByteBuf::from(bytes)
    }

    async fn echo(connection: &mut BenchClient, payload: &ByteBuf) -> Result<usize> {
        Ok(connection.echo(context::current(), payload.clone()).await?.len())
    }
}
