//! A model of one direction: all interleavings of a writer and a reader, with store buffers.
//!
//! The model runs the steps [`ARM`] and [`WAKE`] of the real code, in their order. A store is
//! visible to the other side when it leaves the buffer of its side, at any later time or at a fence
//! or a system call. A sleep in the futex may time out at any time, but a wake-up that only a
//! timeout replaces counts as lost.

use std::collections::{HashSet, VecDeque};

use crate::ring::waiting::{ARM, ArmStep, WAKE, Waiting, WaitingWord, WakeAction, WakeStep, Waker};

/// Number of frames that the writer sends.
const FRAMES: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Word {
    Written,
    Bell,
    Waiting,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Model {
    written: u64,
    bell: u64,
    waiting: u64,
    /// Stores that the other side doesn't see yet.
    writer_stores: VecDeque<(Word, u64)>,
    reader_stores: VecDeque<(Word, u64)>,
    writer: Writer,
    reader: Reader,
    /// Bells in the socket.
    bells: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writer {
    sent: u64,
    /// The next of the steps after a frame; `None` before the next frame.
    step: Option<usize>,
    peer: WaitingWord,
    waker: Waker,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reader {
    read: u64,
    word: WaitingWord,
    bell: u64,
    state: ReaderState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ReaderState {
    /// Looks for a frame, and then arms for this way of waiting.
    Looks(Waiting),
    /// The next of the steps before a wait.
    Arms(Waiting, usize),
    Asleep(Waiting),
}

/// The steps in use, which a test can change to show that the model finds the error.
#[derive(Clone, Copy)]
struct Steps<'s> {
    arm: &'s [ArmStep],
    wake: &'s [WakeStep],
}

impl Model {
    fn new(waiting: Waiting) -> Self {
        Self {
            written: 0,
            bell: 0,
            waiting: 0,
            writer_stores: VecDeque::new(),
            reader_stores: VecDeque::new(),
            writer: Writer { sent: 0, step: None, peer: WaitingWord::START, waker: Waker::START },
            reader: Reader {
                read: 0,
                word: WaitingWord::START,
                bell: 0,
                state: ReaderState::Looks(waiting),
            },
            bells: 0,
        }
    }

    fn apply(&mut self, (word, value): (Word, u64)) {
        match word {
            Word::Written => self.written = value,
            Word::Bell => self.bell = value,
            Word::Waiting => self.waiting = value,
        }
    }

    fn flush_writer(&mut self) {
        while let Some(store) = self.writer_stores.pop_front() {
            self.apply(store);
        }
    }

    fn flush_reader(&mut self) {
        while let Some(store) = self.reader_stores.pop_front() {
            self.apply(store);
        }
    }

    /// Returns all states after one step. The second part says whether the step is a timeout.
    fn next(&self, steps: Steps<'_>) -> Vec<(Self, bool)> {
        let mut next = Vec::new();
        let mut flushed = self.clone();
        if let Some(store) = flushed.writer_stores.pop_front() {
            flushed.apply(store);
            next.push((flushed, false));
        }
        let mut flushed = self.clone();
        if let Some(store) = flushed.reader_stores.pop_front() {
            flushed.apply(store);
            next.push((flushed, false));
        }
        next.extend(self.writer_step(steps.wake).map(|model| (model, false)));
        next.extend(self.reader_step(steps.arm));
        next
    }

    fn writer_step(&self, wake: &[WakeStep]) -> Option<Self> {
        let mut model = self.clone();
        let Some(step) = self.writer.step else {
            if self.writer.sent == FRAMES {
                return None;
            }
            model.writer.sent += 1;
            model.writer_stores.push_back((Word::Written, model.writer.sent));
            model.writer.step = Some(0);
            return Some(model);
        };
        match wake.get(step) {
            None => model.writer.step = None,
            Some(step_now) => {
                model.writer.step = Some(step + 1);
                match step_now {
                    WakeStep::Fence => model.flush_writer(),
                    WakeStep::LoadWaiting => model.writer.peer = WaitingWord::of(self.waiting),
                    WakeStep::Wake => match model.writer.waker.wake(self.writer.peer) {
                        WakeAction::Nothing => {}
                        WakeAction::Futex(bell) => {
                            model.writer_stores.push_back((Word::Bell, bell));
                            // The kernel's wake is a full barrier.
                            model.flush_writer();
                            if model.reader.state == ReaderState::Asleep(Waiting::Futex) {
                                model.reader.state = ReaderState::Looks(Waiting::Socket);
                            }
                        }
                        WakeAction::Socket => {
                            model.flush_writer();
                            model.bells += 1;
                        }
                    },
                }
            }
        }
        Some(model)
    }

    fn reader_step(&self, arm: &[ArmStep]) -> Vec<(Self, bool)> {
        let mut model = self.clone();
        let running = |model: &mut Self, waiting| {
            if model.reader.word.waiting() != Waiting::Running {
                model.reader.word = model.reader.word.next(Waiting::Running);
                model.reader_stores.push_back((Word::Waiting, model.reader.word.as_u64()));
            }
            model.reader.state = ReaderState::Looks(waiting);
        };
        match self.reader.state {
            ReaderState::Looks(waiting) => {
                if self.written > self.reader.read {
                    model.reader.read += 1;
                    running(&mut model, waiting);
                } else if self.reader.read == FRAMES {
                    return Vec::new();
                } else {
                    model.reader.state = ReaderState::Arms(waiting, 0);
                }
            }
            ReaderState::Arms(waiting, step) => match arm.get(step) {
                None => {
                    // The kernel compares the bell when the thread begins to sleep.
                    model.flush_reader();
                    let sleeps = waiting == Waiting::Socket || self.bell == self.reader.bell;
                    model.reader.state = match sleeps {
                        true => ReaderState::Asleep(waiting),
                        false => ReaderState::Looks(waiting),
                    };
                }
                Some(step_now) => {
                    model.reader.state = ReaderState::Arms(waiting, step + 1);
                    match step_now {
                        ArmStep::LoadBell => model.reader.bell = self.bell,
                        ArmStep::Publish => {
                            model.reader.word = self.reader.word.next(waiting);
                            let word = model.reader.word.as_u64();
                            model.reader_stores.push_back((Word::Waiting, word));
                        }
                        ArmStep::Fence => model.flush_reader(),
                        ArmStep::Look => {
                            if self.written > self.reader.read {
                                running(&mut model, waiting);
                            }
                        }
                    }
                }
            },
            ReaderState::Asleep(Waiting::Futex) => {
                model.reader.state = ReaderState::Looks(Waiting::Socket);
                return vec![(model, true)];
            }
            ReaderState::Asleep(_) => {
                if self.bells == 0 {
                    return Vec::new();
                }
                model.bells -= 1;
                model.reader.state = ReaderState::Looks(Waiting::Futex);
            }
        }
        vec![(model, false)]
    }
}

/// Returns a state in which the reader sleeps for ever although there is a frame; and the number of
/// states.
fn find_lost_wake_up(first: Waiting, steps: Steps<'_>) -> (Option<Model>, usize) {
    let start = Model::new(first);
    let (mut seen, mut left) = (HashSet::from([start.clone()]), vec![start]);
    while let Some(model) = left.pop() {
        let next = model.next(steps);
        let is_stuck = next.iter().all(|(_, is_timeout)| *is_timeout);
        if is_stuck && model.reader.read < FRAMES {
            return (Some(model), seen.len());
        }
        for (model, _) in next {
            // A bell for each frame at most.
            assert!(u64::from(model.bells) <= FRAMES);
            if seen.insert(model.clone()) {
                left.push(model);
            }
        }
    }
    (None, seen.len())
}

const STEPS: Steps<'_> = Steps { arm: &ARM, wake: &WAKE };

#[test]
fn no_interleaving_loses_a_wake_up() {
    for first in [Waiting::Futex, Waiting::Socket] {
        let (lost, states) = find_lost_wake_up(first, STEPS);
        assert_eq!(lost, None);
        assert!(states > 1000, "{states}");
    }
}

#[test]
fn each_step_is_necessary() {
    use {ArmStep as Arm, WakeStep as Wake};
    let orders_of_arm: [&[Arm]; 4] = [
        &[Arm::LoadBell, Arm::Publish, Arm::Look],
        &[Arm::LoadBell, Arm::Publish, Arm::Fence],
        &[Arm::LoadBell, Arm::Fence, Arm::Look, Arm::Publish],
        &[Arm::Publish, Arm::Fence, Arm::Look, Arm::LoadBell],
    ];
    for arm in orders_of_arm {
        assert!(find_lost_wake_up(Waiting::Futex, Steps { arm, ..STEPS }).0.is_some(), "{arm:?}");
    }
    let without_fence = &[Wake::LoadWaiting, Wake::Wake];
    assert!(find_lost_wake_up(Waiting::Socket, Steps { wake: without_fence, ..STEPS }).0.is_some());
}
