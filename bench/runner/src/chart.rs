//! Draws bar charts and line charts as SVG. Their colors are readable on light and dark pages.

use std::fmt::Write;

use crate::tables::digits;

/// A bar of a chart, with the class that determines its color.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// `floor`, `ours` or `peer`.
    pub(crate) class: &'static str,
}

/// A group of comparable bars.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) class: &'static str,
}

/// Draws panels of bars next to each other. A bar that is much longer than the others is cut off
/// and marked.
pub(crate) fn bars(title: &str, panels: &[Panel]) -> String {
    let rows = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
    let height = TOP + 26.0 + rows as f64 * ROW + 12.0;
    let mut svg = open(title, height);
    let width = WIDTH / panels.len().max(1) as f64;
    for (index, panel) in panels.iter().enumerate() {
        let left = index as f64 * width + 8.0;
        let (name_width, value_width) = (86.0, 58.0);
        let full = width - name_width - value_width - 20.0;
        text(&mut svg, left, TOP + 12.0, "start", "bold", &panel.title);
        let scale = full / scale_end(panel);
        for (row, bar) in panel.bars.iter().enumerate() {
            let y = TOP + 26.0 + row as f64 * ROW;
            let x = left + name_width + 6.0;
            text(&mut svg, x - 6.0, y + 13.0, "end", bar.class, &bar.name);
            let long = bar.value * scale > full;
            let len = (bar.value * scale).clamp(1.0, full);
            let Bar { class, .. } = bar;
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{len:.1}" height="{}" rx="2"/>"#,
                ROW - 5.0
            );
            if long {
                let cut = x + full - 14.0;
                let _ = write!(
                    svg,
                    r#"<path class="cut" d="M{cut:.1} {:.1}l5 -{ROW}h4l-5 {ROW}z"/>"#,
                    y + ROW - 3.0
                );
            }
            text(&mut svg, x + len + 4.0, y + 13.0, "start", "", &digits(bar.value));
        }
    }
    svg + "</svg>\n"
}

/// Draws lines on two logarithmic axes, with the count on the horizontal one. A proportional curve
/// appears as a straight line at 45 degrees.
pub(crate) fn lines(title: &str, along: &str, lines: &[Line]) -> String {
    let (height, left, right, bottom) = (360.0, 64.0, 250.0, 44.0);
    let mut svg = open(title, height);
    let values = || lines.iter().flat_map(|line| &line.points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let logs = values().map(of).map(|value| value.max(SMALLEST).log10());
        let (low, high) =
            logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        (low.floor(), high.ceil().max(low.floor() + 1.0))
    };
    let ((x_low, x_high), (y_low, y_high)) = (range(|point| point.0), range(|point| point.1));
    let place =
        |low: f64, high: f64, value: f64| (value.max(SMALLEST).log10() - low) / (high - low);
    let x = |value| left + place(x_low, x_high, value) * (WIDTH - left - right);
    let y = |value| height - bottom - place(y_low, y_high, value) * (height - bottom - TOP - 12.0);
    for power in x_low as i32..=x_high as i32 {
        let at = x(10_f64.powi(power));
        grid(&mut svg, (at, TOP + 12.0), (at, height - bottom));
        // Zero has no logarithm, so the point is drawn at the edge of the chart.
        let none = power == x_low as i32 && values().any(|point| point.0 == 0.0);
        let label = if none { "0".into() } else { short(power) };
        text(&mut svg, at, height - bottom + 16.0, "middle", "", &label);
    }
    for power in y_low as i32..=y_high as i32 {
        let at = y(10_f64.powi(power));
        grid(&mut svg, (left, at), (WIDTH - right, at));
        text(&mut svg, left - 6.0, at + 4.0, "end", "", &short(power));
    }
    text(&mut svg, WIDTH - right, height - 8.0, "end", "", along);
    let mut last_label = f64::MAX;
    let mut sorted: Vec<&Line> = lines.iter().collect();
    let end = |line: &Line| line.points.last().map_or(0.0, |point| point.1);
    sorted.sort_by(|a, b| end(a).total_cmp(&end(b)));
    for line in sorted {
        let points: Vec<_> = line
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
            .collect();
        let class = line.class;
        let _ = write!(svg, r#"<polyline class="{class} line" points="{}"/>"#, points.join(" "));
        // Labels must not overlap.
        last_label = (y(end(line)) + 4.0).min(last_label - 16.0);
        text(&mut svg, WIDTH - right + 8.0, last_label, "start", class, &line.name);
    }
    svg + "</svg>\n"
}

/// Returns the value at the end of a panel's axis: the largest one that isn't cut off.
fn scale_end(panel: &Panel) -> f64 {
    let mut values: Vec<f64> = panel.bars.iter().map(|bar| bar.value).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().unwrap_or(1.0);
    let fits = values.iter().rev().find(|value| **value <= middle * DWARFS);
    fits.copied().unwrap_or(middle).max(f64::MIN_POSITIVE)
}

fn open(title: &str, height: f64) -> String {
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img"><title>{}</title><style>{STYLE}</style>"#,
        escape(title)
    );
    text(&mut svg, 8.0, 20.0, "start", "title", title);
    svg + "\n"
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(
        svg,
        r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
    );
}

fn grid(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((a, b), (c, d)) = (from, to);
    let _ = write!(svg, r#"<path class="grid" d="M{a:.1} {b:.1}L{c:.1} {d:.1}"/>"#);
}

fn short(power: i32) -> String {
    match power {
        0..4 => format!("{}", 10_u32.pow(power.unsigned_abs())),
        4.. => format!("{} k", 10_u64.pow(power.unsigned_abs() - 3)),
        _ => format!("{}", 10_f64.powi(power)),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const WIDTH: f64 = 960.0;
const ROW: f64 = 21.0;
const TOP: f64 = 34.0;

/// Smallest value on a logarithmic axis.
const SMALLEST: f64 = 0.1;

/// A bar is cut off if it is this many times as long as the median bar.
const DWARFS: f64 = 4.0;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}\
.bold,text.ours{font-weight:600}rect.floor{fill:#98a2ad}rect.ours{fill:#d9480f}rect.peer{fill:#4c7ed9}\
.line{fill:none;stroke-width:2}.line.floor{stroke:#98a2ad}.line.ours{stroke:#d9480f}\
.line.peer{stroke:#4c7ed9}.grid{stroke:#8884;fill:none}.cut{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.cut{fill:#0d1117}}";

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(values: &[f64]) -> Panel {
        let bar = |value: &f64| Bar { name: "a<b".into(), value: *value, class: "peer" };
        Panel { title: "t".into(), bars: values.iter().map(bar).collect() }
    }

    #[test]
    fn a_bar_that_dwarfs_the_others_is_cut_off() {
        assert_eq!(scale_end(&panel(&[1.0, 2.0, 3.0])), 3.0);
        assert_eq!(scale_end(&panel(&[1.0, 2.0, 3.0, 900.0])), 3.0);
    }

    #[test]
    fn charts_are_well_formed() {
        let points = vec![(0.0, 1.0), (100.0, 5.0)];
        let line = Line { name: "l".into(), points, class: "ours" };
        for svg in [bars("T", &[panel(&[1.0, 500.0])]), lines("T", "n", &[line])] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("a<b"));
        }
    }
}
