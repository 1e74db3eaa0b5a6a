//! Semantic checks: whether names are declared, attributes fit their declarations, and values fit
//! their types.
//!
//! Each file is checked once, against its own declarations and those of its imports. MIDL treats a
//! file and all its imports as one text, so an imported file may also use declarations of files
//! that were imported before it. Names that a file doesn't resolve are therefore looked up again in
//! the files that import it. Some files are fragments that a larger file includes. If such a
//! fragment is checked by itself, the file that includes it is loaded as well.

mod attributes;
mod interfaces;
mod items;
mod methods;
mod order;
pub(crate) mod scope;
pub(crate) mod symbols;
pub(crate) mod system_handle;
mod type_attributes;
mod types;
mod unresolved;
mod values;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use self::order::{DeclaredNames, KnownDefinitions};
use self::scope::{Scope, View};
use self::symbols::Symbols;
use self::unresolved::UnresolvedName;
use super::ast::Identifier;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::program::{Program, UnitId};
use super::source::Span;
use super::token::Name;

/// The diagnostics of a run over all files.
#[derive(Debug)]
pub(crate) struct CheckResult {
    /// The diagnostics of each file, indexed by `UnitId`.
    pub(crate) diagnostics: Vec<Diagnostics>,
    /// For each requested file, the names that neither the file nor its imports declare.
    pub(crate) unresolved: HashMap<UnitId, Vec<(String, Span)>>,
}

/// Checks all files of a run.
pub(crate) fn run(program: &Program) -> CheckResult {
    let mut diagnostics: HashMap<UnitId, Diagnostics> = HashMap::new();
    let symbols = collect(program, &mut diagnostics);
    let mut unresolved: HashMap<UnitId, Vec<UnresolvedName>> = HashMap::new();
    for unit in program.unit_ids() {
        let imported = imported_scope(program, &symbols, unit);
        let is_root = program.roots.contains(&unit);
        let mut checker = Checker {
            own: &symbols[&unit],
            imported: &imported,
            namespace: "".into(),
            type_parameters: Vec::new(),
            siblings: Vec::new(),
            diagnostics: diagnostics.remove(&unit).unwrap_or_default(),
            unresolved: Vec::new(),
            declared_names: DeclaredNames::new(
                !program.loader.is_built_in(program.unit_of(unit).file),
            ),
            program,
            known_definitions: definitions(program, unit, is_root),
            warns: is_root,
        };
        checker.items(&program.unit_of(unit).items);
        let Checker { diagnostics: found, unresolved: open, .. } = checker;
        diagnostics.insert(unit, found);
        unresolved.insert(unit, open);
    }
    let is_open = |unit: &UnitId| unresolved.get(unit).is_some_and(|open| !open.is_empty());
    // Unresolved names are reported only after all files have been searched for them.
    if program.is_complete || !program.roots.iter().any(is_open) {
        unresolved::report(program, &symbols, &unresolved, &mut diagnostics);
    }
    let by_unit = program.unit_ids().map(|unit| diagnostics.remove(&unit).unwrap_or_default());
    let diagnostics = by_unit.collect();
    let open = unresolved
        .into_iter()
        .filter(|(unit, open)| program.roots.contains(unit) && !open.is_empty())
        .map(|(unit, open)| (unit, open.iter().map(UnresolvedName::text_and_span).collect()))
        .collect();
    CheckResult { diagnostics, unresolved: open }
}

/// Returns which of the definitions that a file may use are known.
fn definitions(program: &Program, unit: UnitId, is_root: bool) -> KnownDefinitions {
    if !is_root || program.unit_of(unit).part_of.is_some() {
        KnownDefinitions::Own
    } else if program.closure(unit).iter().any(|&unit| program.unit_of(unit).is_incomplete) {
        KnownDefinitions::Some
    } else {
        KnownDefinitions::All
    }
}

/// Collects the names that each file declares. Imported files come before the files that import
/// them.
pub(crate) fn collect<'a>(
    program: &'a Program,
    diagnostics: &mut HashMap<UnitId, Diagnostics>,
) -> HashMap<UnitId, Symbols<'a>> {
    let mut symbols: HashMap<UnitId, Symbols<'a>> = HashMap::new();
    for unit in program.imported_first() {
        let imported = imported_scope(program, &symbols, unit);
        let found = diagnostics.entry(unit).or_default();
        let own = symbols::collect(&program.unit_of(unit).items, &imported, found);
        symbols.insert(unit, own);
    }
    symbols
}

/// Returns the names declared in all files that a file imports. Includes only files whose names
/// have been collected.
pub(crate) fn imported_scope<'s, 'a>(
    program: &Program,
    symbols: &'s HashMap<UnitId, Symbols<'a>>,
    unit: UnitId,
) -> Scope<'s, 'a> {
    let imports = program.closure(unit).into_iter().skip(1);
    Scope::new(imports.filter_map(|unit| symbols.get(&unit)).collect())
}

/// The state of the check of one file, and its diagnostics so far.
struct Checker<'c, 'a> {
    own: &'c Symbols<'a>,
    imported: &'c Scope<'c, 'a>,
    /// The enclosing namespace with a trailing dot, or an empty string.
    namespace: Rc<str>,
    /// The type parameters of the enclosing interface.
    type_parameters: Vec<&'a Identifier>,
    /// The parameters of the enclosing method, or the fields of the enclosing structs, outermost
    /// first.
    siblings: Vec<HashSet<&'a Name>>,
    diagnostics: Diagnostics,
    unresolved: Vec<UnresolvedName>,
    declared_names: DeclaredNames,
    program: &'c Program,
    known_definitions: KnownDefinitions,
    /// Whether warnings are reported. Imported files get no warnings, because the user can't change
    /// these files.
    warns: bool,
}

impl<'a> Checker<'_, 'a> {
    fn view(&self) -> View<'_, 'a> {
        self.imported.with(self.own, &self.namespace)
    }

    fn error(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        if self.warns {
            self.diagnostics.push(diagnostic);
        }
    }

    fn is_type_parameter(&self, name: &Name) -> bool {
        self.type_parameters.iter().any(|parameter| parameter.name == *name)
    }
}
