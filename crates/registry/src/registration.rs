//! Registrations: small TOML files that record which program serves which classes, and for which
//! users.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use syshandle_types::Guid;
use toml_span::de_helpers::TableHelper;
use toml_span::value::ValueInner;
use toml_span::{DeserError, Deserialize, ErrorKind as TomlErrorKind, Span, Value};

use crate::{Error, ErrorKind, Policy, Result};

/// A program, how to start it, and the classes that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Name of the registration, which is the file name without `.toml`.
    pub name: String,
    /// Path of the program.
    pub program: PathBuf,
    /// Arguments of the program.
    pub arguments: Vec<String>,
    /// Environment variables to set in addition to the default environment of servers.
    pub environment: BTreeMap<String, String>,
    /// Path of the socket, if another program such as systemd listens on it and starts the server.
    pub socket: Option<PathBuf>,
    /// The users who may connect.
    pub policy: Policy,
    /// Maximum time from the start of the program to its greeting. A program that takes longer is
    /// considered hung and is killed.
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
    /// Maximum size of a registration file in bytes. It suffices for hundreds of classes. It ends
    /// reads of infinite devices, and limits the time of the parser, which is quadratic in the
    /// number of dotted keys.
    pub const FILE_BYTES_MAX: u64 = 128 * 1024;

    /// The first words of a file that [`write`](Self::write) creates.
    pub const COMMENT: &'static str = "# Written by `syshandle register`";

    /// Default of [`start_timeout`](Self::start_timeout).
    pub const START_TIMEOUT: Duration = Duration::from_secs(10);

    /// Parses the text of a registration file.
    ///
    /// # Errors
    /// [`ErrorKind::BadRegistration`], with the position in the text.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let bad = |what: String| Error::new(ErrorKind::BadRegistration, what);
        let file = read(text).map_err(|(position, what)| {
            let before = text.get(..position).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let quoted = text.lines().nth(line - 1).unwrap_or_default().trim();
            let quoted: String = quoted.chars().take(QUOTED_MAX).collect();
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
        let classes = file.classes.into_iter().map(|class| {
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
            policy: file.policy,
            start_timeout: file
                .start_timeout_ms
                .map_or(Self::START_TIMEOUT, |time| Duration::from_millis(time.into())),
            classes: classes.collect::<Result<_>>()?,
        })
    }

    /// Returns the text of the registration file.
    pub fn write(&self) -> String {
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

/// Maximum number of characters that an error quotes from an invalid line.
const QUOTED_MAX: usize = 80;

/// Parses the file without validating it. An error consists of a position in the text and a
/// message.
fn read(text: &str) -> std::result::Result<RegistrationToml, (usize, String)> {
    let mut value = toml_span::parse(text).map_err(|error| describe(&error))?;
    RegistrationToml::deserialize(&mut value).map_err(|failed| {
        // Errors about missing keys come last, because a misspelled key is often the reason.
        let rank = |(is_missing, at, _): &(bool, usize, String)| (*is_missing, *at);
        let errors = failed.errors.iter().map(|error| {
            let (at, what) = describe(error);
            (matches!(error.kind, TomlErrorKind::MissingField(_)), at, what)
        });
        errors.min_by_key(rank).map(|(_, at, what)| (at, what)).unwrap_or_default()
    })
}

/// Converts an error of the parser to a position in the text and a message.
fn describe(error: &toml_span::Error) -> (usize, String) {
    match &error.kind {
        TomlErrorKind::UnexpectedKeys { keys, expected } => {
            let first = keys.iter().min_by_key(|(_, span)| span.start);
            let (key, at) = first.map_or(("", 0), |(key, span)| (key.as_str(), span.start));
            (at, format!("unknown key `{key}`, expected one of `{}`", expected.join("`, `")))
        }
        TomlErrorKind::MissingField(key) => (error.span.start, format!("missing key `{key}`")),
        _ => (error.span.start, error.to_string()),
    }
}

/// Formats a TOML string.
fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..'\x20' | '\x7f' => quoted += &format!("\\u{:04x}", u32::from(character)),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

/// The content of the file before validation.
struct RegistrationToml {
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    socket: Option<PathBuf>,
    policy: Policy,
    start_timeout_ms: Option<u32>,
    classes: Vec<ClassToml>,
}

impl<'de> Deserialize<'de> for RegistrationToml {
    fn deserialize(value: &mut Value<'de>) -> std::result::Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let program: String = table.required("program").unwrap_or_default();
        let arguments = table.optional("arguments").unwrap_or_default();
        let environment: Option<EnvironmentToml> = table.optional("environment");
        let socket: Option<String> = table.optional("socket");
        let users: Option<UsersToml> = table.optional("users");
        let start_timeout_ms = table.optional_s::<u32>("start_timeout_ms");
        let classes = table.optional("class").unwrap_or_default();
        if let Some(time) = start_timeout_ms.as_ref().filter(|time| time.value == 0) {
            table.errors.push(custom("`start_timeout_ms` must be at least 1", time.span));
        }
        table.finalize(None)?;
        Ok(Self {
            program: program.into(),
            arguments,
            environment: environment.map(|environment| environment.0).unwrap_or_default(),
            socket: socket.map(PathBuf::from),
            policy: users.map(|users| users.0).unwrap_or_default(),
            start_timeout_ms: start_timeout_ms.map(|time| time.value),
            classes,
        })
    }
}

/// A table with the name `[[class]]`.
struct ClassToml {
    clsid: String,
    name: String,
    interfaces: Vec<String>,
}

impl<'de> Deserialize<'de> for ClassToml {
    fn deserialize(value: &mut Value<'de>) -> std::result::Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let clsid = table.required("clsid").unwrap_or_default();
        let name = table.optional("name").unwrap_or_default();
        let interfaces = table.optional("interfaces").unwrap_or_default();
        table.finalize(None)?;
        Ok(Self { clsid, name, interfaces })
    }
}

/// The table with the name `[environment]`.
struct EnvironmentToml(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for EnvironmentToml {
    fn deserialize(value: &mut Value<'de>) -> std::result::Result<Self, DeserError> {
        let variables = TableHelper::new(value)?.table.into_iter();
        let variables = variables
            .map(|(name, mut value)| Ok((name.name.into(), String::deserialize(&mut value)?)));
        variables.collect::<std::result::Result<_, DeserError>>().map(Self)
    }
}

/// The policy, from the value of the key `users`.
struct UsersToml(Policy);

impl<'de> Deserialize<'de> for UsersToml {
    fn deserialize(value: &mut Value<'de>) -> std::result::Result<Self, DeserError> {
        match value.take() {
            ValueInner::String(word) if word == "same" => return Ok(Self(Policy::same_user())),
            ValueInner::String(word) if word == "anyone" => return Ok(Self(Policy::anyone())),
            other => value.set(other),
        }
        let what = "`users` is \"same\", \"anyone\", or a list of numbers";
        let users = Vec::<u32>::deserialize(value).map_err(|_| custom(what, value.span))?;
        Ok(Self(Policy::users(users)))
    }
}

fn custom(what: &'static str, at: Span) -> toml_span::Error {
    (TomlErrorKind::Custom(what.into()), at).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\u{1}\t\r\n\u{7f}\\'\"é\u{2028}";

    #[test]
    fn a_registration_is_read_as_it_was_written() {
        let guid = |byte| Guid::from_bytes([byte; 16]);
        let registration = Registration {
            name: "server".into(),
            program: "/opt/a b/server".into(),
            arguments: vec!["--colour".into(), "\"blue\"".into()],
            environment: [
                ("MOOD".into(), "good = \n better".into()),
                ("\"".into(), PRINTED.into()),
            ]
            .into(),
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
            ("program = 7", "line 1, column 11: `program = 7`: expected a string, found integer"),
            ("program = \"server\"", "absolute"),
            ("program = \"/s", "line 1, column 11: `program = \"/s`: unterminated string"),
            (
                "program = \"/s\"\ncolour = 1",
                "line 2, column 1: `colour = 1`: unknown key `colour`",
            ),
            ("progran = \"/s\"", "unknown key `progran`, expected one of `program`, `arguments`"),
            ("users = \"same\"", "missing key `program`"),
            ("program = \"/s\"\nprogram = \"/t\"", "line 2, column 1"),
            ("program = \"/s\"\narguments = [\"é\", 1]", "line 2, column 19"),
            ("program = \"/s\"\nsocket = true", "expected a string, found boolean"),
            ("program = \"/s\"\nsocket = 1979-05-27", "line 2, column 10"),
            (
                "program = \"/s\"\nusers = \"some\"",
                "line 2, column 10: `users = \"some\"`: `users` is",
            ),
            ("program = \"/s\"\nusers = [-1]", "`users` is"),
            ("program = \"/s\"\nusers = [4294967296]", "`users` is"),
            ("program = \"/s\"\n[environment]\nA = 1", "line 3, column 5"),
            ("program = \"/s\"\n[environment]\n\"A=B\" = \"\"", "A=B"),
            ("program = \"/s\"\n[environment]\nLISTEN_FDS = \"3\"", "LISTEN_FDS"),
            ("program = \"/s\"\n[environment]\nA = \"\\u0000\"", "zero"),
            ("program = \"/s\"\nstart_timeout_ms = 0", "`start_timeout_ms` must be at least 1"),
            ("program = \"/s\"\nstart_timeout_ms = 4294967296", "out of range"),
            ("program = \"/s\"\n[class]\nclsid = \"1\"", "expected an array, found table"),
            (
                "program = \"/s\"\n[[class]]\nname = \"1\"",
                "line 2, column 1: `[[class]]`: missing key",
            ),
            (
                "program = \"/s\"\n[[class]]\nclsid = \"1\"\nx = 1",
                "line 4, column 1: `x = 1`: unknown",
            ),
            ("program = \"/s\"\n[[class]]\nclsid = \"1\"", "identifier"),
            (&format!("program = {}", "[".repeat(100_000)), "nesting depth"),
            (&format!("program{} = 1", ".a".repeat(50_000)), "nesting depth"),
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
