//! Finds the module that defines the item that a path refers to. Follows imports, re-exports and
//! aliases.

use std::collections::BTreeSet;

use crate::source::{Name, PathUse, Problem, Role, Source};

/// A use of a module, or of an item in it, by another module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: usize,
    /// The module that the path refers to, or that defines the item.
    pub(crate) to: usize,
    pub(crate) line: usize,
    pub(crate) path: String,
    /// The modules whose imports were followed to resolve the path.
    pub(crate) through: BTreeSet<usize>,
}

/// A module or item that a path refers to.
#[derive(Clone, Debug)]
struct Place {
    meaning: Meaning,
    through: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Module(usize),
    /// An item that this module defines.
    Item(usize),
    /// An item of another crate, a local variable, or a primitive type.
    Elsewhere,
    /// A name in this module that is a macro parameter and therefore unknown.
    Parameter(usize),
}

/// The names that are currently being resolved. Prevents endless recursion in a cycle of imports.
type Seen<'s> = Vec<(usize, &'s str)>;

impl Source {
    /// Returns the imports of all modules, and the paths that can't be resolved.
    pub(crate) fn imports(&self) -> (BTreeSet<Import>, Vec<Problem>) {
        let (mut imports, mut problems) = (BTreeSet::new(), Vec::new());
        for from in 0..self.modules.len() {
            for path in &self.modules[from].paths {
                self.add(from, path, path.line, &mut imports, &mut problems);
                if path.role == Role::Call {
                    // The code in the macro's rules is also code of the module that calls the
                    // macro.
                    for inner in self.called(from, path).flat_map(|one| &one.paths) {
                        self.add(from, inner, path.line, &mut imports, &mut Vec::new());
                    }
                }
            }
        }
        (imports, problems)
    }

    fn add(
        &self,
        from: usize,
        path: &PathUse,
        line: usize,
        imports: &mut BTreeSet<Import>,
        problems: &mut Vec<Problem>,
    ) {
        for Place { meaning, through } in self.resolve(from, &path.segments, &mut Vec::new()) {
            let to = match meaning {
                Meaning::Item(to) => to,
                // A path that consists only of `self` is a variable.
                Meaning::Module(to) if path.role == Role::Import || path.segments.len() > 1 => to,
                Meaning::Parameter(module) => {
                    let module = self.modules[module].path.join("::");
                    problems.push(Problem {
                        file: self.modules[from].file.clone(),
                        line,
                        text: format!("a macro chooses a name within the module `{module}`"),
                    });
                    continue;
                }
                _ => continue,
            };
            let path = path.segments.join("::");
            let import = Import { from, to, line, path, through };
            if to != from {
                imports.insert(import);
            }
        }
    }

    /// Returns the macros of this crate that a call may refer to.
    fn called<'s>(
        &'s self,
        from: usize,
        path: &'s PathUse,
    ) -> impl Iterator<Item = &'s crate::source::Macro> {
        let places = self.resolve(from, &path.segments, &mut Vec::new());
        let is_textual = path.segments.len() == 1;
        self.macros.iter().filter(move |one| {
            let is_named = path.segments.last() == Some(&one.name);
            // A macro name without a path may refer to any macro of this name, depending on
            // `#[macro_use]` and the order of modules.
            let is_meant = places.iter().any(|place| place.meaning == Meaning::Item(one.module));
            is_named && (is_meant || is_textual)
        })
    }

    fn resolve<'s>(&'s self, module: usize, path: &'s [String], seen: &mut Seen<'s>) -> Vec<Place> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let start = |meaning| vec![Place { meaning, through: BTreeSet::new() }];
        let mut rest = rest;
        let mut places = match first.as_str() {
            "crate" => start(Meaning::Module(0)),
            "self" => start(Meaning::Module(module)),
            "super" => match self.modules[module].parent {
                Some(parent) => start(Meaning::Module(parent)),
                None => return Vec::new(),
            },
            "" => {
                let Some((name, after)) = rest.split_first() else { return Vec::new() };
                rest = after;
                match self.own_names.contains(name) {
                    true => start(Meaning::Module(0)),
                    false => start(Meaning::Elsewhere),
                }
            }
            // A macro parameter may stand for the start of any path.
            "$" => {
                let Some(next) = rest.first() else { return Vec::new() };
                let starts = [0, module].map(|start| self.lookup(start, next, seen));
                let found = starts.into_iter().flatten();
                let is_module = |place: &Place| matches!(place.meaning, Meaning::Module(_));
                rest = &rest[1..];
                found.filter(is_module).collect()
            }
            name => match self.lookup(module, name, seen) {
                found if !found.is_empty() => found,
                _ if self.own_names.contains(name) => start(Meaning::Module(0)),
                _ => start(Meaning::Elsewhere),
            },
        };
        for name in rest {
            // A macro or function may have the same name as a module. If the path continues, it
            // refers to the module.
            let is_module = |place: &Place| matches!(place.meaning, Meaning::Module(_));
            if places.iter().any(is_module) {
                places.retain(is_module);
            }
            places = places.into_iter().flat_map(|place| self.step(place, name, seen)).collect();
        }
        places
    }

    /// Resolves the next segment of a path.
    fn step<'s>(&'s self, place: Place, name: &'s str, seen: &mut Seen<'s>) -> Vec<Place> {
        let Meaning::Module(module) = place.meaning else { return vec![place] };
        let found = match name {
            "super" => {
                let parent = self.modules[module].parent.map(Meaning::Module);
                return parent.map(|meaning| Place { meaning, ..place }).into_iter().collect();
            }
            "self" => return vec![place],
            "$" => return vec![Place { meaning: Meaning::Parameter(module), ..place }],
            name => self.lookup(module, name, seen),
        };
        if found.is_empty() {
            // The name may be defined by a macro in the module.
            return vec![Place { meaning: Meaning::Item(module), ..place }];
        }
        let with = |found: Place| Place { through: &found.through | &place.through, ..found };
        found.into_iter().map(with).collect()
    }

    /// Returns everything that a name in a module may refer to.
    fn lookup<'s>(&'s self, module: usize, name: &'s str, seen: &mut Seen<'s>) -> Vec<Place> {
        if seen.contains(&(module, name)) {
            return Vec::new();
        }
        seen.push((module, name));
        let here = |meaning| vec![Place { meaning, through: BTreeSet::new() }];
        let mut found = Vec::new();
        for one in self.modules[module].names.get(name).into_iter().flatten() {
            match one {
                Name::Module(inner) => found.extend(here(Meaning::Module(*inner))),
                Name::Item => found.extend(here(Meaning::Item(module))),
                Name::Alias(path) => found.extend(self.passed(module, path, seen)),
            }
        }
        for glob in &self.modules[module].globs {
            for place in self.passed(module, glob, seen) {
                let Meaning::Module(inner) = place.meaning else { continue };
                let inner = self.lookup(inner, name, seen).into_iter();
                found.extend(
                    inner.map(|one| Place { through: &one.through | &place.through, ..one }),
                );
            }
        }
        seen.pop();
        found
    }

    /// Resolves the path of an import in a module. Records the module as one whose imports were
    /// followed.
    fn passed<'s>(&'s self, module: usize, path: &'s [String], seen: &mut Seen<'s>) -> Vec<Place> {
        let mut places = self.resolve(module, path, seen);
        places.iter_mut().for_each(|place| {
            place.through.insert(module);
        });
        places
    }
}
