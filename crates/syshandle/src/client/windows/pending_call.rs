//! Calls whose results are awaited, or waited for later. COM makes a call on the thread that waits
//! for it, so such a call is made when its result is fetched.

use std::fmt;

use syshandle_os::Declaration;
use syshandle_types::Encoder;

use super::EncodedReply;
use crate::Result;
use crate::class::AsyncProxy;
use crate::client::{Client, ReplyReader};
use crate::stand_in::HandleOrObject;

/// Call whose result is fetched by [`PendingCall::wait`], or with the feature `tokio` by awaiting
/// the `PendingCall`.
///
/// On Windows the call is made when its result is fetched, because COM makes a call on the thread
/// that waits for it. An awaited call is made by a thread of the tokio runtime's pool for blocking
/// work. Dropping a `PendingCall` cancels the call.
#[must_use = "the call is made when it is waited for"]
pub struct PendingCall<R> {
    client: Client,
    method: u32,
    declared: Option<Declaration>,
    state: CallState,
    read: ReplyReader<R>,
}

enum CallState {
    Encoded(Result<(Vec<u8>, Vec<HandleOrObject>)>),
    /// A flush, which has nothing to wait for.
    Made,
    #[cfg(feature = "tokio")]
    Running(std::pin::Pin<Box<dyn Future<Output = Result<EncodedReply>> + Send>>),
    /// The result was fetched.
    Fetched,
}

impl Client {
    /// Encodes a call whose reply is read by `read`.
    pub(in crate::client) fn begin_as<'a, R>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
        read: ReplyReader<R>,
    ) -> PendingCall<R> {
        let state = CallState::Encoded(self.encode(method, arguments));
        PendingCall { client: self.clone(), method, declared, state, read }
    }

    /// Begins a one-way call, which COM makes like any other.
    pub(in crate::client) fn begin_one_way_object<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> PendingCall<Result<()>> {
        self.begin(method, None, arguments)
    }

    /// Begins a flush. A one-way call has ended when its result was fetched.
    pub(in crate::client) fn begin_flush_object(&self) -> PendingCall<Result<()>> {
        let (client, state) = (self.clone(), CallState::Made);
        let read: ReplyReader<_> = |_, _, _, reply| reply.map(drop);
        PendingCall { client, method: 0, declared: None, state, read }
    }
}

impl<R> PendingCall<R> {
    /// Makes the call and waits for its result.
    pub fn wait(mut self) -> R {
        let reply = match std::mem::replace(&mut self.state, CallState::Fetched) {
            CallState::Encoded(call) => {
                call.and_then(|(bytes, handles)| self.client.exchange(self.method, bytes, handles))
            }
            CallState::Made => Ok(EncodedReply::nothing()),
            _ => Err(fetched()),
        };
        (self.read)(&self.client, self.method, self.declared, reply)
    }

    /// Returns whether [`wait`](Self::wait) would return at once: never on Windows, unless the
    /// arguments could not be encoded.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, CallState::Encoded(Err(_)) | CallState::Made | CallState::Fetched)
    }
}

#[cold]
fn fetched() -> crate::Error {
    let text = "the result of the call was fetched before";
    crate::Error::detected(crate::ErrorKind::Failed, text).maybe_ran()
}

/// # Panics
/// Panics outside of a tokio runtime.
#[cfg(feature = "tokio")]
impl<R> Future for PendingCall<R> {
    type Output = R;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<R> {
        let this = &mut *self;
        if let CallState::Encoded(call) = &mut this.state {
            let (client, method) = (this.client.clone(), this.method);
            let call = std::mem::replace(call, Err(fetched()));
            this.state = CallState::Running(Box::pin(async move {
                let (bytes, handles) = call?;
                client.in_background(move |client| client.exchange(method, bytes, handles)).await
            }));
        }
        let reply = match &mut this.state {
            CallState::Running(call) => std::task::ready!(call.as_mut().poll(context)),
            CallState::Made => Ok(EncodedReply::nothing()),
            _ => Err(fetched()),
        };
        this.state = CallState::Fetched;
        std::task::Poll::Ready((this.read)(&this.client, this.method, this.declared, reply))
    }
}

impl<R> fmt::Debug for PendingCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall")
            .field("method", &self.client.method_ref(self.method))
            .finish_non_exhaustive()
    }
}

/// Calls `begin` with the client. On Linux the calls that it begins are sent together. COM sends
/// each call by itself.
pub fn pipelined<P: AsyncProxy, R>(client: &P, begin: impl FnOnce(&P) -> R) -> R {
    begin(client)
}
