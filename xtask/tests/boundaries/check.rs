//! Checks rules for the source of a crate and for the manifests of a workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::resolve::Import;
use crate::source::{Platform, Source};

/// A rule about imports between the modules of a crate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boundary<'r> {
    pub(crate) from: &'r [&'r str],
    pub(crate) never: Never<'r>,
    pub(crate) because: &'r str,
    /// Permitted imports that cross the boundary, each as importing and imported module.
    pub(crate) exceptions: &'r [(&'r str, &'r str)],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Never<'r> {
    /// The modules must not import these modules or modules within them.
    Imports(&'r [&'r str]),
    /// The modules must not import items of these modules through a re-export in the root module.
    ImportsThroughRoot(&'r [&'r str]),
}

/// A location in the source that breaks a rule. Line 0 means the whole file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.text)
    }
}

/// The source of a crate, as compiled for each platform.
pub(crate) struct Crate {
    path: PathBuf,
    platforms: Vec<(Source, BTreeSet<Import>)>,
    /// Locations that the checks can't interpret reliably.
    pub(crate) unreadable: BTreeSet<Violation>,
}

impl Crate {
    /// Reads a crate. `path` is the folder of its root file, or its only file.
    pub(crate) fn read(path: &Path) -> Self {
        let candidates = [path.to_owned(), path.join("lib.rs"), path.join("main.rs")];
        let root = candidates.iter().find(|root| root.is_file());
        let root = root.unwrap_or_else(|| panic!("{} has no root file", path.display()));
        let mut unreadable = BTreeSet::new();
        let platforms = [Platform::Windows, Platform::Unix].map(|platform| {
            let source = Source::read(root, platform);
            let (imports, problems) = source.imports();
            unreadable.extend(source.problems.iter().chain(&problems).map(|problem| Violation {
                file: problem.file.clone(),
                line: problem.line,
                text: problem.text.clone(),
            }));
            (source, imports)
        });
        let known = Source::read(root, Platform::Any).files;
        let strays = rust_files(path).into_iter().filter(|file| !known.contains(file));
        unreadable.extend(strays.map(|file| Violation {
            file,
            line: 1,
            text: "no `mod` item names this file".to_owned(),
        }));
        Self { path: path.to_owned(), platforms: platforms.into(), unreadable }
    }

    /// Returns the imports that cross a boundary, and the exceptions that are no longer needed.
    pub(crate) fn check(&self, boundary: &Boundary<'_>) -> BTreeSet<Violation> {
        let mut violations = BTreeSet::new();
        let mut unused: BTreeSet<_> = boundary.exceptions.iter().collect();
        for (source, imports) in &self.platforms {
            for import in imports {
                let [from, to] =
                    [import.from, import.to].map(|at| source.modules[at].path.join("::"));
                let crosses = is_within(&from, boundary.from) && boundary.never.covers(&to, import);
                if !crosses {
                    continue;
                }
                let is_excepted = |one: &&&(&str, &str)| (one.0, one.1) == (&*from, &*to);
                if let Some(exception) = boundary.exceptions.iter().find(|one| is_excepted(&one)) {
                    unused.remove(exception);
                    continue;
                }
                let because = boundary.because;
                violations.insert(Violation {
                    file: source.modules[import.from].file.clone(),
                    line: import.line,
                    text: format!("`{from}` imports `{to}` by `{}`: {because}", import.path),
                });
            }
        }
        for (from, to) in unused {
            let text = format!("`{from}` no longer imports `{to}`: remove the exception");
            violations.insert(Violation { file: self.path.clone(), line: 0, text });
        }
        let named = boundary.from.iter().chain(boundary.never.modules());
        for module in named.filter(|module| **module != EVERY && !self.has_module(module)) {
            let text = format!("a rule names the module `{module}`, which doesn't exist");
            violations.insert(Violation { file: self.path.clone(), line: 0, text });
        }
        violations
    }

    fn has_module(&self, path: &str) -> bool {
        let mut sources = self.platforms.iter().map(|(source, _)| source);
        sources.any(|source| source.modules.iter().any(|module| module.path.join("::") == path))
    }

    /// Returns the cycles of imports between files, largest first.
    pub(crate) fn cycles(&self) -> Vec<BTreeSet<PathBuf>> {
        let cycles = self.platforms.iter().flat_map(|(source, all)| crate::cycles::of(source, all));
        let mut cycles: Vec<_> = cycles.collect();
        cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.len()));
        cycles.dedup();
        cycles
    }
}

/// Represents all modules except the root module.
pub(crate) const EVERY: &str = "*";

impl<'r> Never<'r> {
    fn modules(self) -> &'r [&'r str] {
        match self {
            Self::Imports(modules) | Self::ImportsThroughRoot(modules) => modules,
        }
    }

    fn covers(self, to: &str, import: &Import) -> bool {
        let is_covered = match self {
            Self::Imports(_) => true,
            Self::ImportsThroughRoot(_) => import.through.contains(&0),
        };
        is_covered && is_within(to, self.modules())
    }
}

/// Returns whether a module is one of these modules or within one of them.
fn is_within(module: &str, areas: &[&str]) -> bool {
    areas.iter().any(|area| match *area {
        EVERY => !module.is_empty(),
        area => {
            let rest = module.strip_prefix(area);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        }
    })
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let files = entries.flat_map(|entry| rust_files(&entry.expect("a file").path()));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The dependencies of a package on other packages in the workspace.
#[derive(Debug, Default)]
pub(crate) struct Dependencies {
    /// All normal and build dependencies, including optional and platform-specific ones.
    pub(crate) normal: BTreeSet<String>,
    pub(crate) dev: BTreeSet<String>,
}

/// Reads the manifests of all crates in a workspace. The result is keyed by package name.
pub(crate) fn dependencies(workspace: &Path) -> BTreeMap<String, Dependencies> {
    let read = |path: &Path| -> toml::Table {
        let text = fs::read_to_string(path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let shared = read(&workspace.join("Cargo.toml"));
    let shared = shared.get("workspace").and_then(|table| table.get("dependencies"));
    let folder = fs::read_dir(workspace.join("crates")).expect("a folder of crates");
    let manifests = folder.map(|entry| entry.expect("a readable folder").path().join("Cargo.toml"));
    let crates: Vec<_> = manifests.filter(|path| path.is_file()).map(|path| read(&path)).collect();
    let found = crates.iter().map(|manifest| {
        let mut dependencies = Dependencies::default();
        let targets = manifest.get("target").and_then(|targets| targets.as_table());
        let targets = targets.into_iter().flat_map(|targets| targets.values());
        let tables = targets.filter_map(|target| target.as_table()).chain([manifest]);
        for table in tables {
            for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
                let all = table.get(kind).and_then(|table| table.as_table()).into_iter().flatten();
                let is_dev = kind.starts_with("dev");
                let into = if is_dev { &mut dependencies.dev } else { &mut dependencies.normal };
                into.extend(all.map(|(name, value)| package(name, value, shared)));
            }
        }
        (name_of(manifest), dependencies)
    });
    let mut found: BTreeMap<_, _> = found.collect();
    let names: BTreeSet<_> = found.keys().cloned().collect();
    for one in found.values_mut() {
        one.normal.retain(|name| names.contains(name));
        one.dev.retain(|name| names.contains(name));
    }
    found
}

fn name_of(manifest: &toml::Table) -> String {
    let name = manifest.get("package").and_then(|package| package.get("name"));
    name.and_then(|name| name.as_str()).expect("a package with a name").to_owned()
}

/// Returns the package name of a dependency, which the manifest may rename (`package = "…"`).
fn package(name: &str, value: &toml::Value, shared: Option<&toml::Value>) -> String {
    let is_shared = value.get("workspace").is_some();
    let value = if is_shared { shared.and_then(|shared| shared.get(name)) } else { Some(value) };
    let renamed = value.and_then(|value| value.get("package")).and_then(|name| name.as_str());
    renamed.unwrap_or(name).to_owned()
}

/// Returns all packages that a package depends on, directly or indirectly.
pub(crate) fn closure(of: &str, all: &BTreeMap<String, Dependencies>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![of];
    while let Some(name) = open.pop() {
        for next in all.get(name).into_iter().flat_map(|one| &one.normal) {
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}
