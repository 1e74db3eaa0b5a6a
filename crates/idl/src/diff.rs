//! What changed between two descriptions, and what that means to those who use the old one.
//!
//! Types are compared as they are written. So a change of a type that an interface doesn't use is
//! told as well, and a name that is imported differently is the same type only if its last parts
//! are.

mod handles;

use std::fmt;

use quote::ToTokens;
use syn::Type;

use crate::model::{Definition, DefinitionKind, Description, Interface, Method, Parameter};
use handles::Authority;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What changed: `SparkleFinisher::finish::file`. It is what `--accept` names.
    pub name: String,
    /// How it changed.
    pub what: String,
    /// Whether peers that were made for the old description go on working.
    pub is_compatible: bool,
    /// What a peer gets that it hadn't before.
    pub gives: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = if self.is_compatible { "old peers go on" } else { "BREAKS old peers" };
        write!(f, "{}: {} ({peers})", self.name, self.what)?;
        match &self.gives {
            Some(gives) => write!(f, "\n  GIVES MORE: {gives}"),
            None => Ok(()),
        }
    }
}

/// All changes from one description to another, in the order of the new one.
pub fn diff(old: &Description, new: &Description) -> Vec<Change> {
    let mut changes = Changes::default();
    for interface in &new.interfaces {
        match old.interfaces.iter().find(|known| known.iid == interface.iid) {
            Some(known) => changes.interface(known, interface),
            None => {
                let gives = interface.methods.iter().find_map(|of| handles::of_method(of, new));
                changes.add(&interface.name, "interface added", true, gives);
            }
        }
    }
    for gone in &old.interfaces {
        if !new.interfaces.iter().any(|known| known.iid == gone.iid) {
            changes.add(&gone.name, "interface removed, or its identifier changed", false, None);
        }
    }
    for definition in &new.definitions {
        if let Some(known) = old.definitions.iter().find(|known| known.name == definition.name) {
            changes.definition(known, definition);
        }
    }
    for class in &new.classes {
        let known = old.classes.iter().find(|known| known.clsid == class.clsid);
        for interface in &class.interfaces {
            if !known.is_some_and(|known| known.interfaces.contains(interface)) {
                let gives = Some(format!("objects of the class have {interface}"));
                changes.add(format!("{}::{interface}", class.name), "added", true, gives);
            }
        }
    }
    for gone in &old.classes {
        if !new.classes.iter().any(|known| known.clsid == gone.clsid) {
            changes.add(&gone.name, "class removed, or its identifier changed", false, None);
        }
    }
    changes.0
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn add(
        &mut self,
        name: impl ToString,
        what: impl ToString,
        is_compatible: bool,
        gives: Option<String>,
    ) {
        let (name, what) = (name.to_string(), what.to_string());
        self.0.push(Change { name, what, is_compatible, gives });
    }

    fn interface(&mut self, old: &Interface, new: &Interface) {
        let name = &new.name;
        if old.name != new.name {
            self.add(name, format!("renamed from `{}`", old.name), true, None);
        }
        for (at, method) in new.methods.iter().enumerate() {
            let path = format!("{name}::{}", method.name);
            match old.methods.get(at) {
                Some(known) => self.method(&path, known, method),
                // A server that doesn't know the number says so.
                None => {
                    let gives = handles::of_method(method, &Description::default());
                    self.add(path, "method added at the end", true, gives);
                }
            }
        }
        for gone in old.methods.iter().skip(new.methods.len()) {
            self.add(format!("{name}::{}", gone.name), "method removed", false, None);
        }
    }

    fn method(&mut self, path: &str, old: &Method, new: &Method) {
        if old.name != new.name {
            let what = format!("stands where `{}` stood", old.name);
            let is_same = old.parameters.len() == new.parameters.len();
            let gives = handles::of_method(new, &Description::default()).filter(|_| !is_same);
            self.add(path, what, is_same, gives);
        }
        self.list(path, &old.parameters, &new.parameters);
        let result = |of: &Method| Parameter {
            name: of.name.clone(),
            ty: of.result.clone(),
            handle: of.result_handle.clone(),
        };
        self.value(&format!("{path}::result"), &result(old), &result(new));
        let error = |of: &Method| of.error.as_ref().map(text).unwrap_or_default();
        if error(old) != error(new) {
            let what = format!("error changed from `{}` to `{}`", error(old), error(new));
            self.add(format!("{path}::error"), what, false, None);
        }
    }

    fn list(&mut self, path: &str, old: &[Parameter], new: &[Parameter]) {
        for (at, parameter) in new.iter().enumerate() {
            let path = format!("{path}::{}", parameter.name);
            match old.get(at) {
                Some(known) => self.value(&path, known, parameter),
                None => {
                    let gives = Authority::of(parameter).map(|more| more.to_string());
                    self.add(path, format!("added: `{}`", text(&parameter.ty)), false, gives);
                }
            }
        }
        for gone in old.iter().skip(new.len()) {
            self.add(format!("{path}::{}", gone.name), "removed", false, None);
        }
    }

    /// A parameter, a result or a field.
    fn value(&mut self, path: &str, old: &Parameter, new: &Parameter) {
        let (before, after) = (Authority::of(old), Authority::of(new));
        let is_same_type = text(&old.ty) == text(&new.ty);
        if is_same_type && before == after {
            return;
        }
        let gives = handles::more(before.as_ref(), after.as_ref());
        let what = match is_same_type {
            false => format!("type changed from `{}` to `{}`", text(&old.ty), text(&new.ty)),
            true => {
                let told = |of: &Option<Authority>| {
                    of.as_ref().map_or("no handle".to_owned(), ToString::to_string)
                };
                format!("declares {} where it declared {}", told(&after), told(&before))
            }
        };
        // One that takes less refuses what an old peer may send.
        let is_compatible = is_same_type && handles::takes_all(before.as_ref(), after.as_ref());
        self.add(path, what, is_compatible, gives);
    }

    fn definition(&mut self, old: &Definition, new: &Definition) {
        let name = new.name.to_string();
        match (&old.kind, &new.kind) {
            (DefinitionKind::Struct(before), DefinitionKind::Struct(after)) => {
                let values = |fields: &[crate::model::Field]| -> Vec<Parameter> {
                    fields.iter().map(|field| field.value.clone()).collect()
                };
                self.list(&name, &values(before), &values(after));
            }
            (DefinitionKind::Enum(before), DefinitionKind::Enum(after)) => {
                for (at, variant) in after.iter().enumerate() {
                    let path = format!("{name}::{}", variant.name);
                    match before.get(at) {
                        Some(known) => {
                            if known.name != variant.name {
                                let what = format!("stands where `{}` stood", known.name);
                                self.add(&path, what, false, None);
                            }
                            self.list(&path, &known.fields, &variant.fields);
                        }
                        None => {
                            let mut more = variant.fields.iter().filter_map(Authority::of);
                            let gives = more.next().map(|more| more.to_string());
                            self.add(path, "variant added", true, gives);
                        }
                    }
                }
                for gone in before.iter().skip(after.len()) {
                    self.add(format!("{name}::{}", gone.name), "variant removed", false, None);
                }
            }
            (before, after) => {
                let value = |kind: &DefinitionKind| match kind {
                    DefinitionKind::Alias(ty) => text(ty),
                    DefinitionKind::Constant(ty, value) => format!("{}: {value}", text(ty)),
                    DefinitionKind::Struct(_) => "a struct".to_owned(),
                    DefinitionKind::Enum(_) => "an enum".to_owned(),
                };
                if value(before) != value(after) {
                    let what = format!("changed from {} to {}", value(before), value(after));
                    let constants = matches!(after, DefinitionKind::Constant(..));
                    let gives = constants.then(|| "a limit may be wider".to_owned());
                    self.add(name, what, constants, gives);
                }
            }
        }
    }
}

/// A type by the last parts of its names.
fn text(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string().replace(' ', "");
    let ends = |c: char| "<>(),;[]&".contains(c);
    let words = text.split_inclusive(ends);
    words.map(|word| word.rsplit("::").next().unwrap_or(word)).collect()
}
