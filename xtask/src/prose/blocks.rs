//! Splits a file into the texts to check: comments, Markdown paragraphs, strings that users see,
//! and test names.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A group of comment lines, a Markdown paragraph or list item, a string, or the name of a test.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub line: usize,
    pub text: String,
}

/// Minimum number of words in a comment, paragraph or string. Shorter texts are not checked.
const WORDS_MIN: usize = 6;

pub(super) fn has_enough_words(block: &Block) -> bool {
    block.text.split_whitespace().count() >= WORDS_MIN
}

pub(super) fn comments(text: &str) -> Vec<Block> {
    let comment = |line: &str| {
        let rest = line.trim_start().strip_prefix("//")?;
        let rest = rest.strip_prefix(['/', '!']).unwrap_or(rest);
        (!rest.starts_with('/') && !rest.trim().is_empty()).then(|| rest.trim().to_owned())
    };
    collect(text.lines().map(|line| match comment(line) {
        Some(text) => Line::Text(text),
        None => Line::Gap,
    }))
}

pub(super) fn paragraphs(text: &str) -> Vec<Block> {
    let mut fenced = false;
    collect(text.lines().map(|line| {
        if line.starts_with("```") {
            fenced = !fenced;
            return Line::Gap;
        }
        let text = line.trim();
        if fenced || text.is_empty() || text.starts_with('#') {
            return Line::Gap;
        }
        let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_item = ["- ", "* ", "| "].iter().any(|start| text.starts_with(start))
            || (number.len() < text.len() && number.starts_with(". "));
        if is_item { Line::Start(text.into()) } else { Line::Text(text.into()) }
    }))
}

/// The effect of a line on the current block.
enum Line {
    /// Adds text to the current block.
    Text(String),
    /// Starts a new block with this text.
    Start(String),
    /// Ends the current block.
    Gap,
}

fn collect(lines: impl Iterator<Item = Line>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in lines.enumerate() {
        let (text, starts) = match line {
            Line::Gap => {
                open = false;
                continue;
            }
            Line::Start(text) => (text, true),
            Line::Text(text) => (text, !open),
        };
        if starts {
            blocks.push(Block { line: index + 1, text });
        } else if let Some(block) = blocks.last_mut() {
            block.text.push(' ');
            block.text.push_str(&text);
        }
        open = true;
    }
    blocks
}

/// The strings in product code, and the test names, of a Rust file.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub strings: Vec<Block>,
    pub test_names: Vec<Block>,
}

/// Reads the tokens of a Rust file. Excludes strings in test functions and in `#[cfg(test)]` items,
/// because users don't see them.
pub(super) fn code(text: &str) -> Result<Code, proc_macro2::LexError> {
    let mut code = Code::default();
    read(TokenStream::from_str(text)?, true, &mut code);
    Ok(code)
}

fn read(tokens: TokenStream, is_product: bool, code: &mut Code) {
    let mut tokens = tokens.into_iter().peekable();
    // State of the current item's attributes.
    let (mut is_test, mut is_test_code) = (false, false);
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                if tokens.peek().is_some_and(|next| matches!(next, TokenTree::Punct(_))) {
                    tokens.next();
                }
                if let Some(TokenTree::Group(attribute)) = tokens.next() {
                    let text = attribute.stream().to_string().replace(' ', "");
                    is_test |= text == "test"
                        || text.ends_with("::test")
                        || text.starts_with("tokio::test(");
                    is_test_code |=
                        is_test || text == "cfg(test)" || text.starts_with("cfg(all(test,");
                }
            }
            TokenTree::Ident(word) if word == "fn" => {
                if let (true, Some(TokenTree::Ident(name))) = (is_test, tokens.peek()) {
                    let text = name.to_string().trim_start_matches("r#").replace('_', " ");
                    code.test_names.push(Block { line: name.span().start().line, text });
                }
                is_test = false;
            }
            TokenTree::Group(group) => {
                read(group.stream(), is_product && !is_test_code, code);
                if group.delimiter() == Delimiter::Brace {
                    (is_test, is_test_code) = (false, false);
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => {
                (is_test, is_test_code) = (false, false);
            }
            TokenTree::Literal(literal) if is_product && !is_test_code => {
                let line = literal.span().start().line;
                if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                    code.strings.push(Block { line, text: text.value() });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(blocks: &[Block]) -> Vec<&str> {
        blocks.iter().map(|block| block.text.as_str()).collect()
    }

    #[test]
    fn blocks_are_runs_of_comments_and_items_of_lists() {
        let rust =
            "//! One\n//! two\n\nfn x() {} // no block\n    /// three\n//// ruler\n// four\n";
        assert_eq!(texts(&comments(rust)), ["One two", "three", "four"]);
        let markdown =
            "# Title\n\none\ntwo\n- three\n- four\n  five\n1. six\n```\ncode\n```\nseven\n";
        let blocks = paragraphs(markdown);
        assert_eq!(texts(&blocks), ["one two", "- three", "- four five", "1. six", "seven"]);
        assert_eq!(blocks[0].line, 3);
    }

    #[test]
    fn strings_of_product_code_and_names_of_tests_are_read() {
        let code = code(concat!(
            "/// doc\n#[doc = \"attribute\"]\nfn a() { print!(\"one \\\n  two\"); }\n",
            "#[cfg(test)]\nmod tests {\n    #[test]\n    fn it_works() { a(\"hidden\") }\n}\n",
            "#[test]\nfn outside() { b(\"hidden\") }\n#[cfg(test)]\nuse x;\nconst C: &str = \"three\";\n",
        ))
        .expect("this is Rust");
        assert_eq!(texts(&code.strings), ["one two", "three"]);
        assert_eq!(texts(&code.test_names), ["it works", "outside"]);
        assert_eq!(code.test_names[0].line, 8);
    }
}
