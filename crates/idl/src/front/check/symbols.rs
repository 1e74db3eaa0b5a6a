//! Collects the declarations of a file by name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::scope::Scope;
use crate::front::ast::{
    Arm, Constant, Declarator, Derivation, EnumType, Expression, Field, Identifier, Interface,
    Item, Member, Method, Parameters, StructType, TypeKind, TypeSpecifier, Typedef, UnionType,
};
use crate::front::constant::{self, Integer, Value};
use crate::front::diagnostic::{Diagnostic, Diagnostics, quoted};
use crate::front::source::Span;
use crate::front::token::Name;

/// The names that one file declares.
#[derive(Debug, Default)]
pub(crate) struct Symbols<'a> {
    /// Types, by their qualified names.
    pub(super) types: HashMap<String, Symbol<'a>>,
    /// Structs, unions and enums by tag. Tags have a separate namespace, as in C.
    pub(super) tags: HashMap<String, Symbol<'a>>,
    pub(super) values: HashMap<Name, NamedValue>,
}

/// The declaration of a type name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol<'a> {
    pub(crate) definition: Definition<'a>,
    pub(crate) span: Span,
    /// Whether this is a forward declaration.
    pub(crate) is_forward: bool,
}

/// The declaration that a name refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Definition<'a> {
    Typedef(&'a Typedef, &'a Declarator),
    Struct(&'a StructType),
    Union(&'a UnionType),
    Enum(&'a EnumType),
    Interface(&'a Interface),
    DispatchInterface,
    Class,
    Delegate,
    Contract,
}

impl Definition<'_> {
    /// Describes the kind of declaration, for a message.
    pub(super) fn description(&self) -> &'static str {
        match self {
            Definition::Typedef(..) => "a typedef",
            Definition::Struct(_) => "a struct",
            Definition::Union(_) => "a union",
            Definition::Enum(_) => "an enum",
            Definition::Interface(_) => "an interface",
            Definition::DispatchInterface => "a dispinterface",
            Definition::Class => "a class",
            Definition::Delegate => "a delegate",
            Definition::Contract => "an apicontract",
        }
    }
}

/// A constant or an enumerator.
#[derive(Clone, Debug)]
pub(crate) struct NamedValue {
    pub(crate) span: Span,
    /// The value; `None` if it can't be computed.
    pub(crate) value: Option<Value>,
}

/// Collects the names that a file declares. `scope` contains the names of its imports.
pub(super) fn collect<'a>(
    items: &'a [Item],
    scope: &Scope<'_, 'a>,
    diagnostics: &mut Diagnostics,
) -> Symbols<'a> {
    let mut collector =
        Collector { symbols: Symbols::default(), scope, diagnostics, namespace: String::new() };
    collector.items(items);
    collector.symbols
}

struct Collector<'c, 's, 'a> {
    symbols: Symbols<'a>,
    scope: &'c Scope<'s, 'a>,
    diagnostics: &'c mut Diagnostics,
    /// The enclosing namespace with a trailing dot, or an empty string.
    namespace: String,
}

impl<'a> Collector<'_, '_, 'a> {
    fn items(&mut self, items: &'a [Item]) {
        for item in items {
            self.item(item);
        }
    }

    fn item(&mut self, item: &'a Item) {
        match item {
            Item::Constant(constant) => self.constant(constant),
            Item::Typedef(typedef) => self.typedef(typedef),
            Item::Type(_, specifier) | Item::Variable(specifier, _) => self.specifier(specifier),
            Item::Interface(interface) => self.interface(interface),
            Item::DispatchInterface(interface) => {
                let is_forward = interface.members.is_none();
                self.declare(&interface.name, Definition::DispatchInterface, is_forward);
            }
            Item::Library(library) => self.items(&library.items),
            Item::CoClass(class) | Item::RuntimeClass(class) => {
                let is_forward = class.interfaces.is_none();
                self.declare(&class.name, Definition::Class, is_forward);
            }
            Item::Module(module) => self.items(module.items.as_deref().unwrap_or_default()),
            Item::Namespace(namespace) => {
                let outer = self.namespace.len();
                for segment in &namespace.segments {
                    self.namespace.push_str(&segment.name);
                    self.namespace.push('.');
                }
                self.items(&namespace.items);
                self.namespace.truncate(outer);
            }
            Item::ApiContract(contract) => {
                self.declare(&contract.name, Definition::Contract, contract.is_forward);
            }
            Item::Delegate(delegate) => {
                self.declare(&delegate.method.name, Definition::Delegate, false);
            }
            Item::Function(method) => self.method(method),
            Item::Import(_)
            | Item::CppQuote(_)
            | Item::DeclareGuid(_)
            | Item::ImportLibrary(_)
            | Item::Declare(_) => {}
        }
    }

    fn interface(&mut self, interface: &'a Interface) {
        let is_forward = interface.members.is_none();
        self.declare(&interface.name, Definition::Interface(interface), is_forward);
        for member in interface.members.iter().flatten() {
            match member {
                Member::Method(method) => self.method(method),
                Member::Item(item) => self.item(item),
            }
        }
    }

    fn typedef(&mut self, typedef: &'a Typedef) {
        self.specifier(&typedef.specifier);
        for declarator in &typedef.declarators {
            let Some(name) = &declarator.name else { continue };
            let definition = Definition::Typedef(typedef, declarator);
            let symbol = Symbol { definition, span: name.span, is_forward: false };
            let key = format!("{}{}", self.namespace, name.name);
            match self.symbols.types.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(symbol);
                }
                Entry::Occupied(mut entry) => {
                    let known = *entry.get();
                    if known.is_forward {
                        entry.insert(symbol);
                    } else if !is_same_name(&known, typedef, declarator, name) {
                        self.duplicate(name, known.span, "typedef");
                    }
                }
            }
        }
    }

    /// Collects the declarations in the types of a method.
    fn method(&mut self, method: &'a Method) {
        self.specifier(&method.returns);
        self.parameters(&method.parameters);
    }

    fn parameters(&mut self, parameters: &'a Parameters) {
        for parameter in &parameters.list {
            self.specifier(&parameter.specifier);
            self.declarator(&parameter.declarator);
        }
    }

    fn declarator(&mut self, declarator: &'a Declarator) {
        for derivation in &declarator.derivations {
            if let Derivation::Function(parameters) = derivation {
                self.parameters(parameters);
            }
        }
    }

    /// Collects the tags and enumerators of a type.
    fn specifier(&mut self, specifier: &'a TypeSpecifier) {
        match &specifier.kind {
            TypeKind::Struct(of) => {
                self.tag(&of.tag, Definition::Struct(of), of.fields.is_none());
                self.fields(of.fields.iter().flatten());
            }
            TypeKind::Union(of) => {
                self.tag(&of.tag, Definition::Union(of), of.arms.is_none());
                if let Some(switch) = &of.switch {
                    self.specifier(&switch.specifier);
                }
                self.fields(of.arms.iter().flatten().map(|Arm { field, .. }| field));
            }
            TypeKind::Enum(of) => {
                self.tag(&of.tag, Definition::Enum(of), of.enumerators.is_none());
                self.enumerators(of);
            }
            TypeKind::Pipe(of) => self.specifier(of),
            TypeKind::Base(_)
            | TypeKind::Named(_)
            | TypeKind::Interface(_)
            | TypeKind::SafeArray(_) => {}
        }
    }

    fn fields(&mut self, fields: impl Iterator<Item = &'a Field>) {
        for field in fields {
            if let Some(specifier) = &field.specifier {
                self.specifier(specifier);
            }
            for declarator in &field.declarators {
                self.declarator(declarator);
            }
        }
    }

    fn enumerators(&mut self, of: &'a EnumType) {
        let mut next = Some(Integer::new(0).value);
        for enumerator in of.enumerators.iter().flatten() {
            if let Some(expression) = &enumerator.value {
                next = match self.value(expression) {
                    Some(Value::Integer(integer)) => Some(integer.value),
                    _ => None,
                };
            }
            let value = next.map(|value| Value::Integer(Integer::new(value)));
            self.declare_value(&enumerator.name, value);
            next = next.map(|value| value + 1);
        }
    }

    fn constant(&mut self, constant: &'a Constant) {
        self.specifier(&constant.specifier);
        let value = self.value(&constant.value);
        if let Some(name) = &constant.declarator.name {
            self.declare_value(name, value);
        }
    }

    /// Evaluates an expression with the names collected so far. Returns `None` if that isn't
    /// possible; errors are reported later, when the file is checked.
    fn value(&self, expression: &Expression) -> Option<Value> {
        let view = self.scope.with(&self.symbols, &self.namespace);
        constant::evaluate(expression, &view).ok()
    }

    fn declare_value(&mut self, name: &Identifier, value: Option<Value>) {
        let named = NamedValue { span: name.span, value };
        let known = self.symbols.values.insert(name.name.clone(), named);
        // In a namespace, enumerators are accessible only through their enum.
        if let (Some(known), true) = (known, self.namespace.is_empty()) {
            self.duplicate(name, known.span, "constant");
        }
    }

    fn declare(&mut self, name: &Identifier, definition: Definition<'a>, is_forward: bool) {
        let key = format!("{}{}", self.namespace, name.name);
        let symbol = Symbol { definition, span: name.span, is_forward };
        match self.symbols.types.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(symbol);
            }
            Entry::Occupied(mut entry) => {
                let known = *entry.get();
                let is_typedef = matches!(known.definition, Definition::Typedef(..));
                if is_forward {
                    return;
                }
                entry.insert(symbol);
                if !known.is_forward && !is_typedef {
                    let what = definition.description();
                    self.duplicate(
                        name,
                        known.span,
                        what.split_once(' ').map_or(what, |(_, noun)| noun),
                    );
                }
            }
        }
    }

    fn tag(&mut self, tag: &Option<Identifier>, definition: Definition<'a>, is_forward: bool) {
        let Some(tag) = tag else { return };
        let key = format!("{}{}", self.namespace, tag.name);
        let symbol = Symbol { definition, span: tag.span, is_forward };
        match self.symbols.tags.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(symbol);
            }
            Entry::Occupied(mut entry) => {
                let known = *entry.get();
                let is_other = std::mem::discriminant(&known.definition)
                    != std::mem::discriminant(&definition);
                if is_other || !is_forward && !known.is_forward {
                    self.duplicate(tag, known.span, "tag");
                } else if known.is_forward {
                    entry.insert(symbol);
                }
            }
        }
    }

    fn duplicate(&mut self, name: &Identifier, first: Span, what: &str) {
        let message = format!("{what} {} is declared twice", quoted(&name.name));
        self.diagnostics
            .push(Diagnostic::error(name.span, message).related(first, "it is declared here"));
    }
}

/// Returns whether a typedef is a permitted repetition of a known declaration: `typedef struct A
/// A;` twice, or `typedef interface A A;` in addition to the interface.
fn is_same_name(
    known: &Symbol<'_>,
    typedef: &Typedef,
    declarator: &Declarator,
    name: &Identifier,
) -> bool {
    let root = |specifier: &TypeSpecifier| match &specifier.kind {
        TypeKind::Struct(StructType { tag, .. })
        | TypeKind::Union(UnionType { tag, .. })
        | TypeKind::Enum(EnumType { tag, .. }) => tag.as_ref().map(|tag| tag.name.clone()),
        TypeKind::Named(path) | TypeKind::Interface(path) => path.as_name().cloned(),
        _ => None,
    };
    match known.definition {
        Definition::Typedef(other, known) => {
            let same_root = match (root(&other.specifier), root(&typedef.specifier)) {
                (Some(known), Some(again)) => known == again,
                _ => match (&other.specifier.kind, &typedef.specifier.kind) {
                    (TypeKind::Base(known), TypeKind::Base(again)) => known == again,
                    _ => false,
                },
            };
            same_root && known.derivations.len() == declarator.derivations.len()
        }
        _ => root(&typedef.specifier).as_ref() == Some(&name.name),
    }
}
