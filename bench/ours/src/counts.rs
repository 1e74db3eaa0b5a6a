//! Makes a fixed number of calls, for a tool that counts instructions.
//!
//! Client and server are threads of one process, because such a tool can't follow a server that is
//! started by activation.

use bench_harness::Result;
use bench_harness::sparkle::Dishes;
use syshandle::{handle::Event, object::Proxy};

use crate::client::sparkle;
use crate::interface::{HandlesClient, NumbersClient};
use crate::server::Bench;

/// Makes the calls that the name specifies: `count-null-1000`.
pub(crate) fn run(name: &str) -> Result<()> {
    let ["count", work, calls] = name.split('-').collect::<Vec<_>>()[..] else {
        return Err("say which calls, and how many".into());
    };
    let calls = calls.parse()?;
    match work {
        "null" => {
            let numbers = NumbersClient::in_process(Bench)?;
            repeat(calls, || numbers.null(1))
        }
        "handles" => {
            let handles = HandlesClient::in_process(Bench)?;
            let dishes = Dishes::new();
            let (file, event) = (dishes.open()?, Event::new()?);
            repeat(calls, || handles.exchange(&file, &event))
        }
        "sparkle" => {
            let handles = HandlesClient::in_process(Bench)?;
            let dishes = Dishes::new();
            repeat(calls, || sparkle(&handles, &dishes))
        }
        "connect" => {
            let numbers = NumbersClient::in_process(Bench)?;
            // A cast opens a connection through the object's door. The first cast also makes the
            // call that returns the door.
            let connect = || numbers.as_client().cast::<NumbersClient>();
            repeat(calls, || connect()?.null(1))
        }
        "large" => {
            let (numbers, payload) = (NumbersClient::in_process(Bench)?, vec![7; 64 * 1024]);
            repeat(calls, || numbers.echo(&payload))
        }
        other => Err(format!("no work is called `{other}`").into()),
    }
}

fn repeat<T>(calls: usize, mut call: impl FnMut() -> syshandle::Result<T>) -> Result<()> {
    for _ in 0..calls {
        call()?;
    }
    Ok(())
}
