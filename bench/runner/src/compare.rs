//! Compares two results.
//!
//! Each run divides the times of a contender by the times of a floor, which is the same code in
//! every run. These ratios can be compared across machines and loads. A change is significant if it
//! exceeds the noise of both results, which is estimated from the scatter of the rounds. The code
//! of the peers did not change, so the changes of their numbers show the influence of everything
//! else.

use std::fmt::Write;

use crate::goals::OURS;
use crate::noise;
use crate::results::{Results, Row, median};
use crate::tables::{digits, title};

/// A number that is compared, because both results contain it.
struct Change {
    ours: bool,
    what: String,
    values: (f64, f64),
    ratios: (f64, f64),
    /// The ratio of the new number to the old one, and its uncertainty.
    change: f64,
    noise: f64,
    /// Whether a higher number is better.
    rate: bool,
}

/// Returns a table of syshandle's changes and of all other changes, with a summary.
pub(crate) fn table(old: &Results, new: &Results) -> String {
    let mut text = String::new();
    for (name, results) in [("old", old), ("new", new)] {
        let Results { machine, load, rounds, turn_ms, .. } = results;
        let _ =
            writeln!(text, "{name}: {machine}; load {load:.1}; {rounds} rounds of {turn_ms} ms");
    }
    if old.machine != new.machine {
        text += "\nThe machines differ, so ratios to the floor may differ without a change of the code.\n";
    }
    let changes = changes(old, new);
    if changes.is_empty() {
        return text + "\nThe two have nothing in common.\n";
    }
    text += "\n| | | old | new | old ratio | new ratio | change of the ratio | noise | |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---|\n";
    for change in changes.iter().filter(|change| change.ours || change.is_beyond_noise()) {
        text += &change.line();
    }
    text += &costs("The ladder", &old.ladder, &new.ladder);
    text += &costs("Probes", &old.probes, &new.probes);
    text + &summary(&changes)
}

fn changes(old: &Results, new: &Results) -> Vec<Change> {
    let mut changes = Vec::new();
    for row in &new.rows {
        let Some(before) = old.row(&row.work, &row.placement, &row.contender) else { continue };
        let (Some(floor), Some(floor_before)) = (new.floor(row), old.floor(before)) else {
            continue;
        };
        if floor.contender == row.contender {
            continue;
        }
        let ours = row.contender == OURS;
        let what = format!("{} | {}, {}", row.contender, title(&row.work), row.placement);
        changes.push(Change::between(
            ours,
            what.clone(),
            (before.value(), row.value()),
            (noise::ratios(before, floor_before), noise::ratios(row, floor)),
            row.is_rate(),
        ));
        if ours {
            let cpu = |row: &Row| row.median(|round| round.cpu_ns);
            changes.push(Change::between(
                ours,
                format!("{what}: CPU time"),
                (cpu(before), cpu(row)),
                (noise::cpu_ratios(before, floor_before), noise::cpu_ratios(row, floor)),
                false,
            ));
        }
    }
    changes.retain(|change| change.change.is_finite());
    changes
}

impl Change {
    fn between(
        ours: bool,
        what: String,
        values: (f64, f64),
        (old, new): (Vec<f64>, Vec<f64>),
        rate: bool,
    ) -> Self {
        let noise_of = |ratios: &[f64]| noise::noise(ratios).unwrap_or(UNKNOWN);
        let noise = noise_of(&old).hypot(noise_of(&new)).max(SMALLEST);
        let ratios = (median(old), median(new));
        Self { ours, what, values, ratios, change: ratios.1 / ratios.0, noise, rate }
    }

    fn is_beyond_noise(&self) -> bool {
        (self.change - 1.0).abs() > self.noise
    }

    /// Returns whether the change is an improvement, if it is significant.
    fn is_better(&self) -> bool {
        (self.change > 1.0) == self.rate
    }

    fn verdict(&self) -> &'static str {
        match (self.is_beyond_noise(), self.is_better()) {
            (false, _) => "~",
            (true, true) => "better",
            (true, false) => "**worse**",
        }
    }

    fn line(&self) -> String {
        let Self { what, values, ratios, change, noise, .. } = self;
        format!(
            "| {what} | {} | {} | {:.2} | {:.2} | {:+.0} % | ± {:.0} % | {} |\n",
            digits(values.0 / 1e3),
            digits(values.1 / 1e3),
            ratios.0,
            ratios.1,
            (change - 1.0) * 100.0,
            noise * 100.0,
            self.verdict()
        )
    }
}

/// Counts the improvements, the deteriorations, and the changes of unmodified contenders.
fn summary(changes: &[Change]) -> String {
    let ours = || changes.iter().filter(|change| change.ours);
    let count = |verdict: &str| ours().filter(|change| change.verdict() == verdict).count();
    let mut text = format!(
        "\nsyshandle: {} better, {} worse, {} within the noise.\n",
        count("better"),
        count("**worse**"),
        count("~")
    );
    let others: Vec<&Change> = changes.iter().filter(|change| !change.ours).collect();
    if !others.is_empty() {
        let moved = others.iter().filter(|change| change.is_beyond_noise()).count();
        let by = median(others.iter().map(|change| (change.change - 1.0).abs()).collect());
        let _ = writeln!(
            text,
            "Of {} numbers of floors and peers, {moved} moved beyond their noise, and the median one \
             by {:.0} %: trust no smaller change of syshandle.",
            others.len(),
            by * 100.0
        );
    }
    text
}

/// Compares times of work without a floor, such as the probes.
fn costs(title: &str, old: &[crate::results::Rung], new: &[crate::results::Rung]) -> String {
    let mut lines = String::new();
    for rung in new {
        let Some(before) = old.iter().find(|before| before.name == rung.name) else { continue };
        let change = (rung.ns / before.ns - 1.0) * 100.0;
        let noise = rung.noise.hypot(before.noise) * 100.0;
        let mark = if change.abs() <= noise.max(SMALLEST * 100.0) { "~" } else { "" };
        let (was, is) = (digits(before.ns / 1e3), digits(rung.ns / 1e3));
        let _ = writeln!(
            lines,
            "| {} | {was} | {is} | {change:+.0} % | ± {noise:.0} % | {mark} |",
            rung.name
        );
    }
    match lines.is_empty() {
        true => lines,
        false => format!(
            "\n{title}, in µs, not beside a floor: another machine or load changes all of them.\n\n\
             | | old | new | change | noise | |\n|---|---:|---:|---:|---:|---|\n{lines}"
        ),
    }
}

/// The noise that is assumed if a result has a single round.
const UNKNOWN: f64 = 0.15;

/// Minimum noise for any number of rounds, because the memory layout differs between starts.
const SMALLEST: f64 = 0.01;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::results::tests::{results, row};

    fn kept(name: &str) -> Results {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        Results::load(&folder.join(name)).unwrap()
    }

    /// Compares two runs on a busy machine. The second file was edited: syshandle's null call on
    /// one core takes six tenths of the time, and its 64 KiB call takes twice as long.
    #[test]
    fn two_files_are_compared() {
        let text = table(&kept("old.json"), &kept("new.json"));
        let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/comparison.md");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected, &text).unwrap();
        }
        assert_eq!(
            text,
            std::fs::read_to_string(&expected).unwrap(),
            "UPDATE_EXPECTED=1 writes it anew"
        );
    }

    #[test]
    fn a_file_beside_itself_shows_no_change() {
        let text = table(&kept("old.json"), &kept("old.json"));
        assert!(text.contains("syshandle: 0 better, 0 worse, "), "{text}");
        assert!(!text.contains("worse**"), "{text}");
    }

    #[test]
    fn less_time_is_better_and_a_smaller_rate_is_worse() {
        let run = |ns: &[f64], rate: &[f64]| {
            let mut rows = vec![
                row("w1", "same", "seqpacket", &[10.0; 5]),
                row("w1", "same", OURS, ns),
                row("w4-64", "free", "epoll", &[1.0; 5]),
                row("w4-64", "free", OURS, &[1.0; 5]),
            ];
            for (round, rate) in rows[3].rounds.iter_mut().zip(rate) {
                round.calls_per_second = *rate;
            }
            results(rows)
        };
        let text = table(&run(&[20.0; 5], &[9.0; 5]), &run(&[15.0; 5], &[3.0; 5]));
        let of = |work: &str| text.lines().find(|line| line.contains(work)).unwrap();
        assert!(of("W1, null call, same |").ends_with("| -25 % | ± 1 % | better |"), "{text}");
        assert!(of("W4, 64 clients, free |").ends_with("| -67 % | ± 1 % | **worse** |"), "{text}");
    }

    #[test]
    fn a_change_within_the_scatter_of_the_rounds_is_none() {
        let run = |ns: &[f64]| {
            results(vec![row("w1", "same", "seqpacket", &[10.0; 5]), row("w1", "same", OURS, ns)])
        };
        let (old, new) =
            (run(&[10.0, 14.0, 12.0, 11.0, 13.0]), run(&[11.0, 15.0, 13.0, 12.0, 14.0]));
        let text = table(&old, &new);
        assert!(text.contains("| +8 % |") && text.contains("| ~ |"), "{text}");
        let text = table(&run(&[12.0; 5]), &run(&[13.0; 5]));
        assert!(text.contains("| +8 % |") && text.contains("**worse**"), "{text}");
    }

    #[test]
    fn rows_of_one_run_alone_are_not_compared() {
        let text = table(&results(vec![row("w1", "same", OURS, &[1.0])]), &results(vec![]));
        assert!(text.contains("nothing in common"), "{text}");
    }
}
