//! Converts names to Rust's naming conventions.

use std::collections::{HashMap, HashSet};

/// Converts to snake case: `AddSparkleFinishToFile` → `add_sparkle_finish_to_file`, `pcbRead` →
/// `pcb_read`, `GetURLs` → `get_urls`.
pub(super) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let starts_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                let ends_capitals = before.is_ascii_uppercase() && starts_lower(&letters[at + 1..]);
                before.is_ascii_lowercase() || before.is_ascii_digit() || ends_capitals
            });
        if starts_word {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    let snake = snake.trim_matches('_');
    match snake.chars().next() {
        Some(first) if !first.is_ascii_digit() => snake.to_owned(),
        _ => format!("n{snake}"),
    }
}

/// Returns whether a word continues in lower case after its first letter. `rest` is the text after
/// that letter. A plural `s`, as in `URLs`, doesn't count.
fn starts_lower(rest: &[char]) -> bool {
    let is_plural =
        rest.first() == Some(&'s') && !rest.get(1).is_some_and(char::is_ascii_lowercase);
    rest.first().is_some_and(char::is_ascii_lowercase) && !is_plural
}

/// Converts to upper camel case: `SPARKLE_INFO`, `_SparkleInfo`, `sparkle_info` → `SparkleInfo`.
pub(super) fn camel(name: &str) -> String {
    let has_small = name.chars().any(|letter| letter.is_ascii_lowercase());
    let words = name.split('_').filter(|word| !word.is_empty());
    let camel: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            let rest = if has_small { rest.to_owned() } else { rest.to_ascii_lowercase() };
            first.to_ascii_uppercase() + &rest
        })
        .collect();
    match camel.chars().next() {
        Some(first) if !first.is_ascii_digit() => camel,
        _ => format!("N{camel}"),
    }
}

/// Returns the Rust name of a type. Appends a suffix to a name that generated code uses itself.
pub(super) fn type_name(name: &str) -> String {
    let camel = camel(name);
    if PRELUDE.contains(&camel.as_str()) { camel + "Type" } else { camel }
}

/// Removes the prefix `I` if an upper-case letter follows: `ISparkleFinisher` → `SparkleFinisher`.
pub(super) fn trait_name(name: &str) -> String {
    let short =
        name.strip_prefix('I').filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    type_name(short.unwrap_or(name))
}

/// Converts to upper snake case: `SparkleFinisher` → `SPARKLE_FINISHER`.
pub(super) fn constant(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// Returns the longest common prefix of the names that ends with an underscore.
pub(super) fn common_prefix<'n>(names: &[&'n str]) -> &'n str {
    let Some((&first, others)) = names.split_first().filter(|(_, others)| !others.is_empty())
    else {
        return "";
    };
    let mut ends = first.match_indices('_').map(|(at, _)| &first[..=at]);
    let fits = |prefix: &&str| {
        has_prefix(first, prefix) && others.iter().all(|name| has_prefix(name, prefix))
    };
    ends.rfind(fits).unwrap_or("")
}

/// Returns whether a name starts with a prefix and the rest of the name is itself a valid name.
pub(super) fn has_prefix(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Returns whether a name can't be used as a Rust identifier, usually because it is a keyword.
pub(super) fn is_keyword(name: &str) -> bool {
    syn::parse_str::<syn::Ident>(name).is_err()
}

/// The names in use in a scope. A duplicate gets a number as suffix.
#[derive(Default)]
pub(super) struct UniqueNames {
    taken: HashSet<String>,
    /// The number to append to the next duplicate of each name.
    next: HashMap<String, u32>,
}

impl UniqueNames {
    /// Adds a name and returns it. If the name is in use, adds and returns a similar one.
    pub(super) fn name(&mut self, name: String) -> String {
        if self.taken.insert(name.clone()) {
            return name;
        }
        let next = self.next.entry(name.clone()).or_insert(2);
        loop {
            let like = format!("{name}_{next}");
            *next += 1;
            if self.taken.insert(like.clone()) {
                return like;
            }
        }
    }
}

/// Names of the standard prelude that generated code uses.
const PRELUDE: [&str; 8] = ["Box", "Clone", "Copy", "Debug", "Option", "Result", "String", "Vec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rust_conventions() {
        assert_eq!(snake("AddSparkleFinishToFile"), "add_sparkle_finish_to_file");
        assert_eq!(snake("pcbRead"), "pcb_read");
        assert_eq!(snake("GetURLs"), "get_urls");
        assert_eq!(snake("HTTPServer2"), "http_server2");
        assert_eq!(camel("SPARKLE_INFO"), "SparkleInfo");
        assert_eq!(camel("_SparkleInfo"), "SparkleInfo");
        assert_eq!(trait_name("ISparkleFinisher"), "SparkleFinisher");
        assert_eq!(trait_name("Item"), "Item");
        assert_eq!(trait_name("IOption"), "OptionType");
        assert_eq!(constant("SparkleFinisher"), "SPARKLE_FINISHER");
    }

    #[test]
    fn a_prefix_is_common_to_all_and_leaves_names() {
        assert_eq!(common_prefix(&["STGC_DEFAULT", "STGC_OVERWRITE"]), "STGC_");
        assert_eq!(common_prefix(&["MODE_2D", "MODE_3D"]), "");
        assert_eq!(common_prefix(&["ALONE_HERE"]), "");
        assert_eq!(common_prefix(&["A_B_C", "A_B_D"]), "A_B_");
    }
}
