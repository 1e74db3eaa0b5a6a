//! The asynchronous client, in a tokio runtime.
#![cfg(not(windows))]
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, missing_docs, reason = "a failed assumption is a failed test")]

use std::fs::File;
use std::sync::mpsc;
use std::time::Duration;

use syshandle::{
    CallError, Context, Decode, Encode, ErrorKind, Result, Server, class,
    direct::{Connector, make_door, socket_pair},
    handle::Event,
    interface, tokio as asynchronous,
};

#[derive(Debug, PartialEq, Encode, Decode)]
pub enum Refusal {
    Odd,
}

#[interface(iid = "5a0f2b0e-3a6d-4a53-8f0e-0a1c1d7e9f11")]
pub trait Waiter {
    fn half(&self, number: u32) -> Result<u32, Refusal>;
    fn same(&self, file: File) -> Result<File>;
    fn bell(&self, context: &Context, when: Event) -> Result<Event>;
    fn hang(&self, context: &Context) -> Result<()>;
}

struct Table(mpsc::SyncSender<()>);

impl Waiter for Table {
    fn half(&self, number: u32) -> Result<u32, Refusal> {
        if number % 2 == 0 { Ok(number / 2) } else { Err(Refusal::Odd) }
    }

    fn same(&self, file: File) -> Result<File> {
        Ok(file)
    }

    fn bell(&self, context: &Context, when: Event) -> Result<Event> {
        let bell = Event::new()?;
        let ring = bell.try_clone()?;
        context.on_signal(when, Duration::from_secs(60), move |_| ring.set().unwrap())?;
        Ok(bell)
    }

    fn hang(&self, context: &Context) -> Result<()> {
        while !context.is_cancelled() {
            std::thread::yield_now();
        }
        self.0.send(()).unwrap();
        Ok(())
    }
}

fn waiter() -> (WaiterAsyncClient, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::sync_channel(1);
    (WaiterClient::in_process(Table(sender)).unwrap().into(), receiver)
}

#[tokio::test]
async fn calls_carry_handles_and_errors_of_their_own() {
    let (waiter, _) = waiter();
    let file = File::open("/dev/null").unwrap();
    let (half, odd, same) = tokio::join!(waiter.half(8), waiter.half(7), waiter.same(&file));
    assert_eq!(half.unwrap(), 4);
    assert!(matches!(odd, Err(CallError::Method(Refusal::Odd))));
    same.unwrap();
}

#[tokio::test]
async fn a_wait_ends_with_the_event() {
    let (waiter, _) = waiter();
    let when = Event::new().unwrap();
    let bell = waiter.bell(&when).await.unwrap();
    when.set().unwrap();
    waiter.wait(&bell).await.unwrap();
    let never = asynchronous::wait(&bell);
    assert!(tokio::time::timeout(Duration::from_millis(5), never).await.is_err());
}

#[tokio::test]
async fn a_wait_has_the_deadline_of_its_client() {
    let (waiter, _) = waiter();
    let never = Event::new().unwrap();
    let error = waiter.with_timeout(Duration::from_millis(5)).wait(&never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_future_that_is_dropped_cancels_its_call() {
    let (waiter, cancelled) = waiter();
    let hang = waiter.hang();
    assert!(tokio::time::timeout(Duration::from_millis(20), hang).await.is_err());
    let seen = tokio::task::spawn_blocking(move || cancelled.recv_timeout(Duration::from_secs(20)));
    seen.await.unwrap().unwrap();
    waiter.half(2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_can_be_made_by_any_task() {
    let (waiter, _) = waiter();
    let tasks = (0..20).map(|number| {
        let waiter = waiter.clone();
        tokio::spawn(async move { waiter.half(number * 2).await.unwrap() })
    });
    for (number, task) in (0..20).zip(tasks.collect::<Vec<_>>()) {
        assert_eq!(task.await.unwrap(), number);
    }
}

class! { WAITER: Waiter = "5a0f2b0e-3a6d-4a53-8f0e-0a1c1d7e9f12"; }

fn table() -> Table {
    Table(mpsc::sync_channel(1).0)
}

#[tokio::test]
async fn a_task_connects_to_a_path_a_socket_and_a_door() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (ours, theirs) = socket_pair().unwrap();
    let server = Server::new().class(WAITER, table).path(&path).start().unwrap();
    let peer = Server::new().class(WAITER, table).socket(theirs).start().unwrap();
    let connector = Connector::new();
    let by_path: WaiterClient = connector.connect_async(&path).await.unwrap();
    let by_socket: WaiterClient = connector.from_socket_async(ours).await.unwrap();
    let door = make_door::<dyn Waiter, _>(table()).unwrap();
    let by_door: WaiterClient = connector.from_door_async(door).await.unwrap();
    for client in [by_path, by_socket, by_door] {
        assert_eq!(WaiterAsyncClient::from(client).half(4).await.unwrap(), 2);
    }
    let error = connector.connect_async::<WaiterClient>(folder.path().join("none")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Disconnected);
    for server in [server, peer] {
        server.server().shutdown();
        server.join().unwrap();
    }
}

/// If connecting blocked the only thread of the runtime, each attempt would time out.
#[tokio::test]
async fn a_task_that_connects_blocks_no_other_task() {
    let connector = Connector::new();
    let (ours, theirs) = socket_pair().unwrap();
    let end = async { drop(theirs) };
    let (error, ()) = tokio::join!(connector.from_socket_async::<WaiterClient>(ours), end);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Disconnected);
    // The other end of a connection takes no clients, so nobody opens this door.
    let (ours, theirs) = socket_pair().unwrap();
    let end = async { drop(theirs) };
    let (error, ()) = tokio::join!(connector.from_door_async::<WaiterClient>(ours), end);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Disconnected);
}
