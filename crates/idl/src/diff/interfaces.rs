//! Compares interfaces and classes.

use std::collections::{HashMap, HashSet};

use super::align::{Step, align, match_name};
use super::form::{Form, TypeResolver, ValueForm};
use super::values::with_receiver;
use super::{ComPart, Comparison};
use crate::directions::Directions;
use syshandle_model::{Class, Description, Interface, Method, Parameter, plain_name, write_guid};
use syshandle_types::describe::compatibility::Change;

impl<'d> Comparison<'d> {
    /// Compares all interfaces. They are matched by IID, or by name if the IID isn't found.
    pub(super) fn interfaces(&mut self) {
        let (old, new) = (self.old.description(), self.new.description());
        let former = InterfaceMatcher::of(old, new);
        let mut kept = HashSet::new();
        for interface in &new.interfaces {
            match former.find(interface) {
                Some(known) => {
                    kept.insert(known.iid);
                    self.interface(known, interface);
                }
                None => {
                    let mut methods = interface.methods.iter();
                    let gained_authority = methods.find_map(|of| self.method_authority(of));
                    self.add(&interface.name, "interface added", true, gained_authority);
                }
            }
        }
        for gone in &old.interfaces {
            if !kept.contains(&gone.iid) {
                self.add(&gone.name, "interface removed", false, None);
            }
        }
    }

    fn interface(&mut self, old: &'d Interface, new: &'d Interface) {
        let name = &new.name;
        if old.name != new.name {
            self.add(name, format!("renamed from `{}`", old.name), true, None);
        }
        if old.iid != new.iid {
            let (before, after) = (write_guid(&old.iid), write_guid(&new.iid));
            let description =
                format!("identifier changed from {before} to {after}: old clients can't find it");
            self.add(format!("{name}::iid"), description, false, None);
        }
        // A trait has no base. A changed base is therefore reported only for two `.idl` files.
        // Inherited methods are compared like the interface's own.
        let bases = |of: &Interface| of.bases.first().map(ToString::to_string);
        match (bases(old), bases(new)) {
            (Some(before), Some(after)) if before != after => {
                let description = format!("base changed from `{before}` to `{after}`");
                self.add(format!("{name}::base"), description, false, None);
            }
            _ => {}
        }
        let names = |of: &Interface| -> Vec<String> {
            of.methods.iter().map(|method| match_name(&method.name)).collect()
        };
        let key = |of: &Interface, at: usize| {
            format!("{}::{}", of.name, plain_name(&of.methods[at].name))
        };
        for step in align(&names(old), &names(new)) {
            let path = |at: usize| format!("{name}::{}", match_name(&new.methods[at].name));
            if let Step::Kept { old: before, new: at } | Step::Replaced { old: before, new: at } =
                step
            {
                self.layouts(&path(at), &key(old, before), &key(new, at));
                self.hidden_parts(&path(at), &key(old, before), &key(new, at));
            }
            match step {
                Step::Kept { old: before, new: at } => {
                    self.method(&path(at), &old.methods[before], &new.methods[at]);
                    self.com_handles(&path(at), &old.methods[before], &new.methods[at]);
                }
                Step::Replaced { old: before, new: at } => {
                    self.compare_replaced(
                        &path(at),
                        &old.methods[before],
                        &new.methods[at],
                        before == at,
                    );
                }
                Step::Moved { old: before, new: at } => {
                    let description =
                        format!("moved from position {} to position {}", before + 1, at + 1);
                    self.add(path(at), description, false, None);
                    self.method(&path(at), &old.methods[before], &new.methods[at]);
                }
                Step::Added { new: at } => {
                    // A server that doesn't know a method's number returns an error, which a client
                    // can handle.
                    let is_last = at >= old.methods.len();
                    let description = match is_last {
                        true => "method added at the end".to_owned(),
                        false => format!("method inserted at position {}", at + 1),
                    };
                    let gained_authority = self.method_authority(&new.methods[at]);
                    let is_compatible = Change::Method { is_last }.is_compatible();
                    self.add(path(at), description, is_compatible, gained_authority);
                    if is_last {
                        self.warn_of_com(ComPart::Method);
                    }
                }
                Step::Removed { old: before } => {
                    let path = format!("{name}::{}", match_name(&old.methods[before].name));
                    self.add(path, "method removed", false, None);
                }
            }
        }
    }

    /// Compares a method with a removed method that had another name and the same position.
    fn compare_replaced(
        &mut self,
        path: &str,
        old: &'d Method,
        new: &'d Method,
        is_in_place: bool,
    ) {
        let before = self.changes.len();
        self.method(path, old, new);
        // If parameters and position are equal, only the name differs. The name isn't part of the
        // wire format.
        let is_renamed = is_in_place && self.changes.len() == before;
        let description = match is_renamed {
            true => format!("renamed from `{}`", match_name(&old.name)),
            false => format!("replaces `{}`", match_name(&old.name)),
        };
        self.add(path, description, is_renamed, None);
        self.changes[before..].rotate_right(1);
    }

    fn method(&mut self, path: &str, old: &'d Method, new: &'d Method) {
        let (mut before, mut after) =
            (MethodForms::of(self.old, old), MethodForms::of(self.new, new));
        self.compare_directions(path, &mut before, &mut after, Directions::OUT);
        self.compare_directions(path, &mut after, &mut before, Directions::IN);
        self.list(path, &before.parameters, &after.parameters, Directions::IN);
        let plain = |form: Form| ValueForm { form, range: None };
        let result = |mut forms: Vec<Form>| match forms.len() {
            1 => forms.remove(0),
            _ => Form::Tuple(forms),
        };
        let (before, after) = (plain(result(before.results)), plain(result(after.results)));
        self.compare_values(&format!("{path}::result"), &before, &after, Directions::OUT);
        let path = format!("{path}::error");
        match (&old.error, &new.error) {
            (None, None) => {}
            (Some(before), Some(after)) => {
                let before = plain(self.old.form(before, None));
                let after = plain(self.new.form(after, None));
                self.compare_values(&path, &before, &after, Directions::OUT);
            }
            (before, after) => {
                let error_type =
                    |error: bool| if error { "a custom type" } else { "the default type" };
                let (before, after) = (error_type(before.is_some()), error_type(after.is_some()));
                self.add(path, format!("error changed from {before} to {after}"), false, None);
            }
        }
    }

    /// Finds parameters that were moved between a method's inputs and its results. Reports them,
    /// and removes them from the lists that are compared afterwards.
    fn compare_directions(
        &mut self,
        path: &str,
        from: &mut MethodForms,
        to_side: &mut MethodForms,
        directions: Directions,
    ) {
        let description = match directions.is_out {
            true => "was an input and is an output",
            false => "was an output and is an input",
        };
        let mut at = 0;
        while let Some(form) = from.forms.get(at) {
            let pairs = from.results.len() + to_side.results.len() + to_side.parameters.len();
            if !self.new.spend(pairs) {
                return;
            }
            let name = match_name(&from.parameters[at].name);
            let count =
                |side: &MethodForms| side.results.iter().filter(|result| *result == form).count();
            let stays = to_side.parameters.iter().any(|other| match_name(&other.name) == name);
            let place = to_side.results.iter().position(|result| result == form);
            let Some(place) = place.filter(|_| !stays && count(to_side) > count(from)) else {
                at += 1;
                continue;
            };
            let types = if directions.is_out { self.new } else { self.old };
            let gained_authority = types.authorities(form).first().map(ToString::to_string);
            self.add(
                format!("{path}::{name}"),
                description,
                false,
                with_receiver(gained_authority, directions),
            );
            to_side.results.remove(place);
            from.parameters.remove(at);
            from.forms.remove(at);
        }
    }

    /// Describes the authority that an added method gives, if any.
    fn method_authority(&self, method: &Method) -> Option<String> {
        let parameters =
            method.parameters.iter().map(|of| (self.new.value(of).form, Directions::IN));
        let result = self.new.form(&method.result, method.result_handle.as_ref());
        let error = method.error.as_ref().map(|error| self.new.form(error, None));
        let outward =
            [Some(result), error].into_iter().flatten().map(|form| (form, Directions::OUT));
        parameters.chain(outward).find_map(|(form, directions)| {
            with_receiver(
                self.added_authority(&form).map(|added| format!("a method with {added}")),
                directions,
            )
        })
    }

    /// Compares all classes. They are matched by CLSID, or by name if the CLSID isn't found.
    pub(super) fn classes(&mut self) {
        let (old, new) = (self.old.description(), self.new.description());
        let by_clsid: HashMap<_, _> =
            old.classes.iter().rev().map(|class| (class.clsid, class)).collect();
        let new_clsids: HashSet<_> = new.classes.iter().map(|class| class.clsid).collect();
        let free = old.classes.iter().rev().filter(|class| !new_clsids.contains(&class.clsid));
        let by_name: HashMap<_, _> = free.map(|class| (class.name.to_string(), class)).collect();
        let find = |class: &Class| {
            let same = by_clsid.get(&class.clsid);
            same.or_else(|| by_name.get(&class.name.to_string())).copied()
        };
        let mut kept = HashSet::new();
        for class in &new.classes {
            let known = find(class);
            if let Some(known) = known {
                kept.insert(known.clsid);
                self.class(known, class);
            }
            let had: HashSet<_> =
                known.into_iter().flat_map(|known| interface_ids(self.old, known)).collect();
            for (interface, identity) in class.interfaces.iter().zip(interface_ids(self.new, class))
            {
                if !had.contains(&identity) {
                    let gained_authority = Some(format!("objects of the class have {interface}"));
                    self.add(
                        format!("{}::{interface}", class.name),
                        "added",
                        true,
                        gained_authority,
                    );
                }
            }
        }
        for gone in &old.classes {
            if !kept.contains(&gone.clsid) {
                self.add(&gone.name, "class removed", false, None);
            }
        }
    }

    /// Compares a class with its old version. The caller reports added interfaces.
    fn class(&mut self, old: &Class, new: &Class) {
        let name = &new.name;
        if old.name != new.name {
            self.add(name, format!("renamed from `{}`", old.name), true, None);
        }
        if old.clsid != new.clsid {
            let (before, after) = (write_guid(&old.clsid), write_guid(&new.clsid));
            let description =
                format!("identifier changed from {before} to {after}: old clients can't find it");
            self.add(format!("{name}::clsid"), description, false, None);
        }
        let has: HashSet<_> = interface_ids(self.new, new).into_iter().collect();
        for (interface, identity) in old.interfaces.iter().zip(interface_ids(self.old, old)) {
            if !has.contains(&identity) {
                self.add(format!("{name}::{interface}"), "removed", false, None);
            }
        }
        // The order of interfaces has no effect on this project's wire format. COM's scripting
        // languages, however, use a class's first interface.
        let default = |types, of| interface_ids(types, of).into_iter().next();
        let (before, after) = (default(self.old, old), default(self.new, new));
        let is_moved = before != after && before.is_some_and(|before| has.contains(&before));
        if let Some(first) = new.interfaces.first().filter(|_| is_moved) {
            let description = format!(
                "its first interface, which is the default interface in COM, is now `{first}`"
            );
            self.add(format!("{name}::default"), description, true, None);
        }
    }
}

/// The parameters and results of a method.
struct MethodForms {
    parameters: Vec<Parameter>,
    /// The wire formats of `parameters`.
    forms: Vec<Form>,
    results: Vec<Form>,
}

impl MethodForms {
    fn of(types: TypeResolver<'_>, method: &Method) -> Self {
        let result = types.form(&method.result, method.result_handle.as_ref());
        Self {
            parameters: method.parameters.clone(),
            forms: method.parameters.iter().map(|of| types.value(of).form).collect(),
            results: match result {
                Form::Tuple(results) => results,
                one => vec![one],
            },
        }
    }
}

/// Finds the interface of the old description that corresponds to a new interface.
struct InterfaceMatcher<'d> {
    by_iid: HashMap<[u8; 16], &'d Interface>,
    /// Old interfaces whose IIDs don't exist in the new description.
    by_name: HashMap<String, &'d Interface>,
}

impl<'d> InterfaceMatcher<'d> {
    fn of(old: &'d Description, new: &Description) -> Self {
        let iids: HashSet<_> = new.interfaces.iter().map(|interface| interface.iid).collect();
        let all = old.interfaces.iter().rev();
        let free = all.clone().filter(|interface| !iids.contains(&interface.iid));
        Self {
            by_iid: all.map(|interface| (interface.iid, interface)).collect(),
            by_name: free.map(|interface| (interface.name.to_string(), interface)).collect(),
        }
    }

    fn find(&self, interface: &Interface) -> Option<&'d Interface> {
        let same = self.by_iid.get(&interface.iid);
        same.or_else(|| self.by_name.get(&interface.name.to_string())).copied()
    }
}

/// Returns the interfaces of a class: their IIDs if the description contains them, or their names.
fn interface_ids(types: TypeResolver<'_>, class: &Class) -> Vec<String> {
    let identity = |name: &proc_macro2::Ident| {
        let name = name.to_string();
        types.interface(&name).map_or(name, |known| write_guid(&known.iid))
    };
    class.interfaces.iter().map(identity).collect()
}
