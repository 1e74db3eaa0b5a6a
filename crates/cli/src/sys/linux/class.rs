//! Parses a class argument, which is a CLSID or a name.

use std::convert::Infallible;
use std::str::FromStr;

use syshandle::{Error, Guid, Result};
use syshandle_registry::{RegisteredClass, Registry};

/// A class as the user specified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClassArgument {
    Id(Guid),
    Name(String),
}

impl FromStr for ClassArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let id = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        Ok(id.parse().map_or_else(|_| Self::Name(text.into()), Self::Id))
    }
}

impl ClassArgument {
    /// Returns the CLSID of the class. A name is searched among the registered classes.
    ///
    /// # Errors
    /// Returns an error if no class or more than one class has this name.
    pub(crate) fn find(&self, registry: &Registry) -> Result<Guid> {
        let name = match self {
            Self::Id(id) => return Ok(*id),
            Self::Name(name) => name,
        };
        let files = registry.list().into_iter().flatten();
        let classes: Vec<_> = files.flat_map(|file| file.registration.classes).collect();
        let exact = ids(&classes, |class| class.name == *name);
        let similar = ids(&classes, |class| class.name.eq_ignore_ascii_case(name));
        match if exact.is_empty() { similar } else { exact }[..] {
            [id] => Ok(id),
            [] => {
                let mut names: Vec<_> = classes.into_iter().map(|class| class.name).collect();
                names.sort();
                names.dedup();
                let known = match names.len() {
                    0 => "there are no registrations".to_owned(),
                    1..=NAMES_MAX => format!("the registered classes are {}", names.join(", ")),
                    _ => "`syshandle list` shows the registered classes".to_owned(),
                };
                Err(Error::failed(format!("no class is registered as `{name}`: {known}")))
            }
            ref several => {
                let several: Vec<_> = several.iter().map(Guid::to_string).collect();
                let several = several.join(", ");
                let text = format!("several classes have the name `{name}`: use one of {several}");
                Err(Error::failed(text))
            }
        }
    }
}

/// Returns the CLSIDs of the matching classes, without duplicates.
fn ids(classes: &[RegisteredClass], matches: impl Fn(&RegisteredClass) -> bool) -> Vec<Guid> {
    let mut ids = Vec::new();
    for class in classes.iter().filter(|class| matches(class)) {
        if !ids.contains(&class.clsid) {
            ids.push(class.clsid);
        }
    }
    ids
}

/// Maximum number of class names in an error message, so that the message fits on a screen.
const NAMES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_may_have_braces_and_any_other_text_is_a_name() {
        let text = "ea27c73a-48c2-4714-9d20-a9d2c4f6aed3";
        let id = ClassArgument::Id(text.parse().expect("an identifier"));
        for text in [text, &format!("{{{text}}}")] {
            assert_eq!(text.parse(), Ok(id.clone()));
        }
        for name in ["SPARKLE", "{SPARKLE}", "ea27c73a"] {
            assert_eq!(name.parse(), Ok(ClassArgument::Name(name.into())));
        }
    }
}
