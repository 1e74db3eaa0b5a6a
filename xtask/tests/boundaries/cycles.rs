//! Finds cycles of imports between files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::resolve::Import;
use crate::source::Source;

/// Returns the cycles of imports between the files of a crate, largest first.
pub(crate) fn of(source: &Source, imports: &BTreeSet<Import>) -> Vec<BTreeSet<PathBuf>> {
    let mut edges: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = BTreeMap::new();
    for import in imports {
        let [from, to] = [import.from, import.to].map(|module| &source.modules[module].file);
        edges.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<_, _> = edges.keys().map(|file| (*file, reach(file, &edges))).collect();
    let mut cycles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (file, others) in &reached {
        let is_back =
            |other: &&&PathBuf| reached.get(**other).is_some_and(|all| all.contains(file));
        let cycle: BTreeSet<_> = others.iter().filter(is_back).map(|one| (*one).clone()).collect();
        if cycle.len() > 1 && !cycles.contains(&cycle) {
            cycles.push(cycle);
        }
    }
    cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.len()));
    cycles
}

/// Returns the files that a file imports, directly or indirectly.
fn reach<'p>(
    file: &'p PathBuf,
    edges: &BTreeMap<&'p PathBuf, BTreeSet<&'p PathBuf>>,
) -> BTreeSet<&'p PathBuf> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for next in edges.get(file).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}
