//! Proxy DLLs in the registry, where COM finds what brings an interface's calls across.

use std::io;
use std::path::{Path, PathBuf};

use syshandle_os::{RegKey, under_wine};
use syshandle_wire::Guid;

use super::{OWN, Registry, braced};
use crate::{Error, ErrorKind, Result};

/// A proxy DLL, and the interfaces that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredProxy {
    /// The class of its proxies.
    pub clsid: Guid,
    /// The DLL.
    pub library: PathBuf,
    /// The identifiers and names of the interfaces.
    pub interfaces: Vec<(Guid, String)>,
}

impl Registry {
    /// Registers a proxy DLL, in place of what was registered for its class and its interfaces.
    ///
    /// # Errors
    /// Those of the registry.
    pub fn register_proxy(self, proxy: &RegisteredProxy) -> Result<()> {
        let write = || -> io::Result<()> {
            let key = RegKey::create(self.path())?.create_key(&braced(proxy.clsid))?;
            key.set_text("", FACTORY)?;
            let server = key.create_key(IN_PROCESS)?;
            server.set_text("", &proxy.library.display().to_string())?;
            server.set_text("ThreadingModel", "Both")?;
            // What was registered for the class before may have had other interfaces.
            let _ = key.remove_key(OWN);
            let own = key.create_key(OWN)?;
            own.set_text(LIBRARY, &proxy.library.display().to_string())?;
            let (all, kept) = (RegKey::create(self.interfaces())?, own.create_key(INTERFACES)?);
            for (iid, name) in &proxy.interfaces {
                let key = all.create_key(&braced(*iid))?;
                key.set_text("", name)?;
                key.create_key(PROXY)?.set_text("", &braced(proxy.clsid))?;
                kept.create_key(&braced(*iid))?.set_text("", name)?;
            }
            Ok(())
        };
        write().map_err(|error| {
            let text =
                format!("{} can't be registered in {}", proxy.library.display(), self.interfaces());
            Error::new(ErrorKind::System, text).because(error)
        })
    }

    /// Removes the registration of a proxy DLL, and of its interfaces, but for those that have
    /// another one by now.
    ///
    /// # Errors
    /// Those of the registry.
    pub fn clean_proxy(self, proxy: &RegisteredProxy) -> Result<()> {
        let own = braced(proxy.clsid);
        if let Ok(all) = RegKey::open(self.interfaces()) {
            for (iid, _) in &proxy.interfaces {
                let name = braced(*iid);
                let current = all.key(&name).and_then(|key| key.key(PROXY)?.text(""));
                if current.is_ok_and(|clsid| clsid.eq_ignore_ascii_case(&own)) {
                    all.remove_key(&name)?;
                }
            }
        }
        Ok(RegKey::open(self.path())?.remove_key(&own)?)
    }

    /// The proxy DLLs that were registered by this crate.
    ///
    /// # Errors
    /// Those of the registry.
    pub fn proxies(self) -> Result<Vec<RegisteredProxy>> {
        let all = match RegKey::open_to_read(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let names = all.key_names()?;
        Ok(names.iter().filter_map(|name| read(&all, name)).collect())
    }

    /// Where interfaces are.
    fn interfaces(self) -> &'static str {
        match under_wine() {
            true => r"HKLM\Software\Classes\Interface",
            false => r"HKCU\Software\Classes\Interface",
        }
    }
}

impl RegisteredProxy {
    /// Whether it is this DLL, or one of this folder's.
    pub fn is_from(&self, path: &Path) -> bool {
        self.library == path || self.library.parent() == Some(path)
    }
}

/// A proxy DLL by the name of its class's key; `None` where it isn't one of ours.
fn read(all: &RegKey, name: &str) -> Option<RegisteredProxy> {
    let own = all.key(name).ok()?.key(OWN).ok()?;
    let library = own.text(LIBRARY).ok()?.into();
    let kept = own.key(INTERFACES).ok()?;
    let interface = |name: &String| {
        let text = kept.key(name).ok()?.text("").unwrap_or_default();
        Some((name.parse().ok()?, text))
    };
    let interfaces = kept.key_names().unwrap_or_default().iter().filter_map(interface).collect();
    Some(RegisteredProxy { clsid: name.parse().ok()?, library, interfaces })
}

/// What COM reads.
const IN_PROCESS: &str = "InprocServer32";
const PROXY: &str = "ProxyStubClsid32";
/// What MIDL's proxies are called.
const FACTORY: &str = "PSFactoryBuffer";
/// What says that it is registered by this crate, and how.
const LIBRARY: &str = "Library";
const INTERFACES: &str = "Interfaces";
