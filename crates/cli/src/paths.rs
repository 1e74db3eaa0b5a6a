//! The folders and programs on which a command operates.

#[cfg(not(windows))]
use std::io;
use std::path::PathBuf;

/// Folders and programs, as the user specified them.
#[derive(clap::Args)]
pub(crate) struct Paths {
    /// Programs, or folders with servers' programs; by default, the current folder
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Alias of PATH
    #[arg(long = "path", value_name = "PATH", hide = true)]
    named: Vec<PathBuf>,
}

impl Paths {
    /// Returns all paths.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let all: Vec<_> = self.paths.iter().chain(&self.named).cloned().collect();
        if all.is_empty() { vec![".".into()] } else { all }
    }
}

/// Returns an absolute path that keeps the links in the user's path. A registration through a link
/// to the current version therefore follows that link when it changes.
///
/// # Errors
/// The current folder is unknown, or a `..` can't be resolved.
#[cfg(not(windows))]
pub(crate) fn from_root(path: &std::path::Path) -> io::Result<PathBuf> {
    use std::path::Component;

    let whole = if path.is_absolute() { path.to_owned() } else { current_folder()?.join(path) };
    let components: Vec<_> = whole.components().collect();
    // `..` means the parent of a link's target, so links are resolved up to the last `..`.
    let parent = components.iter().rposition(|part| *part == Component::ParentDir);
    let Some(parent) = parent else { return Ok(components.iter().collect()) };
    let (before, after) = components.split_at(parent + 1);
    let folder: PathBuf = before.iter().collect();
    Ok(std::fs::canonicalize(folder)?.join(after.iter().collect::<PathBuf>()))
}

/// Returns the current folder as the shell shows it, possibly through links, like `pwd -L`.
#[cfg(not(windows))]
fn current_folder() -> io::Result<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    use std::path::Component;

    let is_plain = |path: &PathBuf| {
        path.is_absolute() && path.components().all(|part| part != Component::ParentDir)
    };
    let shown = std::env::var_os("PWD").map(PathBuf::from).filter(is_plain);
    let id = |path: &std::path::Path| {
        std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
    };
    match shown {
        Some(shown) if id(&shown).is_some() && id(&shown) == id(".".as_ref()) => Ok(shown),
        _ => std::env::current_dir(),
    }
}
