//! Registry keys: names with values, and keys below them.
//!
//! | | |
//! |---|---|
//! | object | an open [key](https://learn.microsoft.com/windows/win32/sysinfo/registry) of the registry |
//! | proof | the object's type is `Key` |
//! | rights | `read` (`KEY_QUERY_VALUE`) and `write` (`KEY_SET_VALUE`): enforced by the kernel on the handle |
//! | `try_clone` | the same key |
//! | MIDL | `sh_reg_key` |
//!
//! A predefined key (`HKEY_CURRENT_USER`) is a number that has a meaning only within the library
//! that implements the calls. So it is opened before it becomes a handle.

use std::io;
use std::os::windows::io::AsHandle;

use super::handle::impl_owned;
use crate::sys::registry::{self, Access};
use crate::{Declared, Kind, OwnedHandle, Rights};

/// An open key of the registry.
#[derive(Debug)]
pub struct RegKey(OwnedHandle);

impl_owned!(RegKey, "key", Declared::kind(Kind::RegKey).at_least(Rights::READ));

impl RegKey {
    /// Opens a key for reading and writing, by its path from a predefined key: `HKCU\Software`.
    ///
    /// # Errors
    /// `InvalidInput` for a path that begins with neither `HKCU` nor `HKLM`; the errors of
    /// `RegOpenKeyEx`.
    pub fn open(path: &str) -> io::Result<Self> {
        let (root, path) = registry::root(path)?;
        Ok(Self(registry::open(root, path, Access::ReadWrite)?))
    }

    /// Opens a key for reading.
    ///
    /// # Errors
    /// Returns the errors of [`RegKey::open`].
    pub fn open_to_read(path: &str) -> io::Result<Self> {
        let (root, path) = registry::root(path)?;
        Ok(Self(registry::open(root, path, Access::Read)?))
    }

    /// Opens a key for reading and writing, and creates it if it doesn't exist.
    ///
    /// # Errors
    /// Returns the errors of `RegCreateKeyEx`.
    pub fn create(path: &str) -> io::Result<Self> {
        let (root, path) = registry::root(path)?;
        Ok(Self(registry::create(root, path)?))
    }

    /// Opens a key below this one, with the rights of this handle or fewer.
    ///
    /// # Errors
    /// Returns the errors of `RegOpenKeyEx`.
    pub fn key(&self, name: &str) -> io::Result<Self> {
        let key = registry::as_key(&self.0);
        let opened = registry::open(key, name, Access::ReadWrite);
        Ok(Self(opened.or_else(|_| registry::open(key, name, Access::Read))?))
    }

    /// Opens a key below this one, and creates it if it doesn't exist.
    ///
    /// # Errors
    /// Returns the errors of `RegCreateKeyEx`.
    pub fn create_key(&self, name: &str) -> io::Result<Self> {
        Ok(Self(registry::create(registry::as_key(&self.0), name)?))
    }

    /// Returns the bytes of a value of any type.
    ///
    /// # Errors
    /// Returns the errors of `RegQueryValueEx`; `NotFound` without the value.
    pub fn value(&self, name: &str) -> io::Result<Vec<u8>> {
        registry::value(self.0.as_handle(), name)
    }

    /// Returns a value as text.
    ///
    /// # Errors
    /// Returns the errors of [`RegKey::value`].
    pub fn text(&self, name: &str) -> io::Result<String> {
        let bytes = self.value(name)?;
        let units: Vec<_> =
            bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        Ok(String::from_utf16_lossy(&units[..end]))
    }

    /// Sets a value to bytes (`REG_BINARY`).
    ///
    /// # Errors
    /// Returns the errors of `RegSetValueEx`.
    pub fn set_value(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        registry::set_bytes(self.0.as_handle(), name, bytes)
    }

    /// Sets a value to a text (`REG_SZ`).
    ///
    /// # Errors
    /// Returns the errors of `RegSetValueEx`.
    pub fn set_text(&self, name: &str, text: &str) -> io::Result<()> {
        registry::set_text(self.0.as_handle(), name, text)
    }

    /// Removes a value.
    ///
    /// # Errors
    /// Returns the errors of `RegDeleteValue`.
    pub fn remove_value(&self, name: &str) -> io::Result<()> {
        registry::remove_value(self.0.as_handle(), name)
    }

    /// Removes a key below this one, with all its values and keys.
    ///
    /// # Errors
    /// Returns the errors of `RegDeleteTree`.
    pub fn remove_key(&self, name: &str) -> io::Result<()> {
        registry::remove_tree(self.0.as_handle(), name)
    }

    /// Returns the names of the keys below this one.
    ///
    /// # Errors
    /// Returns the errors of `RegEnumKeyEx`.
    pub fn key_names(&self) -> io::Result<Vec<String>> {
        registry::key_names(self.0.as_handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_it_was_set_to_until_it_is_removed() {
        let software = RegKey::open(r"HKCU\Software").unwrap();
        let name = format!("syshandle test {}", std::process::id());
        let key = software.create_key(&name).unwrap();
        key.set_text("text", "sparkly").unwrap();
        key.set_value("bytes", &[1, 2, 3]).unwrap();
        assert_eq!(key.text("text").unwrap(), "sparkly");
        assert_eq!(software.key(&name).unwrap().value("bytes").unwrap(), [1, 2, 3]);
        assert!(software.key_names().unwrap().contains(&name));
        key.remove_value("bytes").unwrap();
        assert_eq!(key.value("bytes").unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(key);
        software.remove_key(&name).unwrap();
        assert!(software.key(&name).is_err());
    }
}
