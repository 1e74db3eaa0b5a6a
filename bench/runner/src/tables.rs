//! The results as Markdown.

use std::fmt::Write;

use bench_harness::Work;

use crate::contenders::{self, Sort};
use crate::results::{Results, Row, Rung};

/// All tables.
pub(crate) fn all(results: &Results) -> String {
    let mut text = String::new();
    let Results { machine, load, rounds, turn_ms, .. } = results;
    let _ = writeln!(
        text,
        "{machine}; load before the run {load:.1}; {rounds} interleaved rounds of {turn_ms} ms.\n\
         Medians; the ratio is the median of the ratios to the floor in the same round."
    );
    for (work, placement) in results.tasks() {
        let _ = write!(text, "\n{}", table(results, work, placement));
    }
    text += &rungs("The ladder: what each layer costs", &results.ladder);
    text += &rungs("Probing one handle", &results.probes);
    for curve in &results.growth {
        let _ = writeln!(
            text,
            "\n### {} with {}\n\n| {} | {} |",
            curve.what, curve.with, curve.with, curve.what
        );
        text += "|---:|---:|\n";
        for (x, y) in &curve.points {
            let _ = writeln!(text, "| {x} | {y:.2} |");
        }
    }
    let took_part =
        |entry: &&contenders::Entry| results.rows.iter().any(|row| row.contender == entry.name);
    if !results.rows.is_empty() {
        text += "\n### Who is who\n\n";
        for entry in contenders::ALL.iter().filter(took_part) {
            let _ = writeln!(text, "- {}: {}", entry.name, entry.how);
        }
    }
    if !results.left_out.is_empty() {
        text += "\n### Left out\n\n";
        for (name, why) in &results.left_out {
            let _ = writeln!(text, "- {name}: {why}");
        }
    }
    text
}

/// The title of a table, for people.
pub(crate) fn title(work: &str) -> String {
    match work.parse() {
        Ok(Work::Null) => "W1, null call".into(),
        Ok(Work::Handles) => "W2, two handles in, one out".into(),
        Ok(Work::Sparkle) => "W3, the sparkle timeline".into(),
        Ok(Work::Clients(1)) => "W4, 1 client".into(),
        Ok(Work::Clients(n)) => format!("W4, {n} clients"),
        Ok(Work::Pipelined(n)) => format!("W4, {n} in flight on one"),
        Ok(Work::Payload(n)) if n >= 1024 * 1024 => {
            format!("W5, {} MiB each way", n / 1024 / 1024)
        }
        Ok(Work::Payload(n)) => format!("W5, {} KiB each way", n / 1024),
        Ok(Work::Connect) => "W6, connect + first call + close".into(),
        Ok(Work::Cold) => "Cold, start the server + connect + first call".into(),
        Ok(Work::Idle(n)) => format!("A null call beside {n} idle clients"),
        Ok(Work::ManyHandles(n)) => format!("{n} handles in one call"),
        Ok(Work::Jobs(n)) => format!("A null call beside {n} waiting jobs"),
        Err(_) => work.into(),
    }
}

fn table(results: &Results, work: &str, placement: &str) -> String {
    let of_task = |row: &&Row| row.work == work && row.placement == placement;
    let mut rows: Vec<&Row> = results.rows.iter().filter(of_task).collect();
    let Some(first) = rows.first().copied() else { return String::new() };
    rows.sort_by(|a, b| a.value().total_cmp(&b.value()));
    let rate = first.is_rate();
    if rate {
        rows.reverse();
    }
    let memory = rows.iter().any(|row| row.rounds.iter().any(|round| round.memory.is_some()));
    let floor = results.floor(first);
    let mut text = format!("### {}, {placement}\n\n", title(work));
    let unit = if rate { "k calls/s" } else { "µs" };
    let (head, line) = if memory { (" memory each, B |", "---:|") } else { ("", "") };
    let _ = writeln!(text, "| | {unit} | ratio | p99 µs | CPU µs/call |{head}");
    let _ = writeln!(text, "|---|---:|---:|---:|---:|{line}");
    for row in rows {
        let ratio = floor.map_or(f64::NAN, |floor| row.ratio(floor));
        let name = match contenders::named(&row.contender) {
            Ok(entry) if entry.sort == Sort::Ours => format!("**{}**", row.contender),
            _ => row.contender.clone(),
        };
        let is_floor = floor.is_some_and(|floor| floor.contender == row.contender);
        let mark = if is_floor { " (the floor)" } else { "" };
        let _ = write!(
            text,
            "| {name}{mark} | {} | {ratio:.2} | {} | {} |",
            digits(row.value() / 1e3),
            digits(row.median(|round| round.p99_ns) / 1e3),
            digits(row.median(|round| round.cpu_ns) / 1e3),
        );
        if memory {
            let each = row.median(|round| round.memory.unwrap_or(f64::NAN));
            let _ = write!(text, " {each:.0} |");
        }
        text.push('\n');
    }
    text
}

fn rungs(title: &str, rungs: &[Rung]) -> String {
    if rungs.is_empty() {
        return String::new();
    }
    let mut text = format!("\n### {title}\n\n| | µs |\n|---|---:|\n");
    for rung in rungs {
        let _ = writeln!(text, "| {} | {} |", rung.name, digits(rung.ns / 1e3));
    }
    text
}

/// Three digits that matter.
pub(crate) fn digits(number: f64) -> String {
    match number.abs() {
        _ if number.is_nan() => "–".into(),
        0.0..10.0 => format!("{number:.2}"),
        10.0..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}
