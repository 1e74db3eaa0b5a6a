//! Connects a reference that was received as a door, when it is first used.

use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Instant;

use syshandle_wire::{Hello, Violation};

use super::connection::ClientConnection;
use super::handshake::ClientHandshake;
#[cfg(feature = "tokio")]
use super::tasks::RuntimeId;
use crate::door::{self, DoorConnection, DoorMaker};
use crate::peer_socket::PeerSocket;
use crate::sync::{Mutex, MutexGuard};
use crate::wait_mode::{WaitMode, run_on_thread};
use crate::{Error, ErrorKind, Result};

/// Connection that is made when it is first needed.
///
/// Threads connect one at a time, and so do the tasks of each runtime. A thread and a task may
/// connect at the same time, because neither can wait for the other: a task may be in a runtime
/// that nobody runs. The first connection counts then, and the other one is closed.
#[derive(Debug)]
pub(super) struct LazyConnection {
    connection: OnceLock<Arc<ClientConnection>>,
    /// Door to connect through; `None` once connected.
    door: Mutex<Option<Arc<PeerSocket>>>,
    /// Makes doors to the object, if this process serves it.
    maker: Option<Arc<dyn DoorMaker>>,
    connecting_thread: Mutex<()>,
    #[cfg(feature = "tokio")]
    connecting_tasks: Mutex<Vec<(RuntimeId, Arc<tokio::sync::Mutex<()>>)>>,
}

impl LazyConnection {
    pub(super) fn new(
        connection: Option<Arc<ClientConnection>>,
        door: Option<PeerSocket>,
        maker: Option<Arc<dyn DoorMaker>>,
    ) -> Self {
        Self {
            connection: connection.map_or_else(OnceLock::new, OnceLock::from),
            door: Mutex::new(door.map(Arc::new)),
            maker,
            connecting_thread: Mutex::new(()),
            #[cfg(feature = "tokio")]
            connecting_tasks: Mutex::default(),
        }
    }

    /// Returns the connection, if it was made.
    #[inline]
    pub(super) fn get(&self) -> Option<&Arc<ClientConnection>> {
        self.connection.get()
    }

    /// Returns what makes doors to the object, if this process serves it.
    pub(super) fn maker(&self) -> Option<&Arc<dyn DoorMaker>> {
        self.maker.as_ref()
    }

    /// Returns the connection. The first thread makes it, while others wait.
    #[cold]
    pub(super) fn connect_in_thread(
        &self,
        hello: Hello,
        deadline: Instant,
    ) -> Result<&Arc<ClientConnection>> {
        let _turn = self.turn_of_thread();
        match self.get() {
            Some(connection) => Ok(connection),
            None => run_on_thread(self.connect(WaitMode::Thread, hello, deadline)),
        }
    }

    /// Waits until no other thread prepares the client for its first call.
    pub(super) fn turn_of_thread(&self) -> MutexGuard<'_, ()> {
        self.connecting_thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the connection. The first task of a runtime makes it, while others wait.
    #[cfg(feature = "tokio")]
    pub(super) async fn connect_in_task(&self, hello: Hello, deadline: Instant) -> Result<()> {
        let _turn = self.turn_of_task(deadline).await?;
        match self.get() {
            Some(_) => Ok(()),
            None => self.connect(WaitMode::Task, hello, deadline).await.map(drop),
        }
    }

    /// Waits until no other task of this runtime prepares the client for its first call.
    #[cfg(feature = "tokio")]
    pub(super) async fn turn_of_task(
        &self,
        deadline: Instant,
    ) -> Result<tokio::sync::OwnedMutexGuard<()>> {
        let turn = self.turn_of(tokio::runtime::Handle::current().id());
        let turn = tokio::time::timeout_at(deadline.into(), turn.lock_owned()).await;
        turn.map_err(|_| {
            let text = "timed out waiting for another task that connects to the object";
            Error::detected(ErrorKind::TimedOut, text)
        })
    }

    #[cfg(feature = "tokio")]
    fn turn_of(&self, runtime: RuntimeId) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.connecting_tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, turn)) = all.iter().find(|(id, _)| *id == runtime) {
            return turn.clone();
        }
        all.retain(|(_, turn)| Arc::strong_count(turn) > 1);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        all.push((runtime, turn.clone()));
        turn
    }

    async fn connect(
        &self,
        mode: WaitMode,
        hello: Hello,
        deadline: Instant,
    ) -> Result<&Arc<ClientConnection>> {
        let door = self.door()?;
        let DoorConnection { socket, server } = door::attach(mode, &door, deadline).await?;
        let handshake = ClientHandshake::over(socket, hello);
        let connection = handshake.open(mode, deadline).await?;
        if connection.server().pid != server.pid {
            return Err(Violation::NotOurs.into());
        }
        let connection = self.connection.get_or_init(|| Arc::new(connection));
        drop(self.door.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(connection)
    }

    /// Returns the door. Makes it first, if this process serves the object.
    fn door(&self) -> Result<Arc<PeerSocket>> {
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*door, &self.maker) {
            (Some(door), _) => Ok(door.clone()),
            (None, Some(maker)) => {
                Ok(door.insert(Arc::new(door::hold(maker.make_door()?))).clone())
            }
            (None, None) => Err(Error::detected(
                ErrorKind::Disconnected,
                "the object can't be reached: this client has no connection and no door",
            )),
        }
    }
}
