//! Looks up names, first in a file and then in its imports.

use std::cell::RefCell;
use std::collections::HashMap;

use super::symbols::{Definition, NamedValue, Symbol, Symbols};
use crate::front::ast::{BaseType, Derivation, Path, TypeKind, TypeName, TypeSpecifier};
use crate::front::constant::{Environment, EvaluationError, Integer, IntegerType, Value};
use crate::front::limits::CHAIN_MAX;
use crate::front::source::Span;
use crate::front::steps;
use crate::front::token::Name;

/// The names of several files, in lookup order.
#[derive(Debug)]
pub(crate) struct Scope<'s, 'a> {
    files: Vec<&'s Symbols<'a>>,
    types: LookupCache<Symbol<'a>>,
    tags: LookupCache<Symbol<'a>>,
    /// Cached lookups of values. Each result is the index of the file that declares the value.
    values: LookupCache<usize>,
}

/// A cache of lookup results.
type LookupCache<T> = RefCell<HashMap<String, Option<T>>>;

/// A scope extended by one file, as seen from a namespace.
pub(crate) struct View<'s, 'a> {
    own: &'s Symbols<'a>,
    imported: &'s Scope<'s, 'a>,
    namespace: &'s str,
}

/// A type with the typedefs that were followed to resolve it.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    /// The names of the typedefs, outermost first.
    pub(crate) names: Vec<&'a Name>,
    /// The pointers, arrays and functions that the typedefs apply.
    pub(crate) derivations: Vec<&'a Derivation>,
    /// The type that the last typedef refers to.
    pub(crate) root: Root<'a>,
}

/// The type at the end of a chain of typedefs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Root<'a> {
    Base(BaseType),
    Definition(Definition<'a>),
    /// A `SAFEARRAY`, pipe or type parameter.
    Other,
    /// An unknown name, or a tag without a definition.
    Unknown,
}

impl<'s, 'a> Scope<'s, 'a> {
    pub(super) fn new(files: Vec<&'s Symbols<'a>>) -> Self {
        Self {
            files,
            types: RefCell::default(),
            tags: RefCell::default(),
            values: RefCell::default(),
        }
    }

    fn find_type(&self, name: &str) -> Option<Symbol<'a>> {
        cached(&self.types, name, || nearest(self.files.iter().map(|of| of.types.get(name))))
    }

    pub(super) fn has_type(&self, name: &str) -> bool {
        self.find_type(name).is_some()
    }

    pub(super) fn has_value(&self, name: &str) -> bool {
        self.find_value(name).is_some()
    }

    fn find_tag(&self, name: &str) -> Option<Symbol<'a>> {
        cached(&self.tags, name, || nearest(self.files.iter().map(|of| of.tags.get(name))))
    }

    fn find_value(&self, name: &str) -> Option<&'s NamedValue> {
        let has = |of: &&Symbols<'a>| of.values.contains_key(name);
        let file = cached(&self.values, name, || self.files.iter().position(has))?;
        self.files[file].values.get(name)
    }

    pub(crate) fn with<'v>(&'v self, own: &'v Symbols<'a>, namespace: &'v str) -> View<'v, 'a>
    where
        's: 'v,
    {
        View { own, imported: self, namespace }
    }
}

impl<'s, 'a> View<'s, 'a> {
    /// Copies the view, for callers that need an owned one.
    pub(crate) fn copied(&self) -> View<'s, 'a> {
        View { own: self.own, imported: self.imported, namespace: self.namespace }
    }

    fn files(&self) -> impl Iterator<Item = &'s Symbols<'a>> {
        std::iter::once(self.own).chain(self.imported.files.iter().copied())
    }

    /// Finds a type by name, in the current namespace and then in the enclosing ones. Prefers a
    /// definition to a forward declaration.
    pub(crate) fn find(&self, path: &Path) -> Option<Symbol<'a>> {
        let single = path.as_name();
        let joined = if single.is_some() { String::new() } else { path.name() };
        let name = single.map_or(joined.as_str(), |name| name);
        self.search_namespaces(name, |name| {
            self.type_named(name).or_else(|| {
                // In a namespace, a tag is also a type name, as in C++.
                let is_qualified = name.contains('.');
                if is_qualified { self.tag_named(name) } else { None }
            })
        })
    }

    pub(crate) fn find_tag(&self, tag: &str) -> Option<Symbol<'a>> {
        self.search_namespaces(tag, |name| self.tag_named(name))
    }

    pub(super) fn find_value(&self, name: &str) -> Option<&'s NamedValue> {
        self.own.values.get(name).or_else(|| self.imported.find_value(name))
    }

    fn type_named(&self, name: &str) -> Option<Symbol<'a>> {
        let own = self.own.types.get(name).copied();
        let defined = own.filter(|own| !own.is_forward);
        defined.or_else(|| self.imported.find_type(name)).or(own)
    }

    fn tag_named(&self, name: &str) -> Option<Symbol<'a>> {
        let own = self.own.tags.get(name).copied();
        let defined = own.filter(|own| !own.is_forward);
        defined.or_else(|| self.imported.find_tag(name)).or(own)
    }

    /// Returns the names of all visible types, for suggestions.
    pub(super) fn type_names(&self) -> impl Iterator<Item = &'s str> {
        self.files().flat_map(|symbols| symbols.types.keys().map(String::as_str))
    }

    /// Returns the names of all visible constants, for suggestions.
    pub(super) fn value_names(&self) -> impl Iterator<Item = &'s str> {
        self.files().flat_map(|symbols| symbols.values.keys().map(|name| &**name))
    }

    /// Follows a chain of typedefs to its end.
    pub(super) fn chain(&self, specifier: &'a TypeSpecifier) -> Chain<'a> {
        let mut chain = Chain { names: Vec::new(), derivations: Vec::new(), root: Root::Unknown };
        let mut specifier = specifier;
        for _ in 0..CHAIN_MAX {
            steps::count(1);
            let path = match &specifier.kind {
                TypeKind::Base(base) => {
                    chain.root = Root::Base(*base);
                    return chain;
                }
                TypeKind::Named(path) | TypeKind::Interface(path) => path,
                TypeKind::Struct(of) => {
                    chain.root = self.tagged(&of.tag, of.fields.is_some(), Definition::Struct(of));
                    return chain;
                }
                TypeKind::Union(of) => {
                    chain.root = self.tagged(&of.tag, of.arms.is_some(), Definition::Union(of));
                    return chain;
                }
                TypeKind::Enum(of) => {
                    chain.root =
                        self.tagged(&of.tag, of.enumerators.is_some(), Definition::Enum(of));
                    return chain;
                }
                TypeKind::SafeArray(_) | TypeKind::Pipe(_) => {
                    chain.root = Root::Other;
                    return chain;
                }
            };
            chain.names.extend(path.segments.last().map(|segment| &segment.name));
            match self.find(path).map(|symbol| symbol.definition) {
                Some(Definition::Typedef(typedef, declarator)) => {
                    chain.derivations.extend(&declarator.derivations);
                    specifier = &typedef.specifier;
                }
                Some(definition) => {
                    chain.root = Root::Definition(definition);
                    return chain;
                }
                None => return chain,
            }
        }
        chain
    }

    fn tagged(
        &self,
        tag: &Option<crate::front::ast::Identifier>,
        is_defined: bool,
        definition: Definition<'a>,
    ) -> Root<'a> {
        if is_defined {
            return Root::Definition(definition);
        }
        match tag.as_ref().and_then(|tag| self.find_tag(&tag.name)) {
            Some(symbol) => Root::Definition(symbol.definition),
            None => Root::Unknown,
        }
    }

    /// Looks up a name in the current namespace, then in the enclosing namespaces, then in the
    /// global scope.
    fn search_namespaces<T>(&self, name: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut namespace = self.namespace;
        while !namespace.is_empty() {
            if let Some(found) = find(&format!("{namespace}{name}")) {
                return Some(found);
            }
            let parent = namespace[..namespace.len() - 1].rfind('.');
            namespace = parent.map_or("", |dot| &namespace[..=dot]);
        }
        find(name)
    }
}

/// Returns the nearest symbol that is a definition. If none is, returns the nearest symbol.
fn nearest<'s, 'a: 's>(
    symbols: impl Iterator<Item = Option<&'s Symbol<'a>>>,
) -> Option<Symbol<'a>> {
    let mut announced = None;
    for symbol in symbols.inspect(|_| steps::count(1)).flatten() {
        if !symbol.is_forward {
            return Some(*symbol);
        }
        announced = announced.or(Some(*symbol));
    }
    announced
}

/// Looks up a name in the cache. On a miss, calls `find` and caches the result.
fn cached<T: Copy>(
    found: &LookupCache<T>,
    name: &str,
    find: impl FnOnce() -> Option<T>,
) -> Option<T> {
    if let Some(known) = found.borrow().get(name) {
        return *known;
    }
    steps::count(1);
    let result = find();
    found.borrow_mut().insert(name.to_owned(), result);
    result
}

impl Environment for View<'_, '_> {
    fn value(&self, name: &Name, _: Span) -> Result<Value, EvaluationError> {
        let predefined = match &**name {
            "TRUE" | "true" => Some(1),
            "FALSE" | "false" | "NULL" => Some(0),
            _ => None,
        };
        if let Some(value) = predefined {
            return Ok(Value::Integer(Integer::new(value)));
        }
        let known = self.find_value(name).and_then(|named| named.value.clone());
        known.ok_or(EvaluationError::NotConstant)
    }

    fn is_type(&self, name: &str) -> bool {
        self.type_named(name).is_some()
    }

    fn size(&self, of: &TypeName) -> Result<u64, EvaluationError> {
        let known = self.integer_type(of).map(|integer| u64::from(integer.bits / 8));
        known.ok_or(EvaluationError::NotConstant)
    }

    fn integer_type(&self, to: &TypeName) -> Option<IntegerType> {
        if !to.derivations.is_empty() {
            return None;
        }
        self.integer_type_of(&to.specifier)
    }
}

impl View<'_, '_> {
    /// Returns the integer type that a specifier refers to, if any.
    fn integer_type_of(&self, specifier: &TypeSpecifier) -> Option<IntegerType> {
        if let TypeKind::Base(base) = specifier.kind {
            return IntegerType::of(base);
        }
        let TypeKind::Named(path) = &specifier.kind else { return None };
        match self.find(path)?.definition {
            Definition::Typedef(typedef, declarator) if declarator.derivations.is_empty() => {
                let chain = self.chain(&typedef.specifier);
                match chain.root {
                    Root::Base(base) if chain.derivations.is_empty() => IntegerType::of(base),
                    Root::Definition(Definition::Enum(_)) if chain.derivations.is_empty() => {
                        IntegerType::of(BaseType::Int32)
                    }
                    _ => None,
                }
            }
            Definition::Enum(_) => IntegerType::of(BaseType::Int32),
            _ => None,
        }
    }
}
