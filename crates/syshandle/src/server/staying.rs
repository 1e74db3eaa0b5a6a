//! A thread that is dedicated to one client, which calls repeatedly.
//!
//! The thread sleeps in the system call that receives, which is the cheapest way to wait, and has
//! given its loop to another thread. Only such a thread receives several frames at once, batches
//! replies, and waits for a background task beside its socket, because no other client waits for
//! it.

use std::sync::Arc;
use std::time::Duration;

use syshandle_os::Readable;

use super::connection::Connection;
use super::inbox::Crowd;
use super::jobs::Job;
use super::reactor::Reactor;
use super::receiving::{Acted, Frame, Run};
use super::sentinel::{Held, Post};
use crate::sync::{now, wait_until};

/// The events that a dedicated thread waits for.
enum WaitsFor {
    Calls,
    /// Calls and a background task, for which this thread waits directly.
    CallsAnd(Arc<Job>),
    /// More than a dedicated thread can wait for, so the client returns to its loop.
    More,
}

impl Connection {
    /// Dedicates this thread to this client, which calls repeatedly, and has another thread run the
    /// loop. Returns `false` if that is not possible now. Otherwise returns `true` when the client
    /// has not called for some milliseconds, replies are pending, or there is more to wait for than
    /// a dedicated thread can.
    pub(crate) fn stay(self: Arc<Self>, reactor: &Arc<Reactor>, index: usize, post: &Post) -> bool {
        if self.session.jobs() > 0 || !reactor.crew.has_another() {
            return false;
        }
        let Some(_stay) = reactor.stay() else { return false };
        if !self.inbox.is_empty() {
            return false;
        }
        let mut state = self.state();
        if !self.leave_loop(&mut state, reactor) {
            return false;
        }
        state.stays = true;
        drop(state);
        post.hold(Held::Client(self.clone()));
        self.newest().attend();
        let mut waits_for = match reactor.crew.hand_over(reactor, index) {
            Ok(()) => WaitsFor::Calls,
            Err(_) => WaitsFor::More,
        };
        let mut crowd = Crowd::new();
        while !matches!(waits_for, WaitsFor::More) && !reactor.is_stopped() {
            if self.holds_replies() && self.inbox.is_empty() && !self.sends_held() {
                break;
            }
            waits_for = match self.receive_soon(waits_for, reactor, post, &mut crowd) {
                Frame::Call(work) => {
                    if matches!(self.run(work, reactor, post), Run::Lost) {
                        return true;
                    }
                    self.waits_for()
                }
                Frame::Job(job) => {
                    if self.holds_replies() {
                        self.send_held(&mut self.state());
                    }
                    if matches!(job.act(reactor, post), Acted::Lost) {
                        return true;
                    }
                    self.waits_for()
                }
                Frame::Other => self.waits_for(),
                Frame::End => {
                    self.leave_newest(reactor);
                    post.hold(Held::Nothing);
                    let _ = self.let_go(reactor, post);
                    return true;
                }
                Frame::Lost => return true,
                Frame::None => WaitsFor::More,
            };
            reactor.check_idle();
        }
        post.give_up(reactor);
        true
    }

    /// Returns the events that this dedicated thread has to wait for.
    fn waits_for(&self) -> WaitsFor {
        if !self.state().owed.is_empty() {
            return WaitsFor::More;
        }
        match self.session.jobs() {
            0 => WaitsFor::Calls,
            1 => self.newest().job().map_or(WaitsFor::More, WaitsFor::CallsAnd),
            _ => WaitsFor::More,
        }
    }

    /// Receives a frame within some milliseconds: spins for a short time and then sleeps.
    fn receive_soon(
        self: &Arc<Self>,
        waits_for: WaitsFor,
        reactor: &Arc<Reactor>,
        post: &Post,
        crowd: &mut Crowd,
    ) -> Frame {
        let count = if self.inbox.is_empty() { crowd.count() } else { 1 };
        let mut receive = |timeout| match count {
            1 => self.receive(reactor, post, timeout),
            _ => self.receive_several(reactor, post, timeout, (count, crowd)),
        };
        let mut spin_wait = self.start_spinning();
        while spin_wait.again() {
            let frame = match &waits_for {
                WaitsFor::CallsAnd(job) if job.take() => Frame::Job(job.clone()),
                _ => receive(None),
            };
            if !matches!(frame, Frame::None) {
                spin_wait.hit();
                return frame;
            }
        }
        match waits_for {
            WaitsFor::CallsAnd(job) if self.inbox.is_empty() => {
                self.receive_beside(job, reactor, post)
            }
            _ => receive(Some(STAY)),
        }
    }

    /// Waits some milliseconds for a frame or for the object of a background task.
    fn receive_beside(
        self: &Arc<Self>,
        job: Arc<Job>,
        reactor: &Arc<Reactor>,
        post: &Post,
    ) -> Frame {
        let Some(object) = job.object() else { return self.receive(reactor, post, Some(STAY)) };
        let socket = &self.link.socket;
        let waited = wait_until(now() + STAY, |until| socket.wait_readable_beside(&*object, until));
        match waited {
            Ok(Readable { object: true, .. }) => Frame::Job(job),
            Ok(Readable { socket: true, .. }) => self.receive(reactor, post, None),
            Ok(_) | Err(_) => Frame::None,
        }
    }

    /// Receives all waiting frames, up to `count`, and handles the first one.
    #[inline(never)]
    fn receive_several(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        post: &Post,
        timeout: Option<Duration>,
        (count, crowd): (usize, &mut Crowd),
    ) -> Frame {
        let received = self.inbox.receive(&self.session.quota, count, |batch, count| {
            self.link.receive_several(batch, count, timeout)
        });
        match received {
            None => self.receive(reactor, post, timeout),
            Some(Ok(found)) => {
                crowd.found(found);
                self.receive(reactor, post, None)
            }
            Some(Err(error)) => self.not_received(reactor, &error),
        }
    }
}

/// How long a thread stays dedicated to a client after a call.
const STAY: Duration = Duration::from_millis(5);
