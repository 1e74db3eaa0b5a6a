//! Checks all interleavings of starting clients and ending servers: promise 9 of
//! `docs/promises.md`.
//!
//! The model drives [`Step`] and [`IdleExitStep`] themselves, as the library does. It models the resources
//! that they use: a path, a lock, notes, sockets with their queues, and programs that serve, end,
//! hang or crash. Any step of a process may come between any two steps of another one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use stateright::{Checker, Model, Property};

use super::protocol::{Answer, Step};
use crate::idle_exit::IdleExitStep;

/// The size of a model.
#[derive(Clone, Copy, Debug)]
struct World {
    clients: usize,
    /// Number of activations per client.
    visits: u8,
    servers_max: usize,
    /// Number of times that a client is killed or a server crashes, at any step.
    crashes: u8,
    /// Number of programs that end at once, or hang, instead of serving.
    failures: u8,
    /// A step that is omitted from the protocol, to test that the check detects the omission.
    left_out: Option<LeftOut>,
}

/// A step that is skipped as if it had been taken with this answer.
#[derive(Clone, Copy, Debug)]
enum LeftOut {
    Step(Step, Answer),
    Leave(IdleExitStep),
}

impl World {
    /// Returns a client's next step.
    fn next(&self, step: Step, answer: Answer) -> Step {
        match (step.next(answer), self.left_out) {
            (next, Some(LeftOut::Step(left_out, as_if))) if next == left_out => next.next(as_if),
            (next, _) => next,
        }
    }

    /// Returns the next step of a server that ends.
    fn next_leave(&self, step: IdleExitStep, done: bool) -> IdleExitStep {
        self.without(step.next(done))
    }

    /// Returns this step, or the following one if this step is omitted.
    fn without(&self, step: IdleExitStep) -> IdleExitStep {
        match self.left_out {
            Some(LeftOut::Leave(left_out)) if step == left_out => step.next(true),
            _ => step,
        }
    }
}

/// The state of the whole model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// The socket at the path.
    path: Option<usize>,
    lock: Option<Who>,
    /// Whether the start note exists.
    starting: bool,
    /// Whether the failure note exists.
    failure: bool,
    clients: Vec<Client>,
    /// Servers. A server and its socket have the same index.
    servers: Vec<Server>,
    crashes: u8,
    failures: u8,
    /// The first violation of an invariant.
    wrong: Option<Wrong>,
}

/// The violations of invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wrong {
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
enum Who {
    Client(usize),
    Server(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Client {
    step: Step,
    link: Link,
    visits: u8,
    /// The socket that the client has created and not yet passed to a program.
    listens: Option<usize>,
    /// Whether the client has started a program in this activation.
    started: bool,
    is_dead: bool,
    /// Whether an activation ended without a connection.
    failed: bool,
}

/// The connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
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
struct Server {
    program: Program,
    /// Whether new connections are refused.
    is_shut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Program {
    /// Not started: the client has the socket.
    NotYet,
    /// Started, but has not taken its socket.
    Starts,
    /// Started, but never takes its socket.
    Hangs,
    Serves,
    /// Ends because it is idle.
    Leaves(IdleExitStep),
    Gone,
}

/// The possible transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A client takes its current step.
    Client(usize),
    /// A client starts a program that ends or hangs instead of serving.
    FailingSpawn(usize, Program),
    /// A client closes a connection that it no longer needs.
    Release(usize),
    /// A program takes its socket.
    Take(usize),
    /// A server accepts the first client in its queue.
    Greet(usize),
    /// An idle server begins to end, or takes its next step.
    Leave(usize),
    /// The failure note expires.
    Forget,
    Kill(Who),
}

impl State {
    /// A process has ended: closes its resources as the kernel does.
    fn close(&mut self, who: Who) {
        if self.lock == Some(who) {
            self.lock = None;
        }
        if let Who::Client(client) = who {
            let client = &mut self.clients[client];
            client.is_dead = true;
            client.link = Link::None;
            if let Some(socket) = client.listens.take() {
                self.drop_socket(socket);
            }
        }
        if let Who::Server(server) = who {
            self.drop_socket(server);
            for client in &mut self.clients {
                if client.link == Link::Greeted(server) {
                    client.link = Link::Lost;
                }
            }
        }
    }

    /// No process has the socket any more: disconnects the queued clients.
    fn drop_socket(&mut self, socket: usize) {
        self.servers[socket].program = Program::Gone;
        self.servers[socket].is_shut = true;
        self.drop_queue(socket);
    }

    fn drop_queue(&mut self, socket: usize) {
        for client in &mut self.clients {
            if client.link == Link::Queued(socket) {
                client.link = Link::Dropped;
            }
        }
    }

    fn is_used(&self, server: usize) -> bool {
        self.clients.iter().any(|client| client.link == Link::Greeted(server))
    }

    /// Connects, or returns the outcome of a pending connection. Returns `None` while the client
    /// waits.
    fn connect(&mut self, client: usize) -> Option<Answer> {
        match self.clients[client].link {
            Link::None => match self.path {
                Some(socket) if !self.servers[socket].is_shut => {
                    self.clients[client].link = Link::Queued(socket);
                    None
                }
                _ => Some(Answer::Nobody),
            },
            Link::Queued(socket) => {
                // The start note says that the start timeout has passed.
                let hangs = self.starting && self.servers[socket].program == Program::Hangs;
                hangs.then_some(Answer::Hangs)
            }
            Link::Greeted(_) => Some(Answer::Greeted),
            Link::Dropped => {
                self.clients[client].link = Link::None;
                Some(Answer::Nobody)
            }
            // A server that has greeted continues to serve, so the client counts as connected even
            // if that server crashed since.
            Link::Lost => Some(Answer::Greeted),
        }
    }

    /// Performs a client's current step. Returns `None` if the client must wait.
    fn take(&mut self, client: usize, world: World) -> Option<Answer> {
        let who = Who::Client(client);
        Some(match self.clients[client].step {
            Step::Connect | Step::ConnectAgain | Step::Meet => return self.connect(client),
            Step::TryLock => match self.lock {
                None => {
                    self.lock = Some(who);
                    Answer::Done
                }
                Some(_) => Answer::Busy,
            },
            Step::LookForFailure if self.failure => Answer::No,
            Step::LookForFailure | Step::Pause | Step::CheckConfinement => Answer::Done,
            Step::EndHung => {
                if let Link::Queued(server) = self.clients[client].link {
                    self.close(Who::Server(server));
                }
                self.clients[client].link = Link::None;
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
                self.wrong = Some(Wrong::Obstacle);
                Answer::No
            }
            Step::Listen if self.servers.len() == world.servers_max => return None,
            Step::Listen => {
                self.path = Some(self.servers.len());
                self.clients[client].listens = self.path;
                self.servers.push(Server { program: Program::NotYet, is_shut: false });
                Answer::Done
            }
            Step::Queue => {
                if let Some(socket) = self.clients[client].listens {
                    self.clients[client].link = Link::Queued(socket);
                }
                Answer::Done
            }
            Step::Spawn => {
                if self.failure {
                    self.wrong = Some(Wrong::StartedInSpiteOfNote);
                }
                self.clients[client].started = true;
                if let Some(socket) = self.clients[client].listens.take() {
                    self.servers[socket].program = Program::Starts;
                }
                Answer::Done
            }
            Step::Settle => {
                self.failure = false;
                self.starting = false;
                Answer::Done
            }
            Step::EndStarted => {
                if let Link::Queued(server) = self.clients[client].link {
                    self.close(Who::Server(server));
                }
                self.clients[client].link = Link::None;
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
    fn step(&mut self, client: usize, world: World) -> bool {
        let link = self.clients[client].link;
        let Some(answer) = self.take(client, world) else {
            return self.clients[client].link != link;
        };
        let step = world.next(self.clients[client].step, answer);
        self.clients[client].step = step;
        if answer == Answer::Hangs && step != Step::EndHung && step != Step::EndStarted {
            self.clients[client].link = Link::None;
        }
        if matches!(step, Step::Connected | Step::Failed) {
            self.look_for_wrong(client, step);
            if self.lock == Some(Who::Client(client)) {
                self.lock = None;
            }
            self.clients[client].failed |= step == Step::Failed;
        }
        true
    }

    /// Checks the invariants of a client that has reached its end, before it releases the lock.
    fn look_for_wrong(&mut self, client: usize, end: Step) {
        let Client { link, started, .. } = self.clients[client];
        let is_connected = matches!(link, Link::Greeted(_) | Link::Lost);
        let wrong = match end {
            Step::Connected if !is_connected => Wrong::NotConnected,
            Step::Failed if started && (self.path.is_some() || self.starting) => {
                Wrong::FailedAndLeft
            }
            Step::Failed if started && !self.failure => Wrong::FailedWithoutNote,
            _ => return,
        };
        self.wrong = Some(wrong);
    }

    /// Advances a server that ends by one step.
    fn leave(&mut self, server: usize, world: World) {
        let Program::Leaves(step) = self.servers[server].program else { return };
        let who = Who::Server(server);
        let done = match step {
            IdleExitStep::TryLock => {
                let free = self.lock.is_none();
                if free {
                    self.lock = Some(who);
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
        let next = world.next_leave(step, done);
        self.servers[server].program = match next {
            IdleExitStep::Stay => {
                if self.lock == Some(who) {
                    self.lock = None;
                }
                Program::Serves
            }
            IdleExitStep::End if step == IdleExitStep::End => {
                self.close(who);
                Program::Gone
            }
            next => Program::Leaves(next),
        };
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let client = Client {
            step: Step::FIRST,
            link: Link::None,
            visits: self.visits,
            listens: None,
            started: false,
            is_dead: false,
            failed: false,
        };
        vec![State {
            path: None,
            lock: None,
            starting: false,
            failure: false,
            clients: vec![client; self.clients],
            servers: Vec::new(),
            crashes: self.crashes,
            failures: self.failures,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, client) in state.clients.iter().enumerate().filter(|(_, c)| !c.is_dead) {
            match client.step {
                Step::Connected => actions.push(Action::Release(number)),
                Step::Failed => {}
                step => {
                    actions.push(Action::Client(number));
                    if step == Step::Spawn && state.failures > 0 {
                        actions.push(Action::FailingSpawn(number, Program::Gone));
                        actions.push(Action::FailingSpawn(number, Program::Hangs));
                    }
                }
            }
            if state.crashes > 0 && client.step != Step::Failed {
                actions.push(Action::Kill(Who::Client(number)));
            }
        }
        for (number, server) in state.servers.iter().enumerate() {
            match server.program {
                Program::Starts => actions.push(Action::Take(number)),
                Program::Serves => {
                    actions.extend([Action::Greet(number), Action::Leave(number)]);
                }
                // A server accepts clients until it has checked for activity.
                Program::Leaves(IdleExitStep::TryLock | IdleExitStep::Look) => {
                    actions.extend([Action::Greet(number), Action::Leave(number)]);
                }
                Program::Leaves(_) => actions.push(Action::Leave(number)),
                Program::NotYet | Program::Hangs | Program::Gone => continue,
            }
            if state.crashes > 0 {
                actions.push(Action::Kill(Who::Server(number)));
            }
        }
        if state.failure {
            actions.push(Action::Forget);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Client(client) => {
                state.step(client, *self);
            }
            Action::FailingSpawn(client, program) => {
                let socket = state.clients[client].listens?;
                state.failures -= 1;
                state.step(client, *self);
                match program {
                    Program::Gone => state.close(Who::Server(socket)),
                    program => state.servers[socket].program = program,
                }
            }
            Action::Release(client) => {
                let client = &mut state.clients[client];
                client.visits -= 1;
                client.link = Link::None;
                if client.visits > 0 {
                    client.step = Step::FIRST;
                    client.started = false;
                } else {
                    client.is_dead = true;
                }
            }
            Action::Take(server) => {
                state.servers[server].program = Program::Serves;
                state.starting = false;
            }
            Action::Greet(server) => {
                let queued = |client: &&mut Client| client.link == Link::Queued(server);
                state.clients.iter_mut().find(queued)?.link = Link::Greeted(server);
            }
            Action::Leave(server) => match state.servers[server].program {
                Program::Serves if !last.is_used(server) => {
                    let first = self.without(IdleExitStep::TryLock);
                    state.servers[server].program = Program::Leaves(first);
                }
                Program::Serves => return None,
                _ => state.leave(server, *self),
            },
            Action::Forget => state.failure = false,
            Action::Kill(who) => {
                state.crashes -= 1;
                state.close(who);
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one server lets clients in", |_, state: &State| {
                let open = |server: &&Server| {
                    matches!(server.program, Program::Starts | Program::Serves) && !server.is_shut
                };
                state.servers.iter().filter(open).count() <= 1
            }),
            Property::always(
                "no client is connected to a server that ended",
                |world: &Self, state: &State| {
                    let lost = state.clients.iter().any(|client| client.link == Link::Lost);
                    !lost || state.crashes < world.crashes
                },
            ),
            Property::always(
                "no client fails without a failing server",
                |world: &Self, state: &State| {
                    let something =
                        state.crashes < world.crashes || state.failures < world.failures;
                    something || state.clients.iter().all(|client| !client.failed)
                },
            ),
            Property::always(
                "a hanging server is ended before another one serves",
                |_, state: &State| {
                    let has =
                        |program| state.servers.iter().any(|server| server.program == program);
                    !(has(Program::Hangs) && has(Program::Serves))
                },
            ),
            Property::always("no step finds or leaves what it never should", |_, state: &State| {
                state.wrong.is_none()
            }),
            Property::always("an orderly end leaves no socket", |world: &Self, state: &State| {
                let something = state.crashes < world.crashes || state.failures < world.failures;
                let is_gone = |server: usize| state.servers[server].program == Program::Gone;
                something || !state.path.is_some_and(is_gone)
            }),
            Property::always("the path leads to the serving process", |_, state: &State| {
                state.servers.iter().enumerate().all(|(number, server)| {
                    server.program != Program::Serves || state.path == Some(number)
                })
            }),
        ]
    }
}

/// Checks the invariants in all states, and that every process can finish from every state.
fn check(world: World) {
    let checker = world.checker().spawn_bfs().join();
    let states = checker.unique_state_count();
    checker.assert_properties();
    println!("{world:?}: {states} states");
    assert!(states > 100, "the model is run");
    find_wrong(world).unwrap_or_else(|wrong| panic!("{world:?}: {wrong}"));
}

/// Searches for a state that violates an invariant, and then for a state from which some client
/// can never finish.
fn find_wrong(world: World) -> Result<(), String> {
    let properties = world.properties();
    let mut places = HashMap::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut ends = VecDeque::new();
    let mut all = world.init_states();
    places.insert(all[0].clone(), 0);
    before.push(Vec::new());
    let mut place = 0;
    while place < all.len() {
        let state = all[place].clone();
        let broken = properties.iter().find(|is| !(is.condition)(&world, &state));
        if let Some(Property { name, .. }) = broken {
            return Err(format!("not so: {name}: {state:?}"));
        }
        if state.clients.iter().all(|client| client.is_dead || client.step == Step::Failed) {
            ends.push_back(place);
        }
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        for next in actions.into_iter().filter_map(|action| world.next_state(&state, action)) {
            let number = *places.entry(next.clone()).or_insert(all.len());
            if number == all.len() {
                all.push(next);
                before.push(Vec::new());
            }
            before[number].push(place);
        }
        place += 1;
    }
    let mut ends_well = vec![false; all.len()];
    while let Some(place) = ends.pop_front() {
        if !std::mem::replace(&mut ends_well[place], true) {
            ends.extend(&before[place]);
        }
    }
    // A client may wait for a socket when the model has no more of them. This is a limit of the
    // model.
    let is_full = |state: &State| state.servers.len() == world.servers_max;
    let stuck = all.iter().zip(&ends_well).find(|(state, well)| !**well && !is_full(state));
    match stuck {
        None => Ok(()),
        Some((state, _)) => Err(format!("no step is possible from here: {state:?}")),
    }
}

#[test]
fn clients_that_come_and_a_server_that_goes_lose_no_call_in_any_order() {
    check(World { clients: 2, visits: 3, servers_max: 6, crashes: 0, failures: 0, ..SOUND });
    check(World { clients: 4, visits: 1, servers_max: 4, crashes: 0, failures: 0, ..SOUND });
}

#[test]
fn a_process_that_dies_at_any_step_leaves_no_obstacle_in_any_order() {
    check(World { clients: 2, visits: 2, servers_max: 6, crashes: 2, failures: 0, ..SOUND });
    check(World { clients: 3, visits: 1, servers_max: 5, crashes: 2, failures: 0, ..SOUND });
}

#[test]
fn programs_that_end_or_hang_are_told_and_replaced_in_any_order() {
    check(World { clients: 2, visits: 2, servers_max: 6, crashes: 0, failures: 2, ..SOUND });
    check(World { clients: 3, visits: 1, servers_max: 6, crashes: 1, failures: 2, ..SOUND });
}

/// The unmodified protocol.
const SOUND: World =
    World { clients: 0, visits: 0, servers_max: 0, crashes: 0, failures: 0, left_out: None };

#[test]
fn a_step_that_is_left_out_is_missed() {
    // Four steps can be omitted without an effect in this model. `Pause` only saves time.
    // `CheckConfinement` concerns a single process. Without `Queue`, the client connects after the
    // program runs. `Settle` only removes notes that are obsolete.
    let steps = [
        (Step::TryLock, Answer::Done),
        (Step::LookForFailure, Answer::Done),
        (Step::ConnectAgain, Answer::Nobody),
        (Step::EndHung, Answer::Done),
        (Step::RemoveOld, Answer::Done),
        (Step::NoteStart, Answer::Done),
        (Step::Listen, Answer::Done),
        (Step::Spawn, Answer::Done),
        (Step::Meet, Answer::Greeted),
        (Step::EndStarted, Answer::Done),
        (Step::RemoveFailed, Answer::Done),
        (Step::NoteFailure, Answer::Done),
    ];
    // `ShutDown` and `DropQueue` only anticipate what the kernel does when the server ends.
    let leaves = [IdleExitStep::TryLock, IdleExitStep::Look, IdleExitStep::RemoveSocket];
    let steps = steps.map(|(step, answer)| LeftOut::Step(step, answer));
    for left_out in steps.into_iter().chain(leaves.map(LeftOut::Leave)) {
        // The failures that must occur for the step to be needed.
        use Step::{
            EndHung, EndStarted, LookForFailure, NoteFailure, NoteStart, RemoveFailed, RemoveOld,
        };
        let (crashes, failures) = match left_out {
            LeftOut::Step(RemoveOld, _) => (1, 0),
            LeftOut::Step(EndHung, _) => (1, 1),
            LeftOut::Step(EndStarted | LookForFailure | NoteFailure | NoteStart, _) => (0, 1),
            LeftOut::Step(RemoveFailed, _) => (0, 1),
            _ => (0, 0),
        };
        let left_out = Some(left_out);
        let world = World { clients: 2, visits: 2, servers_max: 4, crashes, failures, left_out };
        let missed = find_wrong(world);
        let missed = missed.err().unwrap_or_else(|| panic!("{left_out:?} is missed by nobody"));
        println!("{left_out:?}: {}", missed.split(": State").next().unwrap_or_default());
    }
}
