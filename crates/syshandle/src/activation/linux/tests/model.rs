//! The model: its size, its transitions and its invariants.

use stateright::{Model, Property};

use super::super::protocol::{Answer, Step};
use super::state::{ModelClient, ModelLink, ModelServer, ModelState, ProcessRef, ProgramState};
use crate::idle_exit::IdleExitStep;

/// The size of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct ActivationModel {
    pub(super) clients: usize,
    /// Number of activations per client.
    pub(super) visits: u8,
    pub(super) servers_max: usize,
    /// Number of times that a client is killed or a server crashes, at any step.
    pub(super) crashes: u8,
    /// Number of programs that end at once, or hang, instead of serving.
    pub(super) failures: u8,
    /// A step that is omitted from the protocol, to test that the check detects the omission.
    pub(super) omitted: Option<OmittedStep>,
}

/// A step that is skipped as if it had been taken with this answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum OmittedStep {
    Step(Step, Answer),
    IdleExit(IdleExitStep),
}

impl ActivationModel {
    /// Returns a client's next step.
    pub(super) fn next(&self, step: Step, answer: Answer) -> Step {
        match (step.next(answer), self.omitted) {
            (next, Some(OmittedStep::Step(omitted, as_if))) if next == omitted => next.next(as_if),
            (next, _) => next,
        }
    }

    /// Returns the next step of a server that ends.
    pub(super) fn next_exit_step(&self, step: IdleExitStep, done: bool) -> IdleExitStep {
        self.without(step.next(done))
    }

    /// Returns this step, or the following one if this step is omitted.
    pub(super) fn without(&self, step: IdleExitStep) -> IdleExitStep {
        match self.omitted {
            Some(OmittedStep::IdleExit(omitted)) if step == omitted => step.next(true),
            _ => step,
        }
    }
}

/// The possible transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// A client takes its current step.
    Client(usize),
    /// A client starts a program that ends or hangs instead of serving.
    FailingSpawn(usize, ProgramState),
    /// A client closes a connection that it no longer needs.
    Release(usize),
    /// A program takes its socket.
    Take(usize),
    /// A server accepts the first client in its queue.
    Greet(usize),
    /// An idle server begins to end, or takes its next step.
    IdleExit(usize),
    /// The failure note expires.
    Forget,
    Kill(ProcessRef),
}

impl Model for ActivationModel {
    type State = ModelState;
    type Action = Transition;

    fn init_states(&self) -> Vec<ModelState> {
        let client = ModelClient {
            step: Step::FIRST,
            link: ModelLink::None,
            visits: self.visits,
            listens: None,
            started: false,
            is_dead: false,
            failed: false,
        };
        vec![ModelState {
            path: None,
            lock: None,
            starting: false,
            failure: false,
            clients: vec![client; self.clients],
            servers: Vec::new(),
            crashes: self.crashes,
            failures: self.failures,
            violation: None,
        }]
    }

    fn actions(&self, state: &ModelState, actions: &mut Vec<Transition>) {
        for (number, client) in state.clients.iter().enumerate().filter(|(_, c)| !c.is_dead) {
            match client.step {
                Step::Connected => actions.push(Transition::Release(number)),
                Step::Failed => {}
                step => {
                    actions.push(Transition::Client(number));
                    if step == Step::Spawn && state.failures > 0 {
                        actions.push(Transition::FailingSpawn(number, ProgramState::Gone));
                        actions.push(Transition::FailingSpawn(number, ProgramState::Hangs));
                    }
                }
            }
            if state.crashes > 0 && client.step != Step::Failed {
                actions.push(Transition::Kill(ProcessRef::Client(number)));
            }
        }
        for (number, server) in state.servers.iter().enumerate() {
            match server.program {
                ProgramState::Starts => actions.push(Transition::Take(number)),
                ProgramState::Serves => {
                    actions.extend([Transition::Greet(number), Transition::IdleExit(number)]);
                }
                // A server accepts clients until it has checked for activity.
                ProgramState::Exits(IdleExitStep::TryLock | IdleExitStep::Look) => {
                    actions.extend([Transition::Greet(number), Transition::IdleExit(number)]);
                }
                ProgramState::Exits(_) => actions.push(Transition::IdleExit(number)),
                ProgramState::NotYet | ProgramState::Hangs | ProgramState::Gone => continue,
            }
            if state.crashes > 0 {
                actions.push(Transition::Kill(ProcessRef::Server(number)));
            }
        }
        if state.failure {
            actions.push(Transition::Forget);
        }
    }

    fn next_state(&self, last: &ModelState, action: Transition) -> Option<ModelState> {
        let mut state = last.clone();
        match action {
            Transition::Client(client) => {
                state.step(client, *self);
            }
            Transition::FailingSpawn(client, program) => {
                let socket = state.clients[client].listens?;
                state.failures -= 1;
                state.step(client, *self);
                match program {
                    ProgramState::Gone => state.close(ProcessRef::Server(socket)),
                    program => state.servers[socket].program = program,
                }
            }
            Transition::Release(client) => {
                let client = &mut state.clients[client];
                client.visits -= 1;
                client.link = ModelLink::None;
                if client.visits > 0 {
                    client.step = Step::FIRST;
                    client.started = false;
                } else {
                    client.is_dead = true;
                }
            }
            Transition::Take(server) => {
                state.servers[server].program = ProgramState::Serves;
                state.starting = false;
            }
            Transition::Greet(server) => {
                let queued = |client: &&mut ModelClient| client.link == ModelLink::Queued(server);
                state.clients.iter_mut().find(queued)?.link = ModelLink::Greeted(server);
            }
            Transition::IdleExit(server) => match state.servers[server].program {
                ProgramState::Serves if !last.is_used(server) => {
                    let first = self.without(IdleExitStep::TryLock);
                    state.servers[server].program = ProgramState::Exits(first);
                }
                ProgramState::Serves => return None,
                _ => state.advance_exit(server, *self),
            },
            Transition::Forget => state.failure = false,
            Transition::Kill(process) => {
                state.crashes -= 1;
                state.close(process);
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one server lets clients in", |_, state: &ModelState| {
                let open = |server: &&ModelServer| {
                    matches!(server.program, ProgramState::Starts | ProgramState::Serves)
                        && !server.is_shut
                };
                state.servers.iter().filter(open).count() <= 1
            }),
            Property::always(
                "no client is connected to a server that ended",
                |model: &Self, state: &ModelState| {
                    let lost = state.clients.iter().any(|client| client.link == ModelLink::Lost);
                    !lost || state.crashes < model.crashes
                },
            ),
            Property::always(
                "no client fails without a failing server",
                |model: &Self, state: &ModelState| {
                    let something =
                        state.crashes < model.crashes || state.failures < model.failures;
                    something || state.clients.iter().all(|client| !client.failed)
                },
            ),
            Property::always(
                "a hanging server is ended before another one serves",
                |_, state: &ModelState| {
                    let has =
                        |program| state.servers.iter().any(|server| server.program == program);
                    !(has(ProgramState::Hangs) && has(ProgramState::Serves))
                },
            ),
            Property::always(
                "no step finds or leaves what it never should",
                |_, state: &ModelState| state.violation.is_none(),
            ),
            Property::always(
                "an orderly end leaves no socket",
                |model: &Self, state: &ModelState| {
                    let something =
                        state.crashes < model.crashes || state.failures < model.failures;
                    let is_gone =
                        |server: usize| state.servers[server].program == ProgramState::Gone;
                    something || !state.path.is_some_and(is_gone)
                },
            ),
            Property::always("the path leads to the serving process", |_, state: &ModelState| {
                state.servers.iter().enumerate().all(|(number, server)| {
                    server.program != ProgramState::Serves || state.path == Some(number)
                })
            }),
        ]
    }
}
