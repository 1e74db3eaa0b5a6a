//! Finds and reads the files of a run.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diagnostic::{Diagnostic, did_you_mean};
use super::limits::{FILE_BYTES_MAX, SEARCHED_FILES_MAX, TOTAL_BYTES_MAX};
use super::source::{self, FileId, LineMarker, SourceMap, Span};
use super::token::{Interner, Token};
use super::{lexer, system};

/// Loads the files of one run of the front end. Each is read and tokenized once.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    pub(crate) sources: SourceMap,
    pub(crate) interner: Interner,
    search: Vec<PathBuf>,
    by_path: HashMap<PathBuf, FileId>,
    by_system_name: HashMap<&'static str, FileId>,
    /// The directory that `#include "…"` and `import` search first, indexed by file ID.
    directories: Vec<Option<PathBuf>>,
    tokens: Vec<Option<Rc<[Token]>>>,
    /// The positions of comments that continue on the next line, by file ID.
    continued_comments: HashMap<FileId, Vec<Span>>,
    /// The number of tokens that the preprocessor has read so far in this run.
    pub(crate) input_tokens: usize,
    /// The directories that have been listed. Each maps lower-case file names to paths.
    listings: HashMap<PathBuf, HashMap<String, PathBuf>>,
    /// The directories that have been searched for `#include`. For each directory, maps an included
    /// file to the file that includes it.
    includers: HashMap<PathBuf, HashMap<String, PathBuf>>,
}

/// The reason why a file can't be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    NotFound,
    TooLong,
    TooManyBytes,
    Unreadable(io::Error),
}

impl LoadError {
    /// Formats the error message for a file with this name.
    pub(crate) fn message(&self, name: &str) -> String {
        let name = super::diagnostic::quoted(name);
        match self {
            LoadError::NotFound => format!("file {name} isn't found"),
            LoadError::TooLong => {
                format!("file {name} exceeds the limit of {FILE_BYTES_MAX} bytes")
            }
            LoadError::TooManyBytes => {
                format!("file {name} exceeds the limit of {TOTAL_BYTES_MAX} bytes for all files")
            }
            LoadError::Unreadable(error) => format!("file {name} can't be read: {error}"),
        }
    }

    /// Creates the diagnostic for an import or include that fails. A missing file of the Windows
    /// SDK causes only a warning, because everything except the names that it declares can be
    /// checked.
    pub(crate) fn at(&self, span: Span, name: &str) -> Diagnostic {
        match self {
            LoadError::NotFound if system::is_windows_own(name) => {
                let message =
                    format!("Windows SDK file {} isn't found", super::diagnostic::quoted(name));
                Diagnostic::gap(span, message)
                    .hint("its declarations are not checked: name its directory with `-I`")
            }
            LoadError::NotFound => {
                let hint = did_you_mean(name, system::names())
                    .unwrap_or_else(|| "name its directory with `-I`".to_owned());
                Diagnostic::error(span, self.message(name)).hint(hint)
            }
            _ => Diagnostic::error(span, self.message(name)),
        }
    }
}

impl Loader {
    pub(crate) fn new(search: Vec<PathBuf>) -> Self {
        Self { search, ..Self::default() }
    }

    /// Loads a file by a path that the user specified.
    pub(crate) fn open(&mut self, path: &Path) -> Result<FileId, LoadError> {
        self.load(path)
    }

    /// Loads the file that `from` imports or includes as `name`. Searches the directory of `from`,
    /// the search path and the built-in files. As on Windows, ignores case and accepts `\` as a
    /// separator.
    pub(crate) fn find(&mut self, name: &str, from: FileId) -> Result<FileId, LoadError> {
        let name = name.replace('\\', "/");
        let beside = self.directories[from.index()].clone();
        for directory in beside.into_iter().chain(self.search.clone()) {
            if let Some(path) = self.spelled(&directory, &name) {
                return self.load(&path);
            }
        }
        let (name, text) = system::file(&name).ok_or(LoadError::NotFound)?;
        if let Some(&id) = self.by_system_name.get(name) {
            return Ok(id);
        }
        let id = self.add(format!("<built-in>/{name}"), text.to_owned(), None)?;
        self.by_system_name.insert(name, id);
        Ok(id)
    }

    /// Returns a file in the same directory that includes this file, if any.
    pub(crate) fn includer(&mut self, of: FileId) -> Option<FileId> {
        let directory = self.directories[of.index()].clone()?;
        let path = PathBuf::from(&self.sources.file(of).name);
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let files =
            self.includers.entry(directory.clone()).or_insert_with(|| includes_in(&directory));
        let includer = files.get(&name)?.clone();
        self.load(&includer).ok().filter(|&includer| includer != of)
    }

    /// Adds a file whose text is already in memory.
    pub(crate) fn add(
        &mut self,
        name: String,
        text: String,
        directory: Option<PathBuf>,
    ) -> Result<FileId, LoadError> {
        let id = self.sources.add(name, text, Vec::new()).ok_or(LoadError::TooManyBytes)?;
        self.directories.push(directory);
        self.tokens.push(None);
        Ok(id)
    }

    /// Tokenizes the output of an external preprocessor for a file.
    pub(crate) fn add_preprocessed(
        &mut self,
        file: FileId,
        text: String,
        markers: Vec<LineMarker>,
    ) -> Result<Vec<Token>, String> {
        let name = self.sources.file(file).name.clone();
        let error = || LoadError::TooManyBytes.message(&name);
        let id = self.sources.add(name.clone(), text, markers).ok_or_else(error)?;
        self.directories.push(self.directories[file.index()].clone());
        self.tokens.push(None);
        Ok(self.tokens(id).to_vec())
    }

    /// Returns whether a file is built in.
    pub(crate) fn is_built_in(&self, id: FileId) -> bool {
        self.by_system_name.values().any(|&known| known == id)
    }

    pub(crate) fn tokens(&mut self, id: FileId) -> Rc<[Token]> {
        let (sources, interner) = (&self.sources, &mut self.interner);
        let file = sources.file(id);
        let continued_comments = &mut self.continued_comments;
        let tokens = self.tokens[id.index()].get_or_insert_with(|| {
            let (tokens, found) = lexer::lex_with_comments(&file.text, file.start(), interner);
            continued_comments.insert(id, found);
            tokens.into()
        });
        Rc::clone(tokens)
    }

    /// Returns the positions of comments that continue on the next line. Later calls for the same
    /// file return none, because a file may be included many times but should cause each warning
    /// once.
    pub(crate) fn take_continued_comments(&mut self, id: FileId) -> Vec<Span> {
        self.continued_comments.remove(&id).unwrap_or_default()
    }

    /// Returns the path of a file in a directory. Prefers an exact match of the name, and otherwise
    /// ignores case, as on Windows.
    fn spelled(&mut self, directory: &Path, name: &str) -> Option<PathBuf> {
        let path = directory.join(name);
        if path.is_file() {
            return Some(path);
        }
        let parent = path.parent()?;
        let listing = self.listings.entry(parent.to_owned()).or_insert_with(|| {
            let entries = fs::read_dir(parent).into_iter().flatten().flatten();
            entries
                .map(|entry| (entry.file_name().to_string_lossy().to_lowercase(), entry.path()))
                .collect()
        });
        let lower = path.file_name()?.to_string_lossy().to_lowercase();
        listing.get(&lower).filter(|path| path.is_file()).cloned()
    }

    fn load(&mut self, path: &Path) -> Result<FileId, LoadError> {
        let key = path.canonicalize().map_err(unreadable)?;
        if let Some(&id) = self.by_path.get(&key) {
            return Ok(id);
        }
        let text = source::decode(read(&key)?);
        let directory = path.parent().map(Path::to_owned);
        let id = self.add(path.display().to_string(), text, directory)?;
        self.by_path.insert(key, id);
        Ok(id)
    }
}

/// Reads a regular file of limited length. Refuses other files, because a pipe or device could
/// block or never end.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file");
        return Err(LoadError::Unreadable(error));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::TooLong);
    }
    Ok(bytes)
}

/// Finds the `.idl` files in a directory that include others. Maps the lower-case name of each
/// included file to the including file.
fn includes_in(directory: &Path) -> HashMap<String, PathBuf> {
    let mut includers = HashMap::new();
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("idl")));
    paths.sort();
    for path in paths.into_iter().take(SEARCHED_FILES_MAX) {
        let Ok(bytes) = read(&path) else { continue };
        for line in source::decode(bytes).lines() {
            let included = line.trim_start().strip_prefix('#').and_then(|directive| {
                let name = directive.trim_start().strip_prefix("include")?.trim_start();
                name.strip_prefix(['"', '<'])?.split(['"', '>']).next()
            });
            if let Some(name) = included {
                includers.entry(name.to_lowercase()).or_insert_with(|| path.clone());
            }
        }
    }
    includers
}

fn unreadable(error: io::Error) -> LoadError {
    match error.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound,
        _ => LoadError::Unreadable(error),
    }
}
