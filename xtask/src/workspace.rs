//! The workspace folder, and generated parts of documents.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the workspace folder.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Replaces the lines between `<!-- NAME -->` and `<!-- /NAME -->` in a document. `text` must end
/// with a line break.
pub(crate) fn write_part(document: &Path, name: &str, text: &str) -> io::Result<()> {
    let failed = |error: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {error}", document.display()))
    };
    let whole = fs::read_to_string(document).map_err(|error| failed(&error))?;
    let whole = replaced(&whole, name, text)
        .ok_or_else(|| failed(&format!("the markers of `{name}` are missing")))?;
    fs::write(document, whole).map_err(|error| failed(&error))
}

fn replaced(whole: &str, name: &str, text: &str) -> Option<String> {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = whole.split_once(&start)?;
    let (_, after) = rest.split_once(&end)?;
    Some([before, &start, text, &end, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_have_markers_between_which_the_text_is_replaced() {
        for (document, name) in [("docs/testing.md", "full"), ("docs/weight.md", "weight")] {
            let whole = fs::read_to_string(root().join(document)).expect("a document");
            let once = replaced(&whole, name, "one\n").expect("markers");
            let twice = replaced(&once, name, "two\n").expect("markers");
            assert!(twice.contains(&format!("<!-- {name} -->\ntwo\n<!-- /{name} -->")));
            assert!(!twice.contains("one\n<"), "{document}");
        }
    }
}
