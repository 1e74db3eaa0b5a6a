//! What changed between two results.

use std::fmt::Write;

use crate::results::{Results, Row};
use crate::tables::{digits, title};

/// A table of what both results have of syshandle, and of everything else that moved.
pub(crate) fn table(old: &Results, new: &Results) -> String {
    let mut text = format!(
        "old: {}, load {:.1}\nnew: {}, load {:.1}\n\n\
         Ratios are to the floor of the same run: what they changed by is what the change did. A \
         change within the scatter of the rounds is marked ~.\n\n\
         | | | old | new | old ratio | new ratio | change |\n\
         |---|---|---:|---:|---:|---:|---:|\n",
        old.machine, old.load, new.machine, new.load
    );
    for row in &new.rows {
        let Some(before) = old.row(&row.work, &row.placement, &row.contender) else { continue };
        let (Some(floor), Some(floor_before)) = (new.floor(row), old.floor(before)) else {
            continue;
        };
        let (ratio, ratio_before) = (row.ratio(floor), before.ratio(floor_before));
        let change = (ratio / ratio_before - 1.0) * 100.0;
        let scatter = scatter(row, floor).max(scatter(before, floor_before)) * 100.0;
        let mark = if change.abs() <= scatter { "~" } else { "" };
        if row.contender != "syshandle" && (!mark.is_empty() || floor.contender == row.contender) {
            continue;
        }
        let _ = writeln!(
            text,
            "| {} | {}, {} | {} | {} | {ratio_before:.2} | {ratio:.2} | {mark}{change:+.0} % |",
            row.contender,
            title(&row.work),
            row.placement,
            digits(before.value() / 1e3),
            digits(row.value() / 1e3),
        );
    }
    for (rungs_before, rungs) in [(&old.ladder, &new.ladder), (&old.probes, &new.probes)] {
        for rung in rungs {
            let before = rungs_before.iter().find(|before| before.name == rung.name);
            if let Some(before) = before {
                let change = (rung.ns / before.ns - 1.0) * 100.0;
                let (was, is) = (digits(before.ns / 1e3), digits(rung.ns / 1e3));
                let _ = writeln!(text, "| | {} | {was} | {is} | | | {change:+.0} % |", rung.name);
            }
        }
    }
    text
}

/// How far the ratios of the rounds are from each other: half of what the middle half spans.
fn scatter(row: &Row, floor: &Row) -> f64 {
    let mut ratios: Vec<f64> = row
        .rounds
        .iter()
        .filter_map(|round| {
            let same = floor.rounds.iter().find(|other| other.round == round.round)?;
            Some(match row.is_rate() {
                true => round.calls_per_second / same.calls_per_second,
                false => round.median_ns / same.median_ns,
            })
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    match ratios.len() {
        0..4 => UNKNOWN,
        len => (ratios[len * 3 / 4] - ratios[len / 4]) / ratios[len / 2],
    }
}

/// The scatter of too few rounds to tell.
const UNKNOWN: f64 = 0.15;
