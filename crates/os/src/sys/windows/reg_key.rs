//! Keys and values of the Windows registry.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, KEY_READ, KEY_WRITE, REG_BINARY,
    REG_OPTION_NON_VOLATILE, REG_SZ, RegCreateKeyExW, RegDeleteTreeW, RegDeleteValueW,
    RegEnumKeyExW, RegOpenKeyExW, RegQueryValueExW, RegSetValueExW,
};

use super::wide;
use crate::reg_key::invalid_name;

/// The access rights with which a key is opened.
#[derive(Clone, Copy)]
enum Access {
    Read,
    ReadWrite,
}

/// A key below which others are opened: a predefined key, or an open key that is borrowed.
#[derive(Clone, Copy)]
struct ParentKey<'a>(HKEY, std::marker::PhantomData<BorrowedHandle<'a>>);

/// A key HANDLE.
pub(crate) type RegKeyHandle = OwnedHandle;

pub(crate) fn open(path: &str) -> io::Result<RegKeyHandle> {
    let (root, path) = root(path)?;
    open_below(root, path, Access::ReadWrite)
}

pub(crate) fn open_to_read(path: &str) -> io::Result<RegKeyHandle> {
    let (root, path) = root(path)?;
    open_below(root, path, Access::Read)
}

pub(crate) fn create(path: &str) -> io::Result<RegKeyHandle> {
    let (root, path) = root(path)?;
    create_below(root, path)
}

/// Opens a subkey with the rights of this key or fewer.
pub(crate) fn key(key: &RegKeyHandle, name: &str) -> io::Result<RegKeyHandle> {
    let key = as_parent(key);
    open_below(key, name, Access::ReadWrite).or_else(|_| open_below(key, name, Access::Read))
}

pub(crate) fn create_key(key: &RegKeyHandle, name: &str) -> io::Result<RegKeyHandle> {
    create_below(as_parent(key), name)
}

/// Splits a path into the predefined key at its start, and the rest.
fn root(path: &str) -> io::Result<(ParentKey<'static>, &str)> {
    let (name, rest) = path.split_once('\\').unwrap_or((path, ""));
    let root = match name {
        "HKCU" => HKEY_CURRENT_USER,
        "HKLM" => HKEY_LOCAL_MACHINE,
        _ => {
            let what = "a path in the registry begins with HKCU or HKLM";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    };
    Ok((ParentKey(root, std::marker::PhantomData), rest))
}

fn as_parent(handle: &OwnedHandle) -> ParentKey<'_> {
    ParentKey(handle.as_raw_handle(), std::marker::PhantomData)
}

fn open_below(key: ParentKey<'_>, path: &str, access: Access) -> io::Result<OwnedHandle> {
    let path = wide(path)?;
    let access = match access {
        Access::Read => KEY_READ,
        Access::ReadWrite => KEY_READ | KEY_WRITE,
    };
    let mut opened = ptr::null_mut();
    // SAFETY: the key is open, and the path is null-terminated. On success, the caller owns the new
    // key. It is a kernel handle, because it belongs to the registry of this machine.
    unsafe {
        check(RegOpenKeyExW(key.0, path.as_ptr(), 0, access, &mut opened))?;
        Ok(OwnedHandle::from_raw_handle(opened))
    }
}

fn create_below(key: ParentKey<'_>, path: &str) -> io::Result<OwnedHandle> {
    let path = wide(path)?;
    let mut made = ptr::null_mut();
    // SAFETY: as for `open`. The call gets no class and no attributes, and writes nothing to the
    // null pointer.
    unsafe {
        check(RegCreateKeyExW(
            key.0,
            path.as_ptr(),
            0,
            ptr::null(),
            REG_OPTION_NON_VOLATILE,
            KEY_READ | KEY_WRITE,
            ptr::null(),
            &mut made,
            ptr::null_mut(),
        ))?;
        Ok(OwnedHandle::from_raw_handle(made))
    }
}

pub(crate) fn value(key: &RegKeyHandle, name: &str) -> io::Result<Vec<u8>> {
    let name = wide(name)?;
    let mut bytes = vec![0; 256];
    loop {
        let mut len = bytes.len() as u32;
        // SAFETY: the key is open, the name is null-terminated, and `bytes` has that size.
        let told = unsafe {
            RegQueryValueExW(
                key.as_raw_handle(),
                name.as_ptr(),
                ptr::null(),
                ptr::null_mut(),
                bytes.as_mut_ptr(),
                &mut len,
            )
        };
        match told {
            ERROR_MORE_DATA => bytes.resize((len as usize).max(bytes.len() * 2), 0),
            told => {
                check(told)?;
                bytes.truncate(len as usize);
                return Ok(bytes);
            }
        }
    }
}

/// Returns a value as text, up to its terminating zero.
pub(crate) fn text(key: &RegKeyHandle, name: &str) -> io::Result<String> {
    let bytes = value(key, name)?;
    let units: Vec<_> =
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    Ok(String::from_utf16_lossy(&units[..end]))
}

pub(crate) fn set_value(key: &RegKeyHandle, name: &str, bytes: &[u8]) -> io::Result<()> {
    set(key, name, REG_BINARY, bytes)
}

pub(crate) fn set_text(key: &RegKeyHandle, name: &str, text: &str) -> io::Result<()> {
    let bytes: Vec<u8> = wide(text)?.into_iter().flat_map(u16::to_le_bytes).collect();
    set(key, name, REG_SZ, &bytes)
}

fn set(key: &RegKeyHandle, name: &str, kind: u32, bytes: &[u8]) -> io::Result<()> {
    let name = wide(name)?;
    let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the key is open, the name is null-terminated, and `bytes` has that size.
    check(unsafe {
        RegSetValueExW(key.as_raw_handle(), name.as_ptr(), 0, kind, bytes.as_ptr(), len)
    })
}

pub(crate) fn remove_value(key: &RegKeyHandle, name: &str) -> io::Result<()> {
    let name = wide(name)?;
    // SAFETY: the key is open, and the name is null-terminated.
    check(unsafe { RegDeleteValueW(key.as_raw_handle(), name.as_ptr()) })
}

pub(crate) fn remove_key(key: &RegKeyHandle, name: &str) -> io::Result<()> {
    if name.is_empty() {
        // An empty name would delete the content of the key itself.
        return Err(invalid_name());
    }
    let name = wide(name)?;
    // SAFETY: the key is open, and the name is null-terminated.
    check(unsafe { RegDeleteTreeW(key.as_raw_handle(), name.as_ptr()) })
}

pub(crate) fn key_names(key: &RegKeyHandle) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let mut name = [0; NAME_MAX + 1];
        let mut len = name.len() as u32;
        // SAFETY: the key is open, and `name` has that size. The call writes nothing to the null
        // pointers.
        let told = unsafe {
            RegEnumKeyExW(
                key.as_raw_handle(),
                names.len() as u32,
                name.as_mut_ptr(),
                &mut len,
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        match told {
            ERROR_NO_MORE_ITEMS => return Ok(names),
            told => check(told)?,
        }
        names.push(String::from_utf16_lossy(&name[..len as usize]));
    }
}

fn check(told: u32) -> io::Result<()> {
    match told {
        ERROR_SUCCESS => Ok(()),
        error => Err(io::Error::from_raw_os_error(error as i32)),
    }
}

/// Maximum length of the name of a key.
const NAME_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RegKey;

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
