//! Sorts definitions so that each follows the definitions that it uses.

use std::collections::HashMap;

use syshandle_model::{Definition, identifiers};

/// Moves each definition after the definitions that it uses. In cycles, this isn't possible for all
/// of them.
pub(super) fn by_use(definitions: &mut Vec<Definition>) {
    let mut indexes: HashMap<String, usize> = HashMap::new();
    for (index, definition) in definitions.iter().enumerate() {
        indexes.entry(definition.name.to_string()).or_insert(index);
    }
    let uses = |index: usize| -> Vec<usize> {
        let names = identifiers(definitions[index].types());
        names.iter().filter_map(|name| indexes.get(name).copied()).collect()
    };
    let mut is_begun = vec![false; definitions.len()];
    let mut order = Vec::with_capacity(definitions.len());
    for start in 0..definitions.len() {
        if std::mem::replace(&mut is_begun[start], true) {
            continue;
        }
        // The path to the current definition. Each entry has the list of used definitions and the
        // number of them that have been visited. An explicit stack is used instead of recursion,
        // because a chain of nested types may be long.
        let mut path = vec![(start, uses(start), 0)];
        while let Some((index, used, next)) = path.last_mut() {
            match used.get(*next) {
                Some(&used) => {
                    *next += 1;
                    if !std::mem::replace(&mut is_begun[used], true) {
                        path.push((used, uses(used), 0));
                    }
                }
                None => {
                    order.push(*index);
                    path.pop();
                }
            }
        }
    }
    let mut unordered: Vec<Option<Definition>> =
        std::mem::take(definitions).into_iter().map(Some).collect();
    definitions.extend(order.into_iter().filter_map(|index| unordered[index].take()));
}
