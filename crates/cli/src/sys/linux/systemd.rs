//! Writes and removes systemd units. With these units, systemd listens on a server's socket and
//! starts the server for the first client.

use std::fs;
use std::path::{Path, PathBuf};

use syshandle::{Error, Result};
use syshandle_registry::{Policy, Registration, RegistrationFile, RunningServers, RuntimePaths};
use syshandle_types::Printable;

use super::target::{Target, Units};
use crate::output::outln;

/// Writes the units for a registration, and stores the path of their socket in the registration.
pub(crate) fn register(target: &Target, registration: &mut Registration) -> Result<()> {
    let folder = target.here(&folder(target.units())?);
    let program = registration.program.to_string_lossy();
    if program.contains(|c: char| c.is_control() || "\"'\\".contains(c)) {
        let text = format!(
            "systemd can't run a program with quotes, backslashes or control characters in its \
             path: rename {program:?}"
        );
        return Err(Error::failed(text));
    }
    let path =
        target.registry.own_folder()?.join("programs").join(format!("{}.toml", registration.name));
    let socket_path = match target.units() {
        Units::User => {
            let file = RegistrationFile { registration: registration.clone(), path: path.clone() };
            RuntimePaths::of(&file, &target.registry)?.socket
        }
        Units::System | Units::Package => system_socket(&registration.name)?,
    };
    let path = target.installed(&path)?;
    let unit = unit_name(&registration.name);
    let environment = registration
        .environment
        .iter()
        .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))));
    let arguments = registration.arguments.iter().map(|argument| format!(" {}", quoted(argument)));
    let socket = format!(
        "{WRITTEN}\
         [Unit]\nDescription=The socket of {unit}\n\n\
         [Socket]\nListenSequentialPacket={}\n{}\n\
         RemoveOnStop=yes\nTriggerLimitIntervalSec=0\n\n\
         [Install]\nWantedBy=sockets.target\n",
        percent(&socket_path.to_string_lossy()),
        modes(target.units(), &registration.policy),
    );
    // The colon disables the expansion of variables in the command line.
    let service = format!(
        "{WRITTEN}\
         [Unit]\nDescription={unit}\nRequires={unit}.socket\nStartLimitIntervalSec=0\n\n\
         [Service]\n{PAUSE}{}ExecStart=:{}{}\n{}Environment={}\n",
        runtime_folder(target.units(), &socket_path),
        quoted(&program),
        arguments.collect::<String>(),
        environment.collect::<String>(),
        quoted(&format!("SYSHANDLE_REGISTRATION={}", path.display())),
    );
    fs::create_dir_all(&folder)
        .map_err(|error| Error::failed(format!("{} can't be made: {error}", folder.display())))?;
    for (extension, text) in [("socket", socket), ("service", service)] {
        let path = folder.join(format!("{unit}.{extension}"));
        fs::write(&path, text).map_err(|error| {
            Error::failed(format!("{} can't be written: {error}", path.display()))
        })?;
        outln!("wrote {}", Printable(path.display()));
    }
    match systemctl(target.units()) {
        Some(systemctl) => {
            outln!("next: {systemctl} daemon-reload && {systemctl} enable --now '{unit}.socket'");
        }
        None => outln!("the package enables '{unit}.socket' when it is installed"),
    }
    registration.socket = Some(socket_path);
    Ok(())
}

/// Returns the path of the socket on which systemd's system manager listens.
fn system_socket(name: &str) -> Result<PathBuf> {
    let path = Path::new(SYSTEM_FOLDER).join(format!("{name}.sock"));
    let len = path.as_os_str().len();
    if len > SOCKET_PATH_MAX {
        let text = format!(
            "the path of the socket {} has {len} bytes, but the limit is {SOCKET_PATH_MAX}: \
             rename the program",
            Printable(path.display())
        );
        return Err(Error::failed(text));
    }
    Ok(path)
}

/// The folder of the sockets on which systemd's system manager listens.
const SYSTEM_FOLDER: &str = "/run/syshandle";

/// Maximum length of a socket path in bytes
/// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
const SOCKET_PATH_MAX: usize = 107;

/// Returns the setting by which the system manager makes a folder beside the socket. The server
/// marks itself there as running, because it has no runtime folder of a user. The user manager's
/// servers have one.
fn runtime_folder(units: Units, socket: &Path) -> String {
    let folder = RunningServers::folder(socket);
    let folder = folder.strip_prefix("/run").unwrap_or(&folder).to_string_lossy();
    // A colon has a meaning of its own in this setting.
    if units == Units::User || folder.contains(':') {
        return String::new();
    }
    format!("RuntimeDirectory={}\n", quoted(&folder))
}

/// Returns a command about a unit of a registration, for the user manager or the system manager.
/// systemd's system manager listens on sockets below `/run/syshandle`.
pub(crate) fn command(
    registration: &Registration,
    program: &str,
    action: &str,
    extension: &str,
) -> String {
    let is_of_system =
        registration.socket.as_ref().is_some_and(|socket| socket.starts_with(SYSTEM_FOLDER));
    let user = if is_of_system { "" } else { " --user" };
    let unit = unit_name(&registration.name);
    format!("{program}{user} {action} '{unit}.{extension}'")
}

/// Returns the modes of the socket and of its folder. Permitting all users to connect is secure,
/// because the server asks the kernel for the user of each client.
fn modes(units: Units, policy: &Policy) -> &'static str {
    match units {
        Units::User => "SocketMode=0600\nDirectoryMode=0700",
        _ if *policy == Policy::same_user() => "SocketMode=0600\nDirectoryMode=0755",
        _ => "SocketMode=0666\nDirectoryMode=0755",
    }
}

/// Returns the command that controls the service manager. Returns `None` if the manager is on
/// another machine.
fn systemctl(units: Units) -> Option<&'static str> {
    match units {
        Units::User => Some("systemctl --user"),
        Units::System => Some("systemctl"),
        Units::Package => None,
    }
}

/// Removes the units that `register --systemd` wrote for a registration. Returns whether there were
/// any.
pub(crate) fn clean(target: &Target, registration: &Registration) -> Result<bool> {
    // If there is no folder for units, there are no units.
    let Ok(folder) = folder(target.units()) else { return Ok(false) };
    let folder = target.here(&folder);
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
    // `systemctl enable` created this link.
    let link = folder.join("sockets.target.wants").join(format!("{unit}.socket"));
    if had && fs::remove_file(&link).is_ok() {
        outln!("removed {}", Printable(link.display()));
    }
    if let Some(systemctl) = systemctl(target.units()).filter(|_| had) {
        outln!(
            "next: {systemctl} stop '{unit}.socket' '{unit}.service'; {systemctl} daemon-reload"
        );
    }
    Ok(had)
}

/// Returns the folder for units, as a path on the target machine.
fn folder(units: Units) -> Result<PathBuf> {
    match units {
        Units::User => {}
        Units::System => return Ok("/etc/systemd/system".into()),
        Units::Package => return Ok("/usr/lib/systemd/system".into()),
    }
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".config")))
        .ok_or_else(|| Error::failed("there is no folder for units: HOME isn't set"))?;
    Ok(config.join("systemd/user"))
}

/// Returns the name of the units without extension. Escapes special characters as `\xNN`, like
/// `systemd-escape`.
fn unit_name(name: &str) -> String {
    let is_plain = |c: &u8| c.is_ascii_alphanumeric() || b":_.-".contains(c);
    name.bytes()
        .map(|c| if is_plain(&c) { char::from(c).to_string() } else { format!("\\x{c:02x}") })
        .collect()
}

/// Quotes a word for a unit file, and escapes all characters that systemd would expand.
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

/// A unit setting that delays the restart of a crashed server by one second. systemd restarts the
/// server for each client. Without the delay, a few crashes would exceed systemd's start limit, and
/// systemd would close the socket for all clients.
const PAUSE: &str = "ExecStopPost=/bin/sh -c 'test \"$$SERVICE_RESULT\" = success || sleep 1'\n";

/// The first line of units written by this command. Units without this line belong to other
/// programs and are not changed.
const WRITTEN: &str = "# Written by `syshandle register --systemd`.\n";
