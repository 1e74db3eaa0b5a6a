//! Writes the results to the documents: `docs/performance.md`, its plots, and the README.
//!
//! The documents contain pairs of markers, `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. Only
//! the text between two markers is replaced.

use std::path::{Path, PathBuf};

use bench_harness::Result;

use crate::goals::{self, OURS};
use crate::plots;
use crate::results::Results;
use crate::tables::{self, digits};

/// Writes all documents, and returns their paths.
///
/// # Errors
/// A document can't be written, or lacks a pair of markers. In this case no document is changed.
pub(crate) fn publish(results: &Results) -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let (docs, readme) = (root.join("docs"), root.join("README.md"));
    let page = docs.join("performance.md");
    let run = tables::run(results);
    let texts = [
        (
            page.clone(),
            vec![
                ("run", run.clone()),
                ("goals", goals::table(results)),
                ("growth", crate::growth::verdicts(results).0),
                ("tables", tables::all(results)),
            ],
        ),
        (readme.clone(), vec![("short", format!("{run}\n{}", short(results)))]),
    ];
    let mut written = Vec::new();
    for (path, parts) in texts {
        let mut text = std::fs::read_to_string(&path)?;
        for (name, part) in parts {
            text = put(&text, name, &part)
                .ok_or_else(|| format!("{} has no markers of `bench:{name}`", path.display()))?;
        }
        written.push((path, text));
    }
    for (name, svg) in plots::all(results) {
        written.push((docs.join(format!("performance-{name}.svg")), svg));
    }
    for (path, text) in &written {
        std::fs::write(path, text)?;
    }
    let kept = docs.join("performance.json");
    results.save(&kept)?;
    Ok(written.into_iter().map(|(path, _)| path).chain([kept]).collect())
}

/// Returns the short table for the README.
fn short(results: &Results) -> String {
    let mut text = String::from("| | syshandle | floor | best peer |\n|---|---:|---:|---|\n");
    for (name, work, placement, unit) in SHORT {
        let Some(ours) = results.row(work, placement, OURS) else { continue };
        let Some(floor) = results.floor(ours) else { continue };
        let value = |row: &crate::results::Row| format!("{} {unit}", digits(row.value() / 1e3));
        let peer = goals::best_peer(results, work, placement)
            .map_or(String::new(), |(peer, _)| format!("{}, {}", peer.contender, value(peer)));
        text += &format!("| {name} | {} | {} | {peer} |\n", value(ours), value(floor));
    }
    text
}

/// Replaces the text between two markers. Returns `None` if they are missing.
fn put(text: &str, name: &str, part: &str) -> Option<String> {
    let (open, close) = (format!("<!-- bench:{name} -->"), format!("<!-- /bench:{name} -->"));
    let start = text.find(&open)? + open.len();
    let end = start + text[start..].find(&close)?;
    Some(format!("{}\n{}\n{}", &text[..start], part.trim_end(), &text[end..]))
}

const SHORT: &[(&str, &str, &str, &str)] = &[
    ("null call, one core", "w1", "same", "µs"),
    ("null call, a core each", "w1", "split", "µs"),
    ("two handles in, one out", "w2", "same", "µs"),
    ("the sample's whole timeline", "w3", "same", "µs"),
    ("64 clients of one server", "w4-64", "free", "k calls/s"),
    ("64 KiB there and back", "w5-65536", "same", "µs"),
    ("1 MiB there and back", "w5-1048576", "same", "µs"),
    ("connect, call, close", "w6", "same", "µs"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{results, row};

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n";
        let once = put(text, "x", "| new |\n").unwrap();
        assert_eq!(once, "a\n<!-- bench:x -->\n| new |\n<!-- /bench:x -->\nb\n");
        assert_eq!(put(&once, "x", "| new |\n").unwrap(), once);
        assert_eq!(put(text, "y", "new"), None);
        assert_eq!(put("<!-- bench:x --> and no end", "x", "new"), None);
    }

    #[test]
    fn the_texts_have_all_markers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = std::fs::read_to_string(root.join("docs/performance.md")).unwrap();
        for name in ["run", "goals", "growth", "tables"] {
            assert!(put(&page, name, "").is_some(), "{name}");
        }
        let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
        assert!(put(&readme, "short", "").is_some());
    }

    #[test]
    fn the_short_table_has_the_floor_and_the_best_peer() {
        let text = short(&results(vec![
            row("w1", "same", "seqpacket", &[10_000.0; 3]),
            row("w1", "same", OURS, &[11_000.0; 3]),
            row("w1", "same", "zbus", &[20_000.0; 3]),
            row("w1", "same", "tarpc", &[15_000.0; 3]),
        ]));
        assert!(text.contains("| 11.0 µs | 10.0 µs | tarpc, 15.0 µs |"), "{text}");
        assert_eq!(text.lines().count(), 3);
    }
}
