//! Runs an external C preprocessor, for files that the built-in one doesn't support.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::front::source::{LineMarker, decode};

/// Runs a preprocessor that accepts the arguments of `cc -E -x c`. Returns its output and the line
/// markers found in it. In the output, each marker is replaced with a blank line.
///
/// # Errors
///
/// Returns the program's error output if it can't be started or fails.
pub(crate) fn run(
    program: &Path,
    file: &Path,
    search: &[PathBuf],
    definitions: &[String],
) -> Result<(String, Vec<LineMarker>), String> {
    let output = Command::new(program)
        .args(["-E", "-x", "c", "-undef"])
        .args(search.iter().flat_map(|directory| ["-I".as_ref(), directory.as_os_str()]))
        .args(definitions.iter().map(|definition| format!("-D{definition}")))
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} can't be started: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        return Err(format!("{} failed:\n{said}", program.display()));
    }
    Ok(without_markers(&decode(output.stdout)))
}

/// Extracts the line markers (`# 12 "file" …`) from a preprocessor's output.
fn without_markers(text: &str) -> (String, Vec<LineMarker>) {
    let mut kept = String::with_capacity(text.len());
    let mut markers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match marker(line) {
            Some((line, file)) => {
                markers.push(LineMarker { at: index + 1, file: file.to_owned(), line });
            }
            None => kept.push_str(line),
        }
        kept.push('\n');
    }
    (kept, markers)
}

fn marker(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.strip_prefix("# ")?.split_once(" \"")?;
    Some((number.parse().ok()?, rest.split('"').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_markers_set_the_place_of_the_next_line() {
        let (text, markers) = without_markers("# 1 \"a.idl\"\n\nlong x;\n# 7 \"b.h\" 1\nlong y;\n");
        assert_eq!(text, "\n\nlong x;\n\nlong y;\n");
        let markers: Vec<_> =
            markers.into_iter().map(|marker| (marker.at, marker.file, marker.line)).collect();
        assert_eq!(markers, [(1, "a.idl".to_owned(), 1), (4, "b.h".to_owned(), 7)]);
    }
}
