//! `IErrorInfo`: the text of a call's failure, beside its HRESULT. COM keeps one for each thread, and
//! on Windows brings it from the server's to the client's.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::ptr;

use windows_sys::Win32::Foundation::{SysFreeString, SysStringLen};
use windows_sys::Win32::System::Com::{GetErrorInfo, SetErrorInfo};
use windows_sys::Win32::System::Ole::CreateErrorInfo;
use windows_sys::core::{BSTR, GUID, HRESULT};

use super::layout::{S_OK, UnknownVtable};
use crate::ErrorInfo;

/// Says why the call that this thread serves fails, a call of this interface; or forgets what was
/// said of another.
pub(super) fn set(info: Option<&ErrorInfo>, iid: &GUID, interface: &str) {
    let said = info.and_then(|info| Counted::new(info, iid, interface));
    let error = said.as_ref().map_or(ptr::null_mut(), |said| said.0);
    // SAFETY: an object with `IErrorInfo`, which COM takes a reference of its own to; or none.
    unsafe { SetErrorInfo(0, error) };
}

/// Forgets what was said on this thread.
pub(super) fn clear() {
    // SAFETY: no object.
    unsafe { SetErrorInfo(0, ptr::null_mut()) };
}

/// What was said of the call that this thread has made.
pub(super) fn take() -> Option<ErrorInfo> {
    let mut error = ptr::null_mut();
    // SAFETY: there is room for the pointer, which is a reference of ours.
    let found = unsafe { GetErrorInfo(0, &mut error) };
    if found != S_OK || error.is_null() {
        return None;
    }
    let error = Counted(error);
    let mut text: BSTR = ptr::null();
    // SAFETY: the object has this interface; the text is ours, of the length that it says.
    unsafe {
        let vtable = &**error.0.cast::<*const InfoVtable>();
        if (vtable.description)(error.0, &mut text) != S_OK || text.is_null() {
            return None;
        }
        let units = std::slice::from_raw_parts(text, SysStringLen(text) as usize);
        let description = String::from_utf16_lossy(units);
        SysFreeString(text);
        Some(ErrorInfo { description })
    }
}

/// A reference to an object with `IErrorInfo`.
struct Counted(*mut c_void);

impl Counted {
    fn new(info: &ErrorInfo, iid: &GUID, interface: &str) -> Option<Self> {
        let wide = |text: &str| text.encode_utf16().chain([0]).collect::<Vec<_>>();
        let (mut made, mut error) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: on success the pointer is a reference of ours to an object with this interface,
        // which copies the texts, each with a zero at its end.
        unsafe {
            if CreateErrorInfo(&mut made) != S_OK || made.is_null() {
                return None;
            }
            let made = Self(made);
            let vtable = &**made.0.cast::<*const CreateVtable>();
            (vtable.set_guid)(made.0, iid);
            (vtable.set_source)(made.0, wide(&format!("I{interface}")).as_ptr());
            (vtable.set_description)(made.0, wide(&info.description).as_ptr());
            let queried = (vtable.unknown.query_interface)(made.0, &IID_IERROR_INFO, &mut error);
            (queried == S_OK && !error.is_null()).then_some(Self(error))
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // SAFETY: a reference to an object, given back once.
        unsafe {
            let vtable = &**self.0.cast::<*const UnknownVtable>();
            (vtable.release)(self.0);
        }
    }
}

/// The beginning of `ICreateErrorInfo`.
#[repr(C)]
struct CreateVtable {
    unknown: UnknownVtable,
    set_guid: unsafe extern "system" fn(*mut c_void, *const GUID) -> HRESULT,
    set_source: unsafe extern "system" fn(*mut c_void, *const u16) -> HRESULT,
    set_description: unsafe extern "system" fn(*mut c_void, *const u16) -> HRESULT,
}

/// The beginning of `IErrorInfo`.
#[repr(C)]
struct InfoVtable {
    _unknown: UnknownVtable,
    _guid: unsafe extern "system" fn(*mut c_void, *mut GUID) -> HRESULT,
    _source: unsafe extern "system" fn(*mut c_void, *mut BSTR) -> HRESULT,
    description: unsafe extern "system" fn(*mut c_void, *mut BSTR) -> HRESULT,
}

const IID_IERROR_INFO: GUID = GUID::from_u128(0x1cf2b120_547d_101b_8e65_08002b2bd119);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_there_once() {
        let iid = GUID::from_u128(7);
        let info = ErrorInfo { description: "out of soap – again".to_owned() };
        set(Some(&info), &iid, "Dishes");
        assert_eq!(take(), Some(info.clone()));
        assert_eq!(take(), None);
        set(Some(&info), &iid, "Dishes");
        set(None, &iid, "Dishes");
        assert_eq!(take(), None);
    }
}
