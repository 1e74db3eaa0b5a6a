//! Runs the corpora of the fuzz targets and mutations of them without a fuzzing engine (promise 5
//! in `docs/promises.md`).
//!
//! Each target runs for one second, or for the number of seconds in `MUTATION_SECONDS`.

#![cfg(not(windows))]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use syshandle_fault_injection::inputs;

/// A deterministic pseudorandom number generator (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Returns a mutation of an input, with some bytes changed, removed, inserted, or copied from
/// another input.
fn near(input: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut near = input.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(near.len());
        match numbers.below(6) {
            0 if !near.is_empty() => near[at] ^= 1 << numbers.below(8),
            1 if !near.is_empty() => near[at] = numbers.next() as u8,
            2 => near.truncate(at),
            3 => near.insert(at, numbers.next() as u8),
            4 if !near.is_empty() => {
                // Inserts a boundary value.
                let edge = [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)];
                let end = (at + 4).min(near.len());
                near[at..end].fill(edge);
            }
            _ if !other.is_empty() => {
                let from = numbers.below(other.len());
                let len = numbers.below(other.len() - from) + 1;
                near.splice(at..at, other[from..from + len].iter().copied());
            }
            _ => {}
        }
    }
    near.truncate(64 * 1024);
    near
}

/// Returns the corpus of a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files = fs::read_dir(folder).into_iter().flatten();
    files.map(|entry| fs::read(entry.expect("a file").path()).expect("its content")).collect()
}

/// Parses the hexadecimal digits of a golden file.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[test]
fn the_corpus_has_every_fault_of_the_golden_file() {
    let corpus = corpus("opening");
    for line in include_str!("../../wire/tests/golden/faults.txt").lines() {
        let (fault, hex) = line.rsplit_once(": ").unwrap();
        assert!(
            corpus.contains(&bytes(hex)),
            "fuzz/corpus/opening lacks a file with {hex}: {fault}"
        );
    }
}

#[test]
fn the_corpus_has_the_frames_with_objects_of_the_golden_file() {
    let corpus = corpus("ends");
    let mut missing =
        vec!["call with an object and a handle", "call of another object", "release of objects"];
    for line in include_str!("../../wire/tests/golden/frames.txt").lines() {
        let (name, frame) = line.rsplit_once(": ").unwrap();
        let frame = bytes(frame);
        if corpus.iter().any(|input| input.windows(frame.len()).any(|part| part == frame)) {
            missing.retain(|other| *other != name);
        }
    }
    assert_eq!(missing, [""; 0], "fuzz/corpus/ends lacks these frames");
}

#[test]
fn no_input_of_the_corpora_nor_near_it_breaks_anything() {
    let seconds = std::env::var("MUTATION_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(1));
    for (name, run) in inputs::ALL {
        let mut corpus = corpus(name);
        let kept = corpus.len();
        // Additional inputs for targets without a corpus: zeros and ascending bytes of several
        // lengths.
        corpus.extend((0..64).map(|len| vec![0; len]));
        corpus.extend((0..=64).map(|len| (0..len).collect()));
        corpus.sort();
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id()));
        let start = numbers.0;
        let end = Instant::now() + time;
        let mut tried = 0_u64;
        let mut feed = |input: &[u8]| {
            tried += 1;
            if catch_unwind(|| run(input)).is_err() {
                panic!("{name}: this input breaks it (start {start:#x}): {input:?}");
            }
        };
        for input in &corpus {
            feed(input);
        }
        while Instant::now() < end {
            let input = &corpus[numbers.below(corpus.len())];
            let other = &corpus[numbers.below(corpus.len())];
            feed(&near(input, other, &mut numbers));
        }
        println!("{name}: {tried} inputs, of which {kept} of the corpus");
        assert!(tried > kept as u64);
    }
}
