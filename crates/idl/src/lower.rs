//! Converts the checked syntax tree of `.idl` files to the model, from which Rust source is
//! generated.
//!
//! A construct that can't be expressed in Rust is an error only if Rust is requested. Each error
//! names the method, the parameter and the type. One run reports all errors.

mod boxes;
mod classes;
mod companions;
mod constants;
mod dependents;
mod enum_values;
mod handles;
mod interfaces;
mod layout_differences;
mod layout_text;
mod methods;
mod midl_layout;
mod names;
mod order;
mod resolved_type;
mod state;
mod structs;
mod types;
mod unions;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use proc_macro2::{Ident, Span as RustSpan};

pub(crate) use layout_differences::{MethodDifference, layout_difference};
use state::LoweringState;

use crate::front::Span;
use crate::front::ast::{
    AttributeName, Identifier, Interface, Item, Member, Module, StructType, UnionType,
};
use crate::front::check;
use crate::front::check::scope::View;
use crate::front::diagnostic::{Diagnostic, printable, quoted};
use crate::front::limits::LAYOUT_TYPES_MAX;
use crate::front::program::Program;
use crate::front::report::{self, CheckedProgram, Options, Report};
use crate::rust::CratePath;
use syshandle_model::{Definition, Description};

/// The result of converting `.idl` files.
#[derive(Debug)]
pub struct LoweringOutput {
    /// The interfaces, classes and types that can be expressed in Rust. Empty if the files contain
    /// errors.
    pub description: Description,
    /// The errors in the files, and the constructs that can't be expressed in Rust.
    pub report: Report,
    /// The path of syshandle in the generated Rust.
    crate_path: Option<CratePath>,
}

/// Converts the interfaces and classes in `.idl` files to the model, with the types that they use.
///
/// An interface is omitted completely if a part of it can't be expressed in Rust, because a
/// method's number is its position. Everything that uses an omitted interface is omitted as well.
/// The report contains the reasons. All other interfaces are converted.
pub fn describe(paths: &[PathBuf], options: &Options) -> LoweringOutput {
    describe_read(report::read(paths, options), options)
}

/// Converts a text as if it were a file with this name. The file need not exist.
pub fn describe_text(name: &str, text: &str, options: &Options) -> LoweringOutput {
    describe_read(report::read_text(name, text, options), options)
}

fn describe_read(mut read: CheckedProgram, options: &Options) -> LoweringOutput {
    let mut description = Description::default();
    if read.is_success() {
        let state = lower(&read.program, options, &mut description);
        read.diagnostics.push(state.diagnostics);
    }
    LoweringOutput {
        description,
        report: read.into_report(),
        crate_path: options.crate_path.clone(),
    }
}

impl LoweringOutput {
    /// Returns Rust source for the interfaces, which can be included in any module.
    ///
    /// # Examples
    ///
    /// ```
    /// use syshandle_idl::{Options, describe_text};
    ///
    /// let idl = "import \"unknwn.idl\";
    ///     [object, uuid(0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a01)]
    ///     interface ICounter : IUnknown {
    ///         HRESULT Count([in, system_handle(sh_file)] HANDLE file, [out, retval] hyper *bytes);
    ///     }";
    /// let lowered = describe_text("counter.idl", idl, &Options::default());
    /// assert!(lowered.report.is_success());
    /// assert!(lowered.rust().contains("pub trait Counter {"));
    /// ```
    pub fn rust(&self) -> String {
        crate::rust::text(&self.description, self.crate_path.as_ref())
    }
}

/// Converts a file to the model. A file whose name ends with `.rs` is read as Rust, any other file
/// as IDL.
///
/// # Errors
/// Returns the errors in the file as text.
pub fn describe_file(path: &std::path::Path, options: &Options) -> Result<Description, String> {
    if path.extension().is_none_or(|extension| extension != "rs") {
        let LoweringOutput { description, report, .. } = describe(&[path.to_owned()], options);
        return if report.is_success() { Ok(description) } else { Err(report.to_string()) };
    }
    let error_text = |error: &dyn std::fmt::Display| {
        let (path, error) = (path.display().to_string(), error.to_string());
        format!("error: {}: {}\n", printable(&path), printable(&error))
    };
    let file = crate::rust::read(path)?;
    crate::rust::describe(file)
        .map_err(|errors| errors.into_iter().map(|error| error_text(&error)).collect())
}

/// Converts a checked program to the model. Returns the diagnostics and the names.
pub(crate) fn lower(
    program: &Program,
    options: &Options,
    description: &mut Description,
) -> LoweringState {
    let symbols = check::collect(program, &mut HashMap::new());
    let mut state = LoweringState::default();
    let facts = midl_layout::Facts::of(program);
    for &unit in &program.roots {
        // Names in a fragment are resolved in the file that includes it.
        let whole = program.unit_of(unit).part_of.unwrap_or(unit);
        let imported = check::imported_scope(program, &symbols, whole);
        let Some(own) = symbols.get(&whole) else { continue };
        let mut lowering = Lowering {
            view: imported.with(own, ""),
            program,
            only: &options.only,
            flags: &options.flags,
            private: &options.private,
            facts: &facts,
            structs: RefCell::default(),
            types_left: Cell::new(0),
            all_types_left: Cell::new(LAYOUT_TYPES_MAX),
            masks: RefCell::default(),
            description,
            state: &mut state,
            pending_interfaces: Vec::new(),
            place: String::new(),
            pending_types: VecDeque::new(),
        };
        lowering.items(&program.unit_of(unit).items);
        lowering.describe_pending();
    }
    state.report_unknown_requests(&options.only);
    state.drop_dependents(description);
    order::by_use(&mut description.definitions);
    boxes::insert(description);
    state.report_unknown_private(&options.private, facts.interfaces());
    state.report_unknown_flags(&options.flags, facts.enums());
    state.mark_layout_differences(description, options);
    state
}

/// Converts the declarations of one file to the model.
struct Lowering<'l, 'a> {
    view: View<'l, 'a>,
    program: &'l Program,
    /// The requested interfaces and classes; if empty, all.
    only: &'l [String],
    /// The enums to convert to integer types with constants.
    flags: &'l [String],
    /// The private interfaces, which only programs that use syshandle call and serve.
    private: &'l [String],
    facts: &'l midl_layout::Facts,
    /// The stack of nested structs whose layout is being computed.
    structs: RefCell<Vec<&'a StructType>>,
    /// The number of types that the layout of the current parameter may still contain.
    types_left: Cell<u32>,
    /// The number of types that the layouts of all parameters may still contain.
    all_types_left: Cell<u32>,
    /// The access masks in the current parameter. Each is a text that describes the resulting
    /// difference between the file's layout and the trait's.
    masks: RefCell<Vec<String>>,
    description: &'l mut Description,
    state: &'l mut LoweringState,
    /// Interfaces that are in use but not yet converted.
    pending_interfaces: Vec<&'a Interface>,
    /// The element that is being converted, for messages: ``method `A::B` ``.
    place: String,
    /// Types whose members must still be converted. A queue is used instead of recursion, because
    /// types form a graph of arbitrary depth.
    pending_types: VecDeque<PendingType<'a>>,
}

/// A type whose members must still be converted.
struct PendingType<'a> {
    name: String,
    /// The position of the declaration. Identifies the type.
    id: Span,
    /// The position of the first use.
    used: Span,
    parts: CompositeType<'a>,
}

enum CompositeType<'a> {
    Struct(&'a StructType),
    Union(&'a UnionType),
}

/// A marker type: a construct can't be converted, and the reason has already been reported.
struct LoweringError;

type Result<T, E = LoweringError> = std::result::Result<T, E>;

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
                if self.is_requested(&interface.name) {
                    self.root(interface);
                }
            }
            Item::Library(library) => self.items(&library.items),
            Item::CoClass(class)
                if class.interfaces.is_some() && self.is_requested(&class.name) =>
            {
                self.class(class);
            }
            Item::DispatchInterface(of) if of.members.is_some() && self.is_requested(&of.name) => {
                let what = format!("dispinterface {}", quoted(&of.name.name));
                self.report_unsupported(of.name.span, "a dispinterface has no vtable", &what);
            }
            Item::Module(Module { name, items: Some(_), .. }) if self.is_requested(name) => {
                let what = format!("module {}", quoted(&name.name));
                self.report_unsupported(name.span, "its functions are in a DLL", &what);
            }
            Item::Function(function) if self.is_requested(&function.name) => {
                let what = format!("function {}", quoted(&function.name.name));
                self.report_unsupported(function.name.span, "it belongs to no interface", &what);
            }
            Item::Namespace(namespace) => {
                let span = namespace.segments.first().map(|segment| segment.span);
                if let Some(span) = span.filter(|_| self.only.is_empty()) {
                    let what = "Windows Runtime namespaces aren't supported";
                    self.state.diagnostics.push(Diagnostic::error(span, what));
                }
            }
            _ => {}
        }
    }

    /// Converts an interface that is declared in the file itself.
    fn root(&mut self, interface: &'a Interface) {
        if interface.attributes.has(AttributeName::Local) {
            let what = format!("interface {}", quoted(&interface.name.name));
            self.report_unsupported(
                interface.name.span,
                "it is `local`, so no other process can call it",
                &what,
            );
        } else {
            self.interface(interface);
        }
    }

    /// Returns whether the caller requested an interface or class.
    fn is_requested(&mut self, name: &Identifier) -> bool {
        let is_asked_for = self.only.iter().any(|only| **only == *name.name);
        if self.only.is_empty() {
            return true;
        }
        match is_asked_for {
            true => drop(self.state.found_requests.insert(name.name.to_string())),
            false => self.state.unrequested.push(name.name.to_string()),
        }
        is_asked_for
    }

    /// Converts pending types and interfaces until none remain.
    fn describe_pending(&mut self) {
        loop {
            if let Some(pending) = self.pending_types.pop_front() {
                self.parts(pending);
            } else if let Some(interface) = self.pending_interfaces.pop() {
                self.interface(interface);
            } else {
                return;
            }
        }
    }

    /// Converts the members of a type, or records that they can't be converted.
    fn parts(&mut self, pending: PendingType<'a>) {
        let PendingType { name, id, used, parts } = pending;
        let described = match parts {
            CompositeType::Struct(of) => {
                self.place = format!("struct {}", quoted(&name));
                self.struct_parts(&name, of, used)
            }
            CompositeType::Union(of) => {
                self.place = format!("union {}", quoted(&name));
                self.union_parts(&name, of)
            }
        };
        self.place.clear();
        match described {
            Ok((docs, kind)) => {
                self.define(Definition { docs, name: ident(&name), kind, grows: false });
            }
            Err(LoweringError) => drop(self.state.unsupported.insert(name, id)),
        }
    }

    /// Records a use of a type. Queues its members if they haven't been converted.
    fn use_type(
        &mut self,
        name: String,
        id: Span,
        used: Span,
        parts: CompositeType<'a>,
    ) -> Result<()> {
        if self.claim_name(&name, id)? {
            self.pending_types.push_back(PendingType { name: name.clone(), id, used, parts });
        }
        self.state.uses.entry(name).or_default().push((used, self.place.clone()));
        Ok(())
    }

    /// Reports that a construct can't be converted. The message includes the element that contains
    /// it.
    fn refuse<T>(&mut self, span: Span, what: impl std::fmt::Display, hint: &str) -> Result<T> {
        let message = match self.place.is_empty() {
            true => what.to_string(),
            false => format!("{}: {what}", self.place),
        };
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.state.diagnostics.push(Diagnostic::error(span, message).hint_if(hint));
        Err(LoweringError)
    }

    /// Reports that a construct can't be expressed in Rust. This is an error if interfaces were
    /// requested by name, and otherwise a warning.
    fn report_unsupported(&mut self, span: Span, why: &str, what: &str) {
        let message = format!("{what} can't be expressed in Rust: {why}");
        self.state.diagnostics.push(match self.only.is_empty() {
            true => Diagnostic::warning(span, message),
            false => Diagnostic::error(span, message),
        });
    }

    /// Returns a hint for a type that is only forward-declared at the position `announced`.
    fn where_defined(&self, announced: Span) -> &'static str {
        match self.program.is_built_in(announced) {
            true => {
                "only a forward declaration of this type is built in: name the directory of the \
                 complete file with `-I`"
            }
            false => "import the file that defines it",
        }
    }

    /// Reserves a name for the declaration at `span`. Returns whether the name is new. Reports an
    /// error if another declaration has it.
    fn claim_name(&mut self, name: &str, span: Span) -> Result<bool> {
        match self.state.names.get(name) {
            None => {
                self.state.names.insert(name.to_owned(), span);
                Ok(true)
            }
            Some(known) if *known == span => Ok(false),
            Some(&known) => {
                let message =
                    format!("{} would be the Rust name of two declarations", quoted(name));
                let diagnostic =
                    Diagnostic::error(span, message).related(known, "the other declaration");
                self.state.diagnostics.push(diagnostic);
                Err(LoweringError)
            }
        }
    }

    /// Returns the Rust name of the type declared at a position.
    fn rust_type_name(&mut self, name: &str, declared: Span) -> String {
        self.state.type_names.entry(declared).or_insert_with(|| names::type_name(name)).clone()
    }

    fn define(&mut self, definition: Definition) {
        self.description.definitions.push(definition);
    }
}

/// Returns a Rust identifier for a name. Appends an underscore to a keyword.
fn ident(name: &str) -> Ident {
    match names::is_keyword(name) {
        true => Ident::new(&format!("{name}_"), RustSpan::call_site()),
        false => Ident::new(name, RustSpan::call_site()),
    }
}
