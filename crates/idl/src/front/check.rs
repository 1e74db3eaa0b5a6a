//! Whether what was written makes sense: every name means something, every attribute fits its
//! place, every value its type.
//!
//! Each file is checked once, by what it declares and imports itself. MIDL reads a file and all
//! it imports as one text, so that an imported file may use what another import before it
//! declares; names that a file can't account for are therefore looked for once more in all the
//! files of whoever imports it. And some files are only parts of others, which include them:
//! whoever includes such a file is brought in when it is checked by itself.

mod attributes;
mod interfaces;
mod items;
mod methods;
mod order;
pub(crate) mod scope;
pub(crate) mod symbols;
pub(crate) mod system_handle;
mod typed;
mod types;
mod unresolved;
mod values;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use self::order::{Declared, Definitions};
use self::scope::{Scope, View};
use self::symbols::Symbols;
use self::unresolved::Unresolved;
use super::ast::Identifier;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::program::{Program, UnitId};
use super::source::Span;
use super::token::Name;

/// The findings of the check of all files.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The findings about each file, by its place among the units.
    pub(crate) diagnostics: Vec<Diagnostics>,
    /// Names that the files that were asked for use, and they and their imports don't declare.
    pub(crate) open: HashMap<UnitId, Vec<(String, Span)>>,
}

/// Checks all files of a run.
pub(crate) fn run(program: &Program) -> Checked {
    let mut diagnostics: HashMap<UnitId, Diagnostics> = HashMap::new();
    let symbols = collect(program, &mut diagnostics);
    let mut unresolved: HashMap<UnitId, Vec<Unresolved>> = HashMap::new();
    for unit in program.unit_ids() {
        let imported = imported_scope(program, &symbols, unit);
        let is_root = program.roots.contains(&unit);
        let mut checker = Checker {
            own: &symbols[&unit],
            imported: &imported,
            namespace: "".into(),
            type_parameters: Vec::new(),
            neighbours: Vec::new(),
            diagnostics: diagnostics.remove(&unit).unwrap_or_default(),
            unresolved: Vec::new(),
            declared: Declared::new(!program.loader.is_built_in(program.unit_of(unit).file)),
            program,
            knows_definitions: definitions(program, unit, is_root),
            warns: is_root,
        };
        checker.items(&program.unit_of(unit).items);
        let Checker { diagnostics: found, unresolved: open, .. } = checker;
        diagnostics.insert(unit, found);
        unresolved.insert(unit, open);
    }
    let is_open = |unit: &UnitId| unresolved.get(unit).is_some_and(|open| !open.is_empty());
    // Missing names are reported once all files were searched for them.
    if program.is_complete || !program.roots.iter().any(is_open) {
        unresolved::report(program, &symbols, &unresolved, &mut diagnostics);
    }
    let by_unit = program.unit_ids().map(|unit| diagnostics.remove(&unit).unwrap_or_default());
    let diagnostics = by_unit.collect();
    let open = unresolved
        .into_iter()
        .filter(|(unit, open)| program.roots.contains(unit) && !open.is_empty())
        .map(|(unit, open)| (unit, open.iter().map(Unresolved::text_and_span).collect()))
        .collect();
    Checked { diagnostics, open }
}

/// How many of the definitions that a file may use are known.
fn definitions(program: &Program, unit: UnitId, is_root: bool) -> Definitions {
    if !is_root || program.unit_of(unit).part_of.is_some() {
        Definitions::Own
    } else if program.closure(unit).iter().any(|&unit| program.unit_of(unit).is_incomplete) {
        Definitions::Some
    } else {
        Definitions::All
    }
}

/// Collects the names of all files, those that are imported before those that import them.
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

/// The names of all that a file imports, as far as they are collected.
pub(crate) fn imported_scope<'s, 'a>(
    program: &Program,
    symbols: &'s HashMap<UnitId, Symbols<'a>>,
    unit: UnitId,
) -> Scope<'s, 'a> {
    let imports = program.closure(unit).into_iter().skip(1);
    Scope::new(imports.filter_map(|unit| symbols.get(&unit)).collect())
}

/// A place in the declarations of a file, and what checking them has come to.
struct Checker<'c, 'a> {
    own: &'c Symbols<'a>,
    imported: &'c Scope<'c, 'a>,
    /// The namespace around, with a dot after it, or nothing.
    namespace: Rc<str>,
    /// The types that the interface around leaves open.
    type_parameters: Vec<&'a Identifier>,
    /// The parameters around, or the fields of the structs around from the outside in.
    neighbours: Vec<HashSet<&'a Name>>,
    diagnostics: Diagnostics,
    unresolved: Vec<Unresolved>,
    declared: Declared,
    program: &'c Program,
    knows_definitions: Definitions,
    /// Whether warnings are reported: not for imported files, which the user can't change.
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
