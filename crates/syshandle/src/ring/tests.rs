//! The real queue and the real steps of waiting, over a memory with store buffers.

mod model;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use syshandle_wire::{CoreHint, Header, RingLayout, RingSide, Transport, Violation};

use super::access::RingAccess;
use super::queue::{RingReader, RingWriter};
use super::waiting::{Waiting, WaitingWord, WakeAction, Waker};
use super::{Gap, Incoming, OfferPolicy, Outgoing, Rings};
use crate::spin::Spin;
use crate::sync::{Mutex, explore, now, run_once, thread};

const HALF: usize = 4096;

/// The memory of both sides, as the machine sees it: each side has a buffer of stores that the other
/// side doesn't see yet.
struct Machine {
    halves: [Vec<u8>; 2],
    buffers: [VecDeque<(usize, Vec<u8>)>; 2],
    /// Whether each side sleeps in the futex, and for which offset and value.
    is_woken: [bool; 2],
    /// Number of bells in the socket of each side.
    bells: [usize; 2],
}

/// The accesses of one side.
#[derive(Clone)]
struct TestMemory {
    machine: Arc<Mutex<Machine>>,
    side: usize,
}

impl Machine {
    fn flush(&mut self, side: usize, count: usize) {
        for _ in 0..count {
            let Some((at, bytes)) = self.buffers[side].pop_front() else { break };
            self.halves[side][at..at + bytes.len()].copy_from_slice(&bytes);
        }
    }

    fn flush_all(&mut self, side: usize) {
        self.flush(side, usize::MAX);
    }

    fn word(&self, side: usize, at: usize) -> u64 {
        u64::from_le_bytes(*self.halves[side][at..].first_chunk().unwrap())
    }
}

impl TestMemory {
    fn pair() -> [Self; 2] {
        let machine = Machine {
            halves: [vec![0; HALF], vec![0; HALF]],
            buffers: Default::default(),
            is_woken: [false; 2],
            bells: [0; 2],
        };
        let machine = Arc::new(Mutex::new(machine));
        [0, 1].map(|side| Self { machine: machine.clone(), side })
    }

    /// Accesses the machine. Some of the stores of each side become visible before that.
    fn machine<R>(&self, access: impl FnOnce(&mut Machine) -> R) -> R {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        for side in 0..2 {
            if random() % 4 == 0 {
                machine.flush(side, 1 + random() % 2);
            }
        }
        access(&mut machine)
    }

    fn store_bytes(&self, at: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.machine(|machine| machine.buffers[self.side].push_back((at, bytes.to_vec())));
        }
    }

    fn peer(&self) -> usize {
        1 - self.side
    }
}

fn random() -> usize {
    shuttle::rand::Rng::r#gen(&mut shuttle::rand::thread_rng())
}

impl RingAccess for TestMemory {
    fn load(&self, at: usize) -> u64 {
        self.machine(|machine| machine.word(self.peer(), at))
    }

    fn store(&self, at: usize, value: u64) {
        self.store_bytes(at, &value.to_le_bytes());
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        self.machine(|machine| {
            out.copy_from_slice(&machine.halves[self.peer()][at..at + out.len()]);
        });
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.store_bytes(at, bytes);
    }

    fn fence(&self) {
        self.machine(|machine| machine.flush_all(self.side));
    }

    fn wake(&self, _at: usize) {
        self.machine(|machine| {
            machine.flush_all(self.side);
            machine.is_woken[self.peer()] = true;
        });
    }

    /// Sleeps until it is woken. The end of the wait doesn't wake it, so that a lost wake-up is
    /// noticed.
    fn wait(&self, at: usize, expected: u32, _until: Instant) -> io::Result<()> {
        let is_equal = self.machine(|machine| {
            machine.flush_all(self.side);
            let is_equal = machine.word(self.peer(), at) as u32 == expected;
            machine.is_woken[self.side] &= !is_equal;
            is_equal
        });
        while is_equal && !self.machine(|machine| machine.is_woken[self.side]) {
            thread::yield_now();
        }
        Ok(())
    }
}

/// Returns a frame of this length with recognizable bytes.
fn frame(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| seed.wrapping_add(i as u8)).collect()
}

fn run(test: impl Fn([TestMemory; 2]) + Send + Sync + 'static) {
    run_once(move || test(TestMemory::pair()));
}

#[test]
fn frames_of_all_lengths_go_around_the_end_of_the_ring() {
    run(|[one, two]| {
        let (mut writer, mut reader) = (RingWriter::new(HALF), RingReader::new(HALF));
        let mut out = vec![0; 4096];
        for len in Header::LEN..300 {
            for seed in 0..3 {
                assert_eq!(writer.push(&one, &frame(len, seed), 0), Ok(true));
            }
            one.fence();
            for seed in 0..3 {
                assert_eq!(reader.pop(&two, &mut out), Ok(Some(len)));
                assert_eq!(out[..len], frame(len, seed));
            }
            assert_eq!(reader.pop(&two, &mut out), Ok(None));
            two.fence();
            assert_eq!(writer.is_empty(&one), Ok(true));
        }
    });
}

#[test]
fn a_full_ring_takes_no_frame_and_keeps_the_reserve() {
    run(|[one, two]| {
        let (mut writer, mut reader) = (RingWriter::new(HALF), RingReader::new(HALF));
        let (len, reserve) = (120, RingLayout::record_len(Header::LEN));
        let mut count = 0;
        while writer.push(&one, &frame(len, count), reserve).unwrap() {
            count += 1;
        }
        let fits = (RingLayout::capacity(HALF) - reserve) / RingLayout::record_len(len);
        assert_eq!(usize::from(count), fits);
        assert_eq!(writer.push(&one, &frame(Header::LEN, 0), 0), Ok(true), "the reserve is left");
        one.fence();
        let mut out = vec![0; 4096];
        assert_eq!(reader.pop(&two, &mut out), Ok(Some(len)));
        assert_eq!(out[..len], frame(len, 0));
        two.fence();
        assert_eq!(writer.push(&one, &frame(len, 0), 0), Ok(true));
    });
}

#[test]
fn an_impossible_position_or_length_is_a_violation() {
    run(|[one, two]| {
        let capacity = RingLayout::capacity(HALF) as u64;
        let mut out = vec![0; 600];
        let pop = |written: u64, len: u64, out: &mut Vec<u8>| {
            two.machine(|machine| machine.halves[0].fill(0));
            one.write(RingLayout::DATA, &len.to_le_bytes());
            one.store(RingLayout::WRITTEN, written);
            one.fence();
            RingReader::new(HALF).pop(&two, out)
        };
        assert_eq!(pop(48, 40, &mut out), Ok(Some(40)));
        assert_eq!(pop(0, 40, &mut out), Ok(None));
        for (written, len) in [
            (7, 40),            // not a whole word
            (capacity + 8, 40), // more than the ring holds
            (u64::MAX, 40),
            (u64::MAX - 7, 40),
            (48, 31), // shorter than a header
            (48, 0),
            (48, 41),        // more than was written
            (capacity, 601), // more than the buffer holds
            (capacity, u64::MAX),
            (capacity, 1 << 32 | 40),
        ] {
            assert_eq!(pop(written, len, &mut out), Err(Violation::BadRing), "{written} {len}");
        }
        for read in [8, 1, u64::MAX] {
            two.store(RingLayout::READ, read);
            two.fence();
            assert_eq!(RingWriter::new(HALF).is_empty(&one), Err(Violation::BadRing), "{read}");
        }
        // A position that moves back.
        let (mut writer, mut reader) = (RingWriter::new(HALF), RingReader::new(HALF));
        assert_eq!(writer.push(&one, &frame(40, 0), 0), Ok(true));
        one.fence();
        assert_eq!(reader.pop(&two, &mut out), Ok(Some(40)));
        one.store(RingLayout::WRITTEN, 40);
        one.fence();
        assert_eq!(reader.pop(&two, &mut out), Err(Violation::BadRing));
        two.store(RingLayout::READ, 48);
        two.fence();
        assert_eq!(writer.is_empty(&one), Ok(true));
        two.store(RingLayout::READ, 40);
        two.fence();
        assert_eq!(writer.is_empty(&one), Err(Violation::BadRing));
    });
}

#[test]
fn a_peer_is_woken_once_for_each_time_that_it_sleeps() {
    let (mut waker, mut word) = (Waker::START, WaitingWord::START);
    assert_eq!(waker.wake(word), WakeAction::Nothing);
    let steps =
        [Waiting::Futex, Waiting::Running, Waiting::Socket, Waiting::Socket, Waiting::Futex];
    let mut actions = Vec::new();
    for waiting in steps {
        word = word.next(waiting);
        assert_eq!(word.waiting(), waiting);
        actions.push(waker.wake(word));
        assert_eq!(waker.wake(word), WakeAction::Nothing, "once for each epoch");
    }
    let expected = [
        WakeAction::Futex(1),
        WakeAction::Nothing,
        WakeAction::Socket,
        WakeAction::Socket,
        WakeAction::Futex(2),
    ];
    assert_eq!(actions, expected);
    assert_eq!(waker.wake(WaitingWord::of(u64::MAX)), WakeAction::Nothing, "an unknown state");
}

fn incoming() -> Incoming {
    let rings = Rings::new(RingSide::Server);
    let incoming = rings.incoming.into_inner().unwrap_or_else(PoisonError::into_inner);
    Incoming { reader: Some(RingReader::new(HALF)), ..incoming }
}

fn outgoing() -> Outgoing {
    Outgoing {
        transport: Transport::Ring,
        writer: Some(RingWriter::new(HALF)),
        waker: Waker::START,
        answer: None,
        small: 0,
        offers: OfferPolicy { frames: 0, since: None, may_offer: false },
    }
}

/// Receives a frame: sleeps in the futex first if `futex`, and then waits for a bell in the socket.
fn receive(incoming: &mut Incoming, memory: &TestMemory, futex: bool) -> Vec<u8> {
    let (spin, mut out) = (Spin::default(), vec![0; 600]);
    incoming.gap = Gap::default();
    let until = now() + Duration::from_secs(1000);
    loop {
        if futex {
            incoming.wait(memory, (&spin, CoreHint::default()), until, true).unwrap();
        }
        let reader = incoming.reader.as_mut().unwrap();
        if let Some(len) = reader.pop(memory, &mut out).unwrap() {
            out.truncate(len);
            return out;
        }
        if incoming.arm(memory, Waiting::Socket).unwrap().is_none() {
            continue;
        }
        while !memory.machine(|machine| {
            let has_bell = machine.bells[memory.side] > 0;
            machine.bells[memory.side] -= usize::from(has_bell);
            has_bell
        }) {
            thread::yield_now();
        }
    }
}

/// Sends a frame, and wakes the peer as [`Outgoing::wake`] does.
fn send(outgoing: &mut Outgoing, memory: &TestMemory, frame: &[u8]) {
    let sent = outgoing.writer.as_mut().unwrap().push(memory, frame, 0);
    assert_eq!(sent, Ok(true));
    outgoing.wake_with(memory, || {
        memory.machine(|machine| {
            machine.flush_all(memory.side);
            machine.bells[memory.peer()] += 1;
        });
    });
}

/// Runs calls between two threads. Each waits in the futex or in the socket.
fn exchange(futex: [bool; 2]) {
    explore(move || {
        let [client, server] = TestMemory::pair();
        thread::start("server", move || {
            let (mut incoming, mut outgoing) = (incoming(), outgoing());
            for seed in 0..CALLS {
                assert_eq!(receive(&mut incoming, &server, futex[1]), frame(40, seed));
                send(&mut outgoing, &server, &frame(60, seed));
            }
        })
        .unwrap();
        let (mut incoming, mut outgoing) = (incoming(), outgoing());
        for seed in 0..CALLS {
            send(&mut outgoing, &client, &frame(40, seed));
            assert_eq!(receive(&mut incoming, &client, futex[0]), frame(60, seed));
        }
    });
}

const CALLS: u8 = 5;

#[test]
fn no_wake_up_is_lost_between_two_sides_that_sleep_in_futexes() {
    exchange([true, true]);
}

#[test]
fn no_wake_up_is_lost_between_two_sides_that_wait_for_the_socket() {
    exchange([false, false]);
}

#[test]
fn no_wake_up_is_lost_between_a_side_in_a_futex_and_one_at_the_socket() {
    exchange([true, false]);
}

#[test]
fn a_stream_of_frames_wakes_its_reader_as_often_as_necessary() {
    explore(|| {
        let [client, server] = TestMemory::pair();
        thread::start("writer", move || {
            let mut outgoing = outgoing();
            (0..CALLS).for_each(|seed| send(&mut outgoing, &client, &frame(40, seed)));
        })
        .unwrap();
        let mut incoming = incoming();
        for seed in 0..CALLS {
            assert_eq!(receive(&mut incoming, &server, seed % 2 == 0), frame(40, seed));
        }
    });
}
