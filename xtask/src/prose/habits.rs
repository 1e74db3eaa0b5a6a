//! Defines the habits that make English text hard to read, and finds them in texts.

/// The phrases that indicate each habit. `|` separates alternatives for a word.
const PHRASES: [(&str, &[&str]); 12] = [
    (
        "headless relative",
        &[
            "whoever",
            "whatever",
            "who has|is|knows|waits|calls|holds|looks|starts|sends",
            "to|by|of who",
        ],
    ),
    ("possessive relative", &["of one's|ours|theirs"]),
    ("so much", &["so many|long|much", "that much", "for so"]),
    ("at the most", &["at the most|least", "is the least|most"]),
    ("filler", &["all the same", "besides", "mostly", "meanwhile"]),
    ("that of", &["that of", "those of|that|who"]),
    ("somebody", &["somebody|nobody|anybody|everybody"]),
    ("where for if", &["where there|it|its|that|none|one|a|the|they"]),
    ("the one who", &["the one|ones who"]),
    ("translated idiom", &["in vain", "some times", "found out", "comes to nothing", "worth it"]),
    ("time is over", &["time is|was|were over"]),
    ("riddle", &["of them is|are|was one", "before it is one"]),
];

/// The first words that indicate each habit of opening: the text has no subject, or starts with a
/// pronoun that refers to nothing.
const OPENINGS: [(&str, &[&str]); 3] = [
    (
        "headless opening",
        &["how long|many|much|often|far|soon", "which of", "which one|ones", "who"],
    ),
    ("the same", &["the same"]),
    (PRONOUN, &["it", "its", "whether it|its|they", "they", "their"]),
];

/// The one habit that strings may have. A string is often the end of a message, whose subject is
/// named earlier.
pub(super) const PRONOUN: &str = "pronoun without a noun";

/// Returns the names of the habits found in a text. The list is empty if there are none.
pub(super) fn habits(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '\'' || c == '_';
    let words: Vec<&str> = lower.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let is_question = lower.trim_end().ends_with('?');
    let anywhere = PHRASES.iter().filter(|(_, phrases)| {
        phrases.iter().any(|phrase| (0..words.len()).any(|at| starts_with(&words[at..], phrase)))
    });
    let first = OPENINGS.iter().filter(|(_, phrases)| {
        !is_question && phrases.iter().any(|phrase| starts_with(&words, phrase))
    });
    let mut found: Vec<_> = anywhere.chain(first).map(|(name, _)| *name).collect();
    let mut sentences = lower.split_inclusive(['.', ':', ';', '?']).map(str::trim);
    if sentences.any(|sentence| sentence.starts_with("what ") && !sentence.ends_with('?')) {
        found.push("headless what");
    }
    found
}

fn starts_with(words: &[&str], phrase: &str) -> bool {
    let mut words = words.iter();
    phrase
        .split(' ')
        .all(|one_of| words.next().is_some_and(|word| one_of.split('|').any(|one| one == *word)))
}

#[cfg(test)]
mod tests {
    use super::habits;

    /// Examples of texts with habits, each with a better version.
    const PAIRS: &str = include_str!("pairs.txt");

    #[test]
    fn each_text_before_is_marked_and_each_text_after_passes() {
        let mut pairs = 0;
        for pair in PAIRS.split("\n\n").filter(|pair| !pair.starts_with('#')) {
            let (before, after) = pair.trim_end().split_once('\n').expect("a pair has two lines");
            assert!(!habits(before).is_empty(), "not marked: {before}");
            assert_eq!(habits(after), [""; 0], "{after}");
            pairs += 1;
        }
        assert!(pairs >= 15, "only {pairs} pairs were read");
    }

    #[test]
    fn each_habit_is_found_and_plain_text_has_none() {
        for (text, habit) in [
            ("whoever calls this", "headless relative"),
            ("a thread who waits for it", "headless relative"),
            ("the class of ours", "possessive relative"),
            ("a call takes so long", "so much"),
            ("ten at the most", "at the most"),
            ("Mostly a frame works", "filler"),
            ("larger than that of a frame", "that of"),
            ("Nobody waits", "somebody"),
            ("where there is room", "where for if"),
            ("the thread is the one who listens", "the one who"),
            ("tried in vain", "translated idiom"),
            ("the time is over", "time is over"),
            ("One thing: what goes on here", "headless what"),
            ("How many clients a server has", "headless opening"),
            ("Whether it is open", "pronoun without a noun"),
            ("The same of another call", "the same"),
        ] {
            assert_eq!(habits(text), [habit], "{text}");
        }
        for text in ["Sends a frame without a body.", "What is it? A frame.", "of the same frame"] {
            assert!(habits(text).is_empty(), "{text}");
        }
    }
}
