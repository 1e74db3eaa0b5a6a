//! Draws plots of the results.

use crate::chart::{self, Bar, Line, Panel};
use crate::contenders::{self, Sort};
use crate::results::{Results, Row};
use crate::tables::title;

/// Returns all plots for which results exist, as names and SVG.
pub(crate) fn all(results: &Results) -> Vec<(String, String)> {
    let mut plots = Vec::new();
    let mut add = |name: &str, title: &str, tasks: &[(&str, &str)]| {
        let panels: Vec<Panel> =
            tasks.iter().filter_map(|(work, place)| panel(results, work, place)).collect();
        if panels.len() == tasks.len() {
            plots.push((name.to_owned(), chart::bars(title, &panels)));
        }
    };
    add(
        "calls",
        "One call, both processes on one core: µs, less is better",
        &[("w1", "same"), ("w2", "same"), ("w3", "same")],
    );
    add(
        "calls-split",
        "One call, each process on a core of its own: µs, less is better",
        &[("w1", "split"), ("w2", "split"), ("w3", "split")],
    );
    add(
        "clients",
        "Clients of one server: thousand calls a second, more is better",
        &[("w4-1", "free"), ("w4-8", "free"), ("w4-64", "free"), ("w4p-64", "free")],
    );
    add(
        "payload",
        "Bytes each way: µs, less is better",
        &[("w5-65536", "same"), ("w5-1048576", "same")],
    );
    add(
        "connecting",
        "Connect, first call, close; and with the start of the server: µs, less is better",
        &[("w6", "same"), ("cold", "free")],
    );
    plots.extend(growth(results));
    plots
}

fn panel(results: &Results, work: &str, placement: &str) -> Option<Panel> {
    let of_task = |row: &&Row| row.work == work && row.placement == placement;
    let mut rows: Vec<&Row> = results.rows.iter().filter(of_task).collect();
    let rate = rows.first()?.is_rate();
    rows.sort_by(|a, b| a.value().total_cmp(&b.value()));
    if rate {
        rows.reverse();
    }
    let bars = rows.into_iter().map(|row| Bar {
        name: row.contender.clone(),
        value: row.value() / 1e3,
        class: class(&row.contender),
    });
    Some(Panel { title: title(work), bars: bars.collect() })
}

fn growth(results: &Results) -> Vec<(String, String)> {
    let mut along: Vec<&str> = results.growth.iter().map(|curve| curve.with.as_str()).collect();
    along.dedup();
    let plot = |with: &str| {
        let curves = results.growth.iter().filter(|curve| curve.with == with);
        let lines = curves.map(|curve| Line {
            name: curve.what.clone(),
            points: curve.points.clone(),
            class: class(curve.what.split(':').next().unwrap_or_default()),
        });
        let lines: Vec<Line> = lines.collect();
        let name = format!("growth-{}", with.replace(' ', "-"));
        (name, chart::lines(&format!("Growth with {with}"), with, &lines))
    };
    along.into_iter().map(plot).collect()
}

fn class(contender: &str) -> &'static str {
    match contenders::named(contender).map(|entry| entry.sort) {
        Ok(Sort::Floor) => "floor",
        Ok(Sort::Ours) => "ours",
        _ => "peer",
    }
}
