//! From the checked syntax tree of `.idl` files to the model, and so to Rust.
//!
//! What has no meaning here is only an error when Rust is asked for: each names the method, the
//! parameter and the type. All of them are reported in one run.

mod build;
mod classes;
mod constants;
mod handles;
mod interfaces;
mod methods;
mod names;
mod neighbours;
mod shape;
mod structs;
mod types;
mod unions;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use proc_macro2::{Ident, Span as Place};

pub use build::build;

use crate::front::Span;
use crate::front::ast::{Interface, Item, Member};
use crate::front::check;
use crate::front::check::scope::View;
use crate::front::diagnostic::{Diagnostic, Diagnostics, quoted};
use crate::front::program::Program;
use crate::front::report::{self, Options, Report};
use crate::model::{Definition, Description};

/// Reads `.idl` files and describes their interfaces and classes, and what types these use.
///
/// # Errors
/// What is wrong with the files, or what of them has no meaning here.
pub fn describe(paths: &[PathBuf], options: &Options) -> Result<Description, Box<Report>> {
    let mut read = report::read(paths, options);
    if read.is_success() {
        let (description, diagnostics) = lower(&read.program);
        if diagnostics.errors() == 0 {
            return Ok(description);
        }
        read.found.push(diagnostics);
    }
    Err(Box::new(read.into_report()))
}

/// Reads `.idl` files and writes the Rust that gives their interfaces, as a text that can be
/// included anywhere.
///
/// # Errors
/// What is wrong with the files, or what of them has no meaning here.
///
/// # Examples
///
/// ```no_run
/// use syshandle_idl::{Options, rust};
///
/// match rust(&["finisher.idl".into()], &Options::default()) {
///     Ok(text) => println!("{text}"),
///     Err(report) => eprintln!("{report}"),
/// }
/// ```
pub fn rust(paths: &[PathBuf], options: &Options) -> Result<String, Box<Report>> {
    describe(paths, options).map(|description| crate::generate::text(&description))
}

/// Describes a file of either language: Rust if its name ends with `.rs`, IDL otherwise.
///
/// # Errors
/// What is wrong with the file, as a text.
pub fn describe_file(path: &std::path::Path, options: &Options) -> Result<Description, String> {
    if path.extension().is_none_or(|extension| extension != "rs") {
        return describe(&[path.to_owned()], options).map_err(|report| report.to_string());
    }
    let told = |error: &dyn std::fmt::Display| format!("error: {}: {error}\n", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
    let file = syn::parse_file(&text).map_err(|error| told(&error))?;
    crate::rust::file(file).map_err(|errors| errors.into_iter().map(|error| told(&error)).collect())
}

fn lower(program: &Program) -> (Description, Diagnostics) {
    let symbols = check::collect(program, &mut HashMap::new());
    let mut description = Description::default();
    let mut diagnostics = Diagnostics::default();
    let mut known = HashMap::new();
    let mut named = HashMap::new();
    let mut done = HashSet::new();
    for &unit in &program.roots {
        let imported = check::imported_scope(program, &symbols, unit);
        let Some(own) = symbols.get(&unit) else { continue };
        let mut lowering = Lowering {
            view: imported.with(own, ""),
            description: &mut description,
            diagnostics: &mut diagnostics,
            known: &mut known,
            named: &mut named,
            done: &mut done,
            wanted: Vec::new(),
            underway: Vec::new(),
            place: String::new(),
        };
        lowering.items(&program.unit_of(unit).items);
        lowering.wanted();
    }
    (description, diagnostics)
}

/// The files' declarations on their way to the model.
struct Lowering<'l, 'a> {
    view: View<'l, 'a>,
    description: &'l mut Description,
    diagnostics: &'l mut Diagnostics,
    /// What each Rust name stands for, by the place of its declaration.
    known: &'l mut HashMap<String, Span>,
    /// The Rust names of types, by the places of their declarations: one may be met by its tag
    /// and by the name of a typedef.
    named: &'l mut HashMap<Span, String>,
    /// The interfaces that are described, by the places of their names.
    done: &'l mut HashSet<Span>,
    /// Interfaces that others use.
    wanted: Vec<&'a Interface>,
    /// Structs that are being described, which therefore contain whatever is met now.
    underway: Vec<Span>,
    /// What is being described, for a message: ``method `A::B` ``.
    place: String,
}

/// What can't be described: it has been said why.
struct Refused;

type Lowered<T> = Result<T, Refused>;

impl<'a> Lowering<'_, 'a> {
    fn items(&mut self, items: &'a [Item]) {
        for item in items {
            self.item(item);
        }
    }

    fn item(&mut self, item: &'a Item) {
        match item {
            Item::Constant(constant) => self.constant(constant),
            Item::Typedef(typedef) => self.flags(typedef),
            Item::Interface(interface) if interface.members.is_some() => {
                for member in interface.members.iter().flatten() {
                    if let Member::Item(item) = member {
                        self.item(item);
                    }
                }
                self.interface(interface);
            }
            Item::Library(library) => self.items(&library.items),
            Item::CoClass(class) if class.interfaces.is_some() => self.class(class),
            Item::Namespace(namespace) => {
                let span = namespace.segments.first().map(|segment| segment.span);
                if let Some(span) = span {
                    let what = "a namespace is the Windows Runtime's: its types have no Rust here";
                    self.diagnostics.push(Diagnostic::error(span, what));
                }
            }
            _ => {}
        }
    }

    /// Describes what others use until nothing is missing.
    fn wanted(&mut self) {
        while let Some(interface) = self.wanted.pop() {
            self.interface(interface);
        }
    }

    /// Refuses something, by the name of what it is in.
    fn refuse<T>(&mut self, span: Span, what: impl std::fmt::Display, hint: &str) -> Lowered<T> {
        let message = match self.place.is_empty() {
            true => what.to_string(),
            false => format!("{}: {what}", self.place),
        };
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.diagnostics.push(Diagnostic::error(span, message).hint_if(hint));
        Err(Refused)
    }

    /// Takes a name for a declaration. Whether it is new; an error if another one has it.
    fn take(&mut self, name: &str, span: Span) -> Lowered<bool> {
        match self.known.get(name) {
            None => {
                self.known.insert(name.to_owned(), span);
                Ok(true)
            }
            Some(known) if *known == span => Ok(false),
            Some(&known) => {
                let message = format!("{} would be the Rust name of two things", quoted(name));
                let diagnostic = Diagnostic::error(span, message).related(known, "the other one");
                self.diagnostics.push(diagnostic);
                Err(Refused)
            }
        }
    }

    /// The Rust name of a type that is declared there.
    fn named(&mut self, name: &str, declared: Span) -> String {
        self.named.entry(declared).or_insert_with(|| names::type_name(name)).clone()
    }

    fn define(&mut self, definition: Definition) {
        self.description.definitions.push(definition);
    }
}

/// A Rust name.
fn ident(name: &str) -> Ident {
    match names::is_keyword(name) {
        true => Ident::new(&format!("{name}_"), Place::call_site()),
        false => Ident::new(name, Place::call_site()),
    }
}
