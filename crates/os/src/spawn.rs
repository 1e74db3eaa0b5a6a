//! Starts server programs.
//!
//! A server must not inherit anything from the client that happens to start it. It gets its own
//! session, the working directory `/`, only the given environment and descriptors, default signal
//! handlers, and init as its parent. It does inherit the properties that a process can't reset:
//! namespaces, seccomp filters, control group and resource limits.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::PidfdFlags;

use crate::limits::original_descriptor_limit;
use crate::peer::has_ended;
use crate::sys::clone::{Image, start};
use crate::sys::proc;
use crate::sys::process::{id, pidfd_open, told_exit_status};
use crate::system_call::raw_os_error;
use crate::{Peer, Seqpacket};

/// A program to start.
#[derive(Debug)]
pub struct Program<'a> {
    /// The path of the program file.
    pub path: &'a Path,
    /// The arguments of the program, without the program name.
    pub arguments: &'a [String],
    /// The environment of the program. The variables of the `LISTEN_FDS` protocol are added to it.
    pub environment: &'a [(OsString, OsString)],
    /// The file for standard output and standard error.
    pub log: BorrowedFd<'a>,
    /// The listening sockets, passed from descriptor 3 on as described in
    /// [sd_listen_fds(3)](https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html).
    /// `listen` is called again for the new program.
    pub listeners: &'a [BorrowedFd<'a>],
}

/// A step of starting a program, named in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnStep {
    /// Convert the path, arguments and environment to C strings, which can't contain zero bytes.
    Arguments,
    /// Open `/dev/null` for the standard input.
    Null,
    /// Pass the given descriptors and close all others.
    Descriptors,
    /// Create a process.
    Clone,
    /// Change to the root directory.
    Folder,
    /// Execute the program.
    Exec,
}

/// A program that was started.
#[derive(Debug)]
pub struct SpawnedProcess(OwnedFd);

/// Starts a program. Returns once the program is executing.
///
/// # Errors
/// Returns the failed step, with the error of its system call. For [`SpawnStep::Exec`], that is an
/// error of [`execve(2)`](https://man7.org/linux/man-pages/man2/execve.2.html).
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
    /// Returns whether the program has ended.
    pub fn has_ended(&self) -> bool {
        has_ended(self.0.as_fd())
    }

    /// Kills the program, unless it has ended.
    ///
    /// # Errors
    /// `Unsupported` if the program runs in a pid namespace that is neither this process's
    /// namespace nor a descendant of it; `PermissionDenied` if the program belongs to another user.
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

    /// Describes how the program ended. This process is not the parent, so the kernel reports the
    /// exit status only until init has waited for the program. From Linux 6.15 on, it also reports
    /// the status after that.
    pub fn exit_text(&self) -> String {
        let told = || told_exit_status(self.0.as_fd());
        // Tries again, because init may have waited for the program between the first two attempts.
        let status = told().or_else(|| self.zombie_status()).or_else(told);
        status.map_or_else(|| "it ended at once".to_owned(), |status| status.to_string())
    }

    /// Returns the exit status in
    /// [proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html) if the
    /// process is a zombie.
    fn zombie_status(&self) -> Option<ExitStatus> {
        let pid = id(self.0.as_fd()).ok()??;
        let stat = proc::read(&format!("/proc/{pid}/stat")).ok()?;
        // The fields follow the name of the program, which may contain any characters.
        let (_, fields) = stat.rsplit_once(") ")?;
        let status = fields.trim_end().rsplit_once(' ')?.1.parse().ok()?;
        // If the pidfd still has the same process ID, the file described this process.
        let is_there = |pid| id(self.0.as_fd()).is_ok_and(|now| now == Some(pid));
        (fields.starts_with('Z') && is_there(pid)).then(|| ExitStatus::from_raw(status))
    }

    /// Returns the program that called `listen` for this connection.
    ///
    /// # Errors
    /// Returns the errors of [`Peer::peer_process`]. Returns `NotFound` if the program is this
    /// process, or isn't visible in this pid namespace.
    pub fn of_peer(socket: &Seqpacket) -> io::Result<Self> {
        let pid = socket.peer()?.pid;
        if pid == std::process::id() {
            return Err(io::ErrorKind::NotFound.into());
        }
        match socket.peer_process() {
            // Before Linux 6.5, opens the process by its ID. The program is known to hang, so its
            // ID is unlikely to have been reused.
            Err(error) if raw_os_error(&error) == Some(Errno::NOPROTOOPT.raw_os_error()) => {
                Ok(Self(pidfd_open(pid, PidfdFlags::empty(), "process")?))
            }
            process => Ok(Self(process?)),
        }
    }
}

/// The pidfd of the program, which becomes readable when the program ends.
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
    use std::time::{Duration, Instant};

    use super::*;
    use crate::wait_readable;

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
        assert!(wait_readable(&spawned, Instant::now() + Duration::from_secs(20)).unwrap());
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
        // The fourth descriptor is the one that the shell opens for the glob.
        let open: Vec<u32> = text.split_whitespace().filter_map(|fd| fd.parse().ok()).collect();
        assert_eq!(&open[..4], [0, 1, 2, 3], "{text}");
        assert!(open.len() <= 6, "{text}");
        drop(leak);
    }

    #[test]
    fn a_spawned_program_leads_a_session_in_the_root_folder_with_default_signals() {
        // Reads the status of a child of the shell, because the shell itself blocks signals while
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
        assert!(wait_readable(&spawned, Instant::now() + Duration::from_secs(20)).unwrap());
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
