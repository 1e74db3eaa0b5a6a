//! Suggests corrections for misspelled words.

/// Returns the most similar of `words`, if one is similar enough.
pub(super) fn nearest<'w>(wrong: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let near = |word: &&str| {
        let distance = strsim::osa_distance(wrong, word);
        (distance <= word.len().div_ceil(3)).then_some(distance)
    };
    words
        .filter_map(|word| near(&word).map(|distance| (distance, word)))
        .min()
        .map(|(_, word)| word)
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
