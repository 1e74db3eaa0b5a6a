//! The goals of the benchmark, and whether they are reached.

use std::fmt::Write;

use crate::contenders::{self, Sort};
use crate::noise;
use crate::results::{Results, Row};
use crate::tables::digits;

/// A goal.
struct Goal {
    name: &'static str,
    work: &'static str,
    placement: &'static str,
    what: What,
}

/// The compared number and its limit.
#[derive(Clone, Copy)]
enum What {
    /// Maximum ratio to the floor.
    AtMost(f64),
    /// Minimum ratio of a rate to the floor.
    AtLeast(f64),
    /// Maximum ratio of the CPU time per call to the CPU time of this floor, which blocks.
    CpuAtMost(f64, &'static str),
    /// Maximum memory of the server per client, in bytes.
    BytesEach(f64),
    /// Maximum time of a probe, in microseconds.
    Probe(f64),
}

const GOALS: &[Goal] = &[
    goal("W1, one core", "w1", "same", What::AtMost(1.10)),
    goal("W2, one core", "w2", "same", What::AtMost(1.30)),
    goal("W3, one core", "w3", "same", What::AtMost(1.15)),
    goal("W1, free", "w1", "free", What::AtMost(1.20)),
    goal("W1, split", "w1", "split", What::AtMost(1.20)),
    goal("W2, free", "w2", "free", What::AtMost(1.20)),
    goal("W2, split", "w2", "split", What::AtMost(1.20)),
    goal("W3, free", "w3", "free", What::AtMost(1.20)),
    goal("W3, split", "w3", "split", What::AtMost(1.20)),
    goal("W1, free: CPU time", "w1", "free", What::CpuAtMost(1.0, "seqpacket")),
    goal("W1, split: CPU time", "w1", "split", What::CpuAtMost(1.0, "seqpacket")),
    goal("W4, 64 clients", "w4-64", "free", What::AtLeast(1.0)),
    goal("W4, 64 in flight on one connection", "w4p-64", "free", What::AtLeast(1.0)),
    goal("W5, 64 KiB", "w5-65536", "same", What::AtMost(1.15)),
    goal("W5, 1 MiB", "w5-1048576", "same", What::AtMost(1.15)),
    goal("W6", "w6", "same", What::AtMost(1.60)),
    goal("Cold", "cold", "free", What::AtMost(1.15)),
    goal("10,000 idle clients: memory each", "idle-10000", "free", What::BytesEach(4096.0)),
    goal("1,000 idle clients: memory each", "idle-1000", "free", What::BytesEach(4096.0)),
    goal("probing a file", "a file in memory", "", What::Probe(0.6)),
    goal("probing an event", "an event", "", What::Probe(1.5)),
    goal("probing a timer", "a timer", "", What::Probe(1.5)),
];

const fn goal(name: &'static str, work: &'static str, placement: &'static str, what: What) -> Goal {
    Goal { name, work, placement, what }
}

/// Returns a table of the goals for which results exist.
pub(crate) fn table(results: &Results) -> String {
    let lines: Vec<String> = GOALS.iter().filter_map(|goal| line(results, goal)).collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| | goal | ratio to the floor | | µs, or thousand calls a second | floor | best peer: ours \
         is quicker by |\n|---|---|---:|---|---:|---:|---|\n",
    );
    text.extend(lines);
    text
}

fn line(results: &Results, goal: &Goal) -> Option<String> {
    let Goal { name, work, placement, what } = goal;
    if let What::Probe(most) = what {
        let probe = results.probes.iter().find(|probe| probe.name == *work)?;
        let us = probe.ns / 1e3;
        let verdict = verdict(us <= *most);
        return Some(format!("| {name} | ≤ {most:.1} µs | | {verdict} | {us:.2} | | |\n"));
    }
    let ours = results.row(work, placement, OURS)?;
    if let What::BytesEach(most) = what {
        let bytes = ours.median(|round| round.memory.unwrap_or(f64::NAN));
        let (kib, goal) = (bytes / 1024.0, most / 1024.0);
        let verdict = verdict(bytes <= *most);
        return Some(format!("| {name} | ≤ {goal} KiB | {kib:.2} KiB | {verdict} | | | |\n"));
    }
    let floor = match what {
        What::CpuAtMost(_, floor) => results.row(work, placement, floor)?,
        _ => results.floor(ours)?,
    };
    let ratios = match what {
        What::CpuAtMost(..) => noise::cpu_ratios(ours, floor),
        _ => noise::ratios(ours, floor),
    };
    let ratio = crate::results::median(ratios.clone());
    let (goal, reached) = match what {
        What::AtLeast(least) => (format!("≥ {least:.2}"), ratio >= *least),
        What::AtMost(most) | What::CpuAtMost(most, _) => (format!("≤ {most:.2}"), ratio <= *most),
        What::BytesEach(_) | What::Probe(_) => return None,
    };
    let value = |row: &Row| match what {
        What::CpuAtMost(..) => digits(row.median(|round| round.cpu_ns) / 1e3),
        _ => digits(row.value() / 1e3),
    };
    let peer = match what {
        What::CpuAtMost(..) => String::new(),
        _ => best_peer(results, work, placement)
            .map_or(String::new(), |(peer, factor)| format!("{}, {factor:.2} ×", peer.contender)),
    };
    let off = plus_minus(ratio, &ratios);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "| {name} | {goal} | {ratio:.2}{off} | {} | {} | {} | {peer} |",
        verdict(reached),
        value(ours),
        value(floor)
    );
    Some(text)
}

/// Returns the best peer for some work, and the factor by which syshandle is better, with its
/// uncertainty.
pub(crate) fn best_peer<'r>(
    results: &'r Results,
    work: &str,
    placement: &str,
) -> Option<(&'r Row, f64)> {
    let ours = results.row(work, placement, OURS)?;
    let is_peer = |row: &&Row| {
        row.work == work
            && row.placement == placement
            && contenders::named(&row.contender).is_ok_and(|entry| entry.sort == Sort::Peer)
    };
    let peers = results.rows.iter().filter(is_peer);
    let better = |a: &&Row, b: &&Row| a.value().total_cmp(&b.value());
    let best = if ours.is_rate() { peers.max_by(better) } else { peers.min_by(better) }?;
    let factor = match ours.is_rate() {
        true => ours.ratio(best),
        false => best.ratio(ours),
    };
    Some((best, factor))
}

/// Formats the uncertainty of a ratio.
pub(crate) fn plus_minus(ratio: f64, ratios: &[f64]) -> String {
    noise::noise(ratios).map_or(String::new(), |noise| format!(" ± {:.2}", noise * ratio))
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "**not reached**" }
}

/// Name of the contender that this project provides.
pub(crate) const OURS: &str = "syshandle";

#[cfg(test)]
mod tests {
    use bench_harness::{Placement, Work};

    use super::*;
    use crate::results::tests::{results, row};

    #[test]
    fn every_goal_is_of_work_that_there_is() {
        for goal in GOALS.iter().filter(|goal| !matches!(goal.what, What::Probe(_))) {
            goal.work.parse::<Work>().unwrap();
            goal.placement.parse::<Placement>().unwrap();
        }
    }

    #[test]
    fn a_goal_is_reached_or_not() {
        let of = |ours: f64| {
            table(&results(vec![
                row("w1", "same", "seqpacket", &[10.0; 3]),
                row("w1", "same", OURS, &[ours; 3]),
                row("w1", "same", "zbus", &[20.0; 3]),
                row("w1", "same", "tarpc", &[40.0; 3]),
            ]))
        };
        assert!(of(10.5).contains("| 1.05 ± 0.00 | reached |"), "{}", of(10.5));
        assert!(of(20.0).contains("| 2.00 ± 0.00 | **not reached** |"), "{}", of(20.0));
        assert!(of(10.0).contains("zbus, 2.00 ×"), "{}", of(10.0));
    }
}
