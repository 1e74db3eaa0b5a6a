//! Reads and sets `IErrorInfo`, the error text that accompanies a failure HRESULT. COM stores one
//! per thread; Windows transfers it from the server's thread to the client's.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::ptr;

use windows_sys::Win32::Foundation::{SysFreeString, SysStringLen};
use windows_sys::Win32::System::Com::{GetErrorInfo, SetErrorInfo};
use windows_sys::Win32::System::Ole::CreateErrorInfo;
use windows_sys::core::{BSTR, GUID, HRESULT};

use super::abi::{S_OK, UnknownVtable};
use crate::hresult::ErrorInfo;

/// Sets the error information of the call that the calling thread serves. `iid` is the called
/// interface. `None` clears the information of an earlier call.
pub(super) fn set(info: Option<&ErrorInfo>, iid: &GUID, interface: &str) {
    let object = info.and_then(|info| ErrorObject::new(info, iid, interface));
    let error = object.as_ref().map_or(ptr::null_mut(), |object| object.0);
    // SAFETY: `error` is null or an object that implements `IErrorInfo`. COM adds its own
    // reference.
    unsafe { SetErrorInfo(0, error) };
}

/// Clears the error information of the calling thread.
pub(super) fn clear() {
    // SAFETY: a null pointer clears the information.
    unsafe { SetErrorInfo(0, ptr::null_mut()) };
}

/// Takes the error information of the last call that the calling thread made.
pub(super) fn take() -> Option<ErrorInfo> {
    let mut error = ptr::null_mut();
    // SAFETY: `error` has room for the pointer, which is a reference that this process owns.
    let found = unsafe { GetErrorInfo(0, &mut error) };
    if found != S_OK || error.is_null() {
        return None;
    }
    let error = ErrorObject(error);
    let mut text: BSTR = ptr::null();
    // SAFETY: the object implements `IErrorInfo`. This process owns the returned string, whose
    // length is the result of `SysStringLen`.
    unsafe {
        let vtable = &**error.0.cast::<*const ErrorInfoVtable>();
        if (vtable.description)(error.0, &mut text) != S_OK || text.is_null() {
            return None;
        }
        let units = std::slice::from_raw_parts(text, SysStringLen(text) as usize);
        let description = String::from_utf16_lossy(units);
        SysFreeString(text);
        Some(ErrorInfo { description })
    }
}

/// A reference to an object that implements `IErrorInfo`.
struct ErrorObject(*mut c_void);

impl ErrorObject {
    fn new(info: &ErrorInfo, iid: &GUID, interface: &str) -> Option<Self> {
        let wide = |text: &str| text.encode_utf16().chain([0]).collect::<Vec<_>>();
        let (mut made, mut error) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: on success, the pointer is a reference that this process owns, to an object with
        // this interface. The object copies the strings, which are zero-terminated.
        unsafe {
            if CreateErrorInfo(&mut made) != S_OK || made.is_null() {
                return None;
            }
            let made = Self(made);
            let vtable = &**made.0.cast::<*const CreateErrorInfoVtable>();
            (vtable.set_guid)(made.0, iid);
            (vtable.set_source)(made.0, wide(&format!("I{interface}")).as_ptr());
            (vtable.set_description)(made.0, wide(&info.description).as_ptr());
            let queried = (vtable.unknown.query_interface)(made.0, &IID_IERROR_INFO, &mut error);
            (queried == S_OK && !error.is_null()).then_some(Self(error))
        }
    }
}

impl Drop for ErrorObject {
    fn drop(&mut self) {
        // SAFETY: `self` is a reference to an object, and is released only once.
        unsafe {
            let vtable = &**self.0.cast::<*const UnknownVtable>();
            (vtable.release)(self.0);
        }
    }
}

/// The first methods in the vtable of `ICreateErrorInfo`.
#[repr(C)]
struct CreateErrorInfoVtable {
    unknown: UnknownVtable,
    set_guid: unsafe extern "system" fn(*mut c_void, *const GUID) -> HRESULT,
    set_source: unsafe extern "system" fn(*mut c_void, *const u16) -> HRESULT,
    set_description: unsafe extern "system" fn(*mut c_void, *const u16) -> HRESULT,
}

/// The first methods in the vtable of `IErrorInfo`.
#[repr(C)]
struct ErrorInfoVtable {
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
    fn an_error_description_is_taken_once() {
        let iid = GUID::from_u128(7);
        let info = ErrorInfo { description: "no space left – retry".to_owned() };
        set(Some(&info), &iid, "Sample");
        assert_eq!(take(), Some(info.clone()));
        assert_eq!(take(), None);
        set(Some(&info), &iid, "Sample");
        set(None, &iid, "Sample");
        assert_eq!(take(), None);
    }
}
