//! tonic: gRPC over a Unix socket.
//!
//! The code follows the `uds` examples. Messages are encoded with prost, and bytes are not copied.
//! tonic passes no descriptors.

use bench_asynchronous::{Client, Peer, listener, many_threads};
use bench_harness::{Result, Role, die_with_parent, role, take_orders};
use bytes::Bytes;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::generated::bench_client::BenchClient;
use crate::generated::bench_server::{Bench, BenchServer};

#[expect(unreachable_pub, unused_qualifications, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bench.Bench.rs"));
}

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) => take_orders(&mut Client::<Tonic>::start(&name)?),
        Role::Server(_) => {
            die_with_parent();
            many_threads()?.block_on(serve())
        }
    }
}

/// A message with a number.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Number {
    #[prost(uint64, tag = "1")]
    number: u64,
}

/// A message with bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    bytes: Bytes,
}

struct Implementation;

#[tonic::async_trait]
impl Bench for Implementation {
    async fn null(&self, request: Request<Number>) -> Result<Response<Number>, Status> {
        Ok(Response::new(Number { number: request.into_inner().number + 1 }))
    }

    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

async fn serve() -> Result<()> {
    let incoming = UnixListenerStream::new(listener()?);
    let server = Server::builder().add_service(BenchServer::new(Implementation));
    Ok(server.serve_with_incoming(incoming).await?)
}

struct Tonic;

impl Peer for Tonic {
    type Connection = BenchClient<Channel>;
    type Payload = Bytes;

    const HANDLES: bool = false;

    async fn connect(address: &str) -> Result<Self::Connection> {
        let channel = Endpoint::from_shared(format!("unix://{address}"))?.connect().await?;
        Ok(BenchClient::new(channel))
    }

    fn share(connection: &Self::Connection) -> Option<Self::Connection> {
        Some(connection.clone())
    }

    async fn null(connection: &mut Self::Connection, number: u64) -> Result<u64> {
        Ok(connection.null(Number { number }).await?.into_inner().number)
    }

    fn payload(bytes: Vec<u8>) -> Bytes {
        bytes.into()
    }

    async fn echo(connection: &mut Self::Connection, payload: &Bytes) -> Result<usize> {
        let payload = Payload { bytes: payload.clone() };
        Ok(connection.echo(payload).await?.into_inner().bytes.len())
    }
}
