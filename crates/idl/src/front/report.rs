//! One run over some files: its options and its findings.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use super::ast::{Item, Member};
use super::diagnostic::{self, Color, Diagnostic, Diagnostics, Severity};
use super::program::Program;
use super::source::{Location, SourceMap};
use super::work;

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where imported and included files are looked for, after the directory of the file that
    /// names them.
    pub search: Vec<PathBuf>,
    /// Macros that are defined in every file, each as `NAME` or `NAME=VALUE`.
    pub definitions: Vec<String>,
    /// Who preprocesses the files.
    pub preprocessor: Preprocessor,
    /// The interfaces and classes, by their names in the files, that Rust is made of, with what
    /// these use; all of them, if none is named.
    pub only: Vec<String>,
    /// The enums, by their names in the files, whose constants can be combined: each becomes a
    /// number with constants, as with the attribute `flag_enum`.
    pub flags: Vec<String>,
    /// The interfaces, by their names in the files, that are private to syshandle: all callers and
    /// servers are programs of this crate, so that a COM layout that differs from the file's is not
    /// reported.
    pub private: Vec<String>,
    /// A method whose COM layout differs from the file's is an error, and not a warning.
    pub deny_layouts: bool,
}

/// Who preprocesses the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preprocessor {
    /// The built-in preprocessor, which knows all that C has.
    #[default]
    BuiltIn,
    /// A C compiler, run as `cc -E`.
    Command(PathBuf),
}

/// What a run found.
#[derive(Debug)]
pub struct Report {
    sources: SourceMap,
    diagnostics: Vec<Diagnostic>,
    statistics: Statistics,
}

/// How much there was, and how much of it was wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The files that were asked for and could be read.
    pub files: usize,
    /// These, and all that they import or include.
    pub files_read: usize,
    /// The lines of all files read.
    pub lines: usize,
    /// The interfaces defined in them.
    pub interfaces: usize,
    /// The methods of these interfaces.
    pub methods: usize,
    /// The errors, among them those that are only counted because a file has too many.
    pub errors: usize,
    /// The warnings, likewise.
    pub warnings: usize,
    /// The warnings that say that something wasn't checked, because the files that declare it
    /// aren't there. Without such a gap, files without errors are valid.
    pub gaps: usize,
    /// The steps of the run: items visited, counted one by one.
    pub steps: u64,
}

/// Reads `.idl` files and all that they import, and checks them.
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

/// Reads a text as if it were a file of this name, with all that it imports, and checks it. The
/// file need not exist.
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

/// Files that were read and checked, and what is wrong with them.
#[derive(Debug)]
pub(crate) struct Read {
    /// The steps that were done before.
    steps_before: u64,
    pub(crate) program: Program,
    pub(crate) found: Vec<Diagnostics>,
}

/// Reads `.idl` files and all that they import, and checks them, for who wants more than a report.
pub(crate) fn read(paths: &[PathBuf], options: &Options) -> Read {
    read_program(work::so_far(), Program::load(paths, options), options)
}

/// The same of a text.
pub(crate) fn read_text(name: &str, text: &str, options: &Options) -> Read {
    read_program(work::so_far(), Program::load_text(name, text, options), options)
}

fn read_program(steps_before: u64, mut program: Program, options: &Options) -> Read {
    let mut checked = super::check::run(&program);
    if !checked.open.is_empty() {
        program.complete(&checked.open, options);
        checked = super::check::run(&program);
    }
    let mut found = checked.diagnostics;
    found.push(std::mem::take(&mut program.diagnostics));
    found.extend(program.units.iter_mut().map(|unit| std::mem::take(&mut unit.diagnostics)));
    Read { steps_before, program, found }
}

impl Read {
    /// Whether there are no errors so far.
    pub(crate) fn is_success(&self) -> bool {
        self.found.iter().all(|of_file| of_file.errors() == 0)
    }

    /// The findings, in the order of the files.
    pub(crate) fn into_report(self) -> Report {
        let Self { steps_before, program, found } = self;
        let mut statistics = count(&program);
        statistics.steps = work::so_far() - steps_before;
        statistics.errors = found.iter().map(|of_file| of_file.errors()).sum();
        statistics.gaps = found.iter().map(|of_file| of_file.gaps()).sum();
        statistics.warnings = found.iter().map(|of_file| of_file.warnings()).sum();
        let mut diagnostics: Vec<_> =
            found.into_iter().flat_map(|of_file| of_file.into_kept()).collect();
        diagnostics.sort_by(|a, b| {
            (a.span, a.severity, &a.message).cmp(&(b.span, b.severity, &b.message))
        });
        diagnostics.dedup();
        Report { sources: program.loader.sources, diagnostics, statistics }
    }
}

impl Report {
    /// Whether the files are valid. Warnings don't count.
    pub fn is_success(&self) -> bool {
        self.statistics.errors == 0
    }

    /// What is wrong with the files, in their order and from top to bottom. Of a file with very
    /// many errors, only the first ones.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How much there was.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Where a diagnostic is.
    pub fn location(&self, diagnostic: &Diagnostic) -> Option<Location> {
        diagnostic.span.map(|span| self.sources.location(span))
    }

    /// Says what is wrong, for people to read: each message with its place, the line it is about
    /// and a hint.
    ///
    /// # Errors
    ///
    /// Those of the writer.
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

/// Plain text, as [`Report::write`] without colours.
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
