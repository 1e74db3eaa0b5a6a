//! Reads the source files of a crate. Replaces each `mod name;` with the content of the module's
//! file.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

use crate::front::diagnostic::printable;
use crate::front::limits::{FILE_BYTES_MAX, MODULE_DEPTH_MAX, MODULES_MAX};

/// Reads a Rust source file and the files of its modules. Skips test modules.
///
/// # Errors
/// Returns an error message if the file of a module doesn't exist or isn't valid Rust.
pub(crate) fn read(path: &Path) -> Result<syn::File, String> {
    let mut reader = ModuleLoader { files: HashSet::new() };
    let mut file = reader.parse(path, 0)?;
    // The file may or may not be a crate root. For a crate root, module files are in the same
    // directory.
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let folders = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => vec![directory],
        Some(stem) => vec![directory.join(stem), directory],
    };
    reader.items(&mut file.items, path, &folders, 0)?;
    Ok(file)
}

struct ModuleLoader {
    /// The files read so far. Each file is read only once.
    files: HashSet<PathBuf>,
}

impl ModuleLoader {
    fn parse(&mut self, path: &Path, depth: usize) -> Result<syn::File, String> {
        let error_text = |what: &dyn std::fmt::Display| {
            let (path, what) = (path.display().to_string(), what.to_string());
            format!("error: {}: {}\n", printable(&path), printable(&what))
        };
        let key = path.canonicalize().map_err(|error| error_text(&error))?;
        if !self.files.insert(key) {
            return Err(error_text(&"the file is a module of itself or of two modules"));
        }
        if self.files.len() > MODULES_MAX || depth > MODULE_DEPTH_MAX {
            return Err(error_text(&format!(
                "the file isn't read: the limits are {MODULES_MAX} files, nested \
                 {MODULE_DEPTH_MAX} levels deep"
            )));
        }
        let metadata = fs::metadata(path).map_err(|error| error_text(&error))?;
        if !metadata.is_file() {
            return Err(error_text(&"it isn't a regular file"));
        }
        let mut text = String::new();
        let file = File::open(path).map_err(|error| error_text(&error))?;
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
        if read.map_err(|error| error_text(&error))? as u64 > FILE_BYTES_MAX {
            return Err(error_text(&format!("the limit of {FILE_BYTES_MAX} bytes is exceeded")));
        }
        syn::parse_file(&text).map_err(|error| error_text(&error))
    }

    /// Replaces the modules among a file's items with their contents. Searches the modules' files
    /// in `folders`.
    fn items(
        &mut self,
        items: &mut Vec<Item>,
        of: &Path,
        folders: &[PathBuf],
        depth: usize,
    ) -> Result<(), String> {
        items.retain(|item| !matches!(item, Item::Mod(module) if is_for_tests(&module.attrs)));
        for item in items {
            let Item::Mod(module) = item else { continue };
            self.module(module, of, folders, depth)?;
        }
        Ok(())
    }

    fn module(
        &mut self,
        module: &mut ItemMod,
        of: &Path,
        folders: &[PathBuf],
        depth: usize,
    ) -> Result<(), String> {
        let name = syshandle_model::plain_name(&module.ident);
        if let Some((_, items)) = &mut module.content {
            let inner: Vec<_> = folders.iter().map(|folder| folder.join(&name)).collect();
            return self.items(items, of, &inner, depth);
        }
        let candidates: Vec<PathBuf> = match path_attribute(&module.attrs) {
            Some(path) => vec![of.parent().unwrap_or(Path::new("")).join(path)],
            None => folders
                .iter()
                .flat_map(|folder| {
                    [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")]
                })
                .collect(),
        };
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            let tried: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
            return Err(format!(
                "error: {}: the file of module `{name}` isn't found: searched {}\n",
                printable(&of.display().to_string()),
                printable(&tried.join(", ")),
            ));
        };
        let mut file = self.parse(path, depth + 1)?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let is_directory = path.file_stem().is_some_and(|stem| stem == "mod");
        let folder = if is_directory { directory } else { directory.join(&name) };
        self.items(&mut file.items, path, &[folder], depth + 1)?;
        module.content = Some((syn::token::Brace::default(), file.items));
        module.semi = None;
        Ok(())
    }
}

/// Returns the path from the attribute `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Returns whether `#[cfg(test)]` is among the attributes.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}
