//! Finds paths in the tokens of macro calls and attributes, for which there is no syntax tree.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{Lit, Meta};

use crate::source::{Name, Reader, Role, Segments, plain, segments};

impl Reader {
    /// Reads a macro call. `is_item` means that the call may define names in the module.
    pub(crate) fn call(&mut self, call: &syn::Macro, is_item: bool) {
        let path = segments(&call.path);
        let span = call.path.segments[0].ident.span();
        let name = path.last().cloned().unwrap_or_default();
        self.add_path(path, span, Role::Call);
        match name.as_str() {
            "include" => self.problem(span.start().line, "`include!` hides where code comes from"),
            "cfg_if" => self.arms(call.tokens.clone()),
            _ => match syn::parse2::<syn::File>(call.tokens.clone()) {
                Ok(items) if is_item => self.visit_file(&items),
                _ => self.tokens(call.tokens.clone(), is_item),
            },
        }
    }

    /// Reads the branches of `cfg_if!` that may be compiled for the platform.
    fn arms(&mut self, tokens: TokenStream) {
        let mut condition = None;
        for tree in tokens {
            let TokenTree::Group(group) = tree else { continue };
            match group.delimiter() {
                Delimiter::Bracket => {
                    let attribute = syn::parse2::<syn::MetaList>(group.stream());
                    let predicate = attribute.and_then(|list| list.parse_args::<Meta>());
                    condition = predicate.ok().and_then(|predicate| self.holds(&predicate));
                }
                _ if condition == Some(false) => condition = None,
                _ => {
                    match syn::parse2::<syn::File>(group.stream()) {
                        Ok(items) => self.visit_file(&items),
                        Err(_) => self.tokens(group.stream(), true),
                    }
                    if condition == Some(true) {
                        return;
                    }
                }
            }
        }
    }

    /// Reads the tokens of an attribute, including paths in strings, such as
    /// `#[serde(with = "…")]`.
    pub(crate) fn attribute_tokens(&mut self, tokens: TokenStream) {
        for tree in tokens.clone() {
            match tree {
                TokenTree::Group(group) => self.attribute_tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    let span = literal.span();
                    let Lit::Str(text) = Lit::new(literal) else { continue };
                    if let Ok(path) = syn::parse_str::<syn::Path>(&text.value()) {
                        self.add_path(segments(&path), span, Role::Other);
                    }
                }
                _ => {}
            }
        }
        self.tokens(tokens, false);
    }

    /// Reads the paths in tokens. If `binds` is true, each path may define a name in the module,
    /// because a macro may import its arguments.
    pub(crate) fn tokens(&mut self, tokens: TokenStream, binds: bool) {
        let trees: Vec<_> = tokens.into_iter().collect();
        let mut place = 0;
        while place < trees.len() {
            match &trees[place..] {
                // `pub(crate)` or `pub(in …)`, which can refer only to enclosing modules.
                [TokenTree::Ident(word), TokenTree::Group(group), ..]
                    if word == "pub" && is_visibility(group) =>
                {
                    place += 2;
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), rest @ ..] if word == "mod" => {
                    match rest.first() {
                        Some(TokenTree::Group(group)) => {
                            let tokens = group.stream();
                            let mut read = |reader: &mut Self| match syn::parse2::<syn::File>(
                                tokens.clone(),
                            ) {
                                Ok(items) => reader.visit_file(&items),
                                Err(_) => reader.tokens(tokens.clone(), binds),
                            };
                            self.child(name, None, Some(&mut read));
                            place += 3;
                        }
                        _ => {
                            self.child(name, None, None);
                            place += 2;
                        }
                    }
                }
                [TokenTree::Ident(word), TokenTree::Punct(mark), ..]
                    if word == "mod" && mark.as_char() == '$' =>
                {
                    let line = word.span().start().line;
                    self.problem(line, "a macro chooses the name of a module");
                    place += 2;
                }
                [TokenTree::Ident(word), TokenTree::Punct(mark), ..]
                    if word == "include" && mark.as_char() == '!' =>
                {
                    let line = word.span().start().line;
                    self.problem(line, "`include!` hides where code comes from");
                    place += 2;
                }
                // The name of a lifetime.
                [TokenTree::Punct(mark), TokenTree::Ident(_), ..] if mark.as_char() == '\'' => {
                    place += 2;
                }
                [TokenTree::Group(group), ..] => {
                    self.tokens(group.stream(), binds);
                    place += 1;
                }
                _ => place += self.path(&trees[place..], &[], binds),
            }
        }
    }

    /// Reads a path at the start of these tokens. `prefix` is the part of the path before them.
    /// Returns the number of tokens read, or 1 if there is no path.
    fn path(&mut self, trees: &[TokenTree], prefix: &[String], binds: bool) -> usize {
        let mut path: Segments = prefix.to_vec();
        let (mut len, mut first): (usize, Option<&Ident>) = (0, None);
        if path.is_empty() && is_colons(trees) {
            path.push(String::new());
            len = 2;
        }
        loop {
            match &trees[len..] {
                [TokenTree::Punct(mark), TokenTree::Ident(name), ..] if mark.as_char() == '$' => {
                    if name == "crate" && first.is_none() {
                        path.push("crate".to_owned());
                    } else {
                        // A macro parameter.
                        path.push("$".to_owned());
                    }
                    first = first.or(Some(name));
                    len += 2;
                }
                [TokenTree::Ident(name), ..] => {
                    if name == "self" && first.is_none() && !prefix.is_empty() {
                        // `prefix::{self}`
                    } else {
                        path.push(plain(name));
                    }
                    first = first.or(Some(name));
                    len += 1;
                }
                [TokenTree::Group(group), ..]
                    if len > 0 && group.delimiter() == Delimiter::Brace =>
                {
                    let trees: Vec<_> = group.stream().into_iter().collect();
                    let mut place = 0;
                    while place < trees.len() {
                        place += self.path(&trees[place..], &path, binds);
                    }
                    return len + 1;
                }
                [TokenTree::Punct(mark), ..] if mark.as_char() == '*' && !path.is_empty() => {
                    self.glob(path, first, binds);
                    return len + 1;
                }
                _ => break,
            }
            match is_colons(&trees[len..]) {
                true => len += 2,
                false => break,
            }
        }
        let Some(first) = first else { return len.max(1) };
        if binds && path.len() > 1 {
            let bound = match &trees[len..] {
                [TokenTree::Ident(word), TokenTree::Ident(name), ..] if word == "as" => plain(name),
                _ => path.last().cloned().unwrap_or_default(),
            };
            self.add_name(&bound, Name::Alias(path.clone()));
        }
        self.add_path(path, first.span(), Role::Other);
        len.max(1)
    }

    fn glob(&mut self, path: Segments, first: Option<&Ident>, binds: bool) {
        if binds {
            self.source.modules[self.module].globs.push(path.clone());
        }
        if let Some(first) = first {
            self.add_path(path, first.span(), Role::Import);
        }
    }
}

fn is_colons(trees: &[TokenTree]) -> bool {
    let is_colon =
        |tree: &TokenTree| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == ':');
    matches!(trees, [first, second, ..] if is_colon(first) && is_colon(second))
}

/// Returns whether a group after `pub` is part of the visibility.
fn is_visibility(group: &Group) -> bool {
    let trees: Vec<_> = group.stream().into_iter().collect();
    match &trees[..] {
        [TokenTree::Ident(only)] => only == "crate" || only == "super" || only == "self",
        [TokenTree::Ident(first), ..] => first == "in",
        _ => false,
    }
}
