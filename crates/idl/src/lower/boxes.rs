//! Inserts `Box` into recursive types, where the IDL source has pointers.

use std::collections::{HashMap, HashSet};

use syn::{GenericArgument, PathArguments, Type, TypePath};

use syshandle_model::{DefinitionKind, Description};

/// Inserts boxes into types whose size would otherwise be infinite.
pub(super) fn insert(description: &mut Description) {
    // Optional values are boxed first, because they are pointers in the IDL source. Other values
    // are boxed only if that isn't enough.
    for only_optional in [true, false] {
        let circle = circle(description);
        if circle.is_empty() {
            return;
        }
        for definition in &mut description.definitions {
            if circle.contains(&definition.name.to_string()) {
                let types = types_mut(&mut definition.kind);
                types.into_iter().for_each(|ty| put(ty, &circle, !only_optional));
            }
        }
    }
}

/// Returns the types that contain themselves, and the types on a path between two of them.
fn circle(description: &Description) -> HashSet<String> {
    let mut parts: HashMap<String, HashSet<String>> = HashMap::new();
    for definition in &description.definitions {
        let mut held = HashSet::new();
        types(&definition.kind).into_iter().for_each(|ty| collect(ty, &mut held));
        parts.insert(definition.name.to_string(), held);
    }
    for held in parts.clone().into_values().flatten() {
        parts.entry(held).or_default();
    }
    // A type that contains no other types isn't part of a cycle. Neither is a type that contains
    // only such types, and so on. The same holds in the opposite direction, from contained to
    // containing types.
    peel(&mut parts);
    let mut holders: HashMap<String, HashSet<String>> =
        parts.keys().map(|name| (name.clone(), HashSet::new())).collect();
    for (holder, held) in &parts {
        for held in held {
            holders.entry(held.clone()).or_default().insert(holder.clone());
        }
    }
    peel(&mut holders);
    holders.into_keys().collect()
}

/// Repeatedly removes the nodes of a graph that have no outgoing edges.
fn peel(to: &mut HashMap<String, HashSet<String>>) {
    let mut from: HashMap<String, Vec<String>> = HashMap::new();
    for (start, ends) in &*to {
        ends.iter().for_each(|end| from.entry(end.clone()).or_default().push(start.clone()));
    }
    let is_end = |ends: &HashSet<String>| ends.is_empty();
    let ends = to.iter().filter(|(_, ends)| is_end(ends));
    let mut open: Vec<String> = ends.map(|(name, _)| name.clone()).collect();
    while let Some(name) = open.pop() {
        to.remove(&name);
        for start in from.remove(&name).into_iter().flatten() {
            if let Some(ends) = to.get_mut(&start) {
                ends.remove(&name);
                open.extend(is_end(ends).then_some(start));
            }
        }
    }
}

/// Collects the names of the types that a type contains by value. Types in a `Vec` or `Box` don't
/// count.
fn collect(ty: &Type, held: &mut HashSet<String>) {
    match ty {
        Type::Path(path) if is_pointer(path) => {}
        Type::Path(TypePath { path, .. }) => {
            let Some(last) = path.segments.last() else { return };
            match &last.arguments {
                PathArguments::AngleBracketed(list) => {
                    for argument in &list.args {
                        if let GenericArgument::Type(ty) = argument {
                            collect(ty, held);
                        }
                    }
                }
                _ => drop(held.insert(last.ident.to_string())),
            }
        }
        Type::Array(array) => collect(&array.elem, held),
        _ => {}
    }
}

/// Boxes the members of a type that are part of a cycle.
fn put(ty: &mut Type, circle: &HashSet<String>, everywhere: bool) {
    match ty {
        Type::Path(path) if is_pointer(path) => {}
        Type::Path(TypePath { path, .. }) => {
            let Some(last) = path.segments.last_mut() else { return };
            let is_option = last.ident == "Option";
            if let PathArguments::AngleBracketed(list) = &mut last.arguments {
                for argument in &mut list.args {
                    if let GenericArgument::Type(ty) = argument {
                        put(ty, circle, everywhere || is_option);
                    }
                }
            } else if everywhere && circle.contains(&last.ident.to_string()) {
                *ty = syn::parse_quote!(Box<#ty>);
            }
        }
        Type::Array(array) => put(&mut array.elem, circle, everywhere),
        _ => {}
    }
}

fn is_pointer(path: &TypePath) -> bool {
    path.path.segments.last().is_some_and(|last| last.ident == "Vec" || last.ident == "Box")
}

fn types(kind: &DefinitionKind) -> Vec<&Type> {
    match kind {
        DefinitionKind::Struct(fields) => fields.iter().map(|of| &of.value.ty).collect(),
        DefinitionKind::Enum(variants) => {
            variants.iter().flat_map(|of| &of.fields).map(|of| &of.ty).collect()
        }
        DefinitionKind::Alias(_) | DefinitionKind::Constant(..) => Vec::new(),
    }
}

fn types_mut(kind: &mut DefinitionKind) -> Vec<&mut Type> {
    match kind {
        DefinitionKind::Struct(fields) => fields.iter_mut().map(|of| &mut of.value.ty).collect(),
        DefinitionKind::Enum(variants) => {
            variants.iter_mut().flat_map(|of| &mut of.fields).map(|of| &mut of.ty).collect()
        }
        DefinitionKind::Alias(_) | DefinitionKind::Constant(..) => Vec::new(),
    }
}
