//! Units for systemd's user manager: it listens, and starts the server with the first client.

use std::fs;
use std::path::PathBuf;

use syshandle::{Error, ErrorKind, Locations, Meeting, Registered, Registration, Result};

/// Writes the units of a registration, and has the registration name their socket.
pub(crate) fn register(locations: &Locations, registration: &mut Registration) -> Result<()> {
    let folder = folder()?;
    let file =
        locations.own_registry()?.join("programs").join(format!("{}.toml", registration.name));
    let registered = Registered { registration: registration.clone(), file };
    let meeting = Meeting::of(&registered, locations)?;
    let name = &registration.name;
    let environment = registration
        .environment
        .iter()
        .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))));
    let socket = format!(
        "# Written by `syshandle register --systemd`.\n\
         [Unit]\nDescription=The socket of {name}\n\n\
         [Socket]\nListenSequentialPacket={}\nSocketMode=0600\nDirectoryMode=0700\n\n\
         [Install]\nWantedBy=sockets.target\n",
        percent(&meeting.socket.to_string_lossy()),
    );
    let service = format!(
        "# Written by `syshandle register --systemd`.\n\
         [Unit]\nDescription={name}\nRequires={name}.socket\n\n\
         [Service]\nExecStart={}\n{}Environment={}\n",
        quoted(&registration.program.to_string_lossy()),
        environment.collect::<String>(),
        quoted(&format!("SYSHANDLE_REGISTRATION={}", registered.file.display())),
    );
    fs::create_dir_all(&folder)?;
    for (extension, text) in [("socket", socket), ("service", service)] {
        let path = folder.join(format!("{name}.{extension}"));
        fs::write(&path, text).map_err(|error| {
            Error::failed(format!("{} can't be written: {error}", path.display()))
        })?;
        println!("wrote {}", path.display());
    }
    println!("next: systemctl --user daemon-reload && systemctl --user enable --now {name}.socket");
    registration.socket = Some(meeting.socket);
    Ok(())
}

/// Removes the units of a registration, if it has any.
pub(crate) fn clean(registration: &Registration) -> Result<()> {
    if registration.socket.is_none() {
        return Ok(());
    }
    let folder = folder()?;
    for extension in ["socket", "service"] {
        let path = folder.join(format!("{}.{extension}", registration.name));
        if fs::remove_file(&path).is_ok() {
            println!("removed {}", path.display());
        }
    }
    Ok(())
}

/// `~/.config/systemd/user`.
fn folder() -> Result<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".config")))
        .ok_or_else(|| Error::failed(format!("{:?}: HOME isn't set", ErrorKind::System)))?;
    Ok(config.join("systemd/user"))
}

/// A word of a unit file: quoted, with what systemd would replace written twice.
fn quoted(text: &str) -> String {
    let text = percent(text).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    format!("\"{text}\"")
}

fn percent(text: &str) -> String {
    text.replace('%', "%%")
}
