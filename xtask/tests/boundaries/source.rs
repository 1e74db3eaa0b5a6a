//! Reads the source of a crate: its modules, the names in each module, and every path in product
//! code. Code with `#[cfg(test)]` is not product code.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Meta, UseTree};

/// The platform for which the source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Windows,
    /// All platforms except Windows.
    Unix,
    /// All `cfg` conditions hold, including `test`. Used to find all files that belong to the
    /// crate.
    Any,
}

/// The segments of a path. `$crate` is represented as `crate`. A path with a leading `::` starts
/// with an empty segment.
pub(crate) type Segments = Vec<String>;

/// The source of a crate, as compiled for one platform.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// All modules. The first is the root module.
    pub(crate) modules: Vec<Module>,
    pub(crate) macros: Vec<Macro>,
    /// The names by which the crate refers to itself, as in `extern crate self as name`.
    pub(crate) own_names: BTreeSet<String>,
    /// Code that can't be interpreted.
    pub(crate) problems: Vec<Problem>,
    pub(crate) files: BTreeSet<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) path: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) parent: Option<usize>,
    pub(crate) names: HashMap<String, Vec<Name>>,
    pub(crate) globs: Vec<Segments>,
    pub(crate) paths: Vec<PathUse>,
    /// The folder that contains the files of the module's child modules.
    folder: PathBuf,
}

/// The meaning of a name in a module.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    Module(usize),
    Item,
    /// An alias such as an import or a type alias. The path is relative to the module.
    Alias(Segments),
}

/// A path in the code of a module.
#[derive(Clone, Debug)]
pub(crate) struct PathUse {
    pub(crate) segments: Segments,
    pub(crate) line: usize,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Import,
    Call,
    Other,
}

/// A macro, with the paths in its rules.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) name: String,
    pub(crate) module: usize,
    pub(crate) paths: Vec<PathUse>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Source {
    /// Reads a crate, given its root file.
    pub(crate) fn read(root: &Path, platform: Platform) -> Self {
        let mut reader = Reader { source: Self::default(), module: 0, platform };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        reader.add_module(Vec::new(), root, None, folder);
        if let Err(error) = reader.file(root) {
            reader.problem(1, error);
        }
        reader.source
    }
}

/// Reads the modules of a crate one after the other.
pub(crate) struct Reader {
    pub(crate) source: Source,
    pub(crate) module: usize,
    pub(crate) platform: Platform,
}

impl Reader {
    fn add_module(
        &mut self,
        path: Vec<String>,
        file: &Path,
        parent: Option<usize>,
        folder: PathBuf,
    ) -> usize {
        self.source.modules.push(Module {
            path,
            file: file.to_owned(),
            parent,
            names: HashMap::new(),
            globs: Vec::new(),
            paths: Vec::new(),
            folder,
        });
        self.source.modules.len() - 1
    }

    /// Reads a file as the content of the current module.
    fn file(&mut self, file: &Path) -> Result<(), String> {
        let told = |error: &dyn Display| format!("{}: {error}", file.display());
        if !self.source.files.insert(file.to_owned()) {
            return Err(told(&"two modules have this file"));
        }
        let text = fs::read_to_string(file).map_err(|error| told(&error))?;
        self.visit_file(&syn::parse_file(&text).map_err(|error| told(&error))?);
        Ok(())
    }

    fn here(&mut self) -> &mut Module {
        &mut self.source.modules[self.module]
    }

    pub(crate) fn problem(&mut self, line: usize, text: impl Into<String>) {
        // The rules about the form of code are not checked again for the artificial platform `Any`.
        if self.platform != Platform::Any {
            let file = self.here().file.clone();
            self.source.problems.push(Problem { file, line, text: text.into() });
        }
    }

    pub(crate) fn add_path(&mut self, segments: Segments, span: Span, role: Role) {
        let line = span.start().line;
        self.here().paths.push(PathUse { segments, line, role });
    }

    pub(crate) fn add_name(&mut self, name: &str, meaning: Name) {
        self.here().names.entry(name.to_owned()).or_default().push(meaning);
    }

    fn define(&mut self, name: &Ident) {
        self.add_name(&plain(name), Name::Item);
    }

    /// Reads a child module of the current module. Calls `read` for an inline module, and otherwise
    /// reads the module's file.
    pub(crate) fn child(
        &mut self,
        name: &Ident,
        other_file: Option<PathBuf>,
        read: Option<&mut dyn FnMut(&mut Self)>,
    ) {
        let line = name.span().start().line;
        let name = plain(name);
        let outer = self.module;
        let Module { path, file, folder, .. } = &self.source.modules[outer];
        let path = [&path[..], std::slice::from_ref(&name)].concat();
        let (file, folder) = match (&other_file, &read) {
            (Some(other), None) => {
                let folder = file.parent().unwrap_or(Path::new(""));
                let file = tidy(&folder.join(other));
                let folder = file.parent().unwrap_or(Path::new("")).to_owned();
                (file, folder)
            }
            (_, Some(_)) => (file.clone(), folder.join(other_file.unwrap_or(name.clone().into()))),
            (None, None) => {
                let is_file = folder.join(format!("{name}.rs"));
                let is_folder = folder.join(&name).join("mod.rs");
                (if is_folder.is_file() { is_folder } else { is_file }, folder.join(&name))
            }
        };
        let inner = self.add_module(path, &file, Some(outer), folder);
        self.add_name(&name, Name::Module(inner));
        self.module = inner;
        let done = match read {
            Some(read) => {
                read(self);
                Ok(())
            }
            None => self.file(&file),
        };
        self.module = outer;
        if let Err(error) = done {
            self.problem(line, error);
        }
    }

    /// Reads a tree of imports. `prefix` is the path before it.
    pub(crate) fn import(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &Ident| {
            let name = plain(name);
            if name == "self" { prefix.to_vec() } else { [prefix, &[name]].concat() }
        };
        let (segments, span, bound) = match tree {
            UseTree::Path(path) => return self.import(&with(&path.ident), &path.tree),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(prefix, tree));
            }
            UseTree::Glob(glob) => {
                self.here().globs.push(prefix.to_vec());
                let span = glob.star_token.spans[0];
                return self.add_path(prefix.to_vec(), span, Role::Import);
            }
            UseTree::Name(name) => (with(&name.ident), name.ident.span(), None),
            UseTree::Rename(name) => {
                (with(&name.ident), name.ident.span(), Some(plain(&name.rename)))
            }
        };
        if let Some(bound) = bound.or(segments.last().cloned()) {
            self.add_name(&bound, Name::Alias(segments.clone()));
        }
        self.add_path(segments, span, Role::Import);
    }
}

/// Implements visitor methods that skip everything except product code and record the names of
/// items.
macro_rules! visit_kept {
    ($($visit:ident: $node:ident $(defines $($name:ident).+)?;)*) => { $(
        fn $visit(&mut self, node: &'ast syn::$node) {
            if self.keeps(&node.attrs) {
                $(self.define(&node.$($name).+);)?
                visit::$visit(self, node);
            }
        }
    )* };
}

impl<'ast> Visit<'ast> for Reader {
    visit_kept! {
        visit_item_const: ItemConst defines ident;
        visit_item_enum: ItemEnum defines ident;
        visit_item_fn: ItemFn defines sig.ident;
        visit_item_foreign_mod: ItemForeignMod;
        visit_item_impl: ItemImpl;
        visit_item_static: ItemStatic defines ident;
        visit_item_struct: ItemStruct defines ident;
        visit_item_trait: ItemTrait defines ident;
        visit_item_trait_alias: ItemTraitAlias defines ident;
        visit_item_union: ItemUnion defines ident;
        visit_foreign_item_fn: ForeignItemFn defines sig.ident;
        visit_foreign_item_static: ForeignItemStatic defines ident;
        visit_foreign_item_type: ForeignItemType defines ident;
        visit_impl_item_const: ImplItemConst;
        visit_impl_item_fn: ImplItemFn;
        visit_impl_item_type: ImplItemType;
        visit_trait_item_const: TraitItemConst;
        visit_trait_item_fn: TraitItemFn;
        visit_trait_item_type: TraitItemType;
        visit_arm: Arm;
        visit_expr_block: ExprBlock;
        visit_expr_call: ExprCall;
        visit_expr_method_call: ExprMethodCall;
        visit_field: Field;
        visit_field_value: FieldValue;
        visit_local: Local;
        visit_stmt_macro: StmtMacro;
        visit_variant: Variant;
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        if !self.keeps(&item.attrs) {
            return;
        }
        self.define(&item.ident);
        if let syn::Type::Path(path) = &*item.ty {
            // Like an import, a type alias may refer to a type in another module.
            self.add_name(&plain(&item.ident), Name::Alias(segments(&path.path)));
        }
        visit::visit_item_type(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if self.keeps(&item.attrs) {
            let prefix = item.leading_colon.map(|_| vec![String::new()]).unwrap_or_default();
            self.import(&prefix, &item.tree);
        }
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        if !self.keeps(&item.attrs) {
            return;
        }
        let name = plain(item.rename.as_ref().map_or(&item.ident, |(_, name)| name));
        match item.ident == "self" {
            true => {
                if self.module == 0 {
                    self.source.own_names.insert(name.clone());
                }
                self.add_name(&name, Name::Alias(vec!["crate".to_owned()]));
            }
            false => self.add_name(&name, Name::Alias(vec![String::new(), plain(&item.ident)])),
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !self.keeps(&item.attrs) {
            return;
        }
        let mut files: Vec<_> = self.path_attributes(&item.attrs).into_iter().map(Some).collect();
        if files.is_empty() {
            files.push(None);
        } else {
            self.problem(item.ident.span().start().line, "`#[path]` hides where a module is");
        }
        for file in files {
            match &item.content {
                Some((_, items)) => {
                    let mut read = |reader: &mut Self| {
                        items.iter().for_each(|item| reader.visit_item(item));
                    };
                    self.child(&item.ident, file, Some(&mut read));
                }
                None => self.child(&item.ident, file, None),
            }
        }
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if !self.keeps(&item.attrs) {
            return;
        }
        match &item.ident {
            Some(name) => {
                self.define(name);
                if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                    let path = [&["crate".to_owned()], &self.here().path[..], &[plain(name)]];
                    let alias = Name::Alias(path.concat());
                    self.source.modules[0].names.entry(plain(name)).or_default().push(alias);
                }
                let first = self.here().paths.len();
                self.tokens(item.mac.tokens.clone(), false);
                let paths = self.here().paths[first..].to_vec();
                let (name, module) = (plain(name), self.module);
                self.source.macros.push(Macro { name, module, paths });
            }
            None => self.call(&item.mac, true),
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.call(call, false);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            self.add_path(segments(path), first.ident.span(), Role::Other);
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // A visibility isn't checked, because it can refer only to enclosing modules.
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => {}
            Meta::Path(path) => self.visit_path(path),
            Meta::NameValue(pair) => self.visit_path(&pair.path),
            Meta::List(list) => {
                self.visit_path(&list.path);
                self.attribute_tokens(list.tokens.clone());
            }
        }
    }
}

pub(crate) fn segments(path: &syn::Path) -> Segments {
    let first = path.leading_colon.map(|_| String::new());
    first.into_iter().chain(path.segments.iter().map(|segment| plain(&segment.ident))).collect()
}

/// Returns a name without the prefix `r#`.
pub(crate) fn plain(name: &Ident) -> String {
    name.to_string().trim_start_matches("r#").to_owned()
}

/// Removes `folder/..` from a path.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir if tidied.file_name().is_some() => {
                tidied.pop();
            }
            part => tidied.push(part),
        }
    }
    tidied
}
