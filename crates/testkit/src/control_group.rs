//! Control groups of version 1 or 2 for tests, if this process may create them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A control group. Dropping this removes the group, which must be empty.
#[derive(Debug)]
pub struct ControlGroup {
    folder: PathBuf,
}

impl ControlGroup {
    /// Creates a group. In version 1, it belongs to the hierarchy of this controller (`memory`,
    /// `name=systemd`). In version 2, the controller is enabled for it.
    ///
    /// # Errors
    /// Returns the reason why the group can't be created.
    pub fn new(controller: &str) -> Result<Self, String> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("syshandle-test-{}-{number}", std::process::id());
        let mut why = format!("no control groups with {controller} are mounted");
        for parent in parents(controller) {
            let folder = parent.join(&name);
            if let Err(error) = fs::create_dir(&folder) {
                why = format!("{} can't be made: {error}", folder.display());
                continue;
            }
            let group = Self { folder };
            match controller.starts_with("name=") || group.limit_file().exists() {
                true => return Ok(group),
                false => why = format!("{} has no controller {controller}", parent.display()),
            }
        }
        Err(why)
    }

    /// Returns the path of the file through which processes enter the group.
    pub fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Sets the memory limit of the group.
    pub fn limit_memory(&self, bytes: u64) {
        fs::write(self.limit_file(), bytes.to_string()).unwrap();
    }

    /// Returns how many bytes of memory are charged to the group.
    pub fn memory(&self) -> u64 {
        self.number(&["memory.current", "memory.usage_in_bytes"])
    }

    /// Returns the maximum number of bytes of memory that were ever charged to the group.
    pub fn peak_memory(&self) -> u64 {
        self.number(&["memory.peak", "memory.max_usage_in_bytes"])
    }

    /// Returns how many bytes of shared memory are charged to the group.
    pub fn shared_memory(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("memory.stat")).unwrap();
        let bytes = text.lines().find_map(|line| line.strip_prefix("shmem "));
        bytes.unwrap().trim().parse().unwrap()
    }

    /// Returns how many processes in the group the kernel has killed for lack of memory.
    pub fn killed(&self) -> u64 {
        let files = ["memory.events", "memory.oom_control"];
        let text = files.iter().find_map(|file| fs::read_to_string(self.folder.join(file)).ok());
        let text = text.unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.unwrap().trim().parse().unwrap()
    }

    fn limit_file(&self) -> PathBuf {
        let files = ["memory.max", "memory.limit_in_bytes"].map(|file| self.folder.join(file));
        let [new, old] = files;
        if new.exists() { new } else { old }
    }

    fn number(&self, files: &[&str]) -> u64 {
        let text = files.iter().find_map(|file| fs::read_to_string(self.folder.join(file)).ok());
        text.unwrap().trim().parse().unwrap()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Removes a group and its subgroups. The kernel removes only empty groups.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// Returns the groups in which a group with this controller might be created: this process's own
/// group and the root group.
fn parents(controller: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut parents = Vec::new();
    for mount in mounts.lines() {
        let Some((fixture, kind)) = mount.split_once(" - ") else { continue };
        let Some(point) = fixture.split(' ').nth(4) else { continue };
        let is_old = kind.starts_with("cgroup ")
            && kind.split([' ', ',']).any(|option| option == controller);
        if !is_old && !kind.starts_with("cgroup2 ") {
            continue;
        }
        let group = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, group) = rest.split_once(':')?;
            let is_of = if is_old { controllers == controller } else { controllers.is_empty() };
            is_of.then(|| group.trim_start_matches('/'))
        });
        let point = Path::new(point);
        parents.extend(group.filter(|group| !group.is_empty()).map(|group| point.join(group)));
        parents.push(point.to_owned());
    }
    parents
}
