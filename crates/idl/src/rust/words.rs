//! "Did you mean": the word that somebody most likely wanted.

/// The nearest of `words`, if any is near.
pub(super) fn nearest<'w>(wrong: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let near = |word: &&str| {
        let distance = distance(wrong, word);
        (distance <= word.len().div_ceil(3)).then_some(distance)
    };
    words
        .filter_map(|word| near(&word).map(|distance| (distance, word)))
        .min()
        .map(|(_, word)| word)
}

/// How many letters must be changed, added or removed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let words = || ["file", "pipe", "section"].into_iter();
        assert_eq!(nearest("fiel", words()), Some("file"));
        assert_eq!(nearest("sections", words()), Some("section"));
        assert_eq!(nearest("giraffe", words()), None);
    }
}
