//! Stops processes.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Stops a process, and lets it continue after all of its threads have stopped.
pub fn stop_and_continue(pid: u32) {
    let process = Pid::from_raw(pid as i32).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let tasks = format!("/proc/{pid}/task");
    let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.unwrap().path().join("stat"));
        // A thread that has ended in the meantime has no file.
        status.is_ok_and(|status| status.rsplit(") ").next().unwrap().starts_with('T'))
    };
    let end = Instant::now() + Duration::from_secs(60);
    while !std::fs::read_dir(&tasks).unwrap().all(is_stopped) {
        assert!(Instant::now() < end, "a thread of the process {pid} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(process, Signal::CONT).unwrap();
}
