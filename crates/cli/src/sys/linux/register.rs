//! `syshandle register` on Linux: registers the servers in files or folders.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use syshandle::{Error, Result};
use syshandle_registry::{Policy, RegisteredClass, Registration, RegistrationFile, Registry};
use syshandle_types::Printable;

use super::programs;
use super::systemd;
use super::target::{Target, Units};
use crate::arguments::{RegisterArguments, RegistrationOptions};
use crate::output::{errln, outln};
use crate::programs::Program;

pub(crate) fn run(arguments: &RegisterArguments) -> Result<ExitCode> {
    let target = Target::new(&arguments.scope)?;
    let mut all = Vec::new();
    for path in arguments.paths.all() {
        let place = Printable(path.display());
        let programs = programs::find(&path)
            .map_err(|error| Error::failed(format!("{place} can't be searched: {error}")))?;
        if programs.is_empty() {
            let text = format!(
                "{place} contains no program that serves a class: build it, and check that it calls \
                 `Server::class`"
            );
            return Err(Error::failed(text));
        }
        all.extend(programs);
    }
    all.into_iter().try_for_each(|program| register(&target, program, arguments))?;
    Ok(ExitCode::SUCCESS)
}

fn register(target: &Target, program: Program, arguments: &RegisterArguments) -> Result<()> {
    let registry = &target.registry;
    let path = target.installed(&program.path)?;
    let classes: Vec<_> = program
        .classes
        .into_iter()
        .map(|class| RegisteredClass {
            clsid: class.clsid,
            name: class.name,
            interfaces: class.interfaces,
        })
        .collect();
    let name = registry.name_for(&path, &classes)?;
    let before = if arguments.defaults { None } else { previous_registration(registry, &name)? };
    let mut registration = Registration {
        name,
        program: path,
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        socket: None,
        policy: Policy::same_user(),
        start_timeout: Registration::START_TIMEOUT,
        classes,
    };
    let kept = before.as_ref().map(|before| keep_values(&mut registration, &before.registration));
    arguments.options.apply(&mut registration);
    let replaced = arguments.options.replaced_keys();
    report_replaced(registry, &registration);
    if arguments.systemd {
        systemd::register(target, &mut registration)?;
    } else if systemd::clean(target, &registration)? && arguments.options.socket.is_none() {
        // The socket belonged to the systemd units that have just been removed.
        registration.socket = None;
    }
    let file = registry.register(&registration)?;
    let runtime_dir = registry.runtime_dir.as_ref();
    let is_within = |socket: &PathBuf| runtime_dir.is_some_and(|folder| socket.starts_with(folder));
    if target.units() == Units::User
        && registration.socket.as_ref().is_none_or(is_within)
        && registration.policy != Policy::same_user()
    {
        errln!(
            "warning: `--users` admits no other user: only this user can enter the folder of the socket \
             (mode 0700); register with --system, or choose a --socket in another folder"
        );
    }
    for class in &registration.classes {
        outln!("registered {} {{{}}}", Printable(&class.name), class.clsid);
        outln!("        for {}", Printable(registration.program.display()));
        outln!("         in {}", Printable(file.display()));
    }
    let mut kept = kept.unwrap_or_default();
    kept.retain(|key| !replaced.contains(key));
    if !kept.is_empty() {
        outln!("    keeping {} (`--defaults` discards the earlier values)", kept.join(", "));
    }
    let is_lost =
        |before: PreviousRegistration| before.has_comments && before.registration != registration;
    if before.is_some_and(is_lost) {
        outln!("      without the comments that the file had");
    }
    Ok(())
}

/// An earlier registration with the same name, which the new one replaces.
struct PreviousRegistration {
    registration: Registration,
    has_comments: bool,
}

/// Returns the earlier registration with this name, if any.
///
/// # Errors
/// Returns an error if the file can't be read. Registering would then discard values that its owner
/// has written.
fn previous_registration(registry: &Registry, name: &str) -> Result<Option<PreviousRegistration>> {
    let Some(RegistrationFile { registration, path }) = registry.own(name).map_err(|error| {
        let error = Error::from(error);
        let text = format!("{error:#}: repair or remove the file, or use --defaults to replace it");
        Error::failed(text)
    })?
    else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut comments = text.lines().filter(|line| line.trim_start().starts_with('#'));
    Ok(Some(PreviousRegistration {
        registration,
        has_comments: comments.any(|line| !line.starts_with(Registration::COMMENT)),
    }))
}

/// Copies the values of an earlier registration that differ from the defaults. Returns the keys of
/// these values.
fn keep_values(new: &mut Registration, before: &Registration) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let mut takes = |key, differs: bool| {
        if differs {
            kept.push(key);
        }
        differs
    };
    if takes("arguments", !before.arguments.is_empty()) {
        new.arguments.clone_from(&before.arguments);
    }
    if takes("environment", !before.environment.is_empty()) {
        new.environment.clone_from(&before.environment);
    }
    if takes("users", before.policy != new.policy) {
        new.policy = before.policy.clone();
    }
    if takes("start_timeout_ms", before.start_timeout != new.start_timeout) {
        new.start_timeout = before.start_timeout;
    }
    // The socket is not reported as kept. If it belongs to units, it depends on `--systemd`.
    new.socket.clone_from(&before.socket);
    kept
}

impl RegistrationOptions {
    /// Returns the keys whose earlier values these options replace. Variables are only added.
    fn replaced_keys(&self) -> Vec<&'static str> {
        let keys = [
            ("arguments", !self.arguments.is_empty()),
            ("users", self.users.is_some()),
            ("start_timeout_ms", self.start_timeout_ms.is_some()),
        ];
        keys.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect()
    }

    fn apply(&self, registration: &mut Registration) {
        registration.environment.extend(self.environment.iter().cloned());
        if !self.arguments.is_empty() {
            registration.arguments.clone_from(&self.arguments);
        }
        if let Some(users) = &self.users {
            registration.policy = users.clone();
        }
        if let Some(time) = self.start_timeout_ms {
            registration.start_timeout = Duration::from_millis(time.into());
        }
        if let Some(socket) = &self.socket {
            registration.socket = Some(socket.clone());
        }
    }
}

/// Reports the classes that were previously registered for another program.
fn report_replaced(registry: &Registry, new: &Registration) {
    for class in &new.classes {
        let Ok(old) = registry.find(class.clsid) else { continue };
        if old.registration.program != new.program {
            let program = Printable(old.registration.program.display());
            outln!("{} was served by {program}", Printable(&class.name));
        }
    }
}
