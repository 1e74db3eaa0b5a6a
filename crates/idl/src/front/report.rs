//! The options and the findings of one run.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use super::ast::{Item, Member};
use super::diagnostic::{self, Color, Diagnostic, Diagnostics, Severity};
use super::program::Program;
use super::source::{Location, SourceMap};
use super::steps;

/// Options for reading files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The directories that are searched for imported and included files, after the directory of
    /// the file that names them.
    pub search: Vec<PathBuf>,
    /// Macros that are defined in every file, each as `NAME` or `NAME=VALUE`.
    pub definitions: Vec<String>,
    /// The preprocessor for the files.
    pub preprocessor: Preprocessor,
    /// The interfaces and classes to convert to Rust, by their names in the files. The types that
    /// they use are included. If the list is empty, all are converted.
    pub only: Vec<String>,
    /// The enums whose constants can be combined, by their names in the files. Each becomes a
    /// number with constants, as with the attribute `flag_enum`.
    pub flags: Vec<String>,
    /// The interfaces that are private to syshandle, by their names in the files. All callers and
    /// servers of a private interface are programs of this crate, so a COM layout that differs from
    /// the file's isn't reported.
    pub private: Vec<String>,
    /// Whether a method whose COM layout differs from the file's is an error rather than a warning.
    pub deny_layouts: bool,
}

/// The preprocessor for the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preprocessor {
    /// The built-in preprocessor, which supports all of C's directives.
    #[default]
    BuiltIn,
    /// A C compiler, run as `cc -E`.
    Command(PathBuf),
}

/// The findings of a run.
#[derive(Debug)]
pub struct Report {
    sources: SourceMap,
    diagnostics: Vec<Diagnostic>,
    statistics: Statistics,
}

/// Counts of the files read, their contents and the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The requested files that could be read.
    pub files: usize,
    /// All files read: the requested ones and the files that they import or include.
    pub files_read: usize,
    /// The lines of all files read.
    pub lines: usize,
    /// The interfaces defined in them.
    pub interfaces: usize,
    /// The methods of these interfaces.
    pub methods: usize,
    /// The errors, including those beyond the limit per file.
    pub errors: usize,
    /// The warnings, including those beyond the limit per file.
    pub warnings: usize,
    /// The warnings that something wasn't checked, because the files that declare it are missing. A
    /// file without errors is valid if there are no such warnings.
    pub gaps: usize,
    /// The steps of the run: items visited, counted individually.
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

/// Reads a text as if it were a file with this name, with all its imports, and checks it. The file
/// need not exist.
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

/// Files that were read and checked, and the findings.
#[derive(Debug)]
pub(crate) struct CheckedProgram {
    /// The number of steps before this run.
    steps_before: u64,
    pub(crate) program: Program,
    pub(crate) diagnostics: Vec<Diagnostics>,
}

/// Reads and checks `.idl` files with all their imports, for a caller that needs the syntax tree as
/// well as the report.
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
    /// Returns whether there are no errors so far.
    pub(crate) fn is_success(&self) -> bool {
        self.diagnostics.iter().all(|of_file| of_file.errors() == 0)
    }

    /// Returns the findings, in the order of the files.
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
    /// Returns whether the files are valid. Warnings don't count.
    pub fn is_success(&self) -> bool {
        self.statistics.errors == 0
    }

    /// Returns the findings, in the order of the files and from top to bottom. For a file with very
    /// many errors, only the first ones are included.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns counts of the files read, their contents and the findings.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Returns the position of a diagnostic.
    pub fn location(&self, diagnostic: &Diagnostic) -> Option<Location> {
        diagnostic.span.map(|span| self.sources.location(span))
    }

    /// Writes the findings for people to read: each message with its position, the line at that
    /// position and a hint.
    ///
    /// # Errors
    ///
    /// Fails if the writer fails.
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

/// Formats the findings as [`Report::write`] does, without colours.
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
