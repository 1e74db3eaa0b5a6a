//! Parses libraries, classes, modules and API contracts.

use super::{ParseError, ParseResult, Parser};
use crate::front::ast::{
    ApiContract, Attributes, Class, ClassItem, ImportLibrary, Library, Module,
};
use crate::front::diagnostic::Diagnostic;
use crate::front::token::{Punctuation, TokenKind};

impl Parser<'_> {
    /// Parses a library, starting at its keyword.
    pub(super) fn library(&mut self, attributes: Attributes) -> ParseResult<Library> {
        self.bump();
        let name = self.identifier("the name of the library")?;
        let items = self.braced("a library", Self::item)?;
        self.eat(Punctuation::Semicolon);
        Ok(Library { attributes, name, items })
    }

    /// Parses `importlib("file");`.
    pub(super) fn import_library(&mut self) -> ParseResult<ImportLibrary> {
        self.bump();
        self.bump();
        let span = self.span();
        let file = self.string("the name of a type library, in quotes")?;
        self.expect(Punctuation::ParenClose, "after the name of the type library")?;
        self.semicolon("after importlib")?;
        Ok(ImportLibrary { file, span })
    }

    /// Parses a coclass or a runtimeclass, starting at its keyword.
    pub(super) fn class(&mut self, attributes: Attributes, what: &str) -> ParseResult<Class> {
        self.bump();
        let name = self.identifier("the name of the class")?;
        let mut class = Class { attributes, name, base: None, interfaces: None };
        if self.eat(Punctuation::Semicolon) {
            return Ok(class);
        }
        if self.eat(Punctuation::Colon) {
            if self.is(Punctuation::BracketOpen) {
                return Err(self.expected_interface());
            }
            class.base = Some(self.path("the name of the class to derive from")?);
            if self.is(Punctuation::Comma) {
                return Err(self.expected_interface());
            }
        }
        class.interfaces = Some({
            let mut has_reported = false;
            self.braced(what, |parser| parser.class_item(&mut has_reported))?
        });
        self.eat(Punctuation::Semicolon);
        Ok(class)
    }

    /// Parses an interface in a class. Reports at most one other kind of member per class.
    fn class_item(&mut self, has_reported: &mut bool) -> ParseResult<ClassItem> {
        let attributes = self.attributes();
        let is_dispatch = self.eat_word("dispinterface");
        if !is_dispatch && !self.eat_word("interface") {
            let is_bare_name = matches!(self.peek(), TokenKind::Identifier(_))
                && self.peek_at(1).is(Punctuation::Semicolon);
            if !is_bare_name && std::mem::replace(has_reported, true) {
                return Err(ParseError);
            }
            if !is_bare_name {
                return Err(self.expected_interface());
            }
        }
        let path = self.path("the name of an interface")?;
        self.semicolon("after an interface of a class")?;
        Ok(ClassItem { attributes, is_dispatch, path })
    }

    fn expected_interface(&mut self) -> ParseError {
        let message = "expected `interface` or `dispinterface` in a class";
        let hint = "declare an interface and name it here: `[default] interface IName;`";
        self.report(Diagnostic::error(self.span(), message).hint(hint))
    }

    /// Parses a module, starting at its keyword.
    pub(super) fn module(&mut self, attributes: Attributes) -> ParseResult<Module> {
        self.bump();
        let name = self.identifier("the name of the module")?;
        let items = match self.eat(Punctuation::Semicolon) {
            true => None,
            false => Some(self.braced("a module", Self::item)?),
        };
        self.eat(Punctuation::Semicolon);
        Ok(Module { attributes, name, items })
    }

    /// Parses an apicontract, starting at its keyword.
    pub(super) fn api_contract(&mut self, attributes: Attributes) -> ParseResult<ApiContract> {
        self.bump();
        let name = self.identifier("the name of the contract")?;
        let is_forward = !self.is(Punctuation::BraceOpen);
        if !is_forward {
            self.braced("an apicontract", |parser| -> ParseResult<()> {
                Err(parser.unexpected("`}`: an apicontract is empty"))
            })?;
        }
        self.eat(Punctuation::Semicolon);
        Ok(ApiContract { attributes, name, is_forward })
    }
}
