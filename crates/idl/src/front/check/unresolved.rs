//! Handles names that are declared neither in a file nor in its imports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::scope::{Scope, View};
use super::symbols::Symbols;
use super::{Checker, imported_scope};
use crate::front::ast::{AttributeName, Path};
use crate::front::constant::Environment;
use crate::front::diagnostic::{Diagnostic, Diagnostics, Severity, did_you_mean, quoted};
use crate::front::limits::{COMPARISONS_MAX, ERRORS_MAX};
use crate::front::program::{Program, UnitId};
use crate::front::source::Span;
use crate::front::system;
use crate::front::token::Name;

/// Maximum number of names listed in a message about missing files.
const LISTED_MAX: usize = 8;

/// An unresolved name.
#[derive(Clone, Debug)]
pub(super) struct UnresolvedName {
    pub(super) name: NameReference,
    pub(super) span: Span,
    /// The enclosing namespace.
    pub(super) namespace: Rc<str>,
    /// A hint that suggests a similar name.
    pub(super) hint: Option<String>,
    pub(super) severity: Severity,
}

impl UnresolvedName {
    pub(super) fn text_and_span(&self) -> (String, Span) {
        (self.name.text(), self.span)
    }
}

/// The kind of declaration that a name should refer to.
#[derive(Clone, Debug)]
pub(super) enum NameReference {
    Type(Path),
    Interface(Path),
    Value(String),
    /// A parameter, field or constant that an attribute names.
    Sibling(String),
}

impl Checker<'_, '_> {
    /// Records an unresolved name as an error. It is looked up in other files later.
    pub(super) fn add_unresolved(&mut self, name: NameReference, span: Span, hint: Option<String>) {
        self.add_unresolved_as(Severity::Error, name, span, hint);
    }

    /// Records an unresolved name with the severity of the diagnostic.
    pub(super) fn add_unresolved_as(
        &mut self,
        severity: Severity,
        name: NameReference,
        span: Span,
        hint: Option<String>,
    ) {
        if severity == Severity::Error || self.warns {
            let namespace = self.namespace.clone();
            self.unresolved.push(UnresolvedName { name, span, namespace, hint, severity });
        }
    }
}

impl NameReference {
    fn is_found(&self, view: &View<'_, '_>) -> bool {
        match self {
            NameReference::Type(path) | NameReference::Interface(path) => {
                view.find(path).is_some() || is_parameterized(&path.name())
            }
            NameReference::Value(name) | NameReference::Sibling(name) => {
                view.find_value(name).is_some() || view.is_type(name)
            }
        }
    }

    fn text(&self) -> String {
        match self {
            NameReference::Type(path) | NameReference::Interface(path) => path.name(),
            NameReference::Value(name) | NameReference::Sibling(name) => name.clone(),
        }
    }

    fn message(&self) -> String {
        let name = quoted(&self.text());
        match self {
            NameReference::Type(_) => format!("unknown type {name}"),
            NameReference::Interface(_) => format!("unknown interface {name}"),
            NameReference::Value(_) => format!("unknown constant {name}"),
            NameReference::Sibling(_) => {
                format!("{name} is neither a parameter or a field here nor a constant")
            }
        }
    }
}

/// Looks up each unresolved name in the files that import the file that uses it. Reports the names
/// that are still unresolved.
pub(super) fn report(
    program: &Program,
    symbols: &HashMap<UnitId, Symbols<'_>>,
    unresolved: &HashMap<UnitId, Vec<UnresolvedName>>,
    diagnostics: &mut HashMap<UnitId, Diagnostics>,
) {
    let mut missing: HashMap<UnitId, Vec<&UnresolvedName>> = HashMap::new();
    let mut known: HashSet<Span> = HashSet::new();
    let mut incomplete: HashSet<UnitId> = HashSet::new();
    for &root in &program.roots {
        let whole = program.unit_of(root).part_of.unwrap_or(root);
        let everything = imported_scope(program, symbols, whole);
        let mut closure = program.closure(root);
        if whole != root {
            closure.extend(program.closure(whole));
        }
        let is_incomplete = closure.iter().any(|&unit| program.unit_of(unit).is_incomplete);
        for unit in program.closure(root) {
            for open in unresolved.get(&unit).into_iter().flatten() {
                let view = everything.with(&symbols[&whole], &open.namespace);
                if !open.name.is_found(&view) && known.insert(open.span) {
                    missing.entry(unit).or_default().push(open);
                }
                if is_incomplete {
                    incomplete.insert(unit);
                }
            }
        }
    }
    let mut comparisons = COMPARISONS_MAX;
    for (unit, missing) in missing {
        let found = diagnostics.entry(unit).or_default();
        if incomplete.contains(&unit) {
            found.push(not_checked(&missing, "files that may declare them aren't found"));
            continue;
        }
        if program.unit_of(unit).calls_undefined && missing.len() > LISTED_MAX {
            found.push(not_checked(&missing, "macros that may declare them aren't defined"));
            continue;
        }
        let missing =
            report_macro_dependent(&program.unit_of(unit).conditional_names, missing, found);
        let imported: Scope<'_, '_> = imported_scope(program, symbols, unit);
        for (index, open) in missing.into_iter().enumerate() {
            let view = imported.with(&symbols[&unit], &open.namespace);
            let is_shown = index < ERRORS_MAX;
            let hint = match &open.hint {
                None if is_shown => suggestion(&open.name, &view, &mut comparisons),
                hint => hint.clone(),
            };
            let message = open.name.message();
            found.push(match open.severity {
                Severity::Error => Diagnostic::error(open.span, message).hint_if(hint),
                Severity::Warning => Diagnostic::warning(open.span, message).hint_if(hint),
            });
        }
    }
}

/// Returns whether this is a parameterized type that is built into the Windows Runtime's compiler.
/// The `.idl` files of the Windows SDK use these types without a declaration.
fn is_parameterized(name: &str) -> bool {
    name.strip_prefix("Windows.Foundation.").is_some_and(|name| PARAMETERIZED.contains(&name))
}

/// Reports the names that a file declares only if a macro is defined, with one diagnostic per
/// macro. Returns the remaining names.
fn report_macro_dependent<'u>(
    conditional_names: &HashMap<Name, Name>,
    missing: Vec<&'u UnresolvedName>,
    found: &mut Diagnostics,
) -> Vec<&'u UnresolvedName> {
    let mut by_macro: BTreeMap<&Name, Vec<&UnresolvedName>> = BTreeMap::new();
    let mut others = Vec::new();
    for open in missing {
        match conditional_names.get(open.name.text().as_str()) {
            Some(of) => by_macro.entry(of).or_default().push(open),
            None => others.push(open),
        }
    }
    for (of, open) in by_macro {
        let message = format!(
            "names are unknown that the file declares only where macro {} is defined: {}",
            quoted(of),
            name_list(&open),
        );
        found.push(
            Diagnostic::error(open[0].span, message)
                .label("the first one")
                .hint(format!("define the macro with `-D {of}`")),
        );
    }
    others
}

/// Creates a single warning for all names that can't be resolved because files are missing.
fn not_checked(missing: &[&UnresolvedName], why: &str) -> Diagnostic {
    let message = format!("not checked, since {why}: {}", name_list(missing),);
    Diagnostic::gap(missing[0].span, message).label("the first one")
}

/// Formats the names as a list. Includes only the first few.
fn name_list(missing: &[&UnresolvedName]) -> String {
    let mut names: Vec<String> = Vec::new();
    for open in missing {
        let name = quoted(&open.name.text());
        if !names.contains(&name) && names.len() <= LISTED_MAX {
            names.push(name);
        }
    }
    if names.len() > LISTED_MAX {
        names.truncate(LISTED_MAX);
        names.push("others".to_owned());
    }
    names.join(", ")
}

/// Suggests a similar name, or the file that declares the name.
fn suggestion(
    name: &NameReference,
    view: &View<'_, '_>,
    comparisons: &mut usize,
) -> Option<String> {
    let text = name.text();
    let is_type = matches!(name, NameReference::Type(_) | NameReference::Interface(_));
    if is_type && view.find_tag(&text).is_some() {
        let hint = "there is a tag of this name: write `struct`, `union` or `enum` before it, or \
                    a typedef";
        return Some(hint.to_owned());
    }
    if let Some((_, ours)) = FOREIGN_TYPES.iter().find(|(theirs, _)| is_type && *theirs == text) {
        return Some(format!("in this language it is {ours}"));
    }
    if is_type && AttributeName::parse(&text).is_some() {
        return Some(format!("attributes must be in brackets: `[{text}]`"));
    }
    if let (true, Some(file)) = (is_type, system::declaring(&text)) {
        return Some(format!("it is declared in {file}: `import \"{file}\";`"));
    }
    let known: Vec<&str> =
        if is_type { view.type_names().collect() } else { view.value_names().collect() };
    *comparisons = comparisons.checked_sub(known.len())?;
    did_you_mean(&text, known)
}

/// The built-in parameterized types of `Windows.Foundation`.
const PARAMETERIZED: [&str; 20] = [
    "AsyncActionProgressHandler",
    "AsyncActionWithProgressCompletedHandler",
    "AsyncOperationCompletedHandler",
    "AsyncOperationProgressHandler",
    "AsyncOperationWithProgressCompletedHandler",
    "Collections.IIterable",
    "Collections.IIterator",
    "Collections.IKeyValuePair",
    "Collections.IMap",
    "Collections.IMapView",
    "Collections.IObservableMap",
    "Collections.IObservableVector",
    "Collections.IVector",
    "Collections.IVectorView",
    "EventHandler",
    "IAsyncActionWithProgress",
    "IAsyncOperation",
    "IAsyncOperationWithProgress",
    "IReference",
    "TypedEventHandler",
];

/// Types of C, C++ and MIDL 3.0, each with the corresponding IDL type.
const FOREIGN_TYPES: [(&str, &str); 20] = [
    ("bool", "`boolean`, or `BOOL`"),
    ("int8_t", "`__int8`"),
    ("int16_t", "`short`"),
    ("int32_t", "`long`"),
    ("int64_t", "`hyper`"),
    ("uint8_t", "`byte`"),
    ("uint16_t", "`unsigned short`"),
    ("uint32_t", "`unsigned long`"),
    ("uint64_t", "`unsigned hyper`"),
    ("size_t", "`SIZE_T`"),
    ("string", "`BSTR`, or `LPCWSTR` with `[string]`"),
    ("String", "`BSTR`, or `LPCWSTR` with `[string]`"),
    ("Boolean", "`boolean`, or `BOOL`"),
    ("Int16", "`short`"),
    ("Int32", "`long`"),
    ("Int64", "`hyper`"),
    ("UInt16", "`unsigned short`"),
    ("UInt32", "`unsigned long`"),
    ("UInt64", "`unsigned hyper`"),
    ("Guid", "`GUID`"),
];
