//! Registry keys, which contain named values and other keys.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | an open directory, as for a [`Directory`](crate::Directory): a key is a directory, a value is a file in it | an open [key](https://learn.microsoft.com/windows/win32/sysinfo/registry) of the registry |
//! | proof | as for a [`Directory`](crate::Directory) | the object's type is `Key` |
//! | rights | as for a [`Directory`](crate::Directory): `read`. For writing, the kernel checks the permissions of the writing process | `read` (`KEY_QUERY_VALUE`) and `write` (`KEY_SET_VALUE`): enforced by the kernel on the handle |
//! | `try_clone` | the same key | the same key |
//! | MIDL | | `sh_reg_key` |
//!
//! On Linux, values are bytes without a type. A value is replaced atomically: a reader sees either
//! the old or the new value, never a mixture. On Windows, a predefined key such as
//! `HKEY_CURRENT_USER` is a constant that only this process's library interprets, and not a handle.
//! So it is opened to get a handle.

use std::io;

use crate::owned::impl_owned;
use crate::sys::reg_key::RegKeyHandle;
use crate::{Declaration, Kind, Rights, sys};

/// An open registry key.
#[derive(Debug)]
pub struct RegKey(RegKeyHandle);

impl_owned!(RegKey, "key", Declaration::kind(Kind::RegKey).at_least(Rights::READ));

impl RegKey {
    /// Opens a subkey. On Windows, the new handle has the rights of this one or fewer.
    ///
    /// # Errors
    /// `NotFound` if the key doesn't exist. On Linux: `InvalidInput` for an invalid name. On
    /// Windows: the other errors of `RegOpenKeyEx`.
    pub fn key(&self, name: &str) -> io::Result<Self> {
        sys::reg_key::key(&self.0, name).map(Self)
    }

    /// Opens a subkey, and creates it first if it doesn't exist.
    ///
    /// # Errors
    /// On Linux: `InvalidInput` for an invalid name; the errors of `Directory::create_directory`.
    /// On Windows: the errors of `RegCreateKeyEx`.
    pub fn create_key(&self, name: &str) -> io::Result<Self> {
        sys::reg_key::create_key(&self.0, name).map(Self)
    }

    /// Reads a value. On Linux, it may have at most [`RegKey::VALUE_LEN_MAX`] bytes. On Windows,
    /// returns the bytes of a value of any type.
    ///
    /// # Errors
    /// `NotFound` if the value doesn't exist. On Linux: `InvalidInput` for an invalid name;
    /// `InvalidData` if the name refers to something other than a value; `FileTooLarge` for a
    /// larger value. On Windows: the errors of `RegQueryValueEx`.
    pub fn value(&self, name: &str) -> io::Result<Vec<u8>> {
        sys::reg_key::value(&self.0, name)
    }

    /// Sets a value, or replaces an existing one. On Windows, the value has the type `REG_BINARY`.
    ///
    /// # Errors
    /// On Linux: `InvalidInput` for an invalid name; `FileTooLarge` for more than
    /// [`RegKey::VALUE_LEN_MAX`] bytes; the errors of creating, writing and renaming a file. On
    /// Windows: the errors of `RegSetValueEx`.
    pub fn set_value(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        sys::reg_key::set_value(&self.0, name, bytes)
    }

    /// Removes a value.
    ///
    /// # Errors
    /// `NotFound` if the value doesn't exist. On Linux: `InvalidInput` for an invalid name;
    /// `IsADirectory` for a key. On Windows: the errors of `RegDeleteValue`.
    pub fn remove_value(&self, name: &str) -> io::Result<()> {
        sys::reg_key::remove_value(&self.0, name)
    }

    /// Removes a subkey. On Linux, it must be empty. On Windows, all its values and subkeys are
    /// removed too.
    ///
    /// # Errors
    /// `NotFound` if the key doesn't exist. On Linux: `InvalidInput` for an invalid name;
    /// `DirectoryNotEmpty`. On Windows: the errors of `RegDeleteTree`.
    pub fn remove_key(&self, name: &str) -> io::Result<()> {
        sys::reg_key::remove_key(&self.0, name)
    }

    /// Maximum size of a value on Linux, in bytes. The Windows registry has the same limit.
    pub const VALUE_LEN_MAX: usize = 1 << 20;
}

/// Returns the error for a name that is invalid for a value or key.
pub(crate) fn invalid_name() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a value or key can't have this name")
}

/// Linux only.
#[cfg(not(windows))]
impl RegKey {
    /// Opens the key that is the directory at a path.
    ///
    /// # Errors
    /// Returns the errors of [`Directory::open`](crate::Directory::open).
    pub fn open(path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        sys::directory::open(path.as_ref()).map(Self)
    }

    /// Returns the names of the values and subkeys, in no particular order.
    ///
    /// # Errors
    /// Returns the errors of [`Directory::names`](crate::Directory::names).
    pub fn names(&self) -> io::Result<Vec<std::ffi::OsString>> {
        sys::reg_key::names(&self.0)
    }
}

/// Windows only: keys by path, and values with a type.
#[cfg(windows)]
impl RegKey {
    /// Opens a key for reading and writing, by a path that starts with a predefined key:
    /// `HKCU\Software`.
    ///
    /// # Errors
    /// `InvalidInput` for a path that starts with neither `HKCU` nor `HKLM`; the errors of
    /// `RegOpenKeyEx`.
    pub fn open(path: &str) -> io::Result<Self> {
        sys::reg_key::open(path).map(Self)
    }

    /// Opens a key for reading only.
    ///
    /// # Errors
    /// Returns the errors of [`RegKey::open`].
    pub fn open_to_read(path: &str) -> io::Result<Self> {
        sys::reg_key::open_to_read(path).map(Self)
    }

    /// Opens a key for reading and writing, and creates it if it doesn't exist.
    ///
    /// # Errors
    /// Returns the errors of `RegCreateKeyEx`.
    pub fn create(path: &str) -> io::Result<Self> {
        sys::reg_key::create(path).map(Self)
    }

    /// Returns a value as text.
    ///
    /// # Errors
    /// Returns the errors of [`RegKey::value`].
    pub fn text(&self, name: &str) -> io::Result<String> {
        sys::reg_key::text(&self.0, name)
    }

    /// Sets a value to a text (`REG_SZ`).
    ///
    /// # Errors
    /// Returns the errors of `RegSetValueEx`.
    pub fn set_text(&self, name: &str, text: &str) -> io::Result<()> {
        sys::reg_key::set_text(&self.0, name, text)
    }

    /// Returns the names of the subkeys.
    ///
    /// # Errors
    /// Returns the errors of `RegEnumKeyEx`.
    pub fn key_names(&self) -> io::Result<Vec<String>> {
        sys::reg_key::key_names(&self.0)
    }
}
