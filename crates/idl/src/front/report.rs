//! The options and the report of a run.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use super::ast::{Item, Member};
use super::diagnostic::{self, Color, Diagnostic, Diagnostics, Severity};
use super::program::Program;
use super::source::{Location, SourceMap};
use super::steps;
use crate::rust::CratePath;

/// Options for reading `.idl` files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The directories to search for imported and included files. The directory of the importing
    /// file is searched first.
    pub search: Vec<PathBuf>,
    /// Macros to define in every file, each as `NAME` or `NAME=VALUE`.
    pub definitions: Vec<String>,
    /// The preprocessor to use.
    pub preprocessor: Preprocessor,
    /// The interfaces and classes to convert to Rust, by their names in the `.idl` files. The types
    /// that they use are converted as well. If empty, everything is converted.
    pub only: Vec<String>,
    /// The enums whose constants can be combined, by their names in the `.idl` files. Like an enum
    /// with the attribute `flag_enum`, each is converted to an integer type with constants.
    pub flags: Vec<String>,
    /// The private interfaces, by their names in the `.idl` files. Only programs that use syshandle
    /// call and serve a private interface. Therefore, a COM layout that differs from the layout in
    /// the file isn't reported.
    pub private: Vec<String>,
    /// Whether a COM layout that differs from the layout in the file is an error. By default, it is
    /// a warning.
    pub deny_layouts: bool,
    /// The path of syshandle in the generated Rust. By default, `syshandle`.
    pub crate_path: Option<CratePath>,
}

/// The preprocessor to use for `.idl` files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preprocessor {
    /// The built-in preprocessor, which supports all of C's directives.
    #[default]
    BuiltIn,
    /// A C compiler with this path, which is run with the option `-E`.
    Command(PathBuf),
}

/// The diagnostics of a run.
#[derive(Debug)]
pub struct Report {
    sources: SourceMap,
    diagnostics: Vec<Diagnostic>,
    statistics: Statistics,
}

/// Numbers of files, declarations and diagnostics in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The number of requested files that could be read.
    pub files: usize,
    /// The number of all files read, including imported and included files.
    pub files_read: usize,
    /// The number of lines in all files read.
    pub lines: usize,
    /// The number of interfaces defined in these files.
    pub interfaces: usize,
    /// The number of methods in these interfaces.
    pub methods: usize,
    /// The number of errors, including those beyond the limit per file.
    pub errors: usize,
    /// The number of warnings, including those beyond the limit per file.
    pub warnings: usize,
    /// The number of warnings that something wasn't checked because files are missing. If there are
    /// none of these and no errors, the files are valid.
    pub gaps: usize,
    /// The number of steps that the run took. A step is the processing of one item. See
    /// `front::steps`.
    pub steps: u64,
}

/// Reads `.idl` files and all their imports, and checks them.
///
/// # Examples
///
/// ```
/// use syshandle_idl::{Options, check};
///
/// let report = check(&["no such file.idl".into()], &Options::default());
/// assert!(!report.is_success());
/// assert_eq!(report.to_string(), "error: file `no such file.idl` isn't found\n\n");
/// ```
pub fn check(paths: &[PathBuf], options: &Options) -> Report {
    read(paths, options).into_report()
}

/// Checks a text as if it were a file with this name, and reads all its imports. The file need not
/// exist.
///
/// # Examples
///
/// ```
/// use syshandle_idl::{Options, check_text};
///
/// let report = check_text("a.idl", "typedef lnog A;", &Options::default());
/// assert_eq!(report.diagnostics()[0].message, "unknown type `lnog`");
/// ```
pub fn check_text(name: &str, text: &str, options: &Options) -> Report {
    read_text(name, text, options).into_report()
}

/// The files that were read and checked, and the diagnostics.
#[derive(Debug)]
pub(crate) struct CheckedProgram {
    /// The step count of the thread at the start of this run.
    steps_before: u64,
    pub(crate) program: Program,
    pub(crate) diagnostics: Vec<Diagnostics>,
}

/// Reads and checks `.idl` files and all their imports. Returns the syntax tree in addition to the
/// report.
pub(crate) fn read(paths: &[PathBuf], options: &Options) -> CheckedProgram {
    read_program(steps::total(), Program::load(paths, options), options)
}

/// Reads and checks a text; see [`read`].
pub(crate) fn read_text(name: &str, text: &str, options: &Options) -> CheckedProgram {
    read_program(steps::total(), Program::load_text(name, text, options), options)
}

fn read_program(steps_before: u64, mut program: Program, options: &Options) -> CheckedProgram {
    let mut checked = super::check::run(&program);
    if !checked.unresolved.is_empty() {
        program.complete(&checked.unresolved, options);
        checked = super::check::run(&program);
    }
    let mut diagnostics = checked.diagnostics;
    diagnostics.push(std::mem::take(&mut program.diagnostics));
    diagnostics.extend(program.units.iter_mut().map(|unit| std::mem::take(&mut unit.diagnostics)));
    CheckedProgram { steps_before, program, diagnostics }
}

impl CheckedProgram {
    /// Returns whether there have been no errors so far.
    pub(crate) fn is_success(&self) -> bool {
        self.diagnostics.iter().all(|of_file| of_file.errors() == 0)
    }

    /// Returns the report, with the diagnostics in the order of the files.
    pub(crate) fn into_report(self) -> Report {
        let Self { steps_before, program, diagnostics } = self;
        let mut statistics = count(&program);
        statistics.steps = steps::total() - steps_before;
        statistics.errors = diagnostics.iter().map(|of_file| of_file.errors()).sum();
        statistics.gaps = diagnostics.iter().map(|of_file| of_file.gaps()).sum();
        statistics.warnings = diagnostics.iter().map(|of_file| of_file.warnings()).sum();
        let mut diagnostics: Vec<_> =
            diagnostics.into_iter().flat_map(|of_file| of_file.into_kept()).collect();
        diagnostics.sort_by(|a, b| {
            (a.span, a.severity, &a.message).cmp(&(b.span, b.severity, &b.message))
        });
        diagnostics.dedup();
        Report { sources: program.loader.sources, diagnostics, statistics }
    }
}

impl Report {
    /// Returns whether there are no errors. Warnings are ignored.
    pub fn is_success(&self) -> bool {
        self.statistics.errors == 0
    }

    /// Returns the diagnostics in the order of the files and positions. If a file has very many
    /// errors, only the first ones are included.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns the statistics of the run.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Returns the position of a diagnostic.
    pub fn location(&self, diagnostic: &Diagnostic) -> Option<Location> {
        diagnostic.span.map(|span| self.sources.location(span))
    }

    /// Writes the diagnostics in human-readable form: message, position, source line and hint.
    ///
    /// # Errors
    ///
    /// Returns an error if writing fails.
    pub fn write(&self, to: &mut impl fmt::Write, color: Color) -> fmt::Result {
        diagnostic::render(&self.sources, &self.diagnostics, color, to)?;
        let count = |severity: Severity| {
            self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
        };
        let total = self.statistics.errors + self.statistics.warnings;
        let shown = count(Severity::Error) + count(Severity::Warning);
        match total.saturating_sub(shown) {
            0 => Ok(()),
            more => writeln!(to, "and {more} more errors and warnings"),
        }
    }
}

/// Formats the diagnostics like [`Report::write`], without colours.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Color::Never)
    }
}

impl Statistics {
    fn count_items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Interface(interface) => {
                    self.interfaces += usize::from(interface.members.is_some());
                    self.methods += interface.methods().count();
                    for member in interface.members.iter().flatten() {
                        if let Member::Item(item) = member {
                            self.count_items(std::slice::from_ref(item));
                        }
                    }
                }
                Item::DispatchInterface(interface) => {
                    self.interfaces += usize::from(interface.members.is_some());
                }
                Item::Library(library) => self.count_items(&library.items),
                Item::Namespace(namespace) => self.count_items(&namespace.items),
                _ => {}
            }
        }
    }
}

fn count(program: &Program) -> Statistics {
    let mut statistics = Statistics { files: program.roots.len(), ..Statistics::default() };
    let mut files = HashSet::new();
    for unit in &program.units {
        files.insert(unit.file);
        files.extend(&unit.included);
        statistics.count_items(&unit.items);
    }
    statistics.files_read = files.len();
    statistics.lines = files.iter().map(|&file| program.loader.sources.lines(file)).sum();
    statistics
}
