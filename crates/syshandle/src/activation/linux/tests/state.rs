//! The state of the model: processes, sockets and notes, and the effect of each step on them.

use super::super::protocol::{Answer, Step};
use super::model::ActivationModel;
use crate::idle_exit::IdleExitStep;

/// The state of the whole model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModelState {
    /// The socket at the path.
    pub(super) path: Option<usize>,
    pub(super) lock: Option<ProcessRef>,
    /// Whether the start note exists.
    pub(super) starting: bool,
    /// Whether the failure note exists.
    pub(super) failure: bool,
    pub(super) clients: Vec<ModelClient>,
    /// Servers. A server and its socket have the same index.
    pub(super) servers: Vec<ModelServer>,
    pub(super) crashes: u8,
    pub(super) failures: u8,
    /// The first violation of an invariant.
    pub(super) violation: Option<Violation>,
}

/// The violations of invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Violation {
    /// A client creates its socket although the path exists.
    Obstacle,
    /// A program is started although the failure note says that a start has just failed.
    StartedInSpiteOfNote,
    /// A client whose start failed left the socket or the start note.
    FailedAndLeft,
    /// A client whose start failed left no failure note.
    FailedWithoutNote,
    /// A client finishes as connected without a connection.
    NotConnected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ProcessRef {
    Client(usize),
    Server(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModelClient {
    pub(super) step: Step,
    pub(super) link: ModelLink,
    pub(super) visits: u8,
    /// The socket that the client has created and not yet passed to a program.
    pub(super) listens: Option<usize>,
    /// Whether the client has started a program in this activation.
    pub(super) started: bool,
    pub(super) is_dead: bool,
    /// Whether an activation ended without a connection.
    pub(super) failed: bool,
}

/// The connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ModelLink {
    None,
    Queued(usize),
    Greeted(usize),
    /// The server closed the connection before the greeting.
    Dropped,
    /// The server greeted and has ended since.
    Lost,
}

/// A socket and the program that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModelServer {
    pub(super) program: ProgramState,
    /// Whether new connections are refused.
    pub(super) is_shut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ProgramState {
    /// Not started: the client has the socket.
    NotYet,
    /// Started, but has not taken its socket.
    Starts,
    /// Started, but never takes its socket.
    Hangs,
    Serves,
    /// Ends because it is idle.
    Exits(IdleExitStep),
    Gone,
}

impl ModelState {
    /// A process has ended: closes its resources as the kernel does.
    pub(super) fn close(&mut self, process: ProcessRef) {
        if self.lock == Some(process) {
            self.lock = None;
        }
        if let ProcessRef::Client(client) = process {
            let client = &mut self.clients[client];
            client.is_dead = true;
            client.link = ModelLink::None;
            if let Some(socket) = client.listens.take() {
                self.drop_socket(socket);
            }
        }
        if let ProcessRef::Server(server) = process {
            self.drop_socket(server);
            for client in &mut self.clients {
                if client.link == ModelLink::Greeted(server) {
                    client.link = ModelLink::Lost;
                }
            }
        }
    }

    /// No process has the socket any more: disconnects the queued clients.
    fn drop_socket(&mut self, socket: usize) {
        self.servers[socket].program = ProgramState::Gone;
        self.servers[socket].is_shut = true;
        self.drop_queue(socket);
    }

    fn drop_queue(&mut self, socket: usize) {
        for client in &mut self.clients {
            if client.link == ModelLink::Queued(socket) {
                client.link = ModelLink::Dropped;
            }
        }
    }

    pub(super) fn is_used(&self, server: usize) -> bool {
        self.clients.iter().any(|client| client.link == ModelLink::Greeted(server))
    }

    /// Connects, or returns the outcome of a pending connection. Returns `None` while the client
    /// waits.
    fn connect(&mut self, client: usize) -> Option<Answer> {
        match self.clients[client].link {
            ModelLink::None => match self.path {
                Some(socket) if !self.servers[socket].is_shut => {
                    self.clients[client].link = ModelLink::Queued(socket);
                    None
                }
                _ => Some(Answer::Nobody),
            },
            ModelLink::Queued(socket) => {
                // The start note says that the start timeout has passed.
                let hangs = self.starting && self.servers[socket].program == ProgramState::Hangs;
                hangs.then_some(Answer::Hangs)
            }
            ModelLink::Greeted(_) => Some(Answer::Greeted),
            ModelLink::Dropped => {
                self.clients[client].link = ModelLink::None;
                Some(Answer::Nobody)
            }
            // A server that has greeted continues to serve, so the client counts as connected even
            // if that server crashed since.
            ModelLink::Lost => Some(Answer::Greeted),
        }
    }

    /// Performs a client's current step. Returns `None` if the client must wait.
    pub(super) fn perform(&mut self, client: usize, model: ActivationModel) -> Option<Answer> {
        let process = ProcessRef::Client(client);
        Some(match self.clients[client].step {
            Step::Connect | Step::ConnectAgain | Step::Meet => return self.connect(client),
            Step::TryLock => match self.lock {
                None => {
                    self.lock = Some(process);
                    Answer::Done
                }
                Some(_) => Answer::Busy,
            },
            Step::LookForFailure if self.failure => Answer::No,
            Step::LookForFailure | Step::Pause | Step::CheckConfinement => Answer::Done,
            Step::EndHung => {
                if let ModelLink::Queued(server) = self.clients[client].link {
                    self.close(ProcessRef::Server(server));
                }
                self.clients[client].link = ModelLink::None;
                Answer::Done
            }
            Step::RemoveOld | Step::RemoveFailed => {
                self.path = None;
                if self.clients[client].step == Step::RemoveFailed {
                    self.starting = false;
                }
                Answer::Done
            }
            Step::NoteStart => {
                self.starting = true;
                Answer::Done
            }
            Step::Listen if self.path.is_some() => {
                self.violation = Some(Violation::Obstacle);
                Answer::No
            }
            Step::Listen if self.servers.len() == model.servers_max => return None,
            Step::Listen => {
                self.path = Some(self.servers.len());
                self.clients[client].listens = self.path;
                self.servers.push(ModelServer { program: ProgramState::NotYet, is_shut: false });
                Answer::Done
            }
            Step::Queue => {
                if let Some(socket) = self.clients[client].listens {
                    self.clients[client].link = ModelLink::Queued(socket);
                }
                Answer::Done
            }
            Step::Spawn => {
                if self.failure {
                    self.violation = Some(Violation::StartedInSpiteOfNote);
                }
                self.clients[client].started = true;
                if let Some(socket) = self.clients[client].listens.take() {
                    self.servers[socket].program = ProgramState::Starts;
                }
                Answer::Done
            }
            Step::Settle => {
                self.failure = false;
                self.starting = false;
                Answer::Done
            }
            Step::EndStarted => {
                if let ModelLink::Queued(server) = self.clients[client].link {
                    self.close(ProcessRef::Server(server));
                }
                self.clients[client].link = ModelLink::None;
                Answer::Done
            }
            Step::NoteFailure => {
                self.failure = true;
                Answer::Done
            }
            Step::Connected | Step::Failed => return None,
        })
    }

    /// Advances a client by one step. Returns `false` if the client must wait.
    pub(super) fn step(&mut self, client: usize, model: ActivationModel) -> bool {
        let link = self.clients[client].link;
        let Some(answer) = self.perform(client, model) else {
            return self.clients[client].link != link;
        };
        let step = model.next(self.clients[client].step, answer);
        self.clients[client].step = step;
        if answer == Answer::Hangs && step != Step::EndHung && step != Step::EndStarted {
            self.clients[client].link = ModelLink::None;
        }
        if matches!(step, Step::Connected | Step::Failed) {
            self.check_invariants(client, step);
            if self.lock == Some(ProcessRef::Client(client)) {
                self.lock = None;
            }
            self.clients[client].failed |= step == Step::Failed;
        }
        true
    }

    /// Checks the invariants of a client that has reached its end, before it releases the lock.
    fn check_invariants(&mut self, client: usize, end: Step) {
        let ModelClient { link, started, .. } = self.clients[client];
        let is_connected = matches!(link, ModelLink::Greeted(_) | ModelLink::Lost);
        let violation = match end {
            Step::Connected if !is_connected => Violation::NotConnected,
            Step::Failed if started && (self.path.is_some() || self.starting) => {
                Violation::FailedAndLeft
            }
            Step::Failed if started && !self.failure => Violation::FailedWithoutNote,
            _ => return,
        };
        self.violation = Some(violation);
    }

    /// Advances a server that ends by one step.
    pub(super) fn advance_exit(&mut self, server: usize, model: ActivationModel) {
        let ProgramState::Exits(step) = self.servers[server].program else { return };
        let process = ProcessRef::Server(server);
        let done = match step {
            IdleExitStep::TryLock => {
                let free = self.lock.is_none();
                if free {
                    self.lock = Some(process);
                }
                free
            }
            IdleExitStep::Look => !self.is_used(server),
            IdleExitStep::RemoveSocket => {
                // A server removes only its own socket.
                if self.path == Some(server) {
                    self.path = None;
                }
                true
            }
            IdleExitStep::ShutDown => {
                self.servers[server].is_shut = true;
                true
            }
            IdleExitStep::DropQueue => {
                self.drop_queue(server);
                true
            }
            IdleExitStep::End | IdleExitStep::Stay => true,
        };
        let next = model.next_exit_step(step, done);
        self.servers[server].program = match next {
            IdleExitStep::Stay => {
                if self.lock == Some(process) {
                    self.lock = None;
                }
                ProgramState::Serves
            }
            IdleExitStep::End if step == IdleExitStep::End => {
                self.close(process);
                ProgramState::Gone
            }
            next => ProgramState::Exits(next),
        };
    }
}
