//! Diagnostics: errors and warnings about `.idl` files, with positions and hints.

use std::borrow::Cow;
use std::fmt;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::limits::{ERRORS_MAX, QUOTED_LINE_BYTES_MAX, QUOTED_NAME_MAX, WARNINGS_MAX};
use super::source::{SourceMap, Span};
use super::steps;

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The file is invalid, and `idl check` fails.
    Error,
    /// The file is valid, but probably doesn't do what its author intended.
    Warning,
}

/// An error or warning about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The message, in lower case and without a full stop.
    pub message: String,
    /// The position. `None` if the diagnostic is about a whole file.
    pub(crate) span: Option<Span>,
    /// The text that is printed below the source line.
    pub label: String,
    /// A second position that explains the diagnostic, with a label.
    pub(crate) related: Option<(Span, String)>,
    /// A suggestion for correcting the file.
    pub hint: Option<String>,
    /// Whether the diagnostic reports that something couldn't be checked.
    pub(crate) is_gap: bool,
}

impl Diagnostic {
    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Some(span), message.into())
    }

    pub(crate) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Some(span), message.into())
    }

    /// Creates an error without a source position.
    pub(crate) fn without_place(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, None, message.into())
    }

    fn new(severity: Severity, span: Option<Span>, message: String) -> Self {
        Self {
            severity,
            message,
            span,
            label: String::new(),
            related: None,
            hint: None,
            is_gap: false,
        }
    }

    /// Creates a warning that something couldn't be checked.
    pub(crate) fn gap(span: Span, message: impl Into<String>) -> Self {
        Self { is_gap: true, ..Self::warning(span, message) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }
}

/// The diagnostics about one file. The number of each severity is limited.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    kept: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    gaps: usize,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let (count, kept_max) = match diagnostic.severity {
            Severity::Error => (&mut self.errors, ERRORS_MAX),
            Severity::Warning => (&mut self.warnings, WARNINGS_MAX),
        };
        *count += 1;
        self.gaps += usize::from(diagnostic.is_gap);
        if *count <= kept_max {
            self.kept.push(diagnostic);
        }
    }

    /// Adds a diagnostic regardless of the limits.
    pub(crate) fn push_always(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        self.kept.push(diagnostic);
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Returns whether there is room for another error and another warning. If not, callers skip
    /// the computation of hints, because searching for similar words is expensive.
    pub(crate) fn has_room(&self) -> bool {
        self.errors < ERRORS_MAX && self.warnings < WARNINGS_MAX
    }

    /// Returns the number of diagnostics that report that something couldn't be checked.
    pub(crate) fn gaps(&self) -> usize {
        self.gaps
    }

    pub(crate) fn warnings(&self) -> usize {
        self.warnings
    }

    pub(crate) fn into_kept(self) -> Vec<Diagnostic> {
        self.kept
    }
}

/// Whether diagnostics are rendered with terminal colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Plain text, for files and pipes.
    #[default]
    Never,
    /// ANSI escape sequences.
    Always,
}

/// Renders diagnostics as text: message, position, source line with carets, and hint.
pub(crate) fn render(
    sources: &SourceMap,
    diagnostics: &[Diagnostic],
    color: Color,
    to: &mut impl fmt::Write,
) -> fmt::Result {
    let renderer = match color {
        Color::Never => Renderer::plain(),
        Color::Always => Renderer::styled(),
    };
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let label = printable(&diagnostic.label);
        let mut group = level.primary_title(printable(&diagnostic.message)).elements(
            diagnostic.span.map(|span| quote(sources, span, &label, AnnotationKind::Primary)),
        );
        let related = diagnostic.related.as_ref().map(|(span, label)| (*span, printable(label)));
        if let Some((span, label)) = &related {
            group = group.element(quote(sources, *span, label, AnnotationKind::Context));
        }
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(printable(hint)));
        }
        writeln!(to, "{}\n", renderer.render(&[group]))?;
    }
    Ok(())
}

fn quote<'a>(
    sources: &'a SourceMap,
    span: Span,
    label: &'a str,
    kind: AnnotationKind,
) -> Element<'a> {
    let quoted = sources.quote(span);
    let mut location = quoted.location;
    location.file = printable(&location.file).into_owned();
    if quoted.text.len() > QUOTED_LINE_BYTES_MAX {
        return Origin::path(location.file).line(location.line).char_column(location.column).into();
    }
    let label = (!label.is_empty()).then_some(label);
    Snippet::source(quoted.text)
        .line_start(location.line)
        .path(location.file)
        .annotation(kind.span(quoted.marked).label(label))
        .into()
}

/// Escapes characters that a terminal or log would interpret, or that hide or reorder text. The
/// renderer does the same for quoted source lines.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut escaped = String::new();
    for c in text.chars() {
        if obeyed(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

/// Formats a name for a message: in backquotes, truncated to [`QUOTED_NAME_MAX`] characters.
pub(crate) fn quoted(name: &str) -> String {
    if name.chars().count() <= QUOTED_NAME_MAX {
        return format!("`{name}`");
    }
    let shown: String = name.chars().take(QUOTED_NAME_MAX).collect();
    format!("`{shown}…`")
}

/// Returns a hint that suggests the most similar known word, if any is similar enough.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    similar(wrong, known).map(|word| format!("did you mean {}?", quoted(word)))
}

/// Returns the known word that is most similar to a wrong one. At most a third of the letters may
/// differ.
pub(crate) fn similar<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if wrong.len() > QUOTED_NAME_MAX {
        return None;
    }
    let distance_max = (wrong.len() / 3).max(1);
    let lower = wrong.to_ascii_lowercase();
    known
        .into_iter()
        .inspect(|_| steps::count(1))
        .filter(|word| *word != wrong && word.len().abs_diff(wrong.len()) <= distance_max)
        .map(|word| {
            let distance = strsim::osa_distance(&lower, &word.to_ascii_lowercase());
            // If words differ only in case, the one with fewer differences in case is preferred.
            (distance, strsim::osa_distance(wrong, word), word)
        })
        .filter(|(distance, ..)| *distance <= distance_max)
        .min()
        .map(|(.., word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestion_is_the_nearest_word_or_none() {
        let known = ["HANDLE", "HRESULT", "HMODULE"];
        assert_eq!(similar("HANDEL", known), Some("HANDLE"));
        assert_eq!(similar("handle", known), Some("HANDLE"));
        assert_eq!(similar("Size", ["SIZE", "Size_", "size"]), Some("size"));
        assert_eq!(similar("LNOG", ["long", "LONG"]), Some("LONG"));
        assert_eq!(similar("lnog", ["LONG", "long"]), Some("long"));
        assert_eq!(similar("IStream", known), None);
        assert_eq!(similar(&"x".repeat(100_000), known), None);
    }

    #[test]
    fn a_message_and_a_file_name_are_one_line_without_control_characters() {
        let mut sources = SourceMap::default();
        let evil = "a\u{1b}[2J\n\u{202e}b";
        sources.add(evil.into(), format!("{evil} x;\n"), Vec::new()).unwrap();
        let diagnostic = Diagnostic::error(Span::new(0, 1), evil).label(evil).hint(evil);
        let mut text = String::new();
        render(&sources, &[diagnostic], Color::Never, &mut text).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert_eq!(text.matches(r"a\u{1b}[2J\n\u{202e}b").count(), 4, "{text}");
    }

    #[test]
    fn errors_beyond_the_limit_are_counted_not_kept() {
        let mut diagnostics = Diagnostics::default();
        for at in 0..1000 {
            diagnostics.push(Diagnostic::error(Span::new(at, at + 1), "wrong"));
        }
        assert_eq!(diagnostics.errors(), 1000);
        assert_eq!(diagnostics.into_kept().len(), ERRORS_MAX);
    }

    #[test]
    fn message_shows_line_caret_and_hint() {
        let mut sources = SourceMap::default();
        sources.add("a.idl".into(), "one\n\tHANDEL x;\n".into(), Vec::new()).unwrap();
        let diagnostic = Diagnostic::error(Span::new(5, 11), "unknown type `HANDEL`")
            .label("not declared")
            .hint("did you mean `HANDLE`?");
        let mut text = String::new();
        render(&sources, &[diagnostic], Color::Never, &mut text).unwrap();
        let expected = "\
error: unknown type `HANDEL`
 --> a.idl:2:2
  |
2 |     HANDEL x;
  |     ^^^^^^ not declared
  |
  = help: did you mean `HANDLE`?

";
        assert_eq!(text, expected);
    }
}
