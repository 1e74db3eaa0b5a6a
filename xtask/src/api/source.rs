//! Reads the public items of a crate from its source.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, File, ImplItem, Item, ItemImpl, ItemMacro, Meta, TraitItem, Type, Visibility,
};

use super::text::{self, print};

/// A declaration in the listing.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) text: String,
    /// The operating system, if only one of them has the declaration.
    pub(super) system: Option<&'static str>,
}

impl Declared {
    /// Returns the text. If only one operating system has the declaration, appends the system's
    /// name.
    fn tagged(&self) -> String {
        match self.system {
            Some(system) => format!("{}  [{system}]", self.text),
            None => self.text.clone(),
        }
    }
}

/// The public items of a crate, by name.
#[derive(Debug, Default)]
pub(super) struct CrateItems {
    items: BTreeMap<String, Vec<Declared>>,
    /// The public items and methods that the rules of each macro declare.
    macros: BTreeMap<String, Vec<String>>,
    /// The public names declared in each file.
    files: BTreeMap<String, Vec<String>>,
}

impl CrateItems {
    /// Reads all files in a folder and its subfolders.
    pub(super) fn load(source: &Path) -> Self {
        let mut items = Self::default();
        items.load_folder(source, None);
        items
    }

    fn load_folder(&mut self, folder: &Path, on: Option<&'static str>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let on = match stem.as_str() {
                "linux" => Some("Linux"),
                "windows" => Some("Windows"),
                "tests" | "test_sync" => continue,
                _ => on,
            };
            if path.is_dir() {
                self.load_folder(&path, on);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.read(&parse(&path), &stem, on);
            }
        }
    }

    fn read(&mut self, items: &[Item], file: &str, on: Option<&'static str>) {
        for item in items.iter().filter(|item| !is_hidden(item)) {
            let on = system(attributes(item)).or(on);
            match item {
                Item::Impl(item) => self.read_impl(item, on),
                Item::Macro(call) => self.read_macro(call, file, on),
                Item::Trait(item) if is_public(&item.vis) => {
                    let name = item.ident.to_string();
                    self.declare(&name, file, text::header(item), on);
                    for member in item.items.iter().filter(|member| !is_hidden_member(member)) {
                        self.add(&name, text::member(member), on);
                    }
                }
                item => {
                    let Some(name) = public_name(item) else { continue };
                    for Declared { text, system } in text::lines(item) {
                        self.add(&name, text, system.or(on));
                    }
                    self.files.entry(file.to_owned()).or_default().push(name);
                }
            }
        }
    }

    fn declare(&mut self, name: &str, file: &str, text: String, on: Option<&'static str>) {
        self.add(name, text, on);
        self.files.entry(file.to_owned()).or_default().push(name.to_owned());
    }

    fn add(&mut self, name: &str, text: String, system: Option<&'static str>) {
        self.items.entry(name.to_owned()).or_default().push(Declared { text, system });
    }

    fn read_impl(&mut self, item: &ItemImpl, on: Option<&'static str>) {
        let Type::Path(of) = &*item.self_ty else { return };
        let Some(name) = of.path.segments.last().map(|last| last.ident.to_string()) else { return };
        let generics = &item.generics;
        if let Some((implemented, _)) = &item.trait_ {
            let of = &item.self_ty;
            let bounds = &generics.where_clause;
            let parts = [print(generics), print(implemented), print(of), print(bounds)];
            let [generics, implemented, of, bounds] = parts;
            let line = format!("impl{generics} {implemented} for {of} {bounds}");
            self.add(&name, line.trim_end().to_owned(), on);
            return;
        }
        for member in &item.items {
            let (shown, attributes) = match member {
                ImplItem::Fn(method) if is_public(&method.vis) => {
                    (format!("pub {}", print(&method.sig)), &method.attrs)
                }
                ImplItem::Const(value) if is_public(&value.vis) => {
                    (format!("pub const {}: {}", value.ident, print(&value.ty)), &value.attrs)
                }
                _ => continue,
            };
            if !hides(attributes) {
                self.add(&name, shown, system(attributes).or(on));
            }
        }
    }

    /// Reads a macro call that declares items or implements traits.
    fn read_macro(&mut self, call: &ItemMacro, file: &str, on: Option<&'static str>) {
        let called = called(call);
        let tokens: Vec<_> = call.mac.tokens.clone().into_iter().collect();
        match called.as_str() {
            "macro_rules" => {
                let name = call.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                text::declared_by_rules(&call.mac.tokens, self.macros.entry(name).or_default());
            }
            "cfg_if" => {
                for (block, items) in blocks(call) {
                    self.read(&items, file, block.or(on));
                }
            }
            "bitflags" => {
                let name = tokens.windows(2).find(|pair| pair[0].to_string() == "struct");
                let Some(name) = name.map(|pair| pair[1].to_string()) else { return };
                self.declare(&name, file, "pub struct (bitflags)".to_owned(), on);
                for flag in flags(&tokens) {
                    self.add(&name, format!("pub const {flag}: Self"), on);
                }
            }
            _ => {
                for (index, token) in tokens.iter().enumerate() {
                    let ends = match tokens.get(index + 1) {
                        None => true,
                        Some(TokenTree::Punct(next)) => matches!(next.as_char(), ',' | '=' | ';'),
                        Some(_) => false,
                    };
                    match token {
                        TokenTree::Ident(name) if ends => {
                            self.add(&name.to_string(), format!("{called}!"), on);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Returns the lines of the listing for an item: its declaration, then its methods and traits.
    pub(super) fn lines(&self, name: &str) -> Vec<String> {
        let Some(declared) = self.items.get(name) else { return Vec::new() };
        // If there are only implementations, the type belongs to another crate.
        let declares = |call: &str| match self.macros.get(call) {
            Some(lines) => lines.iter().any(|line| line.starts_with("pub struct")),
            None => false,
        };
        let is_declaration = |text: &str| match text.strip_suffix('!') {
            Some(call) => declares(call),
            None => !text.starts_with("impl"),
        };
        if !declared.iter().any(|line| is_declaration(&line.text)) {
            return Vec::new();
        }
        let mut lines: Vec<_> = declared.iter().collect();
        // Fields, variants and methods keep their source order, because the order of fields and
        // variants matters.
        lines.sort_by_key(|line| {
            let is_type = ["pub struct", "pub enum", "pub trait"]
                .iter()
                .any(|start| line.text.starts_with(start));
            match is_declaration(&line.text) {
                true => (!is_type, ""),
                false => (true, line.text.as_str()),
            }
        });
        lines.sort_by_key(|line| !is_declaration(&line.text));
        let mut listed = Vec::new();
        for line in lines {
            listed.push(line.tagged());
            let rules = line.text.strip_suffix('!').and_then(|call| self.macros.get(call));
            listed.extend(rules.into_iter().flatten().map(|rule| format!("    {rule}")));
        }
        let mut lines = listed;
        lines.dedup();
        lines
    }

    /// Returns the public names that a file declares.
    pub(super) fn names_of_file(&self, file: &str) -> Vec<String> {
        self.files.get(file).cloned().unwrap_or_default()
    }
}

/// Returns the names of the flags that `bitflags!` declares.
fn flags(tokens: &[TokenTree]) -> Vec<String> {
    let body = tokens.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    });
    let body: Vec<_> = body.unwrap_or_default().into_iter().collect();
    let flags = body.windows(2).filter(|pair| pair[0].to_string() == "const");
    flags.map(|pair| pair[1].to_string()).collect()
}

/// Returns the name of the called macro.
pub(super) fn called(call: &ItemMacro) -> String {
    call.mac.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default()
}

/// Parses a file.
///
/// # Panics
/// Panics if the file can't be read or parsed, because the listing would then be incomplete.
pub(super) fn parse(path: &Path) -> Vec<Item> {
    let text = fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = syn::parse_file(&text);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display())).items
}

/// Returns the items in each branch of `cfg_if!`, with the branch's operating system.
pub(super) fn blocks(call: &ItemMacro) -> Vec<(Option<&'static str>, Vec<Item>)> {
    let mut found = Vec::new();
    let mut on = None;
    for token in call.mac.tokens.clone() {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let file: Option<File> = syn::parse2(group.stream()).ok();
                found.push((on, file.map(|file| file.items).unwrap_or_default()));
                // The next branch is for the other operating system.
                on = match on {
                    Some("Windows") => Some("Linux"),
                    Some(_) => Some("Windows"),
                    None => None,
                };
            }
            TokenTree::Group(group) => on = system_of(&group.stream()),
            _ => {}
        }
    }
    found
}

/// Returns the operating system to which attributes restrict an item, if any.
pub(super) fn system(attributes: &[Attribute]) -> Option<&'static str> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => system_of(&list.tokens),
        _ => None,
    })
}

/// Returns the traits that a type derives on one operating system only.
pub(super) fn derived_on(attributes: &[Attribute]) -> Vec<Declared> {
    let conditional = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg_attr") => Some(&list.tokens),
        _ => None,
    });
    let derives = conditional.filter_map(|tokens| {
        let text = print(tokens);
        let (_, derived) = text.split_once("derive(")?;
        let text = format!("derives {}", derived.trim_end_matches(')'));
        Some(Declared { text, system: system_of(tokens) })
    });
    derives.collect()
}

/// Returns the operating system to which a `cfg` predicate restricts an item, if any.
fn system_of(predicate: &TokenStream) -> Option<&'static str> {
    let text: String = predicate.to_string().split_whitespace().collect();
    match text.contains("not(windows)") {
        true => Some("Linux"),
        false if text.contains("windows") => Some("Windows"),
        false => None,
    }
}

/// Returns whether an item is excluded from the documented API.
pub(super) fn is_hidden(item: &Item) -> bool {
    hides(attributes(item))
}

fn is_hidden_member(member: &TraitItem) -> bool {
    match member {
        TraitItem::Fn(method) => hides(&method.attrs),
        TraitItem::Type(ty) => hides(&ty.attrs),
        TraitItem::Const(value) => hides(&value.attrs),
        _ => true,
    }
}

/// Returns whether `doc(hidden)` or `cfg(test)` is among the attributes.
fn hides(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => {
            let inner = list.tokens.to_string();
            list.path.is_ident("doc") && inner == "hidden"
                || list.path.is_ident("cfg") && inner == "test"
        }
        _ => false,
    })
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

pub(super) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Returns the name of an item if it is public.
pub(super) fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}
