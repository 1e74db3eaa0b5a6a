//! Tracks `#pragma pack`, which limits the alignment of a struct's fields.

/// The state of `#pragma pack` at one position of a file.
#[derive(Debug, Default)]
pub(crate) struct Packing {
    limit: u8,
    stack: Vec<(String, u8)>,
    /// Whether an unsupported pragma makes the packing of the file's structs unknown.
    is_unknown: bool,
}

impl Packing {
    /// Returns the maximum alignment of a field in bytes, or 0 if it is unlimited.
    pub(crate) fn limit(&self) -> u8 {
        self.limit
    }

    /// Returns whether the packing may also affect structs of other files. This is the case if a
    /// pragma is unsupported, or still in effect at the end of the file.
    pub(crate) fn spreads(&self) -> bool {
        self.is_unknown || self.limit != 0
    }

    /// Processes a line of C that may change the packing: a pragma, or an `#include` of one of
    /// Windows' packing headers.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some((_, number)) = line.split_once("pshpack") {
            let number: String = number.chars().take_while(char::is_ascii_digit).collect();
            return self.pragma(&format!("(push, {number})"));
        }
        if line.contains("poppack") {
            return self.pragma("(pop)");
        }
        let Some((_, pragma)) = line.split_once("pragma") else { return };
        if let Some((_, arguments)) = pragma.split_once("pack") {
            self.pragma(arguments);
        }
    }

    /// Processes the arguments of `#pragma pack`, including the parentheses.
    pub(crate) fn pragma(&mut self, arguments: &str) {
        let list = arguments.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let Some((list, _)) = list else {
            self.is_unknown = true;
            return;
        };
        let mut words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
        match words.next() {
            // Restores the compiler's default packing, with which no alignment is limited.
            None => self.limit = 0,
            Some("show") => {}
            Some("push") => {
                let place = self.stack.len();
                self.stack.push((String::new(), self.limit));
                for word in words {
                    match limit(word) {
                        Some(limit) => self.limit = limit,
                        None => word.clone_into(&mut self.stack[place].0),
                    }
                }
            }
            Some("pop") => self.pop(words),
            Some(word) => match limit(word) {
                Some(limit) => self.limit = limit,
                None => self.is_unknown = true,
            },
        }
    }

    fn pop<'w>(&mut self, words: impl Iterator<Item = &'w str>) {
        let mut name = "";
        let mut after = None;
        for word in words {
            match limit(word) {
                Some(limit) => after = Some(limit),
                None => name = word,
            }
        }
        let place = match name {
            "" => self.stack.len().checked_sub(1),
            name => self.stack.iter().rposition(|(known, _)| known == name),
        };
        // A `pop` without a saved state has no effect.
        if let Some(place) = place {
            self.limit = self.stack[place].1;
            self.stack.truncate(place);
        }
        self.limit = after.unwrap_or(self.limit);
    }
}

/// Converts the argument of a pragma to the maximum alignment of a field. 8 and 16 become 0
/// (unlimited), because no field has an alignment of more than 8 bytes. Returns `None` for any
/// other word.
fn limit(word: &str) -> Option<u8> {
    match word {
        "1" => Some(1),
        "2" => Some(2),
        "4" => Some(4),
        "8" | "16" => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn after(lines: &[&str], limit: u8) {
        let mut packing = Packing::default();
        lines.iter().for_each(|line| packing.line(line));
        assert_eq!(packing.limit(), limit, "{lines:?}");
        assert_eq!(packing.spreads(), limit != 0, "{lines:?}");
    }

    #[test]
    fn a_pop_restores_the_state_before_its_push() {
        after(&["#pragma pack(1)"], 1);
        after(&["#pragma pack(push, 1)"], 1);
        after(&["#pragma pack(push, 1)", "#pragma pack(pop)"], 0);
        after(
            &["#pragma pack(2)", "#pragma pack(push)", "#pragma pack(1)", "#pragma pack(pop)"],
            2,
        );
        after(&["#pragma pack(push, a, 1)", "#pragma pack(push, 4)", "#pragma pack(pop, a)"], 0);
        after(&["#pragma pack(1)", "#pragma pack()"], 0);
        after(&["#pragma pack(push, 8)"], 0);
        after(&["#include <pshpack4.h>"], 4);
        after(&["#include <pshpack4.h>", "#include <poppack.h>"], 0);
        after(&["#pragma pack(pop)", "#pragma warning(disable: 4103)", "// pack"], 0);
    }

    #[test]
    fn an_unknown_pragma_makes_the_packing_unknown() {
        for line in ["#pragma pack(SIZE)", "#pragma pack 1", "#pragma pack(3)"] {
            let mut packing = Packing::default();
            packing.line(line);
            packing.line("#pragma pack()");
            assert!(packing.spreads(), "{line}");
        }
    }
}
