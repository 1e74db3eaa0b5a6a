//! Registration of proxy DLLs, in which COM finds the marshalling code of interfaces.

use std::io;
use std::path::{Path, PathBuf};

use syshandle_os::{RegKey, under_wine};
use syshandle_types::Guid;

use super::{ComRegistry, OWN, braced};
use crate::{Error, ErrorKind, Result};

/// A proxy DLL and its interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRegistration {
    /// CLSID of the proxy DLL.
    pub clsid: Guid,
    /// Path of the DLL.
    pub library: PathBuf,
    /// IIDs and names of the interfaces.
    pub interfaces: Vec<(Guid, String)>,
}

impl ComRegistry {
    /// Registers a proxy DLL, replacing earlier registrations of its CLSID and its interfaces.
    ///
    /// # Errors
    /// The errors of the registry.
    pub fn register_proxy(self, proxy: &ProxyRegistration) -> Result<()> {
        let write = || -> io::Result<()> {
            let key = RegKey::create(self.path())?.create_key(&braced(proxy.clsid))?;
            key.set_text("", FACTORY)?;
            let server = key.create_key(IN_PROCESS)?;
            server.set_text("", &proxy.library.display().to_string())?;
            server.set_text("ThreadingModel", "Both")?;
            // Removes an earlier registration of the CLSID, which may list other interfaces.
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

    /// Removes the registration of a proxy DLL and of its interfaces. Keeps an interface that
    /// another DLL has registered since.
    ///
    /// # Errors
    /// The errors of the registry.
    pub fn clean_proxy(self, proxy: &ProxyRegistration) -> Result<()> {
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

    /// Returns the proxy DLLs that this crate has registered.
    ///
    /// # Errors
    /// The errors of the registry.
    pub fn proxies(self) -> Result<Vec<ProxyRegistration>> {
        let all = match RegKey::open_to_read(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let names = all.key_names()?;
        Ok(names.iter().filter_map(|name| read(&all, name)).collect())
    }

    /// Returns the registry path below which interfaces are registered.
    fn interfaces(self) -> &'static str {
        match under_wine() {
            true => r"HKLM\Software\Classes\Interface",
            false => r"HKCU\Software\Classes\Interface",
        }
    }
}

impl ProxyRegistration {
    /// Returns whether `path` is this DLL or the DLL's folder.
    pub fn is_from(&self, path: &Path) -> bool {
        self.library == path || self.library.parent() == Some(path)
    }
}

/// Reads the registration of a proxy DLL by the name of its key. Returns `None` if this crate did
/// not create it.
fn read(all: &RegKey, name: &str) -> Option<ProxyRegistration> {
    let own = all.key(name).ok()?.key(OWN).ok()?;
    let library = own.text(LIBRARY).ok()?.into();
    let kept = own.key(INTERFACES).ok()?;
    let interface = |name: &String| {
        let text = kept.key(name).ok()?.text("").unwrap_or_default();
        Some((name.parse().ok()?, text))
    };
    let interfaces = kept.key_names().unwrap_or_default().iter().filter_map(interface).collect();
    Some(ProxyRegistration { clsid: name.parse().ok()?, library, interfaces })
}

/// Names of the keys that COM reads.
const IN_PROCESS: &str = "InprocServer32";
const PROXY: &str = "ProxyStubClsid32";
/// The name that MIDL gives to the class of proxy DLLs.
const FACTORY: &str = "PSFactoryBuffer";
/// Names of the keys and values that only this crate uses.
const LIBRARY: &str = "Library";
const INTERFACES: &str = "Interfaces";
