//! Access tokens of the Windows kernel.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{
    GetTokenInformation, TOKEN_DUPLICATE, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::OpenProcessToken;

use super::{check, own};

/// Opens the token of this process.
pub(crate) fn current() -> io::Result<OwnedHandle> {
    of(super::process::current()?.as_handle())
}

pub(crate) fn of(process: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    let mut token = ptr::null_mut();
    let access = TOKEN_QUERY | TOKEN_DUPLICATE;
    // SAFETY: the handle is open. On success, the caller owns `token`.
    unsafe {
        check(OpenProcessToken(process.as_raw_handle(), access, &mut token))?;
        own(token)
    }
}

pub(crate) fn user(token: BorrowedHandle<'_>) -> io::Result<String> {
    // Space for the structure and for the longest security identifier (68 bytes) after it, aligned
    // for both.
    let mut room = [0_u64; 16];
    let mut len = 0;
    // SAFETY: the handle is open, and `room` has that size.
    check(unsafe {
        let buffer = room.as_mut_ptr().cast();
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer,
            size_of_val(&room) as u32,
            &mut len,
        )
    })?;
    let mut text = ptr::null_mut();
    // SAFETY: the call has filled `room`, which is aligned for the structure. The identifier to
    // which it points lies within `room`. On success, the caller owns `text`, which is
    // null-terminated.
    unsafe {
        let user = &*room.as_ptr().cast::<TOKEN_USER>();
        check(ConvertSidToStringSidW(user.User.Sid, &mut text))?;
        let mut len = 0;
        while *text.add(len) != 0 {
            len += 1;
        }
        let owned = String::from_utf16_lossy(std::slice::from_raw_parts(text, len));
        LocalFree(text.cast());
        Ok(owned)
    }
}

#[cfg(test)]
mod tests {
    use crate::Token;

    #[test]
    fn this_process_has_a_user() {
        let user = Token::current().unwrap().user().unwrap();
        assert!(user.starts_with("S-1-"), "{user}");
    }
}
