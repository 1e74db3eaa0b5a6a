//! The files of a run: the requested files and everything that they import.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::ast::{Import, ImportLibrary, Interface, Item, Member};
use super::diagnostic::{Diagnostic, Diagnostics, quoted};
use super::limits::{FILE_BYTES_MAX, FILES_MAX};
use super::loader::{LoadError, Loader};
use super::preprocess::{self, PreprocessorOutput};
use super::source::{FileId, Span};
use super::token::{Name, Token};
use super::{Options, Preprocessor, dialect, midl3, parser, system};

/// Macros that are defined in every file: MIDL's predefined macros for 64-bit Windows, and
/// `__WIDL__`, which tells Wine's files that no C compiler is reading them.
const PREDEFINED: &str = "#define __midl 801\n#define __WIDL__ 1\n#define _WIN32 1\n\
                          #define _WIN64 1\n#define _M_X64 100\n#define _M_AMD64 100\n";

/// The parsed files of a run. A file is read only once, even if several files import it.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) loader: Loader,
    pub(crate) units: Vec<Unit>,
    /// The files that the caller requested.
    pub(crate) roots: Vec<UnitId>,
    /// Diagnostics that don't belong to a file.
    pub(crate) diagnostics: Diagnostics,
    /// Whether [`Program::complete`] has searched other files for missing declarations.
    pub(crate) is_complete: bool,
    by_file: HashMap<FileId, UnitId>,
    /// The file that contains the predefined macros.
    definitions: Option<FileId>,
}

/// The index of a file in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct UnitId(usize);

/// A parsed file, including the files that it includes.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) file: FileId,
    pub(crate) items: Vec<Item>,
    pub(crate) imports: Vec<UnitId>,
    pub(crate) included: HashSet<FileId>,
    /// Names that the file declares only if a currently undefined macro is defined. Each maps to
    /// that macro.
    pub(crate) conditional_names: HashMap<Name, Name>,
    /// Whether the file calls undefined macros. Such macros may declare names. This has already
    /// been reported.
    pub(crate) calls_undefined: bool,
    /// Whether a pragma in the file may change the packing of structs.
    pub(crate) has_packing: bool,
    /// The file that includes this one, if this file is only a fragment of it.
    pub(crate) part_of: Option<UnitId>,
    /// Whether an included or imported file can't be read. Names may then be missing.
    pub(crate) is_incomplete: bool,
    pub(crate) diagnostics: Diagnostics,
}

impl Program {
    /// Reads files and all their imports.
    pub(crate) fn load(paths: &[PathBuf], options: &Options) -> Self {
        let mut program = Self::new(options);
        for path in paths {
            let file = program.loader.open(path);
            program.root(file, &path.display().to_string());
        }
        program.read_from(0, options);
        program
    }

    /// Reads a file whose text is already in memory, and all its imports.
    pub(crate) fn load_text(name: &str, text: &str, options: &Options) -> Self {
        let mut program = Self::new(options);
        let directory = Path::new(name).parent().map(Path::to_owned);
        let file = match text.len() as u64 {
            ..=FILE_BYTES_MAX => program.loader.add(name.to_owned(), text.to_owned(), directory),
            _ => Err(LoadError::TooLong),
        };
        program.root(file, name);
        program.read_from(0, options);
        program
    }

    fn new(options: &Options) -> Self {
        let mut loader = Loader::new(options.search.clone());
        let definitions = loader.add("<options>".to_owned(), defines(options), None).ok();
        Program {
            loader,
            units: Vec::new(),
            roots: Vec::new(),
            diagnostics: Diagnostics::default(),
            is_complete: false,
            by_file: HashMap::new(),
            definitions,
        }
    }

    /// Adds a requested file.
    fn root(&mut self, file: Result<FileId, LoadError>, name: &str) {
        match file {
            Ok(file) => match self.unit(file) {
                Some(root) if !self.roots.contains(&root) => self.roots.push(root),
                _ => {}
            },
            Err(error) => {
                self.diagnostics.push(Diagnostic::without_place(error.message(name)));
            }
        }
    }

    /// Searches for declarations that are missing in some files. If such a file is included by
    /// another file, uses that file. If it has no imports, adds the usual import.
    pub(crate) fn complete(
        &mut self,
        open: &HashMap<UnitId, Vec<(String, Span)>>,
        options: &Options,
    ) {
        let read = self.units.len();
        for (&unit, names) in open {
            let file = self.unit_of(unit).file;
            let whole = self.loader.includer(file).and_then(|whole| self.unit(whole));
            self.units[unit.0].part_of = whole;
            if whole.is_none() {
                self.import_usual(unit, names);
            }
        }
        self.read_from(read, options);
        self.is_complete = true;
    }

    /// Adds the import `oaidl.idl`, which most files have, to a file without imports. Reports a
    /// warning.
    fn import_usual(&mut self, unit: UnitId, names: &[(String, Span)]) {
        if !self.unit_of(unit).imports.is_empty() || self.unit_of(unit).is_incomplete {
            return;
        }
        let known = names.iter().find(|(name, _)| system::declaring(name).is_some());
        let Some((name, span)) = known else { return };
        let found = self.loader.find("oaidl.idl", self.unit_of(unit).file).ok();
        let Some(usual) = found.and_then(|file| self.unit(file)) else { return };
        let message = format!("{} is used, but nothing is imported", quoted(name));
        let warning = Diagnostic::warning(*span, message)
            .hint("MIDL takes this file only with `import \"oaidl.idl\";` or the like");
        self.units[unit.0].imports.push(usual);
        self.units[unit.0].diagnostics.push(warning);
    }

    /// Reads the units from this index on, and their imports.
    fn read_from(&mut self, first: usize, options: &Options) {
        let mut next = first;
        while let (true, Some(definitions)) = (next < self.units.len(), self.definitions) {
            self.read(UnitId(next), definitions, options);
            next += 1;
        }
    }

    pub(crate) fn unit_of(&self, id: UnitId) -> &Unit {
        &self.units[id.0]
    }

    /// Returns whether a position is in a built-in file.
    pub(crate) fn is_built_in(&self, span: Span) -> bool {
        self.loader.is_built_in(self.loader.sources.file_of(span))
    }

    pub(crate) fn unit_ids(&self) -> impl Iterator<Item = UnitId> + use<> {
        (0..self.units.len()).map(UnitId)
    }

    /// Returns a file followed by all its direct and indirect imports.
    pub(crate) fn closure(&self, of: UnitId) -> Vec<UnitId> {
        let mut found = vec![of];
        let mut known = HashSet::from([of]);
        let mut next = 0;
        while let Some(&unit) = found.get(next) {
            let imports = &self.unit_of(unit).imports;
            found.extend(imports.iter().filter(|&&import| known.insert(import)));
            next += 1;
        }
        found
    }

    /// Returns all files, ordered so that imported files precede the files that import them. In a
    /// cycle of imports, the file that is visited first comes last.
    pub(crate) fn imported_first(&self) -> Vec<UnitId> {
        let mut ordered = Vec::with_capacity(self.units.len());
        let mut visited = HashSet::new();
        // The path to the current file. Each file has the number of its imports that have been
        // visited.
        let mut path: Vec<(UnitId, usize)> = Vec::new();
        for root in self.unit_ids() {
            if visited.insert(root) {
                path.push((root, 0));
            }
            while let Some((unit, next)) = path.last_mut() {
                match self.unit_of(*unit).imports.get(*next) {
                    Some(&import) => {
                        *next += 1;
                        if visited.insert(import) {
                            path.push((import, 0));
                        }
                    }
                    None => {
                        ordered.push(*unit);
                        path.pop();
                    }
                }
            }
        }
        ordered
    }

    /// Returns the unit for a file. Creates the unit if the file is new, which also queues the file
    /// for reading.
    fn unit(&mut self, file: FileId) -> Option<UnitId> {
        if let Some(&known) = self.by_file.get(&file) {
            return Some(known);
        }
        if self.units.len() == FILES_MAX {
            return None;
        }
        let id = UnitId(self.units.len());
        self.by_file.insert(file, id);
        self.units.push(Unit {
            file,
            items: Vec::new(),
            imports: Vec::new(),
            included: HashSet::new(),
            conditional_names: HashMap::new(),
            calls_undefined: false,
            has_packing: false,
            part_of: None,
            is_incomplete: false,
            diagnostics: Diagnostics::default(),
        });
        Some(id)
    }

    fn read(&mut self, id: UnitId, definitions: FileId, options: &Options) {
        let file = self.units[id.0].file;
        let mut diagnostics = Diagnostics::default();
        let loader = &mut self.loader;
        let preprocessed = match &options.preprocessor {
            Preprocessor::Command(program) if !loader.is_built_in(file) => {
                external(loader, program, file, options, &mut diagnostics)
            }
            _ => preprocess::preprocess(loader, definitions, file, &mut diagnostics),
        };
        let tokens = &preprocessed.tokens;
        let mut midl3_construct = midl3::find(tokens);
        let (mut items, calls_undefined) = match midl3_construct {
            Some(_) => (Vec::new(), false),
            None => {
                let lacks_macros = preprocessed.is_incomplete;
                parser::parse(tokens, &mut loader.interner, &mut diagnostics, lacks_macros)
            }
        };
        if midl3_construct.is_none() && diagnostics.errors() > 0 {
            midl3_construct = midl3::find_weak(tokens);
        }
        if let Some(construct) = midl3_construct {
            items.clear();
            diagnostics = Diagnostics::default();
            diagnostics.push(midl3::diagnostic(construct));
        }
        let foreign = match midl3_construct.is_none() && diagnostics.errors() > 0 {
            true => dialect::find(tokens),
            false => None,
        };
        if let Some(construct) = &foreign {
            items.clear();
            diagnostics = Diagnostics::default();
            diagnostics.push(dialect::diagnostic(construct));
        }
        let mut requests = Vec::new();
        collect_imports(&items, &mut requests);

        let mut is_incomplete =
            preprocessed.is_incomplete || midl3_construct.is_some() || foreign.is_some();
        let mut imports = Vec::new();
        for import in requests {
            match self.loader.find(import.name, file) {
                Ok(found) => match self.unit(found) {
                    Some(found) => imports.push(found),
                    None => {
                        let message = format!("more than {FILES_MAX} files are imported");
                        diagnostics.push(Diagnostic::error(import.span, message));
                    }
                },
                Err(error) => {
                    is_incomplete = true;
                    diagnostics.push(not_imported(&import, &error));
                }
            }
        }
        let unit = &mut self.units[id.0];
        unit.items = items;
        unit.imports = imports;
        unit.included = preprocessed.included;
        unit.conditional_names = preprocessed.conditional_names;
        unit.calls_undefined = calls_undefined;
        unit.has_packing = preprocessed.has_packing;
        unit.is_incomplete = is_incomplete;
        unit.diagnostics = diagnostics;
    }
}

/// A request to import a file or type library.
struct ImportRequest<'a> {
    name: &'a str,
    span: Span,
    is_library: bool,
}

fn not_imported(import: &ImportRequest<'_>, error: &LoadError) -> Diagnostic {
    if import.is_library {
        let message = format!(
            "type library {} isn't read: names that only it declares aren't checked",
            quoted(import.name),
        );
        return Diagnostic::gap(import.span, message);
    }
    error.at(import.span, import.name)
}

/// Collects the import requests in a list of declarations, including nested declarations.
fn collect_imports<'a>(items: &'a [Item], requests: &mut Vec<ImportRequest<'a>>) {
    for item in items {
        match item {
            Item::Import(imports) => {
                requests.extend(imports.iter().map(|Import { file, span }| ImportRequest {
                    name: file,
                    span: *span,
                    is_library: false,
                }))
            }
            Item::ImportLibrary(ImportLibrary { file, span }) => {
                requests.push(ImportRequest { name: file, span: *span, is_library: true });
            }
            Item::Library(library) => collect_imports(&library.items, requests),
            Item::Namespace(namespace) => collect_imports(&namespace.items, requests),
            Item::Interface(Interface { members: Some(members), .. }) => {
                for member in members {
                    if let Member::Item(item) = member {
                        collect_imports(std::slice::from_ref(item), requests);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Returns `#define` directives for the predefined macros and the macros in the options.
fn defines(options: &Options) -> String {
    let mut text = PREDEFINED.to_owned();
    for definition in &options.definitions {
        let (name, value) = definition.split_once('=').unwrap_or((definition, "1"));
        text += &format!("#define {name} {value}\n").replace(['\r', '\n'], " ");
        text.push('\n');
    }
    text
}

/// Preprocesses a file with an external program.
fn external(
    loader: &mut Loader,
    program: &Path,
    file: FileId,
    options: &Options,
    diagnostics: &mut Diagnostics,
) -> PreprocessorOutput {
    let predefined = PREDEFINED
        .lines()
        .filter_map(|line| Some(line.strip_prefix("#define ")?.replacen(' ', "=", 1)));
    let definitions: Vec<String> = predefined.chain(options.definitions.iter().cloned()).collect();
    let path = PathBuf::from(&loader.sources.file(file).name);
    let mut has_packing = false;
    let tokens = match preprocess::external::run(program, &path, &options.search, &definitions) {
        Ok((text, markers)) => {
            has_packing = text.lines().any(|line| line.starts_with('#') && line.contains("pack"));
            loader.add_preprocessed(file, text, markers)
        }
        Err(message) => Err(message),
    };
    let (tokens, is_incomplete) = match tokens {
        Ok(tokens) => (tokens, false),
        Err(message) => {
            diagnostics.push(Diagnostic::without_place(message));
            (vec![Token::end(Span::new(0, 0))], true)
        }
    };
    let (included, conditional_names) = (HashSet::new(), HashMap::new());
    PreprocessorOutput { tokens, included, conditional_names, is_incomplete, has_packing }
}
