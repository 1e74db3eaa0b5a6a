//! Starts server programs.
//!
//! A server should inherit nothing from the client that happens to start it. It gets its own
//! session, `/` as its working directory, only the given environment and descriptors, default
//! signal handlers, and init as its parent. It keeps the properties that a process can't reset:
//! namespaces, seccomp, control group, resource limits.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::PidfdFlags;

use crate::limits::original_descriptor_limit;
use crate::peer::has_ended;
use crate::sys::clone::{Image, start};
use crate::sys::proc;
use crate::sys::process::{id, pidfd_open, told_exit_status};
use crate::sys::wait::poll;
use crate::system_call::raw_os_error;
use crate::{Peer, Seqpacket};

/// A program to start.
#[derive(Debug)]
pub struct Program<'a> {
    /// The file of the program.
    pub path: &'a Path,
    /// The arguments of the program, without its name.
    pub arguments: &'a [String],
    /// The environment of the program, to which the variables of the `LISTEN_FDS` protocol are
    /// added.
    pub environment: &'a [(OsString, OsString)],
    /// The file for the standard output and the standard error.
    pub log: BorrowedFd<'a>,
    /// The listening sockets, passed from fd 3 on by the protocol of
    /// [sd_listen_fds(3)](https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html).
    /// The program becomes their listener.
    pub listeners: &'a [BorrowedFd<'a>],
}

/// A step of starting a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnStep {
    /// Convert the path, arguments and environment to C strings, which can't contain a zero byte.
    Arguments,
    /// Open `/dev/null` for the standard input.
    Null,
    /// Pass the descriptors, and no others.
    Descriptors,
    /// Create a process.
    Clone,
    /// Change to the root folder.
    Folder,
    /// Execute the program.
    Exec,
}

/// A program that was started.
#[derive(Debug)]
pub struct SpawnedProcess(OwnedFd);

/// Starts a program. Returns when the program has been executed, without waiting for its end.
///
/// # Errors
/// The step that failed, with the error of its system call; for [`SpawnStep::Exec`] an error of
/// [`execve(2)`](https://man7.org/linux/man-pages/man2/execve.2.html).
pub fn spawn(program: &Program<'_>) -> Result<SpawnedProcess, (SpawnStep, io::Error)> {
    let in_arguments = |error| (SpawnStep::Arguments, error);
    let path = c_string(program.path.as_os_str()).map_err(in_arguments)?;
    let mut arguments = vec![path.clone()];
    for argument in program.arguments {
        arguments.push(c_string(argument.as_ref()).map_err(in_arguments)?);
    }
    let listeners = format!("LISTEN_FDS={}", program.listeners.len());
    let mut environment = vec![c_string(listeners.as_ref()).map_err(in_arguments)?];
    for (name, value) in program.environment {
        let variable = [name, OsStr::new("="), value].into_iter().collect::<OsString>();
        environment.push(c_string(&variable).map_err(in_arguments)?);
    }
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| (SpawnStep::Null, error))?;
    let mut descriptors = vec![null.as_fd(), program.log, program.log];
    descriptors.extend(program.listeners);
    let process = start(&Image {
        path: &path,
        arguments: &arguments.iter().map(CString::as_c_str).collect::<Vec<_>>(),
        environment: &environment.iter().map(CString::as_c_str).collect::<Vec<_>>(),
        descriptors: &descriptors,
        descriptor_limit: original_descriptor_limit(),
    })?;
    Ok(SpawnedProcess(process))
}

impl SpawnedProcess {
    /// Waits until the program has ended; returns `false` if the deadline passes first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    pub fn wait(&self, deadline: Instant) -> io::Result<bool> {
        let mut polls = [PollFd::new(&self.0, PollFlags::IN)];
        Ok(poll(&mut polls, Some(deadline))? > 0)
    }

    /// Returns whether the program has ended.
    pub fn has_ended(&self) -> bool {
        has_ended(self.0.as_fd())
    }

    /// Kills the program, unless it has ended.
    ///
    /// # Errors
    /// `Unsupported` if the program runs in a pid namespace that is neither this process's own nor
    /// below it; `PermissionDenied` if it belongs to another user.
    pub fn kill(&self) -> io::Result<()> {
        use rustix::process::{Signal, pidfd_send_signal};
        match pidfd_send_signal(&self.0, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(Errno::INVAL) => {
                let what = "it runs in another pid namespace, and only a process there can end it";
                Err(io::Error::new(io::ErrorKind::Unsupported, what))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Describes how the program ended. The kernel tells a process other than the parent only until
    /// init has waited for the program, and from Linux 6.15 on also after that.
    pub fn exit_text(&self) -> String {
        let told = || told_exit_status(self.0.as_fd());
        // Init may have waited for the program between the first two attempts.
        let status = told().or_else(|| self.zombie_status()).or_else(told);
        status.map_or_else(|| "it ended at once".to_owned(), |status| status.to_string())
    }

    /// Returns the status in
    /// [proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html) of a process
    /// that has ended and has not been waited for.
    fn zombie_status(&self) -> Option<ExitStatus> {
        let pid = id(self.0.as_fd()).ok()??;
        let stat = proc::read(&format!("/proc/{pid}/stat")).ok()?;
        // The fields follow the program's name, which may contain any characters.
        let (_, fields) = stat.rsplit_once(") ")?;
        let status = fields.trim_end().rsplit_once(' ')?.1.parse().ok()?;
        // If the pidfd still has the number, the file was about this process.
        let is_there = |pid| id(self.0.as_fd()).is_ok_and(|now| now == Some(pid));
        (fields.starts_with('Z') && is_there(pid)).then(|| ExitStatus::from_raw(status))
    }

    /// Returns the program that listens at the other end of a connection.
    ///
    /// # Errors
    /// Returns the errors of [`Peer::peer_process`]; `NotFound` if the program is this process, or
    /// isn't visible here.
    pub fn of_peer(socket: &Seqpacket) -> io::Result<Self> {
        let pid = socket.peer()?.pid;
        if pid == std::process::id() {
            return Err(io::ErrorKind::NotFound.into());
        }
        match socket.peer_process() {
            // Before Linux 6.5, the process is found by its number. The program hangs, so its
            // number is unlikely to refer to another process now.
            Err(error) if raw_os_error(&error) == Some(Errno::NOPROTOOPT.raw_os_error()) => {
                Ok(Self(pidfd_open(pid, PidfdFlags::empty(), "process")?))
            }
            process => Ok(Self(process?)),
        }
    }
}

/// The pidfd of the program, which is readable once the program has ended.
impl AsFd for SpawnedProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::time::Duration;

    use super::*;

    /// Runs a shell script and returns its output.
    fn run(script: &str, listeners: &[BorrowedFd<'_>]) -> String {
        let mut log = tempfile::tempfile().unwrap();
        let program = Program {
            path: Path::new("/bin/sh"),
            arguments: &["-c".into(), script.into()],
            environment: &[
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("COLOUR".into(), "blue".into()),
            ],
            log: log.as_fd(),
            listeners,
        };
        let spawned = spawn(&program).unwrap();
        assert!(spawned.wait(Instant::now() + Duration::from_secs(20)).unwrap());
        let mut text = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_environment_is_what_was_given_and_the_protocol() {
        let text = run("echo $COLOUR $HOME $LISTEN_FDS; test $LISTEN_PID = $$ && echo mine", &[]);
        assert_eq!(text, "blue 0\nmine\n");
    }

    #[test]
    fn only_the_given_descriptors_are_open() {
        let (reader, _writer) = io::pipe().unwrap();
        let leak = rustix::io::dup(&reader).unwrap();
        let text = run("exec 9</dev/null; cd /proc/self/fd; echo *", &[reader.as_fd()]);
        // The shell opens one more descriptor for its glob.
        let open: Vec<u32> = text.split_whitespace().filter_map(|fd| fd.parse().ok()).collect();
        assert_eq!(&open[..4], [0, 1, 2, 3], "{text}");
        assert!(open.len() <= 6, "{text}");
        drop(leak);
    }

    #[test]
    fn a_spawned_program_leads_a_session_in_the_root_folder_with_default_signals() {
        // The status of a child of the shell is read, because the shell itself blocks signals while
        // it forks.
        let text = run(
            "pwd; echo $$; cut -d' ' -f6 /proc/self/stat; grep -E 'Sig(Blk|Ign)' /proc/self/status",
            &[],
        );
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "/");
        assert_eq!(lines[1], lines[2], "the shell's id is its session's");
        assert_eq!(lines[3..], ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]);
    }

    #[test]
    fn a_spawned_program_is_no_child_of_its_starter() {
        let text = run("cut -d' ' -f4 /proc/$$/stat", &[]);
        assert_ne!(text.trim(), std::process::id().to_string());
    }

    #[test]
    fn the_exit_status_of_a_spawned_program_is_reported() {
        let log = tempfile::tempfile().unwrap();
        let program = Program {
            path: Path::new("/bin/sh"),
            arguments: &["-c".into(), "exit 7".into()],
            environment: &[],
            log: log.as_fd(),
            listeners: &[],
        };
        let spawned = spawn(&program).unwrap();
        assert!(spawned.wait(Instant::now() + Duration::from_secs(20)).unwrap());
        match spawned.exit_text().as_str() {
            "it ended at once" => println!("skipped: init was quick, before Linux 6.15"),
            text => assert_eq!(text, "exit status: 7"),
        }
    }

    #[test]
    fn a_missing_program_is_not_found() {
        let log = tempfile::tempfile().unwrap();
        let program = Program {
            path: Path::new("/no/such/program"),
            arguments: &[],
            environment: &[],
            log: log.as_fd(),
            listeners: &[],
        };
        let (step, error) = spawn(&program).unwrap_err();
        assert_eq!((step, error.kind()), (SpawnStep::Exec, io::ErrorKind::NotFound));
    }
}
