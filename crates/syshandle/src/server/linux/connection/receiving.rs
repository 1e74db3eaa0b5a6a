//! Receives frames of a client and runs its calls.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use syshandle_os::{Credentials, Peer, PollEvent, ReceivedMessage};
use syshandle_types::{Guid, MessageObject, MessageObjects};
use syshandle_wire::{
    Body, Entries, Entry, Fault, Hello, ReleasedObjects, ServerEndEvent, Violation,
};

use super::{ServerConnection, SharedState};
use crate::buffer::FrameBuffer;
use crate::door::ReceivedObject;
use crate::link::BodyError;
use crate::quota::Quota;
use crate::received_handles::ReceivedHandles;
use crate::server::linux::arguments::{Arguments, MissingObject};
use crate::server::linux::call::ServerCall;
use crate::server::linux::classes::Classes;
use crate::server::linux::context::CallHost;
use crate::server::linux::object::{ClientObject, RELEASED_AT_ONCE, release_beside, release_here};
use crate::server::linux::reactor::activity::ActivityKind;
use crate::server::linux::reactor::event_loop::{
    EndingStep, EventOutcome, LoopContext, LoopSource,
};
use crate::server::linux::reactor::method_times::MethodId;
use crate::server::linux::reactor::timers::SourceTimer;
use crate::server::linux::reactor::{Reactor, UserCode};
use crate::server::linux::served_object::ServedObject;
use crate::untyped_stream::UnclaimedStream;

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

/// The result of running a call.
pub(super) enum RunOutcome {
    /// The call ran. It took this long.
    Done(Duration),
    /// The call was passed to a worker thread or refused.
    Elsewhere,
    /// The call ran long, so that the thread lost its loop or client.
    Lost,
}

impl LoopSource for ServerConnection {
    /// Receives one frame, and runs it if it is a call.
    fn act(self: Arc<Self>, context: LoopContext<'_>, ready: PollEvent) -> EventOutcome {
        if ready.writable {
            self.send_pending(context.reactor);
        }
        if self.object.interface().is_none() && self.waits_for_its_object(context.reactor) {
            return EventOutcome::Otherwise;
        }
        let is_reminder = !ready.readable && !ready.writable;
        if is_reminder && (self.inbox.is_empty() || !self.shared().state.is_watched()) {
            return EventOutcome::Otherwise;
        }
        let frame = self.receive(context, None);
        if !self.inbox.is_empty() {
            // Other clients get a turn first.
            context.reactor.loop_of(self.key()).remind(self.key());
        }
        self.go_on(frame, context)
    }

    fn on_timer(self: Arc<Self>, reactor: &Arc<Reactor>, timer: SourceTimer) {
        match timer {
            SourceTimer::Timeout => self.end_late(reactor),
            SourceTimer::FreeMemory => self.free_memory(reactor),
            SourceTimer::Retry => self.watch_in_loop(self.shared(), reactor),
        }
    }

    fn on_ending(self: Arc<Self>, reactor: &Arc<Reactor>, step: EndingStep) {
        match step {
            EndingStep::CloseDead if self.link.socket.peer_has_ended() => self.close(reactor),
            EndingStep::Close => self.close(reactor),
            EndingStep::Drain => {
                self.streams.drain();
                self.streams.wake();
                self.receive_last(reactor);
            }
            EndingStep::CloseDead | EndingStep::EndTasks => {}
        }
    }

    fn owner(&self) -> Option<&Arc<Quota>> {
        Some(&self.session.quota)
    }

    fn is_client(&self) -> bool {
        true
    }
}

impl ServerConnection {
    /// Handles a client that was just accepted. Usually its hello has already arrived.
    pub(crate) fn begin(self: Arc<Self>, context: LoopContext<'_>) -> EventOutcome {
        let frame = self.receive(context, None);
        if matches!(frame, ServerEvent::None | ServerEvent::Other) {
            self.expect_hello(context.reactor);
        }
        self.go_on(frame, context)
    }

    /// Runs the frame if it is a call.
    #[inline(always)]
    fn go_on(self: Arc<Self>, frame: ServerEvent, context: LoopContext<'_>) -> EventOutcome {
        match frame {
            ServerEvent::Call(work) => match self.run(work, context) {
                RunOutcome::Done(took) => EventOutcome::Called(self, took),
                RunOutcome::Elsewhere => EventOutcome::Otherwise,
                RunOutcome::Lost => EventOutcome::Lost,
            },
            ServerEvent::Other | ServerEvent::None => EventOutcome::Otherwise,
            ServerEvent::Lost => EventOutcome::Lost,
            ServerEvent::End => self.let_go(context),
        }
    }

    /// Keeps a draining server alive until the last frames of a client that has disconnected are
    /// received: one-way calls that the client sent before its bye still run.
    fn receive_last(&self, reactor: &Reactor) {
        let mut shared = self.shared();
        if !shared.state.is_closed() && self.link.socket.has_hung_up() {
            shared.last_frames = Some(reactor.keep_alive(ActivityKind::Work));
        }
    }

    /// Returns whether another thread creates the object. Then the socket leaves the poller, and
    /// that thread returns it.
    fn waits_for_its_object(&self, reactor: &Reactor) -> bool {
        let mut shared = self.shared();
        if shared.state.leave_poller() {
            self.remove_from_poller(reactor);
        }
        shared.state.is_opening()
    }

    /// Releases the connection, and with it the object, whose destructor is user code.
    pub(super) fn let_go(self: Arc<Self>, context: LoopContext<'_>) -> EventOutcome {
        // If a method of the client still runs, the object is released when the method ends.
        match Arc::into_inner(self).and_then(|connection| Arc::into_inner(connection.object)) {
            Some(object) => object.release(context),
            None => EventOutcome::Otherwise,
        }
    }

    /// Runs a call. A method that is known to be slow, or exceeds a limit of running methods, runs
    /// on a worker thread.
    pub(super) fn run(&self, mut work: ServerCall, context: LoopContext<'_>) -> RunOutcome {
        let LoopContext { reactor, slot } = context;
        let (method, began) = (work.method(), work.began());
        // A call that arrives before the object exists is refused.
        let object = work.object();
        let Some(methods) = object.methods() else {
            let took = work.run_now(reactor) - began;
            return RunOutcome::Done(took);
        };
        let is_quick = methods.is_quick(method);
        if !is_quick {
            self.shared().send_batch(self);
        }
        let beside = methods.runs_beside(method) || !is_quick && context.is_cautious();
        if beside || !work.count() {
            work.run_beside(reactor);
            return RunOutcome::Elsewhere;
        }
        let Some(running) = context.try_start() else {
            work.run_beside(reactor);
            return RunOutcome::Elsewhere;
        };
        slot.set_method(methods.method_id(method));
        let took = work.run_now(reactor) - began;
        methods.learn(method, took);
        let still_has = running.end();
        slot.set_method(MethodId::default());
        if still_has { RunOutcome::Done(took) } else { RunOutcome::Lost }
    }

    /// Receives one frame and handles it; waits for at most `timeout`. Frames in the inbox come
    /// first.
    pub(super) fn receive(
        self: &Arc<Self>,
        context: LoopContext<'_>,
        timeout: Option<Duration>,
    ) -> ServerEvent {
        let reactor = context.reactor;
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
            received => self.take(context, frame, &received, handles),
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
        context: LoopContext<'_>,
        frame: FrameBuffer,
        received: &ReceivedMessage,
        mut handles: ReceivedHandles,
    ) -> Result<ServerEvent, Violation> {
        let reactor = context.reactor;
        let (len, truncated) = (received.len, received.handles_truncated);
        // The arguments of a call that is refused. Their drop locks the connection, so the guard is
        // dropped first.
        let mut unused = Vec::new();
        let mut guard = self.shared();
        let shared = &mut *guard;
        if shared.state.is_closed() {
            // No call may run after the end, because the client may have been told that its
            // unanswered calls did not run.
            return Ok(ServerEvent::End);
        }
        let (event, inline) = shared.calls.receive(&frame[..len], handles.len(), truncated)?;
        let (mut taken, mut cancelled, mut refused) = (ServerEvent::Other, None, None);
        match event {
            ServerEndEvent::Hello(hello) => {
                shared.state.hello();
                let calls = &shared.calls;
                self.session.set_features(calls.takes_objects(), calls.takes_streams());
                let expected = shared.expected.take();
                drop(guard);
                let (timer, classes) =
                    expected.map_or((None, None), |expected| (expected.timer, expected.classes));
                if let Some(timer) = timer {
                    reactor.forget_timer(timer);
                }
                return Ok(self.start_to_open(context, hello, classes));
            }
            ServerEndEvent::Call {
                call,
                object,
                method,
                timeout_ms,
                body,
                entries,
                handles_lost,
                one_way,
            } => {
                let timeout = Duration::from_millis(timeout_ms.into());
                let (call, unread) = ((call, object, method), shared.outbox.unread());
                let (call, state) = shared.calls.start(call, one_way, timeout, unread)?;
                let arguments = match body {
                    Body::Inline { .. } => {
                        let (start, end) = ((len - inline.len()) as u16, len as u16);
                        Arguments::Frame { frame, start, end }
                    }
                    Body::Shared { .. } => match self.link.check_body(body) {
                        Ok(()) => Arguments::Shared { memory: self.clone(), body },
                        Err(BodyError::Lost) => {
                            self.release_range(shared, body);
                            Arguments::Lost
                        }
                        Err(BodyError::PastLimit(limit)) => {
                            self.release_range(shared, body);
                            Arguments::PastLimit(limit)
                        }
                        Err(BodyError::Violation(violation)) => return Err(violation),
                    },
                };
                let streams = match self.received_streams(&entries) {
                    Ok(streams) => streams,
                    Err(Err(violation)) => {
                        unused.push(arguments);
                        return Err(violation);
                    }
                    Err(Ok(limit)) => {
                        drop(guard);
                        drop(arguments);
                        self.refuse(reactor, &Fault::Busy { limit: limit.into() });
                        return Ok(ServerEvent::End);
                    }
                };
                let target = match object {
                    0 => Ok(self.object.clone()),
                    number => shared.objects.get(number),
                };
                let (target, refusal) = match target {
                    Ok(target) => (target, None),
                    Err(missing) => (self.object.clone(), Some(Arguments::NoObject(missing))),
                };
                let objects = match (entries.is_empty(), refusal) {
                    (true, None) => Ok(None),
                    (true, Some(refusal)) => Err(refusal),
                    (false, refusal) => {
                        let received = (&mut handles, handles_lost);
                        let entries = (&entries, streams);
                        self.objects(shared, reactor, entries, received, refusal).map(Some)
                    }
                };
                let arguments = match objects {
                    Ok(None) => arguments,
                    Ok(Some(objects)) => Arguments::WithObjects(Box::new(arguments), objects),
                    Err(refusal) => {
                        unused.push(arguments);
                        refusal
                    }
                };
                let keep_alive = reactor.keep_alive(ActivityKind::Work);
                let lost = handles_lost || matches!(arguments, Arguments::Lost);
                let mut work = ServerCall::new(
                    (self.clone(), target, state),
                    call,
                    arguments,
                    (handles, lost),
                    keep_alive,
                );
                if shared.order.must_wait(call.object) {
                    match work.count_waiting() {
                        Ok(()) => shared.order.wait(call.object, call.one_way, Box::new(work)),
                        Err(fault) => refused = Some((work, fault)),
                    }
                } else {
                    if let Some(number) = call.one_way {
                        shared.order.start(call.object, number);
                    }
                    taken = ServerEvent::Call(work);
                }
                self.acknowledge(shared, false);
            }
            ServerEndEvent::Cancel(running) => cancelled = Some(running.clone()),
            ServerEndEvent::ReleaseObjects => {
                let mut unused = Vec::new();
                for (number, count) in ReleasedObjects::read(inline)?.iter() {
                    unused.extend(shared.objects.release(number, count)?);
                }
                let has_pending = shared.outbox.has_pending();
                drop(guard);
                if has_pending {
                    self.send_pending(reactor);
                }
                return Ok(self.release_objects(context, unused));
            }
            ServerEndEvent::Slots => {
                let released = self.slots.receive(inline)?;
                self.send_notes();
                let has_pending = shared.outbox.has_pending();
                drop(guard);
                if has_pending {
                    self.send_pending(reactor);
                }
                self.drop_kept(reactor, released);
                return Ok(ServerEvent::Other);
            }
            ServerEndEvent::Arena => self.link.set_incoming(&mut handles)?,
            ServerEndEvent::ArenaLost => self.link.outgoing().send_again(),
            ServerEndEvent::ReleaseRequest(release) => self.release(shared, release),
            ServerEndEvent::Stream(header) => {
                let has_pending = shared.outbox.has_pending();
                drop(guard);
                self.streams.receive(&header, inline, handles, truncated)?;
                self.streams.wake();
                if has_pending {
                    self.send_pending(reactor);
                }
                return Ok(ServerEvent::Other);
            }
            ServerEndEvent::Nothing => {}
            ServerEndEvent::Bye => {
                drop(guard);
                self.end(reactor, true);
                return Ok(ServerEvent::End);
            }
        }
        // Any frame may have released the shared memory that a pending reply needs.
        let has_pending = shared.outbox.has_pending();
        drop(guard);
        if let Some(call) = cancelled {
            call.cancel();
        }
        if let Some((work, fault)) = refused {
            work.reply_fault(reactor, &fault);
        }
        // The stream of a refused call may have to be stopped later.
        if has_pending || self.streams.wants_room() {
            self.send_pending(reactor);
        }
        Ok(taken)
    }

    /// Returns the objects, the registered handles and the streams of arguments. Keeps the handles
    /// that the client asks the server to keep, even if the call is refused.
    ///
    /// # Errors
    /// Returns the arguments of a call that is refused: `refused`, or those for another reason.
    #[cold]
    fn objects(
        self: &Arc<Self>,
        shared: &mut SharedState,
        reactor: &Arc<Reactor>,
        (entries, streams): (&Entries, Vec<UnclaimedStream>),
        (handles, are_lost): (&mut ReceivedHandles, bool),
        mut refused: Option<Arguments>,
    ) -> Result<MessageObjects, Arguments> {
        // The owner of an object may withdraw it now. These references keep the destructors of the
        // objects from running here, where the connection is locked.
        let mut targets = Vec::new();
        let mut all = handles.take_all().into_iter();
        let mut objects = MessageObjects::with_capacity(entries.len());
        let keeps = self.slots(shared).is_some();
        for entry in entries.iter() {
            let object = match entry {
                Entry::Handle => {
                    handles.extend(all.next());
                    Ok(None)
                }
                Entry::HandleToKeep(_) if !keeps => {
                    handles.extend(all.next());
                    Ok(None)
                }
                Entry::HandleToKeep(token) => match all.next().filter(|_| !are_lost) {
                    Some(handle) => match self.keep(shared, reactor, token, handle) {
                        Ok(kept) => Ok(Some(kept as MessageObject)),
                        Err(handle) => {
                            handles.push(handle);
                            Ok(None)
                        }
                    },
                    None => {
                        self.slots.decline(token);
                        Ok(None)
                    }
                },
                Entry::Slot(slot) => match self.slots.get(slot) {
                    Some(kept) => Ok(Some(kept as MessageObject)),
                    None => Err(Arguments::NoObject(MissingObject::SlotGone)),
                },
                Entry::Stream(_) => Ok(None),
                Entry::Object(number) => {
                    self.received_object(shared, reactor, number, &mut targets).map(Some)
                }
            };
            match object {
                Ok(object) => objects.push(object),
                // The other entries are looked at too, because each request has an answer.
                Err(arguments) => refused = refused.or(Some(arguments)),
            }
        }
        handles.extend(all);
        // Before the reply, so that the client knows why a slot is gone.
        self.send_notes();
        if let Some(refused) = refused {
            return Err(refused);
        }
        // The streams of a refused call get no readers, because the drop of a reader may lock the
        // connection.
        let of_stream = |entry: &Entry| matches!(entry, Entry::Stream(_));
        let places = objects.iter_mut().zip(entries.iter()).filter(|(_, entry)| of_stream(entry));
        for ((object, _), stream) in places.zip(streams) {
            *object = self.received_stream(reactor, stream);
        }
        Ok(objects)
    }

    /// Returns the object that the client has passed back by its number, and adds a reference to
    /// `targets`.
    ///
    /// # Errors
    /// Returns the arguments of a call that is refused for this reason.
    fn received_object(
        &self,
        shared: &SharedState,
        reactor: &Arc<Reactor>,
        number: u32,
        targets: &mut Vec<Arc<ClientObject>>,
    ) -> Result<MessageObject, Arguments> {
        let target = match number {
            0 => self.object.clone(),
            number => shared.objects.get(number).map_err(Arguments::NoObject)?,
        };
        targets.push(target.clone());
        let object = target.object();
        let object = object.ok_or(Arguments::NoObject(MissingObject::Unknown(number)))?;
        let object = (object, target.holders());
        let received = ServedObject::received(reactor, &self.session.quota, object);
        Ok(Arc::new(ReceivedObject(Arc::new(received.map_err(Arguments::PastLimit)?))))
    }

    /// Releases objects to which the client no longer refers: a few of them on this thread.
    fn release_objects(
        &self,
        context: LoopContext<'_>,
        mut unused: Vec<Arc<ClientObject>>,
    ) -> ServerEvent {
        if unused.is_empty() {
            return ServerEvent::Other;
        }
        let (reactor, quota) = (context.reactor, &self.session.quota);
        let Some(running) = context.try_start_unknown(quota) else {
            release_beside(reactor, quota, unused.into_iter());
            return ServerEvent::Other;
        };
        let later = unused.split_off(unused.len().min(RELEASED_AT_ONCE));
        release_beside(reactor, quota, later.into_iter());
        release_here(reactor, unused);
        match running.end() {
            true => ServerEvent::Other,
            false => ServerEvent::Lost,
        }
    }

    /// Finds or creates the object that the client names. Creating it runs user code.
    fn start_to_open(
        self: &Arc<Self>,
        context: LoopContext<'_>,
        hello: Hello,
        classes: Option<Arc<Classes>>,
    ) -> ServerEvent {
        let (reactor, quota) = (context.reactor, &self.session.quota);
        let Some(running) = context.try_start_unknown(quota) else {
            let connection = self.clone();
            reactor.run_beside(UserCode::boxed(quota, move |reactor| {
                connection.open_or_refuse(reactor, hello, classes.as_deref());
            }));
            return ServerEvent::Other;
        };
        let is_open = self.open_or_refuse(reactor, hello, classes.as_deref());
        match (running.end(), is_open) {
            (false, _) => ServerEvent::Lost,
            (true, true) => ServerEvent::Other,
            (true, false) => ServerEvent::End,
        }
    }

    /// Finds or creates the object that the client names. Ends the connection and returns `false`
    /// if that fails.
    fn open_or_refuse(
        &self,
        reactor: &Arc<Reactor>,
        hello: Hello,
        classes: Option<&Classes>,
    ) -> bool {
        let opened = self.open(reactor, hello, classes);
        if let Err(fault) = &opened {
            self.refuse(reactor, fault);
        }
        opened.is_ok()
    }

    fn open(
        &self,
        reactor: &Arc<Reactor>,
        Hello { clsid, iid, .. }: Hello,
        classes: Option<&Classes>,
    ) -> Result<(), Fault> {
        if self.object.object().is_none() {
            let classes = classes.ok_or(Fault::NoSuchClass(clsid))?;
            self.object.set(classes.make(clsid)?);
        } else if clsid != Guid::NIL {
            return Err(Fault::NoSuchClass(clsid));
        }
        let interface = self.object.object().and_then(|object| object.interface(iid));
        let interface = interface.ok_or(Fault::NoSuchInterface(iid))?;
        self.object.set_interface(interface, reactor);
        let mut shared = self.shared();
        shared.state.opened();
        self.watch_in_loop(shared, reactor);
        Ok(())
    }
}
