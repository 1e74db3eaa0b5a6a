//! Parses the declarations of a file.

use super::{ParseError, ParseResult, Parser};
use crate::front::ast::{
    Attributes, Constant, CppQuote, Declarator, DeclareGuid, Derivation, ExpressionKind,
    Identifier, Import, Item, Method, Namespace, TypeSpecifier, Typedef,
};
use crate::front::diagnostic::{Diagnostic, quoted, similar};
use crate::front::limits::{MACRO_CALL_TOKENS_MAX, NAMESPACE_BYTES_MAX, NAMESPACE_PARTS_MAX};
use crate::front::source::Span;
use crate::front::token::{Punctuation, TokenKind};

/// The keywords that start a declaration.
const KEYWORDS: &[&str] = &[
    "apicontract",
    "coclass",
    "const",
    "delegate",
    "dispinterface",
    "enum",
    "extern",
    "import",
    "importlib",
    "interface",
    "library",
    "module",
    "namespace",
    "runtimeclass",
    "static",
    "struct",
    "typedef",
    "union",
    "unsigned",
    "signed",
    "volatile",
];

/// Storage classes, which IDL ignores.
const STORAGE: &[&str] = &["extern", "static", "inline", "__inline", "register"];

impl<'t> Parser<'t> {
    /// Parses declarations up to a closing brace, which isn't consumed, or up to the end of the
    /// file.
    pub(super) fn items(&mut self, items: &mut Vec<Item>) {
        self.block(items, Self::item);
    }

    /// Parses one declaration with its attributes.
    pub(super) fn item(&mut self) -> ParseResult<Item> {
        let start = self.span();
        if let Some(item) = self.item_without_attributes()? {
            return Ok(item);
        }
        let attributes = self.attributes();
        self.item_with(attributes, start)
    }

    /// Parses a declaration whose attributes have already been parsed.
    pub(super) fn item_with(&mut self, attributes: Attributes, start: Span) -> ParseResult<Item> {
        let follows = self.peek_at(1);
        match self.keyword()? {
            "interface" if self.is_interface_declaration() => {
                Ok(Item::Interface(self.interface(attributes)?))
            }
            "dispinterface" => Ok(Item::DispatchInterface(self.dispatch_interface(attributes)?)),
            "typedef" => self.typedef(attributes),
            "const" => self.constant_or_function(attributes, start),
            "library" if names_block(follows) => Ok(Item::Library(self.library(attributes)?)),
            "coclass" => Ok(Item::CoClass(self.class(attributes, "a coclass")?)),
            "runtimeclass" => Ok(Item::RuntimeClass(self.class(attributes, "a runtimeclass")?)),
            "module" if names_block(follows) => Ok(Item::Module(self.module(attributes)?)),
            "namespace" if names_block(follows) => Ok(Item::Namespace(self.namespace()?)),
            "apicontract" => Ok(Item::ApiContract(self.api_contract(attributes)?)),
            // `delegate name;` is a forward declaration, with the same syntax as that of a class.
            "delegate" if self.peek_at(2).is(Punctuation::Semicolon) => {
                Ok(Item::RuntimeClass(self.class(attributes, "a delegate")?))
            }
            "delegate" if names_block(follows) => Ok(Item::Delegate(self.delegate(attributes)?)),
            "import" => self.import(),
            _ => self.constant_or_function(attributes, start),
        }
    }

    /// Returns the word at the current position. If it is a misspelled keyword, reports an error
    /// and returns the correct keyword.
    fn keyword(&mut self) -> ParseResult<&'t str> {
        let word = self.peek().word().unwrap_or_default();
        if KEYWORDS.contains(&word) || !self.is_no_declaration() {
            return Ok(word);
        }
        if word == "class" {
            let hint = "an interface is declared with `interface`";
            return Err(self.report_error("`class` is a word of C++", hint));
        }
        let Some(meant) = similar(word, KEYWORDS.iter().copied()) else { return Ok(word) };
        let message = format!("unknown keyword {}", quoted(word));
        self.report_error(&message, &format!("did you mean `{meant}`?"));
        Ok(meant)
    }

    /// Returns whether the current word can't be the type of a declaration, because no declarator
    /// follows it.
    fn is_no_declaration(&self) -> bool {
        match self.peek_at(1) {
            TokenKind::String { .. } => true,
            TokenKind::Identifier(_) => match self.peek_at(2) {
                TokenKind::Identifier(_) => true,
                TokenKind::Punctuation(punctuation) => matches!(
                    punctuation,
                    Punctuation::Colon | Punctuation::BraceOpen | Punctuation::Star
                ),
                _ => false,
            },
            _ => false,
        }
    }

    /// Parses a declaration that can't have attributes, if there is one at the current position.
    fn item_without_attributes(&mut self) -> ParseResult<Option<Item>> {
        let opens = self.peek_at(1).is(Punctuation::ParenOpen);
        let item = match self.peek().word().unwrap_or_default() {
            "import" => self.import()?,
            "cpp_quote" | "midl_echo" if opens => self.cpp_quote()?,
            "midl_pragma" => self.midl_pragma(),
            "declare_guid" if opens => self.declare_guid()?,
            "importlib" if opens => Item::ImportLibrary(self.import_library()?),
            word if opens && is_macro_name(word) && self.is_macro_call() => self.macro_call(),
            "declare" if self.peek_at(1).is(Punctuation::BraceOpen) => {
                self.bump();
                let types = self.braced("a declare block", Self::declared_type)?;
                Item::Declare(types)
            }
            _ => return Ok(None),
        };
        Ok(Some(item))
    }

    fn import(&mut self) -> ParseResult<Item> {
        self.bump();
        let mut imports = Vec::new();
        loop {
            let span = self.span();
            let file = self.string("the name of a file to import, in quotes")?;
            imports.push(Import { file, span });
            if !self.eat(Punctuation::Comma) {
                break;
            }
        }
        // A missing semicolon doesn't prevent the import.
        let _ = self.semicolon("after an import");
        Ok(Item::Import(imports))
    }

    fn cpp_quote(&mut self) -> ParseResult<Item> {
        let keyword = self.identifier_or_keyword()?;
        self.bump();
        let text = Some(self.string("a string")?);
        self.expect(Punctuation::ParenClose, "after the string")?;
        Ok(Item::CppQuote(CppQuote { keyword, text }))
    }

    /// Skips a pragma such as `midl_pragma warning(disable: 2468)`, which extends to the end of the
    /// line.
    fn midl_pragma(&mut self) -> Item {
        let keyword = Identifier { name: self.interner.intern("midl_pragma"), span: self.span() };
        self.bump();
        let text = self.peek().word().map(|word| word.to_owned());
        let text = text.map(|word| self.interner.intern(&word));
        while *self.peek() != TokenKind::End
            && !self.token().starts_line
            && !self.is(Punctuation::BraceClose)
        {
            self.bump();
        }
        Item::CppQuote(CppQuote { keyword, text })
    }

    /// Returns whether the current name and the parentheses after it are a macro call. In a
    /// declaration that starts the same way, a parameter or a name follows instead.
    fn is_macro_call(&self) -> bool {
        let rest = &self.tokens[self.at + 1..];
        let mut open = 0_usize;
        for (index, token) in rest.iter().take(MACRO_CALL_TOKENS_MAX).enumerate() {
            match &token.kind {
                TokenKind::End => return false,
                kind if kind.is(Punctuation::ParenOpen) => open += 1,
                kind if kind.is(Punctuation::ParenClose) => open -= 1,
                _ => {}
            }
            if open == 0 {
                let next = &rest[(index + 1).min(rest.len() - 1)];
                let goes_on = next.kind.is(Punctuation::ParenOpen);
                return next.kind.is(Punctuation::Semicolon) || next.starts_line && !goes_on;
            }
        }
        false
    }

    /// Skips the call of an undefined macro.
    fn macro_call(&mut self) -> Item {
        let keyword = Identifier { name: self.interner.intern("macro"), span: self.span() };
        if !self.lacks_macros {
            let name = quoted(self.peek().word().unwrap_or_default());
            let hint = "include the file that defines it, or define it with `-D`";
            let word = self.interner.intern(self.peek().word().unwrap_or_default());
            if self.undefined_macros.insert(word) {
                self.report_error(&format!("no macro {name} is defined"), hint);
            }
        }
        self.bump();
        let mut open = 0_usize;
        loop {
            let token = self.bump();
            match &token.kind {
                kind if kind.is(Punctuation::ParenOpen) => open += 1,
                kind if kind.is(Punctuation::ParenClose) => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        self.eat(Punctuation::Semicolon);
        Item::CppQuote(CppQuote { keyword, text: None })
    }

    fn declare_guid(&mut self) -> ParseResult<Item> {
        self.bump();
        self.bump();
        let name = self.identifier("the name of the GUID")?;
        self.expect(Punctuation::Comma, "between the name and the GUID")?;
        let uuid = match self.uuid()?.kind {
            ExpressionKind::Uuid(uuid) => uuid,
            _ => return Err(ParseError),
        };
        self.expect(Punctuation::ParenClose, "after the GUID")?;
        self.semicolon("after the GUID")?;
        Ok(Item::DeclareGuid(DeclareGuid { name, uuid }))
    }

    fn declared_type(&mut self) -> ParseResult<TypeSpecifier> {
        let specifier = self.type_specifier()?;
        self.semicolon("after a declared type")?;
        Ok(specifier)
    }

    fn namespace(&mut self) -> ParseResult<Namespace> {
        self.bump();
        let path = self.path("the name of the namespace")?;
        let (parts, bytes) = (path.segments.len(), path.name().len() + 1);
        self.namespace_parts += parts;
        self.namespace_bytes += bytes;
        let is_long = self.namespace_parts > NAMESPACE_PARTS_MAX
            || self.namespace_bytes > NAMESPACE_BYTES_MAX;
        let items = match is_long {
            true => {
                let message = format!(
                    "the name of a namespace has at most {NAMESPACE_PARTS_MAX} parts and \
                     {NAMESPACE_BYTES_MAX} letters"
                );
                Err(self.report(Diagnostic::error(path.span, message)))
            }
            false => self.braced("a namespace", Self::item),
        };
        self.namespace_parts -= parts;
        self.namespace_bytes -= bytes;
        let (items, segments) = (items?, path.segments);
        self.eat(Punctuation::Semicolon);
        Ok(Namespace { segments, items })
    }

    fn typedef(&mut self, mut attributes: Attributes) -> ParseResult<Item> {
        self.bump();
        attributes.extend(self.attributes().into_list());
        let specifier = self.type_specifier()?;
        attributes.extend(self.align.take());
        let declarators = self.declarators()?;
        self.semicolon("after a typedef")?;
        Ok(Item::Typedef(Typedef { attributes, specifier, declarators }))
    }

    /// Parses a declaration that starts with a type: a constant, function, variable or type
    /// definition.
    fn constant_or_function(&mut self, attributes: Attributes, start: Span) -> ParseResult<Item> {
        while self.peek().word().is_some_and(|word| STORAGE.contains(&word)) {
            self.bump();
        }
        if !matches!(self.peek(), TokenKind::Identifier(_)) {
            return Err(self.unexpected("a declaration"));
        }
        let specifier = self.type_specifier()?;
        self.align = None;
        if self.is(Punctuation::Semicolon) {
            self.bump();
            return Ok(Item::Type(attributes, specifier));
        }
        let declarator = self.declarator()?;
        if declarator.name.is_none() {
            return Err(self.unexpected("a name after the type"));
        }
        if self.eat(Punctuation::Equal) {
            let value = self.expression()?;
            self.semicolon("after the value of a constant")?;
            return Ok(Item::Constant(Constant { attributes, specifier, declarator, value }));
        }
        if matches!(declarator.derivations.first(), Some(Derivation::Function(_))) {
            let method = method(attributes, specifier, declarator, self.since(start))?;
            self.semicolon("after a function")?;
            return Ok(Item::Function(method));
        }
        let mut declarators = vec![declarator];
        if self.eat(Punctuation::Comma) {
            declarators.extend(self.declarators()?);
        }
        self.semicolon("after a declaration")?;
        Ok(Item::Variable(specifier, declarators))
    }

    /// Returns whether the keyword `interface` starts a declaration. It may also start a type, as
    /// in `interface IFoo *create();`.
    fn is_interface_declaration(&self) -> bool {
        !matches!(self.peek_at(2), TokenKind::Punctuation(Punctuation::Star))
            && !matches!(self.peek_at(2), TokenKind::Identifier(word) if &**word != "requires")
    }

    fn identifier_or_keyword(&mut self) -> ParseResult<Identifier> {
        match &self.token().kind {
            TokenKind::Identifier(name) => {
                Ok(Identifier { name: name.clone(), span: self.bump().span })
            }
            _ => Err(self.unexpected("a name")),
        }
    }
}

/// Returns whether a name follows the naming convention for macros.
fn is_macro_name(name: &str) -> bool {
    name.len() > 2 && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Returns whether a word such as `library` is used as a keyword. It is if a name follows;
/// otherwise, the word is itself a name.
fn names_block(follows: &TokenKind) -> bool {
    matches!(follows, TokenKind::Identifier(_))
}

/// Converts a declarator to a method. Its outermost derivation must be a parameter list.
pub(super) fn method(
    attributes: Attributes,
    returns: TypeSpecifier,
    declarator: Declarator,
    span: Span,
) -> ParseResult<Method> {
    let mut derivations = declarator.derivations.into_iter();
    match (declarator.name, derivations.next()) {
        (Some(name), Some(Derivation::Function(parameters))) => Ok(Method {
            attributes,
            returns,
            return_derivations: derivations.collect(),
            name,
            parameters,
            span,
        }),
        _ => Err(ParseError),
    }
}
