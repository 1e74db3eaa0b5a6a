//! Parses the attribute `#[handle(file | socket(tcp_stream), read, at_most = read | write)]`.

use proc_macro2::Ident;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Result, Token};

use super::Errors;
use crate::{FILES, Handle, KINDS, RIGHTS, SOCKETS};

/// Returns the declaration in the attribute `#[handle(…)]`, if present.
///
/// # Errors
/// Returns an error if a kind or right is unknown, with the most similar known one, or if the
/// attribute is repeated.
pub fn handle(attributes: &[Attribute]) -> Result<Option<Handle>> {
    let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident("handle"));
    let Some(attribute) = found.next() else { return Ok(None) };
    if let Some(second) = found.next() {
        return Err(Error::new_spanned(second, "repeated `#[handle(…)]`: combine them"));
    }
    let HandleArguments(handle) = attribute.parse_args()?;
    let mut errors = Errors::default();
    for kind in &handle.kinds {
        check(kind, "kind of handle", KINDS.iter().map(|entry| entry.0), &mut errors);
    }
    for sort in &handle.sockets {
        check(sort, "sort of socket", SOCKETS.into_iter(), &mut errors);
    }
    for sort in &handle.files {
        check(sort, "sort of file", FILES.into_iter(), &mut errors);
    }
    for right in handle.at_least.iter().chain(handle.at_most.iter().flatten()) {
        check(right, "right of a handle", RIGHTS.into_iter(), &mut errors);
    }
    if let Some(most) = &handle.at_most {
        for right in handle.at_least.iter().filter(|right| !most.contains(right)) {
            let what = format!("right `{right}` is required, but `at_most` doesn't permit it");
            errors.push(Error::new_spanned(right, what));
        }
    }
    errors.finish()?;
    Ok(Some(handle))
}

/// Reports an error unless `word` is one of `words`.
fn check<'w>(
    word: &Ident,
    what: &str,
    words: impl Iterator<Item = &'w str> + Clone,
    errors: &mut Errors,
) {
    if words.clone().any(|known| word == known) {
        return;
    }
    let hint = match nearest(&word.to_string(), words.clone()) {
        Some(near) => format!("write `{near}`"),
        None => format!("expected one of {}", words.collect::<Vec<_>>().join(", ")),
    };
    errors.push(Error::new_spanned(word, format!("`{word}` is not a {what}: {hint}")));
}

/// The arguments of the attribute.
struct HandleArguments(Handle);

impl Parse for HandleArguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(
                input.span(),
                "declare the kind: `#[handle(file)]`, `#[handle(file | pipe, read)]`",
            ));
        }
        let mut handle = Handle {
            kinds: Vec::new(),
            sockets: Vec::new(),
            files: Vec::new(),
            at_least: Vec::new(),
            at_most: None,
        };
        loop {
            let kind: Ident = input.parse()?;
            if input.peek(syn::token::Paren) {
                let declared = match kind.to_string().as_str() {
                    "socket" => &mut handle.sockets,
                    "file" => &mut handle.files,
                    _ => {
                        let what = "only files and sockets have sorts: `file(regular)`, `socket(tcp_stream)`";
                        return Err(Error::new_spanned(kind, what));
                    }
                };
                let sorts;
                syn::parenthesized!(sorts in input);
                declared.extend(alternatives(&sorts)?);
            }
            handle.kinds.push(kind);
            if input.parse::<Option<Token![|]>>()?.is_none() {
                break;
            }
        }
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            if input.peek(syn::Ident) && input.peek2(Token![=]) {
                let key: Ident = input.parse()?;
                if key != "at_most" {
                    return Err(Error::new_spanned(
                        key,
                        "only `at_most = read | write` is known here",
                    ));
                }
                input.parse::<Token![=]>()?;
                handle.at_most = Some(alternatives(input)?);
            } else if input.peek(syn::Ident) && input.peek2(syn::token::Paren) {
                let what = "a maximum is written `at_most = read | write`";
                return Err(Error::new(input.span(), what));
            } else {
                handle.at_least.extend(alternatives(input)?);
            }
        }
        Ok(Self(handle))
    }
}

/// Parses words separated by `|`.
fn alternatives(input: ParseStream<'_>) -> Result<Vec<Ident>> {
    let mut words = vec![input.parse()?];
    while input.parse::<Option<Token![|]>>()?.is_some() {
        words.push(input.parse()?);
    }
    Ok(words)
}

/// Returns the most similar word, if any is similar enough.
fn nearest<'w>(wrong: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let near = |word: &&str| {
        let distance = strsim::osa_distance(wrong, word);
        (distance <= word.len().div_ceil(3)).then_some(distance)
    };
    words
        .filter_map(|word| near(&word).map(|distance| (distance, word)))
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_is_similar_and_another_word_is_not() {
        let words = || ["file", "pipe", "section"].into_iter();
        assert_eq!(nearest("fiel", words()), Some("file"));
        assert_eq!(nearest("sections", words()), Some("section"));
        assert_eq!(nearest("giraffe", words()), None);
    }
}
