//! The streams of a connection.

use std::io;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use syshandle_types::MessageObject;
use syshandle_wire::{Entries, Entry, Violation};

use super::ServerConnection;
use crate::limits::CALL_TIMEOUT;
use crate::server::linux::reactor::Reactor;
use crate::untyped_stream::{OpeningStreams, StreamHost, StreamTask, UnclaimedStream, park_until};
use crate::{Error, ErrorKind, Result};

/// The streams that a reply opens, and the ID of each entry that is a stream.
type OpenedStreams = (Option<OpeningStreams>, Vec<Option<u32>>);

impl ServerConnection {
    /// Opens the streams of a reply.
    #[inline]
    pub(super) fn open_streams(
        &self,
        objects: &[Option<MessageObject>],
    ) -> io::Result<OpenedStreams> {
        match self.streams.server_host() {
            Some(host) if !objects.is_empty() => {
                let opened = OpeningStreams::open(&self.streams, &host, objects, CALL_TIMEOUT);
                let opened = opened.map_err(|limit| {
                    io::Error::new(io::ErrorKind::QuotaExceeded, format!("too many {limit}"))
                })?;
                Ok(opened.map_or_else(Default::default, |(opening, ids)| (Some(opening), ids)))
            }
            _ => Ok((None, Vec::new())),
        }
    }

    /// Opens the streams of a call, even of one that is refused.
    ///
    /// # Errors
    /// The client violated the protocol, or reached a limit, whose name is returned.
    #[inline]
    pub(super) fn received_streams(
        &self,
        entries: &Entries,
    ) -> Result<Vec<UnclaimedStream>, Result<&'static str, Violation>> {
        let id = |entry| match entry {
            Entry::Stream(id) => Some(id),
            _ => None,
        };
        entries.iter().filter_map(id).map(|id| UnclaimedStream::open(&self.streams, id)).collect()
    }

    /// Returns a stream of a call for the decoder of its arguments.
    pub(super) fn received_stream(
        &self,
        reactor: &Reactor,
        stream: UnclaimedStream,
    ) -> Option<MessageObject> {
        let filesystems = reactor.settings().filesystems.clone();
        let host = self.streams.server_host()?;
        Some(stream.received(host, CALL_TIMEOUT, Some(filesystems)))
    }

    /// Ends all streams, because the connection has ended.
    pub(super) fn end_streams(&self, reactor: &Reactor) {
        let text = match reactor.is_draining() || reactor.is_stopped() {
            true => "the server is shutting down",
            false => "the client has disconnected",
        };
        self.streams.end(Error::detected(ErrorKind::Disconnected, text));
        self.streams.wake();
    }
}

impl StreamHost for ServerConnection {
    fn wait_in_thread(
        &self,
        until: Instant,
        is_ready: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> Result<bool> {
        Ok(park_until(until, is_ready))
    }

    /// A thread that is dedicated to the client looks after its next frame, or after some
    /// milliseconds.
    fn watch_for_room(&self) {
        if let Some(reactor) = self.object.reactor() {
            self.update_poller(&mut self.shared(), &reactor);
        }
    }

    /// The threads of the server receive anyway.
    fn wait_as_task(self: Arc<Self>, _: &mut StreamTask, _: &Waker) -> Result<()> {
        Ok(())
    }

    fn forget_task(&self, _: &mut StreamTask) {}
}
