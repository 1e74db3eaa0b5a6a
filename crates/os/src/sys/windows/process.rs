//! Processes and threads of the Windows kernel.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::os::windows::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::ptr;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, HANDLE,
};
use windows_sys::Win32::System::Environment::SetEnvironmentVariableW;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, GetExitCodeProcess, GetProcessId, GetThreadId,
    OpenProcess, OpenThread, PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, THREAD_QUERY_LIMITED_INFORMATION, THREAD_SYNCHRONIZE,
    TerminateProcess,
};

use super::{check, own, wide};
use crate::process::no_such;
use crate::{Process, try_take};

pub(crate) fn current() -> io::Result<OwnedHandle> {
    // SAFETY: the call takes no arguments, and a pseudo-handle need not be closed.
    real(unsafe { GetCurrentProcess() })
}

pub(crate) fn of(child: &Child) -> io::Result<OwnedHandle> {
    child.as_handle().try_clone_to_owned()
}

pub(crate) fn current_thread() -> io::Result<OwnedHandle> {
    // SAFETY: the call takes no arguments, and a pseudo-handle need not be closed.
    real(unsafe { GetCurrentThread() })
}

/// Returns a real handle for the pseudo-handle of the current process or thread.
fn real(pseudo: HANDLE) -> io::Result<OwnedHandle> {
    let mut handle = ptr::null_mut();
    // SAFETY: both processes are this process. On success, the caller owns `handle`.
    unsafe {
        let own_process = GetCurrentProcess();
        check(DuplicateHandle(
            own_process,
            pseudo,
            own_process,
            &mut handle,
            0,
            0,
            DUPLICATE_SAME_ACCESS,
        ))?;
        own(handle)
    }
}

pub(crate) fn open(id: u32) -> io::Result<OwnedHandle> {
    let access = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
    match open_with(id, access | PROCESS_TERMINATE) {
        Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32) => {
            open_with(id, access)
        }
        opened => opened,
    }
}

pub(crate) fn open_to_duplicate(id: u32) -> io::Result<OwnedHandle> {
    let access = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_DUP_HANDLE;
    open_with(id, access)
}

pub(crate) fn open_to_watch(id: u32) -> io::Result<OwnedHandle> {
    open_with(id, PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION)
}

fn open_with(id: u32, access: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the call accesses no memory. The caller owns the returned handle.
    unsafe { own(OpenProcess(access, 0, id)) }.map_err(|error| opened_number(error, "process", id))
}

pub(crate) fn open_thread(id: u32) -> io::Result<OwnedHandle> {
    let access = THREAD_SYNCHRONIZE | THREAD_QUERY_LIMITED_INFORMATION;
    // SAFETY: the call accesses no memory. The caller owns the returned handle.
    unsafe { own(OpenThread(access, 0, id)) }.map_err(|error| opened_number(error, "thread", id))
}

/// Returns the error for a process or thread that can't be opened by its ID.
fn opened_number(error: io::Error, noun: &str, id: u32) -> io::Error {
    match error.raw_os_error() == Some(ERROR_INVALID_PARAMETER as i32) {
        true => no_such(noun, id),
        false => error,
    }
}

pub(crate) fn id(process: BorrowedHandle<'_>) -> io::Result<Option<u32>> {
    // SAFETY: the handle is open.
    not_zero(unsafe { GetProcessId(process.as_raw_handle()) })
}

pub(crate) fn thread_id(thread: BorrowedHandle<'_>) -> io::Result<Option<u32>> {
    // SAFETY: the handle is open.
    not_zero(unsafe { GetThreadId(thread.as_raw_handle()) })
}

fn not_zero(id: u32) -> io::Result<Option<u32>> {
    match id {
        0 => Err(io::Error::last_os_error()),
        id => Ok(Some(id)),
    }
}

pub(crate) fn exit_status(process: &Process) -> io::Result<Option<ExitStatus>> {
    if !try_take(process)? {
        return Ok(None);
    }
    let mut code = 0;
    // SAFETY: the handle is open, and the call only writes `code`.
    check(unsafe { GetExitCodeProcess(AsHandle::as_handle(process).as_raw_handle(), &mut code) })?;
    Ok(Some(ExitStatus::from_raw(code)))
}

pub(crate) fn terminate(process: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { TerminateProcess(process.as_raw_handle(), KILLED) })
}

/// The exit code of processes that this crate terminates.
pub(super) const KILLED: u32 = 1;

pub(crate) fn set_variable(name: &str, value: &str) -> io::Result<()> {
    let (name, value) = (wide(name)?, wide(value)?);
    // SAFETY: both strings are null-terminated. Windows locks the environment, so other threads may
    // read it at the same time.
    check(unsafe { SetEnvironmentVariableW(name.as_ptr(), value.as_ptr()) })
}
