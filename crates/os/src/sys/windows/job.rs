//! Job objects of the Windows kernel.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::ptr;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOBOBJECT_BASIC_PROCESS_ID_LIST,
    JobObjectBasicProcessIdList, QueryInformationJobObject, TerminateJobObject,
};

use super::process::KILLED;
use super::{check, own};
use crate::Process;

/// A job HANDLE.
pub(crate) type JobHandle = OwnedHandle;

pub(crate) fn create() -> io::Result<JobHandle> {
    // SAFETY: the call gets no attributes and no name. The caller owns the returned handle.
    unsafe { own(CreateJobObjectW(ptr::null(), ptr::null())) }
}

pub(crate) fn add(job: &JobHandle, process: &Process) -> io::Result<()> {
    let process = process.as_handle();
    // SAFETY: both handles are open.
    check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), process.as_raw_handle()) })
}

pub(crate) fn kill(job: &JobHandle) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { TerminateJobObject(job.as_raw_handle(), KILLED) })
}

pub(crate) fn process_ids(job: &JobHandle) -> io::Result<Vec<u32>> {
    let mut room = 64;
    loop {
        // The structure consists of two 32-bit counts, followed by the process IDs.
        let mut list = vec![0_usize; HEAD + room];
        let len = size_of_val(list.as_slice()) as u32;
        // SAFETY: `list` has that size, and is aligned for the structure.
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
                // SAFETY: the call has filled the start of `list`, which is aligned for the
                // structure.
                let head =
                    unsafe { list.as_ptr().cast::<JOBOBJECT_BASIC_PROCESS_ID_LIST>().read() };
                let ids = &list[HEAD..][..room.min(head.NumberOfProcessIdsInList as usize)];
                return Ok(ids.iter().map(|id| *id as u32).collect());
            }
        }
    }
}

pub(crate) fn wait_empty(job: &JobHandle, deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let Some(id) = process_ids(job)?.into_iter().next() else { return Ok(true) };
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // If a process can't be opened, it has just ended, or this process may not wait for it.
        let ended = match (Process::open(id), left) {
            (Ok(process), Some(left)) => process.wait_timeout(left)?,
            (Ok(process), None) => process.wait().map(|()| true)?,
            (Err(_), left) => {
                std::thread::sleep(PAUSE);
                left.is_none_or(|left| !left.is_zero())
            }
        };
        if !ended {
            return Ok(process_ids(job)?.is_empty());
        }
    }
}

/// Pause before the IDs are queried again because a process couldn't be opened.
const PAUSE: Duration = Duration::from_millis(5);

/// The number of words before the first process ID.
const HEAD: usize =
    std::mem::offset_of!(JOBOBJECT_BASIC_PROCESS_ID_LIST, ProcessIdList) / size_of::<usize>();

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Job;

    #[test]
    fn a_new_job_is_empty() {
        let job = Job::new().unwrap();
        assert_eq!(job.process_ids().unwrap(), []);
        assert!(job.wait_empty(Some(Duration::ZERO)).unwrap());
    }
}
