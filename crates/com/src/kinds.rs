//! Conversion between this project's handle kinds and MIDL's numbers for them.

use syshandle_os::{Kind, Kinds};

/// Returns MIDL's number for a kind.
///
/// A directory has the number of a file. A timer has none, because MIDL doesn't support timers.
pub(crate) const fn number(kind: Kind) -> Option<u8> {
    match kind {
        Kind::Directory => Some(Kind::File as u8),
        Kind::Timer => None,
        kind => Some(kind as u8),
    }
}

/// Returns MIDL's numbers for a set of kinds, sorted and without duplicates.
pub(crate) fn numbers(kinds: Kinds) -> Vec<u8> {
    let mut numbers: Vec<_> = kinds.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Returns the kind that has this MIDL number.
pub(crate) fn of_number(number: u8) -> Option<Kind> {
    Kind::ALL.get(usize::from(number)).copied().filter(|kind| self::number(*kind) == Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_numbers_that_midl_published() {
        let published = [
            ("file", 0),
            ("semaphore", 1),
            ("event", 2),
            ("mutex", 3),
            ("process", 4),
            ("token", 5),
            ("section", 6),
            ("reg_key", 7),
            ("thread", 8),
            ("composition", 9),
            ("socket", 10),
            ("job", 11),
            ("pipe", 12),
        ];
        for (name, expected) in published {
            let kind = Kind::from_name(name).unwrap();
            assert_eq!(number(kind), Some(expected), "{name}");
            assert_eq!(of_number(expected), Some(kind));
        }
        assert_eq!(of_number(13), None);
        assert_eq!(number(Kind::Timer), None);
    }

    #[test]
    fn a_directory_is_a_file() {
        let either = Kinds::of(Kind::File).or(Kind::Directory);
        assert_eq!(numbers(either), [0]);
        assert_eq!(numbers(either.or(Kind::Timer).or(Kind::Pipe)), [0, 12]);
    }
}
