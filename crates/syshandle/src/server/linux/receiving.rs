//! Receives frames of a client and runs its calls.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use syshandle_os::{Credentials, PollEvent, ReceivedMessage};
use syshandle_types::Guid;
use syshandle_wire::{Body, Fault, Hello, ServerEndEvent, Violation};

use super::activity::ActivityKind;
use super::arguments::Arguments;
use super::call::{CallState, ServerCall};
use super::connection::ServerConnection;
use super::method_times::MethodId;
use super::reactor::Reactor;
use super::watchdog::{RunGuard, WorkerSlot};
use super::work_item::UserCode;
use crate::buffer::FrameBuffer;
use crate::guard::guard;
use crate::limits::LIMITS;
use crate::link::BodyError;
use crate::received_handles::ReceivedHandles;
use crate::spin::SpinWait;
use crate::sync::now;

/// The result of handling a ready source.
#[must_use]
pub(crate) enum EventOutcome {
    /// The thread ran a call of this client. The call took this long.
    Called(Arc<ServerConnection>, Duration),
    /// The thread did other work.
    Otherwise,
    /// The work ran long, so another thread runs the loop, or the client has returned to its loop.
    Lost,
}

/// The result of receiving.
pub(super) enum ServerEvent {
    /// A call, which is to be run.
    Call(ServerCall),
    /// Another frame, which was handled.
    Other,
    /// Another frame, whose handling ran long, so that the thread lost its loop or client.
    Lost,
    /// No frame.
    None,
    /// The connection has ended.
    End,
}

impl EventOutcome {
    /// Ends work other than a call.
    pub(super) fn after(running: RunGuard<'_>, reactor: &Arc<Reactor>) -> Self {
        if running.end(reactor) { Self::Otherwise } else { Self::Lost }
    }
}

/// The result of running a call.
pub(super) enum RunOutcome {
    /// The call ran. It took this long.
    Done(Duration),
    /// The call was passed to a worker thread or refused.
    Elsewhere,
    /// The call ran long, so that the thread lost its loop or client.
    Lost,
}

impl ServerConnection {
    /// Handles a ready socket: receives one frame, and runs it if it is a call.
    pub(crate) fn act(
        self: Arc<Self>,
        reactor: &Arc<Reactor>,
        ready: PollEvent,
        slot: &WorkerSlot,
    ) -> EventOutcome {
        if ready.writable {
            self.send_pending(reactor);
        }
        if self.kept.interface.get().is_none() && self.waits_for_its_object(reactor) {
            return EventOutcome::Otherwise;
        }
        let is_reminder = !ready.readable && !ready.writable;
        if is_reminder && (self.inbox.is_empty() || !self.state().is_watched()) {
            return EventOutcome::Otherwise;
        }
        let frame = self.receive(reactor, slot, None);
        if !self.inbox.is_empty() {
            // Other clients get a turn first.
            reactor.loop_of(self.key()).remind(self.key());
        }
        self.go_on(frame, reactor, slot)
    }

    /// Handles a client that was just accepted. Usually its hello has already arrived.
    pub(super) fn begin(
        self: Arc<Self>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
    ) -> EventOutcome {
        let frame = self.receive(reactor, slot, None);
        if matches!(frame, ServerEvent::None | ServerEvent::Other)
            && self.kept.interface.get().is_none()
            && !self.state().opening
        {
            self.expect_hello(reactor);
        }
        self.go_on(frame, reactor, slot)
    }

    /// Runs the frame if it is a call.
    #[inline(always)]
    fn go_on(
        self: Arc<Self>,
        frame: ServerEvent,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
    ) -> EventOutcome {
        match frame {
            ServerEvent::Call(work) => match self.run(work, reactor, slot) {
                RunOutcome::Done(took) => EventOutcome::Called(self, took),
                RunOutcome::Elsewhere => EventOutcome::Otherwise,
                RunOutcome::Lost => EventOutcome::Lost,
            },
            ServerEvent::Other | ServerEvent::None => EventOutcome::Otherwise,
            ServerEvent::Lost => EventOutcome::Lost,
            ServerEvent::End => self.let_go(reactor, slot),
        }
    }

    /// Returns whether another thread creates the object. Then the socket leaves the poller, and
    /// that thread returns it.
    fn waits_for_its_object(&self, reactor: &Reactor) -> bool {
        let mut state = self.state();
        let opening = state.opening;
        if opening {
            self.leave_loop(&mut state, reactor);
        }
        opening
    }

    /// Releases the connection, and with it the object, whose destructor is user code.
    pub(super) fn let_go(
        self: Arc<Self>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
    ) -> EventOutcome {
        // If a method of the client still runs, the object is released when the method ends.
        match Arc::into_inner(self) {
            Some(connection) => connection.kept.release(reactor, slot),
            None => EventOutcome::Otherwise,
        }
    }

    /// Starts to spin for a frame of this client.
    pub(crate) fn start_spinning(&self) -> SpinWait<'_> {
        self.spin.start(self.link.peer())
    }

    /// Runs a call. A method that is known to be slow, or exceeds a limit of running methods, runs
    /// on a worker thread.
    pub(super) fn run(
        &self,
        mut work: ServerCall,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
    ) -> RunOutcome {
        let (method, began) = (work.method, work.state.began);
        let watchdog = &reactor.watchdog;
        // A call that arrives before the object exists is refused.
        let Some(methods) = self.methods.get() else {
            let took = work.run(reactor) - began;
            return RunOutcome::Done(took);
        };
        let is_quick = methods.is_quick(method);
        if !is_quick && self.batches_replies() {
            self.send_batch(&mut self.state());
        }
        let beside = methods.runs_beside(method) || !is_quick && watchdog.is_cautious();
        if beside || !work.start() {
            work.run_beside(reactor);
            return RunOutcome::Elsewhere;
        }
        let Some(running) = watchdog.try_start(slot, reactor) else {
            work.run_beside(reactor);
            return RunOutcome::Elsewhere;
        };
        slot.set_method(methods.method_id(method));
        let took = work.run(reactor) - began;
        methods.learn(method, took);
        let still_has = running.end(reactor);
        slot.set_method(MethodId::default());
        if still_has { RunOutcome::Done(took) } else { RunOutcome::Lost }
    }

    /// Receives one frame and handles it; waits for at most `timeout`. Frames in the inbox come
    /// first.
    pub(super) fn receive(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
        timeout: Option<Duration>,
    ) -> ServerEvent {
        let (mut frame, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
        let received = match self.inbox.is_empty() {
            true => self.link.receive(&mut frame, &mut handles, timeout),
            false => self.receive_kept(&mut frame, &mut handles, timeout),
        };
        let received = match received {
            Ok(received) => received,
            Err(error) => return self.not_received(reactor, &error),
        };
        if received.len == 0 {
            self.end(reactor, false);
            return ServerEvent::End;
        }
        if let Err(limit) = handles.check_sender() {
            self.refuse(reactor, &Fault::Busy { limit: limit.into() });
            return ServerEvent::End;
        }
        let taken = match received {
            ReceivedMessage { bytes_truncated: true, .. } => Err(Violation::TooLong),
            ReceivedMessage { unknown_control: true, .. } => Err(Violation::UnknownControl),
            received => self.take(reactor, slot, frame, &received, handles),
        };
        taken.unwrap_or_else(|violation| {
            let Credentials { pid, uid, .. } = self.session.client;
            crate::log::warn!(%violation, pid, %uid, "a client broke the rules");
            self.end(reactor, false);
            ServerEvent::End
        })
    }

    /// Takes a frame from the inbox, unless another thread has emptied the inbox.
    #[cold]
    fn receive_kept(
        &self,
        frame: &mut FrameBuffer,
        handles: &mut ReceivedHandles,
        timeout: Option<Duration>,
    ) -> io::Result<ReceivedMessage> {
        match self.inbox.next(frame, handles) {
            Some(received) => Ok(received),
            None => self.link.receive(frame, handles, timeout),
        }
    }

    #[cold]
    pub(super) fn not_received(&self, reactor: &Arc<Reactor>, error: &io::Error) -> ServerEvent {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => ServerEvent::None,
            // The client closed its end without reading all messages of the server. Its own
            // messages are still to be received.
            io::ErrorKind::ConnectionReset => ServerEvent::Other,
            _ => {
                crate::log::debug!(%error, "a connection failed");
                self.end(reactor, false);
                ServerEvent::End
            }
        }
    }

    /// Handles a frame.
    fn take(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
        frame: FrameBuffer,
        received: &ReceivedMessage,
        mut handles: ReceivedHandles,
    ) -> Result<ServerEvent, Violation> {
        let (len, truncated) = (received.len, received.handles_truncated);
        let mut guard = self.state();
        let state = &mut *guard;
        if state.ended {
            // No call may run after the end, because the client may have been told that its
            // unanswered calls did not run.
            return Ok(ServerEvent::End);
        }
        let (event, inline) = state.end.receive(&frame[..len], handles.len(), truncated)?;
        let mut taken = ServerEvent::Other;
        match event {
            ServerEndEvent::Hello(hello) => {
                state.opening = true;
                drop(guard);
                return Ok(self.start_to_open(reactor, slot, hello));
            }
            ServerEndEvent::Call { call, method, timeout_ms, body, handles_lost } => {
                // Calls whose reply the client has not read have ended, but count here. Otherwise
                // the pending replies would grow without limit.
                let unread =
                    state.pending.iter().filter(|pending| pending.header.is_some()).count();
                if state.end.running().count() + unread >= LIMITS.calls_max.into() {
                    return Err(Violation::TooManyCalls);
                }
                let (began, timeout) = (now(), Duration::from_millis(timeout_ms.into()));
                let running = CallState::start(&mut state.last_call, began, timeout);
                let (arguments, bytes_lost) = match body {
                    Body::Inline { .. } => {
                        let (start, end) = ((len - inline.len()) as u16, len as u16);
                        (Arguments::Frame { frame, start, end }, false)
                    }
                    Body::Shared { .. } => match self.link.check_body(body) {
                        Ok(()) => (Arguments::Shared { connection: self.clone(), body }, false),
                        Err(BodyError::Lost) => {
                            let release = state.end.has_read(body);
                            self.release(state, release);
                            (Arguments::Lost, true)
                        }
                        Err(BodyError::PastLimit(limit)) => {
                            let release = state.end.has_read(body);
                            self.release(state, release);
                            (Arguments::PastLimit(limit), false)
                        }
                        Err(BodyError::Violation(violation)) => return Err(violation),
                    },
                };
                state.end.started(call, running.clone());
                taken = ServerEvent::Call(ServerCall {
                    connection: self.clone(),
                    state: running,
                    call,
                    method,
                    arguments,
                    handles,
                    handles_lost: handles_lost || bytes_lost,
                    quota_guard: None,
                    _keep_alive: reactor.keep_alive(ActivityKind::Work),
                });
            }
            ServerEndEvent::Cancel(running) => running.cancelled.store(true, Ordering::SeqCst),
            ServerEndEvent::Arena => self.link.set_incoming(&mut handles)?,
            ServerEndEvent::ArenaLost => self.link.outgoing().send_again(),
            ServerEndEvent::ReleaseRequest(release) => self.release(state, release),
            ServerEndEvent::Nothing => {}
            ServerEndEvent::Bye => {
                drop(guard);
                self.end(reactor, true);
                return Ok(ServerEvent::End);
            }
        }
        // Any frame may have released the shared memory that a pending reply needs.
        let has_pending = !state.pending.is_empty();
        drop(guard);
        if has_pending {
            self.send_pending(reactor);
        }
        Ok(taken)
    }

    /// Finds or creates the object that the client names. Creating it runs user code.
    fn start_to_open(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
        hello: Hello,
    ) -> ServerEvent {
        if let Some(timer) = self.hello_timer.get() {
            reactor.timers.forget(*timer);
        }
        self.close_channel();
        let quota = &self.session.quota;
        let Some(running) = reactor.watchdog.try_start_unknown(slot, reactor, quota) else {
            reactor.workers.add_work(reactor, UserCode::Open(self.clone(), hello).into());
            return ServerEvent::Other;
        };
        let opened = self.open(reactor, hello);
        if let Err(fault) = &opened {
            self.refuse(reactor, fault);
        }
        match (running.end(reactor), opened) {
            (false, _) => ServerEvent::Lost,
            (true, Ok(())) => ServerEvent::Other,
            (true, Err(_)) => ServerEvent::End,
        }
    }

    /// Finds or creates the object that the client names, on a worker thread.
    pub(super) fn open_or_refuse(&self, reactor: &Arc<Reactor>, hello: Hello) {
        if let Err(fault) = self.open(reactor, hello) {
            self.refuse(reactor, &fault);
        }
    }

    fn open(&self, reactor: &Arc<Reactor>, Hello { clsid, iid }: Hello) -> Result<(), Fault> {
        if self.kept.object.get().is_none() {
            let make = reactor.class(clsid).ok_or(Fault::NoSuchClass(clsid))?;
            let object = guard(make).map_err(|text| Fault::NoObject { text })?;
            let _ = self.kept.object.set(object);
        } else if clsid != Guid::NIL {
            return Err(Fault::NoSuchClass(clsid));
        }
        let interface = self.kept.object.get().and_then(|object| object.interface(iid));
        let interface = interface.ok_or(Fault::NoSuchInterface(iid))?;
        let _ = self.methods.set(reactor.methods.of(interface.description()));
        let _ = self.kept.interface.set(interface);
        let mut state = self.state();
        state.opening = false;
        let has_left = !state.is_watched();
        drop(state);
        if has_left {
            self.rejoin(reactor);
        }
        Ok(())
    }
}
