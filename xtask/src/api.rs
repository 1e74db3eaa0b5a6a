//! `cargo xtask api`: writes a listing of the public API, and shows changes to it.
//!
//! The listing is generated from the source for both operating systems at once. This requires
//! neither a build nor the compiler's unstable output. Derived traits are listed by name. Code that
//! other macros generate is listed as the macro call.

mod source;
mod text;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use syn::{Item, UseTree};

use self::source::{CrateItems, blocks, is_hidden, parse, system};
use crate::workspace::root;

const USAGE: &str =
    "cargo xtask api [--accept]    compares the public API with docs/public-api.txt\n";

/// Prints the differences between the public API and the committed listing. With `--accept`, writes
/// the listing.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let accept = match arguments[..] {
        [] => false,
        ["--accept"] => true,
        _ => {
            print!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let listing = listing(&root());
    let file = root().join("docs/public-api.txt");
    if accept {
        return match std::fs::write(&file, listing) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                ExitCode::FAILURE
            }
        };
    }
    if std::fs::read_to_string(&file).is_ok_and(|committed| committed == listing) {
        return ExitCode::SUCCESS;
    }
    print_difference(&file, &listing);
    eprintln!(
        "docs/public-api.txt is stale: review the difference, then `cargo xtask api --accept`"
    );
    ExitCode::FAILURE
}

fn print_difference(committed: &Path, listing: &str) {
    let diff = Command::new("diff")
        .args(["-u", "--label", "committed", "--label", "source"])
        .arg(committed)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn();
    match diff {
        Ok(mut diff) => {
            if let Some(mut input) = diff.stdin.take() {
                let _ = input.write_all(listing.as_bytes());
            }
            let _ = diff.wait();
        }
        Err(error) => eprintln!("diff can't be run: {error}"),
    }
}

/// A public name of the crate `syshandle`.
struct PublicName {
    /// The module and the name: `handle::Event`.
    path: String,
    /// The operating system, if only one of them has the name.
    system: Option<&'static str>,
    lines: Vec<String>,
}

/// Returns the text of the listing.
fn listing(root: &Path) -> String {
    let mut text = String::from(
        "The public API of the crate `syshandle`, by name. `cargo xtask api --accept` writes this file. `[Linux]` and `[Windows]` mark what one system alone has.\n",
    );
    for PublicName { path, system, lines } in names(root) {
        let system = system.map(|system| format!("  [{system}]")).unwrap_or_default();
        let _ = write!(text, "\nsyshandle::{path}{system}\n");
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// Returns the public names, sorted. Names in the root module come first.
fn names(root: &Path) -> Vec<PublicName> {
    let load = |name: &str| CrateItems::load(&root.join("crates").join(name).join("src"));
    let facade = Facade {
        source: root.join("crates/syshandle/src"),
        own: load("syshandle"),
        foreign: ["os", "types", "registry"].map(load),
    };
    let mut names = Vec::new();
    facade.read_items(&parse(&facade.source.join("lib.rs")), "", None, &mut names);
    names.sort_by(|a, b| {
        (a.path.contains("::"), &a.path, a.system).cmp(&(b.path.contains("::"), &b.path, b.system))
    });
    names.dedup_by(|a, b| a.path == b.path && a.lines == b.lines);
    names
}

struct Facade {
    source: PathBuf,
    own: CrateItems,
    /// The crates whose items `syshandle` re-exports.
    foreign: [CrateItems; 3],
}

impl Facade {
    /// Collects the public items of a module.
    fn read_items(
        &self,
        items: &[Item],
        module: &str,
        on: Option<&'static str>,
        names: &mut Vec<PublicName>,
    ) {
        for item in items {
            if is_hidden(item) {
                continue;
            }
            let on = on.or(system(source::attributes(item)));
            match item {
                Item::Use(item) if source::is_public(&item.vis) => {
                    self.read_use(&item.tree, &mut Vec::new(), module, on, names);
                }
                Item::Mod(item) if source::is_public(&item.vis) => {
                    let path = format!("{module}{}", item.ident);
                    let lines = vec!["pub mod".to_owned()];
                    names.push(PublicName { path: path.clone(), system: on, lines });
                    let file = self.source.join(format!("{}.rs", path.replace("::", "/")));
                    let items = match &item.content {
                        Some((_, items)) => items.clone(),
                        None => parse(&file),
                    };
                    self.read_items(&items, &format!("{path}::"), on, names);
                }
                Item::Macro(call) if source::called(call) == "cfg_if" => {
                    for (block, items) in blocks(call) {
                        self.read_items(&items, module, on.or(block), names);
                    }
                }
                item => {
                    let Some(name) = source::public_name(item) else { continue };
                    let lines = self.own.lines(&name);
                    names.push(PublicName { path: format!("{module}{name}"), system: on, lines });
                }
            }
        }
    }

    fn read_use(
        &self,
        tree: &UseTree,
        path: &mut Vec<String>,
        module: &str,
        on: Option<&'static str>,
        names: &mut Vec<PublicName>,
    ) {
        let mut add = |name: String, public: String| {
            let lines = self.resolve(path, &name);
            names.push(PublicName { path: format!("{module}{public}"), system: on, lines });
        };
        match tree {
            UseTree::Path(next) => {
                path.push(next.ident.to_string());
                self.read_use(&next.tree, path, module, on, names);
                path.pop();
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let declared: Vec<_> =
                    self.foreign.iter().flat_map(|source| source.names_of_file(&name)).collect();
                if declared.is_empty() || !self.resolve(path, &name).is_empty() {
                    add(name.clone(), name);
                } else {
                    // The name refers to a module of another crate.
                    let lines = vec!["pub mod".to_owned()];
                    names.push(PublicName { path: format!("{module}{name}"), system: on, lines });
                    let path = format!("{module}{name}::");
                    for name in declared {
                        let lines = self.resolve(&["syshandle_types".to_owned()], &name);
                        names.push(PublicName { path: format!("{path}{name}"), system: on, lines });
                    }
                }
            }
            UseTree::Rename(rename) => add(rename.ident.to_string(), rename.rename.to_string()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(tree, path, module, on, names);
                }
            }
            UseTree::Glob(_) => {
                let file = path.last().cloned().unwrap_or_default();
                for source in &self.foreign {
                    for name in source.names_of_file(&file) {
                        add(name.clone(), name);
                    }
                }
            }
        }
    }

    /// Returns the lines of the listing for a re-exported item.
    fn resolve(&self, path: &[String], name: &str) -> Vec<String> {
        if path.first().is_some_and(|first| first == "syshandle_macros") {
            return vec!["macro".to_owned()];
        }
        let is_foreign = path.first().is_some_and(|first| first.starts_with("syshandle_"));
        let lines = match is_foreign {
            true => {
                self.foreign.iter().map(|source| source.lines(name)).find(|lines| !lines.is_empty())
            }
            false => Some(self.own.lines(name)),
        };
        lines.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_root_has_at_most_30_names() {
        let names = names(&root());
        let at_root: BTreeSet<_> =
            names.iter().map(|name| &name.path).filter(|path| !path.contains("::")).collect();
        assert!(at_root.len() <= 30, "{at_root:?}");
        for expected in ["Client", "Server", "interface", "handle", "direct"] {
            assert!(at_root.contains(&expected.to_owned()), "{expected} in {at_root:?}");
        }
    }

    #[test]
    fn what_one_system_alone_has_is_marked() {
        let names = names(&root());
        let lines = |path: &str| &names.iter().find(|name| name.path == path).unwrap().lines;
        for line in ["derives Eq  [Windows]", "pub pid: u32", "pub uid: UserId  [Linux]"] {
            assert!(lines("Credentials").iter().any(|other| other == line), "{line}");
        }
        let kill = "pub fn kill(&self) -> io::Result<()>  [Windows]";
        assert!(lines("handle::Process").iter().any(|line| line == kill));
    }

    #[test]
    fn every_name_is_resolved() {
        for name in names(&root()) {
            assert!(!name.lines.is_empty(), "no declaration of {}", name.path);
        }
    }
}
