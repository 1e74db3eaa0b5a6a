//! `syshandle idl diff`: shows the changes between two files, and fails if they include denied
//! ones.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use syshandle_idl::diff::{Change, diff};
use syshandle_model::Description;

use super::ReadOptions;
use crate::output::{errln, outln};

/// The files to compare, and the changes for which the command fails.
#[derive(clap::Args)]
pub(crate) struct DiffArguments {
    /// The old file
    pub(super) old: PathBuf,
    /// The new file
    pub(super) new: PathBuf,
    /// The categories of changes for which the command fails with exit code 1
    #[arg(
        long,
        value_name = "CATEGORY",
        value_delimiter = ',',
        default_value = "breaks,authority",
        hide_possible_values = false
    )]
    deny: Vec<ChangeCategory>,
    /// The name of a change to accept, as the output shows it
    #[arg(long, value_name = "NAME")]
    accept: Vec<String>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    pub(super) read_options: ReadOptions,
}

/// A category of changes that can be denied.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChangeCategory {
    /// Changes that break old peers
    Breaks,
    /// Changes that give a peer more authority: a handle, a right, or a higher limit
    Authority,
    /// No changes: the command never fails because of a change
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines of text
    Text,
    /// One JSON object
    Json,
}

/// The exit code if the files can't be compared.
pub(super) const NOT_COMPARED: u8 = 2;

/// Prints the changes between two descriptions, and returns the exit code.
pub(super) fn run(arguments: &DiffArguments, old: &Description, new: &Description) -> ExitCode {
    let changes = diff(old, new);
    match arguments.format {
        Format::Text => {
            changes.iter().for_each(|change| outln!("{change}"));
            for change in &changes {
                for category in arguments.denied(change) {
                    let why = match category {
                        ChangeCategory::Authority => "gives a peer more authority",
                        ChangeCategory::Breaks | ChangeCategory::Nothing => "breaks old peers",
                    };
                    errln!("syshandle: {why}: --accept {}", change.name);
                }
            }
        }
        Format::Json => outln!("{}", arguments.json(&changes)),
    }
    let is_denied = changes.iter().any(|change| !arguments.denied(change).is_empty());
    if is_denied { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

impl DiffArguments {
    /// Returns the categories for which a change is denied. The list is empty for an accepted
    /// change.
    fn denied(&self, change: &Change) -> Vec<ChangeCategory> {
        if self.accept.contains(&change.name) {
            return Vec::new();
        }
        let applies = |category: &ChangeCategory| match category {
            ChangeCategory::Breaks => !change.is_compatible,
            ChangeCategory::Authority => change.gained_authority.is_some(),
            ChangeCategory::Nothing => false,
        };
        self.deny.iter().copied().filter(applies).collect()
    }

    fn json(&self, changes: &[Change]) -> String {
        let objects: Vec<String> = changes
            .iter()
            .map(|change| {
                let gives = change.gained_authority.as_deref().map_or("null".to_owned(), json_text);
                let warning = change.warning.as_deref().map(json_text);
                let warning = warning.map(|text| format!(",\"warning\":{text}"));
                format!(
                    "{{\"name\":{},\"change\":{},\"breaks\":{},\"gives\":{gives},\"accepted\":{},\
                     \"denied\":{}{}}}",
                    json_text(&change.name),
                    json_text(&change.description),
                    !change.is_compatible,
                    self.accept.contains(&change.name),
                    !self.denied(change).is_empty(),
                    warning.unwrap_or_default(),
                )
            })
            .collect();
        format!("{{\"version\":1,\"changes\":[{}]}}", objects.join(","))
    }
}

/// Returns a JSON string literal, with escapes for non-ASCII characters.
fn json_text(text: &str) -> String {
    let mut json = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => json += "\\\"",
            '\\' => json += "\\\\",
            ' '..='~' => json.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    json += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    json + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_for_json() {
        assert_eq!(json_text("a\"b\\c\n"), r#""a\"b\\c\u000a""#);
        assert_eq!(json_text("é𝄞"), r#""\u00e9\ud834\udd1e""#);
    }
}
