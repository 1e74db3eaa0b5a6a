//! The registry.
#![expect(unsafe_code, reason = "calls of the Windows API")]

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

/// The access with which a key is opened.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// A key from which to open others: a predefined key, or a key that is open as long as it is
/// borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a>(HKEY, std::marker::PhantomData<BorrowedHandle<'a>>);

/// Splits a path into the predefined key with which it begins, and the rest.
pub(crate) fn root(path: &str) -> io::Result<(Key<'static>, &str)> {
    let (name, rest) = path.split_once('\\').unwrap_or((path, ""));
    let root = match name {
        "HKCU" => HKEY_CURRENT_USER,
        "HKLM" => HKEY_LOCAL_MACHINE,
        _ => {
            let what = "a path in the registry begins with HKCU or HKLM";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    };
    Ok((Key(root, std::marker::PhantomData), rest))
}

pub(crate) fn as_key(handle: &OwnedHandle) -> Key<'_> {
    Key(handle.as_raw_handle(), std::marker::PhantomData)
}

pub(crate) fn open(key: Key<'_>, path: &str, access: Access) -> io::Result<OwnedHandle> {
    let path = wide(path)?;
    let access = match access {
        Access::Read => KEY_READ,
        Access::ReadWrite => KEY_READ | KEY_WRITE,
    };
    let mut opened = ptr::null_mut();
    // SAFETY: the key is open, and the path ends with a zero. On success the new key belongs to the
    // caller. It is a handle of the kernel, because no other machine is queried.
    unsafe {
        check(RegOpenKeyExW(key.0, path.as_ptr(), 0, access, &mut opened))?;
        Ok(OwnedHandle::from_raw_handle(opened))
    }
}

pub(crate) fn create(key: Key<'_>, path: &str) -> io::Result<OwnedHandle> {
    let path = wide(path)?;
    let mut made = ptr::null_mut();
    // SAFETY: as for `open`. The call takes no class and no attributes, and writes nothing to the
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

pub(crate) fn value(key: BorrowedHandle<'_>, name: &str) -> io::Result<Vec<u8>> {
    let name = wide(name)?;
    let mut bytes = vec![0; 256];
    loop {
        let mut len = bytes.len() as u32;
        // SAFETY: the key is open, the name ends with a zero, and `bytes` has that length.
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

pub(crate) fn set_bytes(key: BorrowedHandle<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    set(key, name, REG_BINARY, bytes)
}

pub(crate) fn set_text(key: BorrowedHandle<'_>, name: &str, text: &str) -> io::Result<()> {
    let bytes: Vec<u8> = wide(text)?.into_iter().flat_map(u16::to_le_bytes).collect();
    set(key, name, REG_SZ, &bytes)
}

fn set(key: BorrowedHandle<'_>, name: &str, kind: u32, bytes: &[u8]) -> io::Result<()> {
    let name = wide(name)?;
    let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the key is open, the name ends with a zero, and `bytes` has that length.
    check(unsafe {
        RegSetValueExW(key.as_raw_handle(), name.as_ptr(), 0, kind, bytes.as_ptr(), len)
    })
}

pub(crate) fn remove_value(key: BorrowedHandle<'_>, name: &str) -> io::Result<()> {
    let name = wide(name)?;
    // SAFETY: the key is open, the name ends with a zero.
    check(unsafe { RegDeleteValueW(key.as_raw_handle(), name.as_ptr()) })
}

pub(crate) fn remove_tree(key: BorrowedHandle<'_>, name: &str) -> io::Result<()> {
    if name.is_empty() {
        // An empty name would mean the key itself.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let name = wide(name)?;
    // SAFETY: the key is open, the name ends with a zero.
    check(unsafe { RegDeleteTreeW(key.as_raw_handle(), name.as_ptr()) })
}

pub(crate) fn key_names(key: BorrowedHandle<'_>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    loop {
        let mut name = [0; NAME_MAX + 1];
        let mut len = name.len() as u32;
        // SAFETY: the key is open, `name` has that length, and the call writes nothing to the null
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

/// The longest name of a key.
const NAME_MAX: usize = 255;
