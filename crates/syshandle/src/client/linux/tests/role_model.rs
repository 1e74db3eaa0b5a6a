//! Drives the receiver role in every order of the steps of its users: two threads, two tasks, their
//! driver and a server. Every reply that the server has sent must reach its waiter.

use std::collections::HashSet;

use crate::client::linux::role::{ReceiverRole, Successor};

const THREADS: u8 = 2;
const WAITERS: u8 = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    role: ReceiverRole<u8>,
    /// The replies that the server has not sent yet.
    unsent: Vec<u8>,
    /// The frames in the socket.
    socket: Vec<u8>,
    has_result: [bool; WAITERS as usize],
    threads: [ThreadStep; THREADS as usize],
    tasks: [TaskStep; (WAITERS - THREADS) as usize],
    driver: DriverStep,
    /// Whether the kernel has reported frames that the driver has not looked at.
    is_reported: bool,
    is_called: bool,
    /// How many threads may still give up.
    give_ups: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ThreadStep {
    Looks,
    Receives,
    Sleeps,
    Woken,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum TaskStep {
    Polls,
    Waits,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum DriverStep {
    Idle,
    /// The driver has read these frames, and still has the role.
    Read(Vec<u8>),
}

impl World {
    fn new(give_ups: u8) -> Self {
        Self {
            role: ReceiverRole::default(),
            unsent: (0..WAITERS).collect(),
            socket: Vec::new(),
            has_result: [false; WAITERS as usize],
            threads: [ThreadStep::Looks; THREADS as usize],
            tasks: [TaskStep::Polls; (WAITERS - THREADS) as usize],
            driver: DriverStep::Idle,
            is_reported: false,
            is_called: false,
            give_ups,
        }
    }

    fn is_done(&self) -> bool {
        self.threads.iter().all(|step| *step == ThreadStep::Gone)
            && self.tasks.iter().all(|step| *step == TaskStep::Done)
    }

    /// Returns the states after each possible step.
    fn next(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |step: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            step(&mut next);
            all.push(next);
        };
        for place in 0..self.unsent.len() {
            add(&|world| {
                let reply = world.unsent.remove(place);
                world.socket.push(reply);
                world.is_reported = true;
            });
        }
        for thread in 0..THREADS {
            let step = self.threads[usize::from(thread)];
            match step {
                ThreadStep::Looks => add(&|world| world.look(thread)),
                ThreadStep::Woken => add(&|world| {
                    world.role.woke(&thread);
                    world.threads[usize::from(thread)] = ThreadStep::Looks;
                }),
                ThreadStep::Receives if !self.socket.is_empty() => add(&|world| {
                    let reply = world.socket.remove(0);
                    world.role.leave();
                    world.threads[usize::from(thread)] = ThreadStep::Looks;
                    world.deliver(reply);
                }),
                ThreadStep::Receives | ThreadStep::Sleeps | ThreadStep::Gone => {}
            }
            if self.give_ups > 0 && matches!(step, ThreadStep::Receives | ThreadStep::Sleeps) {
                add(&|world| {
                    world.give_ups -= 1;
                    match step {
                        ThreadStep::Receives => world.role.leave(),
                        _ => world.role.woke(&thread),
                    }
                    world.threads[usize::from(thread)] = ThreadStep::Gone;
                    world.hand_over();
                });
            }
        }
        for task in 0..self.tasks.len() {
            if self.tasks[task] == TaskStep::Polls {
                add(&|world| {
                    let has_result = world.has_result[task + usize::from(THREADS)];
                    world.tasks[task] = if has_result { TaskStep::Done } else { TaskStep::Waits };
                    world.is_called |= !has_result && world.role.needs_drivers();
                });
            }
        }
        match &self.driver {
            DriverStep::Idle if self.is_reported || self.is_called => add(&|world| {
                (world.is_reported, world.is_called) = (false, false);
                if world.role.enter_as_driver() {
                    world.driver = DriverStep::Read(std::mem::take(&mut world.socket));
                }
            }),
            DriverStep::Idle => {}
            DriverStep::Read(frames) => add(&|world| {
                world.driver = DriverStep::Idle;
                world.role.leave();
                frames.iter().for_each(|reply| world.deliver(*reply));
                world.hand_over();
            }),
        }
        all
    }

    fn look(&mut self, thread: u8) {
        let step = &mut self.threads[usize::from(thread)];
        if self.has_result[usize::from(thread)] {
            *step = ThreadStep::Gone;
            self.hand_over();
        } else if self.role.enter() {
            *step = ThreadStep::Receives;
        } else {
            *step = ThreadStep::Sleeps;
            self.role.sleep(thread, Some(thread.into()));
        }
    }

    fn deliver(&mut self, waiter: u8) {
        self.has_result[usize::from(waiter)] = true;
        if let Some(thread) = self.role.sleeper(waiter.into()).copied() {
            self.wake(thread);
        }
        if let Some(task) = waiter.checked_sub(THREADS) {
            let step = &mut self.tasks[usize::from(task)];
            if *step == TaskStep::Waits {
                *step = TaskStep::Polls;
            }
        }
    }

    fn hand_over(&mut self) {
        let tasks_wait = self.tasks.contains(&TaskStep::Waits);
        match self.role.successor(tasks_wait) {
            Some(Successor::Thread(thread)) => self.wake(thread),
            Some(Successor::Drivers) => self.is_called = true,
            None => {}
        }
    }

    fn wake(&mut self, thread: u8) {
        let step = &mut self.threads[usize::from(thread)];
        if *step == ThreadStep::Sleeps {
            *step = ThreadStep::Woken;
        }
    }
}

#[test]
fn a_reply_that_was_sent_reaches_its_waiter_in_any_order() {
    for give_ups in 0..=THREADS {
        let first = World::new(give_ups);
        let mut seen = HashSet::from([first.clone()]);
        let mut open = vec![first];
        while let Some(world) = open.pop() {
            let next = world.next();
            assert!(!next.is_empty() || world.is_done(), "somebody waits forever: {world:#?}");
            open.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
        }
        assert!(seen.len() > 10_000, "{} states", seen.len());
    }
}
