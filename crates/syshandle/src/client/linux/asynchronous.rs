//! Calls in a tokio runtime on Linux, made [in the background](crate::background).

use std::io;

use syshandle_os::{OwnedHandle, Waitable, asynchronous};
use syshandle_types::Encoder;
use syshandle_wire::Violation;

use super::connection::ClientConnection;
use super::reply::{EncodedReply, ReplyBody};
use crate::background::CancelOnDrop;
use crate::client::Client;
use crate::client::cancel::Cancel;
use crate::setup::failed;
use crate::{Error, ErrorKind, Result};

impl Client {
    /// Waits for an object of the server on another thread.
    pub(in crate::client) async fn wait_for_async(
        &self,
        object: &(impl Waitable + Sync),
    ) -> Result<()> {
        let cancel = Cancel::new()?;
        let server = self.with_cancel(&cancel);
        // This event is never signalled, so the wait ends only with the server, the timeout or a
        // cancel.
        let never = syshandle_os::Event::new()?;
        let gone = self.in_background(move |_| server.wait(&never));
        let _cancelled = CancelOnDrop(cancel);
        tokio::select! {
            biased;
            taken = asynchronous::wait(object) => taken.map_err(|error| {
                let text = "the object can't be waited for";
                Error::detected(ErrorKind::System, text).because(error).of_no_call()
            }),
            gone = gone => gone,
        }
    }

    /// Encodes the arguments of a call and duplicates their handles, because the task that lends
    /// them may be dropped before they are sent.
    pub(in crate::client) fn encode<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<(Vec<u8>, Vec<OwnedHandle>)> {
        let mut out = Encoder::new(Vec::new(), crate::limits::LIMITS);
        arguments(&mut out);
        let method_ref = self.method_ref(method);
        let (bytes, handles) = out.finish_lent().map_err(|error| method_ref.unsendable(error))?;
        let handles: io::Result<_> = handles
            .with(|handles| handles.iter().map(|handle| handle.try_clone_to_owned()).collect());
        let no_copy = failed("fcntl(F_DUPFD_CLOEXEC)", "a handle to send can't be duplicated");
        Ok((bytes.into_vec(), handles.map_err(|error| method_ref.name(no_copy(error)))?))
    }

    /// Sends a call and waits for its reply, on this thread. Copies the reply out of the server's
    /// memory, because the task that would release that memory may have been dropped.
    pub(in crate::client) fn exchange(
        &self,
        method: u32,
        bytes: Vec<u8>,
        handles: Vec<OwnedHandle>,
    ) -> Result<EncodedReply> {
        let mut deadline = self.deadline();
        let lent: Vec<_> = handles.iter().map(std::os::fd::AsFd::as_fd).collect();
        let exchanged = self.connection(&mut deadline).and_then(|connection| {
            connection.call(method, &bytes.into(), &lent, &mut deadline)?.copied(connection)
        });
        exchanged.map_err(|error| self.method_ref(method).name(error))
    }
}

impl EncodedReply {
    /// Copies the bytes of the reply and frees their place: the range of the server's memory is
    /// released, and the frame buffer stays with this thread.
    fn copied(mut self, connection: &ClientConnection) -> Result<Self> {
        let copy = match self.body {
            ReplyBody::PastLimit(_) => return Ok(self),
            ReplyBody::Copy(copy) => copy,
            ReplyBody::Frame { frame, start, end } => frame[start..end].to_vec(),
            ReplyBody::Shared(body) => {
                let copy = connection.copy(body);
                connection.has_read(body);
                copy.ok_or_else(|| Error::from(Violation::BadArena).maybe_ran())?
            }
        };
        self.body = ReplyBody::Copy(copy);
        Ok(self)
    }
}
