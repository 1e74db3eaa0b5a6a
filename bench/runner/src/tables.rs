//! Formats the results as Markdown.

use std::fmt::Write;

use bench_harness::Work;

use crate::contenders::{self, Sort};
use crate::results::{Results, Row, Rung, median};
use crate::{goals, noise};

/// Describes the run in one or two sentences.
pub(crate) fn run(results: &Results) -> String {
    let Results { machine, date, load, rounds, turn_ms, .. } = results;
    let busy = match load {
        // At this load, no core is free for the measurement.
        load if *load >= 1.0 => ", **on a busy machine**",
        _ => "",
    };
    format!(
        "Measured on {date} on {machine}: {rounds} interleaved rounds of {turn_ms} ms, medians; the \
         load before the run was {load:.1}{busy}.\n"
    )
}

/// Returns a page with all results, without a title.
pub(crate) fn page(results: &Results) -> String {
    let goals = goals::table(results);
    let (growth, _) = crate::growth::verdicts(results);
    let mut text = run(results);
    for (title, part) in [("The goals", goals), ("Growth", growth)] {
        if !part.is_empty() {
            let _ = write!(text, "\n## {title}\n\n{part}");
        }
    }
    text + "\n## All tables\n\n" + &all(results)
}

/// Returns all tables.
pub(crate) fn all(results: &Results) -> String {
    let mut text = String::from(
        "A ratio is the median of the ratios to the floor in the same round; ± is what the scatter \
         of the rounds leaves open. A floor checks nothing.\n",
    );
    for (work, placement) in results.tasks() {
        let _ = write!(text, "\n{}", table(results, work, placement));
    }
    text += &rungs("The ladder: the cost of each layer", &results.ladder);
    text += &rungs("Probing one handle", &results.probes);
    text += &growth(results);
    let took_part =
        |entry: &&contenders::Entry| results.rows.iter().any(|row| row.contender == entry.name);
    if !results.rows.is_empty() {
        text += "\n### Who is who\n\n";
        for entry in contenders::ALL.iter().filter(took_part) {
            let version = results.versions.get(entry.name);
            let version = version.map_or(String::new(), |version| format!(" ({version})"));
            let _ = writeln!(text, "- {}{version}: {}", entry.name, entry.how);
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

/// Returns the title of a table.
pub(crate) fn title(work: &str) -> String {
    match work.parse() {
        Ok(Work::Null) => "W1, null call".into(),
        Ok(Work::Handles) => "W2, two handles in, one out".into(),
        Ok(Work::Sparkle) => "W3, the sparkle timeline".into(),
        Ok(Work::Clients(1)) => "W4, 1 client".into(),
        Ok(Work::Clients(n)) => format!("W4, {n} clients"),
        Ok(Work::Pipelined(n)) => format!("W4, {n} in flight on one"),
        Ok(Work::OneWay(n)) => format!("W4, one-way calls, a flush after {n}"),
        Ok(Work::Payload(n)) if n >= 1024 * 1024 => {
            format!("W5, {} MiB each way", n / 1024 / 1024)
        }
        Ok(Work::Payload(n)) => format!("W5, {} KiB each way", n / 1024),
        Ok(Work::Connect) => "W6, connect + first call + close".into(),
        Ok(Work::Cold) => "Cold, start the server + connect + first call".into(),
        Ok(Work::Idle(n)) => format!("A null call beside {n} idle clients"),
        Ok(Work::ManyHandles(n)) => format!("{n} handles in one call"),
        Ok(Work::BackgroundTasks(n)) => {
            format!("A null call beside {n} background tasks that wait for events")
        }
        Ok(Work::Timers(n)) => {
            format!("A null call beside {n} background tasks that wait for their time")
        }
        Ok(Work::Objects(n)) => format!("A null call of one of {n} objects"),
        Ok(Work::NewObject(n)) => format!("A new object, called and released, beside {n} others"),
        Ok(Work::LookUp(n)) => format!("Finding a class among {n}"),
        Ok(Work::Methods(n)) => format!("A call of the last of {n} methods"),
        Ok(Work::ConnectMethods(n)) => format!("Connect + call + close, {n} methods"),
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
        let ratios = floor.map_or(Vec::new(), |floor| noise::ratios(row, floor));
        let ratio = median(ratios.clone());
        let ratio = match floor {
            Some(floor) if floor.contender == row.contender => "1".into(),
            _ if ratio.is_nan() => "–".into(),
            _ => format!("{ratio:.2}{}", goals::plus_minus(ratio, &ratios)),
        };
        let name = match contenders::named(&row.contender) {
            Ok(entry) if entry.sort == Sort::Ours => format!("**{}**", row.contender),
            _ => row.contender.clone(),
        };
        let is_floor = floor.is_some_and(|floor| floor.contender == row.contender);
        let mark = if is_floor { " (the floor)" } else { "" };
        let _ = write!(
            text,
            "| {name}{mark} | {} | {ratio} | {} | {} |",
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
    for cannot in results.cannot.iter().filter(|cannot| cannot.work == work) {
        let empty = " – |".repeat(if memory { 5 } else { 4 });
        let _ = writeln!(text, "| {}: {} |{empty}", cannot.contender, cannot.why);
    }
    text
}

/// Returns all curves over the same count in one table.
fn growth(results: &Results) -> String {
    let mut text = String::new();
    let mut along: Vec<&str> = results.growth.iter().map(|curve| curve.with.as_str()).collect();
    along.dedup();
    for with in along {
        let curves: Vec<_> = results.growth.iter().filter(|curve| curve.with == with).collect();
        let _ = write!(text, "\n### Growth with {with}\n\n| {with} |");
        for curve in &curves {
            let _ = write!(text, " {} |", curve.what);
        }
        let _ = writeln!(text, "\n|---:|{}", "---:|".repeat(curves.len()));
        let mut counts: Vec<f64> =
            curves.iter().flat_map(|curve| &curve.points).map(|point| point.0).collect();
        counts.sort_by(f64::total_cmp);
        counts.dedup();
        for count in counts {
            let _ = write!(text, "| {count} |");
            for curve in &curves {
                let point = curve.points.iter().find(|point| point.0 == count);
                let _ = write!(text, " {} |", digits(point.map_or(f64::NAN, |point| point.1)));
            }
            text.push('\n');
        }
    }
    text
}

fn rungs(title: &str, rungs: &[Rung]) -> String {
    if rungs.is_empty() {
        return String::new();
    }
    let mut text = format!("\n### {title}\n\n| | µs | ± |\n|---|---:|---:|\n");
    for rung in rungs {
        let (us, off) = (rung.ns / 1e3, rung.ns * rung.noise / 1e3);
        let _ = writeln!(text, "| {} | {} | {off:.2} |", rung.name, digits(us));
    }
    text
}

/// Formats a number with three significant digits.
pub(crate) fn digits(number: f64) -> String {
    match number.abs() {
        _ if number.is_nan() => "–".into(),
        0.0..10.0 => format!("{number:.2}"),
        10.0..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}
