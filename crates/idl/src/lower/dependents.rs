//! Removes definitions that directly or indirectly use a construct that can't be converted.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;

use super::state::LoweringState;
use crate::front::diagnostic::{Diagnostic, did_you_mean, quoted};
use syshandle_model::{Description, identifiers};

impl LoweringState {
    /// Removes and reports all definitions that directly or indirectly use a construct that can't
    /// be converted.
    pub(super) fn drop_dependents(&mut self, description: &mut Description) {
        let users = users(description);
        let mut causes: Vec<String> = self.unsupported.keys().cloned().collect();
        causes.sort();
        while let Some(cause) = causes.pop() {
            self.refuse_uses(&cause);
            for user in users.get(&cause).into_iter().flatten() {
                if !self.unsupported.contains_key(user) {
                    self.refuse_user(user, &cause);
                    causes.push(user.clone());
                }
            }
        }
        let stays = |name: &str| !self.unsupported.contains_key(name);
        description.definitions.retain(|of| stays(&of.name.to_string()));
        description.interfaces.retain(|of| stays(&client(&of.name)));
        self.drop_classes(description);
    }

    /// Reports each use of a type that can't be converted.
    fn refuse_uses(&mut self, cause: &str) {
        for (used, place) in self.uses.remove(cause).unwrap_or_default() {
            let message = match place.is_empty() {
                true => format!("type {} can't be expressed in Rust", quoted(cause)),
                false => format!("{place}: type {} can't be expressed in Rust", quoted(cause)),
            };
            self.diagnostics.push(Diagnostic::error(used, message));
        }
    }

    /// Marks a definition as unusable because it uses a construct that can't be converted. Reports
    /// this, except for uses of types, which have already been reported.
    fn refuse_user(&mut self, user: &str, cause: &str) {
        let Some(&of_cause) = self.unsupported.get(cause) else { return };
        let name = user.strip_suffix("Client").unwrap_or(user);
        let place = self.spans.get(name).copied();
        if let Some(place) = place.filter(|_| cause.ends_with("Client")) {
            let shown = cause.strip_suffix("Client").unwrap_or(cause);
            let message = format!(
                "{} uses {}, which can't be expressed in Rust",
                quoted(name),
                quoted(shown)
            );
            let diagnostic = Diagnostic::error(place, message);
            self.diagnostics.push(diagnostic.related(of_cause, "it is declared here"));
        }
        self.unsupported.insert(user.to_owned(), place.unwrap_or(of_cause));
    }

    fn drop_classes(&mut self, description: &mut Description) {
        let described: HashSet<String> =
            description.interfaces.iter().map(|interface| interface.name.to_string()).collect();
        description.classes.retain(|class| {
            let is_gone = |name: &&Ident| !described.contains(&name.to_string());
            let Some(gone) = class.interfaces.iter().find(is_gone) else { return true };
            if let Some(&place) = self.spans.get(&class.name.to_string()) {
                let gone = quoted(&gone.to_string());
                let message =
                    format!("the class has interface {gone}, which can't be expressed in Rust");
                self.diagnostics.push(Diagnostic::error(place, message));
            }
            false
        });
    }

    /// Reports requested interfaces and classes that don't exist.
    pub(super) fn report_unknown_requests(&mut self, only: &[String]) {
        for name in only.iter().filter(|name| !self.found_requests.contains(*name)) {
            let message =
                format!("the requested interface or class {} doesn't exist", quoted(name));
            let hint = did_you_mean(name, self.unrequested.iter().map(String::as_str));
            self.diagnostics.push(Diagnostic::without_place(message).hint_if(hint));
        }
    }
}

/// Maps each type name to the types and interface clients that use it.
fn users(description: &Description) -> HashMap<String, Vec<String>> {
    let mut users: HashMap<String, Vec<String>> = HashMap::new();
    let mut add = |user: &str, tokens: TokenStream| {
        for used in identifiers(tokens) {
            users.entry(used).or_default().push(user.to_owned());
        }
    };
    for definition in &description.definitions {
        add(&definition.name.to_string(), definition.types());
    }
    for interface in &description.interfaces {
        let user = client(&interface.name);
        for method in &interface.methods {
            method.parameters.iter().for_each(|of| add(&user, of.ty.to_token_stream()));
            add(&user, method.result.to_token_stream());
        }
    }
    users
}

/// Returns the name of an interface's client type, by which other definitions refer to the
/// interface.
fn client(interface: &Ident) -> String {
    format!("{interface}Client")
}
