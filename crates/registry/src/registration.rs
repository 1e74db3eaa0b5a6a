//! Registrations: small TOML files that say which program serves which classes, and for which
//! users.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use syshandle_types::Guid;

use crate::{Error, ErrorKind, Policy, Result};

/// A program and the classes that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Name of the registration: the file name without `.toml`.
    pub name: String,
    /// Path of the program.
    pub program: PathBuf,
    /// Arguments of the program.
    pub arguments: Vec<String>,
    /// Environment variables in addition to the usual ones.
    pub environment: BTreeMap<String, String>,
    /// Path of the socket, if another program such as systemd listens on it and starts the server.
    pub socket: Option<PathBuf>,
    /// The users that may connect.
    pub policy: Policy,
    /// Maximum time from the start of the program to its greeting. A program that takes longer is
    /// considered hung and is ended.
    pub start_timeout: Duration,
    /// The classes that the program serves.
    pub classes: Vec<RegisteredClass>,
}

/// A class in a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredClass {
    /// CLSID of the class.
    pub clsid: Guid,
    /// Name of the class.
    pub name: String,
    /// IIDs of the class's interfaces.
    pub interfaces: Vec<Guid>,
}

impl Registration {
    /// Maximum file size. It is enough for thousands of classes, and limits reads from endless
    /// devices.
    pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

    /// The start of the comment with which [`write`](Self::write) begins a file.
    pub const COMMENT: &'static str = "# Written by `syshandle register`";

    /// Default of [`start_timeout`](Self::start_timeout).
    pub const START_TIMEOUT: Duration = Duration::from_secs(10);

    /// Parses the text of a registration file.
    ///
    /// # Errors
    /// [`ErrorKind::BadRegistration`], with the position in the text.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let bad = |what: String| Error::new(ErrorKind::BadRegistration, what);
        let file: RegistrationToml = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let quoted = text.lines().nth(line - 1).unwrap_or_default().trim();
            let quoted: String = quoted.chars().take(QUOTED_MAX).collect();
            let what = error.message();
            bad(format!("line {line}, column {column}: `{quoted}`: {what}"))
        })?;
        if !file.program.is_absolute() {
            return Err(bad(format!(
                "`program` must be an absolute path, got {}",
                file.program.display()
            )));
        }
        if let Some(socket) = file.socket.as_ref().filter(|socket| !socket.is_absolute()) {
            return Err(bad(format!(
                "`socket` must be an absolute path, got {}",
                socket.display()
            )));
        }
        for (name, value) in &file.environment {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(bad(format!(
                    "`{name}` is not a valid name of an environment variable"
                )));
            }
            if name.starts_with("LISTEN_") || name.starts_with("SYSHANDLE_") {
                return Err(bad(format!(
                    "`{name}` is reserved for the process that starts the program"
                )));
            }
            if value.contains('\0') {
                return Err(bad(format!("`{name}` has a value with a zero byte")));
            }
        }
        let classes = file.class.into_iter().map(|class| {
            let guid = |text: &String| {
                text.parse()
                    .map_err(|error| bad(format!("`{text}` is no identifier")).because(error))
            };
            Ok(RegisteredClass {
                clsid: guid(&class.clsid)?,
                name: class.name,
                interfaces: class.interfaces.iter().map(guid).collect::<Result<_>>()?,
            })
        });
        Ok(Self {
            name: name.to_owned(),
            program: file.program,
            arguments: file.arguments,
            environment: file.environment,
            socket: file.socket,
            policy: match file.users {
                UsersToml::Keyword(UsersKeyword::Same) => Policy::same_user(),
                UsersToml::Keyword(UsersKeyword::Anyone) => Policy::anyone(),
                UsersToml::Numbers(users) => Policy::users(users),
            },
            start_timeout: file
                .start_timeout_ms
                .map_or(Self::START_TIMEOUT, |time| Duration::from_millis(time.get().into())),
            classes: classes.collect::<Result<_>>()?,
        })
    }

    /// Returns the text of the registration file.
    pub fn write(&self) -> String {
        let string = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let path = |path: &Path| string(&path.to_string_lossy());
        let strings = |texts: &mut dyn Iterator<Item = String>| {
            let texts: Vec<_> = texts.map(|text| string(&text)).collect();
            format!("[{}]", texts.join(", "))
        };
        let mut lines = vec![
            format!("{}; docs/registration.md lists the keys of this file.", Self::COMMENT),
            format!("program = {}", path(&self.program)),
        ];
        if !self.arguments.is_empty() {
            lines.push(format!("arguments = {}", strings(&mut self.arguments.iter().cloned())));
        }
        if let Some(socket) = &self.socket {
            lines.push(format!("socket = {}", path(socket)));
        }
        lines.push(format!("users = {}", self.policy.write()));
        if self.start_timeout != Self::START_TIMEOUT {
            lines.push(format!("start_timeout_ms = {}", self.start_timeout.as_millis()));
        }
        if !self.environment.is_empty() {
            lines.push("\n[environment]".into());
        }
        for (name, value) in &self.environment {
            lines.push(format!("{} = {}", string(name), string(value)));
        }
        for class in &self.classes {
            lines.push("\n[[class]]".into());
            lines.push(format!("clsid = {}", string(&class.clsid.to_string())));
            lines.push(format!("name = {}", string(&class.name)));
            let mut interfaces = class.interfaces.iter().map(Guid::to_string);
            lines.push(format!("interfaces = {}", strings(&mut interfaces)));
        }
        lines.join("\n") + "\n"
    }
}

/// Maximum number of characters of a wrong line that an error quotes.
const QUOTED_MAX: usize = 80;

/// The contents of the file before validation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrationToml {
    program: PathBuf,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    socket: Option<PathBuf>,
    #[serde(default)]
    users: UsersToml,
    start_timeout_ms: Option<NonZeroU32>,
    #[serde(default)]
    class: Vec<ClassToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassToml {
    clsid: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    interfaces: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`users` is \"same\", \"anyone\", or a list of numbers")]
enum UsersToml {
    Keyword(UsersKeyword),
    Numbers(Vec<u32>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum UsersKeyword {
    Same,
    Anyone,
}

impl Default for UsersToml {
    fn default() -> Self {
        Self::Keyword(UsersKeyword::Same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_read_as_it_was_written() {
        let guid = |byte| Guid::from_bytes([byte; 16]);
        let registration = Registration {
            name: "server".into(),
            program: "/opt/a b/server".into(),
            arguments: vec!["--colour".into(), "\"blue\"".into()],
            environment: [("MOOD".into(), "good = \n better".into())].into(),
            socket: Some("/run/socket".into()),
            policy: Policy::users([0, 7]),
            start_timeout: Duration::from_millis(1500),
            classes: vec![RegisteredClass {
                clsid: guid(1),
                name: "A \"B\"".into(),
                interfaces: vec![guid(2), guid(3)],
            }],
        };
        assert_eq!(Registration::parse("server", &registration.write()).unwrap(), registration);
    }

    #[test]
    fn an_error_names_the_mistake_and_its_place() {
        for (text, part) in [
            ("program = 7", "invalid type"),
            ("program = \"server\"", "absolute"),
            ("program = \"/s\"\ncolour = 1", "colour"),
            ("program = \"/s\"\nusers = \"some\"", "users"),
            ("program = \"/s\"\n[environment]\n\"A=B\" = \"\"", "A=B"),
            ("program = \"/s\"\n[environment]\nLISTEN_FDS = \"3\"", "LISTEN_FDS"),
            ("program = \"/s\"\n[environment]\nA = \"\\u0000\"", "zero"),
            ("program = \"/s\"\nstart_timeout_ms = 0", "start_timeout_ms"),
            ("program = \"/s\"\n[[class]]\nclsid = \"1\"", "identifier"),
            ("\u{0}", ""),
        ] {
            let error = Registration::parse("server", text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadRegistration);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn users_may_be_listed() {
        let text = "program = \"/s\"\nusers = [0, 1000]";
        let policy = Registration::parse("server", text).unwrap().policy;
        let user = syshandle_os::UserId::from_kernel;
        assert!(policy.allows(user(1000)) && !policy.allows(user(1001)));
    }
}
