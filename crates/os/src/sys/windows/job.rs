//! Jobs.
#![expect(unsafe_code, reason = "calls of the Windows API")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOBOBJECT_BASIC_PROCESS_ID_LIST,
    JobObjectBasicProcessIdList, QueryInformationJobObject, TerminateJobObject,
};

use super::process::KILLED;
use super::{check, own};

pub(crate) fn create() -> io::Result<OwnedHandle> {
    // SAFETY: the call takes no attributes and no name; the returned handle belongs to the caller.
    unsafe { own(CreateJobObjectW(ptr::null(), ptr::null())) }
}

pub(crate) fn add(job: BorrowedHandle<'_>, process: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: both handles are open.
    check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), process.as_raw_handle()) })
}

pub(crate) fn terminate(job: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { TerminateJobObject(job.as_raw_handle(), KILLED) })
}

pub(crate) fn process_ids(job: BorrowedHandle<'_>) -> io::Result<Vec<u32>> {
    let mut room = 64;
    loop {
        // The structure has two counts of 32 bits each, followed by the numbers.
        let mut list = vec![0_usize; HEAD + room];
        let len = size_of_val(list.as_slice()) as u32;
        // SAFETY: `list` has that length, and the alignment of the structure.
        let told = check(unsafe {
            QueryInformationJobObject(
                job.as_raw_handle(),
                JobObjectBasicProcessIdList,
                list.as_mut_ptr().cast(),
                len,
                ptr::null_mut(),
            )
        });
        match told {
            Err(error) if error.raw_os_error() == Some(ERROR_MORE_DATA as i32) => room *= 2,
            Err(error) => return Err(error),
            Ok(()) => {
                // SAFETY: the call has filled the head, and `list` is aligned for it.
                let head =
                    unsafe { list.as_ptr().cast::<JOBOBJECT_BASIC_PROCESS_ID_LIST>().read() };
                let ids = &list[HEAD..][..room.min(head.NumberOfProcessIdsInList as usize)];
                return Ok(ids.iter().map(|id| *id as u32).collect());
            }
        }
    }
}

/// The number of words before the first process number.
const HEAD: usize =
    std::mem::offset_of!(JOBOBJECT_BASIC_PROCESS_ID_LIST, ProcessIdList) / size_of::<usize>();
