//! Matches the members of two lists by name, or by position if the names differ.

use std::collections::HashMap;

use proc_macro2::Ident;

use syshandle_model::plain_name;

/// Returns the name that is used for matching a member. Removes a trailing underscore, because a
/// name that is a Rust keyword gets one, but may have none in IDL.
pub(super) fn match_name(name: &Ident) -> String {
    plain_name(name).trim_end_matches('_').to_owned()
}

/// The relation between a member of the old list and a member of the new list. The numbers are
/// positions in the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The member is in both lists, in the same order relative to other kept members.
    Kept {
        old: usize,
        new: usize,
    },
    /// The member is in both lists, in a different relative order.
    Moved {
        old: usize,
        new: usize,
    },
    /// A removed member and a new member with another name in the same position.
    Replaced {
        old: usize,
        new: usize,
    },
    Added {
        new: usize,
    },
    Removed {
        old: usize,
    },
}

/// Aligns two lists of names, and returns the steps in the order of the new list. If a name occurs
/// twice in a list, only one occurrence is matched.
pub(super) fn align(old: &[String], new: &[String]) -> Vec<Step> {
    let anchors = common(old, new);
    let places = |list: &[String]| -> HashMap<String, usize> {
        list.iter().cloned().enumerate().rev().map(|(at, name)| (name, at)).collect()
    };
    let (old_places, new_places) = (places(old), places(new));
    let mut steps = Vec::new();
    let mut from = (0, 0);
    for &(old_at, new_at) in anchors.iter().chain([&(old.len(), new.len())]) {
        // Processes the members between two kept ones.
        let is_gone = |at: &usize| !new_places.contains_key(&old[*at]);
        let gone: Vec<usize> = (from.0..old_at).filter(is_gone).collect();
        let is_new = |at: &usize| !old_places.contains_key(&new[*at]);
        let is_replaced = gone.len() == (from.1..new_at).filter(is_new).count();
        let mut replaced = gone.iter();
        for (at, name) in new.iter().enumerate().take(new_at).skip(from.1) {
            steps.push(match old_places.get(name) {
                Some(&before) => Step::Moved { old: before, new: at },
                None => match replaced.next().filter(|_| is_replaced) {
                    Some(&before) => Step::Replaced { old: before, new: at },
                    None => Step::Added { new: at },
                },
            });
        }
        if !is_replaced {
            steps.extend(gone.iter().map(|&old| Step::Removed { old }));
        }
        if old_at < old.len() {
            steps.push(Step::Kept { old: old_at, new: new_at });
        }
        from = (old_at + 1, new_at + 1);
    }
    steps
}

/// Returns the longest common subsequence of two lists, as pairs of positions.
fn common(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    // Skips the common prefix first, because most lists differ only at the end.
    let same = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let mut found: Vec<_> = (0..same).map(|at| (at, at)).collect();
    let (old, new) = (&old[same..], &new[same..]);
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        return found;
    }
    // lengths[i][j]: the length of the longest common subsequence of old[i..] and new[j..].
    let mut lengths = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i][j] = match old[i] == new[j] {
                true => lengths[i + 1][j + 1] + 1,
                false => lengths[i + 1][j].max(lengths[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            found.push((same + i, same + j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[i + 1][j] >= lengths[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

/// Maximum number of name pairs to compare: two lists of 2000 names each. In longer lists, only the
/// common prefix is matched in order.
const PAIRS_MAX: usize = 4_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned(old: &str, new: &str) -> String {
        let names = |text: &str| -> Vec<String> { text.chars().map(String::from).collect() };
        let (old, new) = (names(old), names(new));
        let steps = align(&old, &new).into_iter().map(|step| match step {
            Step::Kept { new: at, .. } => new[at].clone(),
            Step::Moved { new: at, .. } => format!("~{}", new[at]),
            Step::Replaced { old: before, new: at } => format!("{}>{}", old[before], new[at]),
            Step::Added { new: at } => format!("+{}", new[at]),
            Step::Removed { old: at } => format!("-{}", old[at]),
        });
        steps.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn members_are_found_by_name_then_by_position() {
        assert_eq!(aligned("abc", "abc"), "a b c");
        assert_eq!(aligned("abc", "abcd"), "a b c +d");
        assert_eq!(aligned("abc", "xabc"), "+x a b c");
        assert_eq!(aligned("abc", "axbc"), "a +x b c");
        assert_eq!(aligned("abc", "ab"), "a b -c");
        assert_eq!(aligned("abc", "axc"), "a b>x c");
        assert_eq!(aligned("abc", "acb"), "a c ~b");
        assert_eq!(aligned("abc", "xyz"), "a>x b>y c>z");
        assert_eq!(aligned("", "a"), "+a");
        assert_eq!(aligned("a", ""), "-a");
        assert_eq!(aligned("", ""), "");
    }
}
