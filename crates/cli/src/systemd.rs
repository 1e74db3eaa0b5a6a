//! Units for systemd's user manager: it listens, and starts the server with the first client.

use std::fs;
use std::path::PathBuf;

use syshandle::{Error, Locations, Meeting, Printable, Registered, Registration, Result};

use crate::output::outln;

/// Writes the units of a registration, and has the registration name their socket.
pub(crate) fn register(locations: &Locations, registration: &mut Registration) -> Result<()> {
    let folder = folder()?;
    let program = registration.program.to_string_lossy();
    if program.contains(|c: char| c.is_control() || "\"'\\".contains(c)) {
        let text = format!(
            "systemd runs no program with quotes, backslashes or control characters in its path: \
             rename {program:?}"
        );
        return Err(Error::failed(text));
    }
    let file =
        locations.own_registry()?.join("programs").join(format!("{}.toml", registration.name));
    let registered = Registered { registration: registration.clone(), file };
    let meeting = Meeting::of(&registered, locations)?;
    let unit = unit_name(&registration.name);
    let environment = registration
        .environment
        .iter()
        .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))));
    let arguments = registration.arguments.iter().map(|argument| format!(" {}", quoted(argument)));
    let socket = format!(
        "{WRITTEN}\
         [Unit]\nDescription=The socket of {unit}\n\n\
         [Socket]\nListenSequentialPacket={}\nSocketMode=0600\nDirectoryMode=0700\n\
         RemoveOnStop=yes\nTriggerLimitIntervalSec=0\n\n\
         [Install]\nWantedBy=sockets.target\n",
        percent(&meeting.socket.to_string_lossy()),
    );
    // The colon: no variables in what follows.
    let service = format!(
        "{WRITTEN}\
         [Unit]\nDescription={unit}\nRequires={unit}.socket\nStartLimitIntervalSec=0\n\n\
         [Service]\n{PAUSE}ExecStart=:{}{}\n{}Environment={}\n",
        quoted(&program),
        arguments.collect::<String>(),
        environment.collect::<String>(),
        quoted(&format!("SYSHANDLE_REGISTRATION={}", registered.file.display())),
    );
    fs::create_dir_all(&folder)?;
    for (extension, text) in [("socket", socket), ("service", service)] {
        let path = folder.join(format!("{unit}.{extension}"));
        fs::write(&path, text).map_err(|error| {
            Error::failed(format!("{} can't be written: {error}", path.display()))
        })?;
        outln!("wrote {}", Printable(path.display()));
    }
    outln!("next: systemctl --user daemon-reload && systemctl --user enable --now '{unit}.socket'");
    registration.socket = Some(meeting.socket);
    Ok(())
}

/// Removes the units of a registration, if it has any that were written here; returns whether it had.
pub(crate) fn clean(registration: &Registration) -> Result<bool> {
    // Without a folder for them there are none.
    let Ok(folder) = folder() else { return Ok(false) };
    let unit = unit_name(&registration.name);
    let mut had = false;
    for extension in ["socket", "service"] {
        let path = folder.join(format!("{unit}.{extension}"));
        let ours = fs::read_to_string(&path).is_ok_and(|text| text.starts_with(WRITTEN));
        if ours {
            fs::remove_file(&path).map_err(|error| {
                Error::failed(format!("{} can't be removed: {error}", path.display()))
            })?;
            outln!("removed {}", Printable(path.display()));
            had = true;
        }
    }
    // `systemctl enable` has made it.
    let link = folder.join("sockets.target.wants").join(format!("{unit}.socket"));
    if had && fs::remove_file(&link).is_ok() {
        outln!("removed {}", Printable(link.display()));
    }
    if had {
        outln!(
            "next: systemctl --user stop '{unit}.socket' '{unit}.service'; \
             systemctl --user daemon-reload"
        );
    }
    Ok(had)
}

/// `~/.config/systemd/user`.
fn folder() -> Result<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".config")))
        .ok_or_else(|| Error::failed("there is no folder for units: HOME isn't set"))?;
    Ok(config.join("systemd/user"))
}

/// The name of the units, without the ending: what may not stand there is written as `\x20`, as by
/// `systemd-escape`.
fn unit_name(name: &str) -> String {
    let is_plain = |c: &u8| c.is_ascii_alphanumeric() || b":_.-".contains(c);
    name.bytes()
        .map(|c| if is_plain(&c) { char::from(c).to_string() } else { format!("\\x{c:02x}") })
        .collect()
}

/// A word of a unit file: quoted, with what systemd would replace written so that it doesn't.
fn quoted(text: &str) -> String {
    let text = percent(text).replace('\\', "\\\\").replace('"', "\\\"");
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() })
        .collect();
    format!("\"{text}\"")
}

fn percent(text: &str) -> String {
    text.replace('%', "%%")
}

/// A server that crashes is started again for each client, at most once a second: with a limit of
/// starts, systemd would close the socket to all clients after a few crashes.
const PAUSE: &str = "ExecStopPost=/bin/sh -c 'test \"$$SERVICE_RESULT\" = success || sleep 1'\n";

/// What the units start with: others are somebody else's.
const WRITTEN: &str = "# Written by `syshandle register --systemd`.\n";
