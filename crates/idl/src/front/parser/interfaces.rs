//! Parses interfaces, their methods, and dispinterfaces.

use super::items::method;
use super::{ParseResult, Parser};
use crate::front::ast::{
    Attributes, Delegate, Derivation, DispatchInterface, DispatchMember, Identifier, Interface,
    Item, Member,
};
use crate::front::diagnostic::Diagnostic;
use crate::front::limits::TYPE_PARAMETERS_MAX;
use crate::front::token::Punctuation;

impl Parser<'_> {
    /// Parses an interface, starting at its keyword.
    pub(super) fn interface(&mut self, attributes: Attributes) -> ParseResult<Interface> {
        self.bump();
        let name = self.identifier("the name of the interface")?;
        let type_parameters = self.type_parameters()?;
        let mut interface = Interface {
            attributes,
            name,
            type_parameters,
            base: None,
            requires: Vec::new(),
            members: None,
        };
        if self.eat(Punctuation::Semicolon) {
            return Ok(interface);
        }
        if self.eat(Punctuation::Colon) {
            // If the name of the base is missing, the rest of the interface is still parsed.
            interface.base = self.path("the name of an interface to derive from").ok();
            while self.eat(Punctuation::Comma) {
                interface.requires.push(self.path("the name of an interface")?);
            }
        }
        if self.eat_word("requires") {
            loop {
                interface.requires.push(self.path("the name of an interface")?);
                if !self.eat(Punctuation::Comma) {
                    break;
                }
            }
        }
        interface.members = Some(self.braced("an interface", Self::member)?);
        self.eat(Punctuation::Semicolon);
        Ok(interface)
    }

    /// Parses a delegate, starting at its keyword.
    pub(super) fn delegate(&mut self, attributes: Attributes) -> ParseResult<Delegate> {
        let start = self.span();
        self.bump();
        let returns = self.type_specifier()?;
        // In `HRESULT Handler<T>(…)`, the type parameters are between the name and the parameter
        // list.
        let has_type_parameters = self.peek_at(1).is(Punctuation::Less);
        let name = if has_type_parameters { Some(self.identifier("a name")?) } else { None };
        let type_parameters = self.type_parameters()?;
        let mut declarator = self.declarator()?;
        declarator.name = declarator.name.or(name);
        if !matches!(declarator.derivations.first(), Some(Derivation::Function(_))) {
            return Err(self.unexpected("the parameters of the delegate"));
        }
        let method = method(Attributes::default(), returns, declarator, self.since(start))?;
        self.semicolon("after a delegate")?;
        Ok(Delegate { attributes, type_parameters, method })
    }

    /// Parses a dispinterface, starting at its keyword.
    pub(super) fn dispatch_interface(
        &mut self,
        attributes: Attributes,
    ) -> ParseResult<DispatchInterface> {
        self.bump();
        let name = self.identifier("the name of the dispinterface")?;
        if self.eat(Punctuation::Semicolon) {
            return Ok(DispatchInterface { attributes, name, members: None });
        }
        let mut in_properties = false;
        let members =
            self.braced("a dispinterface", |parser| parser.dispatch_member(&mut in_properties))?;
        self.eat(Punctuation::Semicolon);
        let members = members.into_iter().flatten().collect();
        Ok(DispatchInterface { attributes, name, members: Some(members) })
    }

    /// Parses a member. Returns `None` for a section heading (`properties:` or `methods:`).
    fn dispatch_member(&mut self, in_properties: &mut bool) -> ParseResult<Option<DispatchMember>> {
        for (title, is_properties) in [("properties", true), ("methods", false)] {
            if self.is_word(title) && self.peek_at(1).is(Punctuation::Colon) {
                self.bump();
                self.bump();
                *in_properties = is_properties;
                return Ok(None);
            }
        }
        if self.eat_word("interface") {
            let path = self.path("the name of an interface")?;
            if !self.is(Punctuation::BraceClose) {
                self.semicolon("after the name of the interface")?;
            }
            return Ok(Some(DispatchMember::Interface(path)));
        }
        let start = self.span();
        let attributes = self.attributes();
        let specifier = self.type_specifier()?;
        let declarators = self.declarators()?;
        let is_method = declarators.first().is_some_and(|first| {
            matches!(first.derivations.first(), Some(Derivation::Function(_)))
        });
        let span = self.since(start);
        let member = match declarators.into_iter().next() {
            Some(first) if is_method => {
                DispatchMember::Method(method(attributes, specifier, first, span)?)
            }
            declarator => {
                if !*in_properties {
                    self.report(
                        Diagnostic::error(span, "expected a method, found a property")
                            .hint("properties stand after `properties:`"),
                    );
                }
                DispatchMember::Property(attributes, specifier, declarator.into_iter().collect())
            }
        };
        self.semicolon("after a member of a dispinterface")?;
        Ok(Some(member))
    }

    fn member(&mut self) -> ParseResult<Member> {
        Ok(match self.item()? {
            Item::Function(method) => Member::Method(method),
            item => Member::Item(item),
        })
    }

    /// Parses type parameters such as `<K, V>`, if present.
    fn type_parameters(&mut self) -> ParseResult<Vec<Identifier>> {
        let mut names = Vec::new();
        if self.eat(Punctuation::Less) {
            loop {
                if names.len() == TYPE_PARAMETERS_MAX {
                    let message = format!("more than {TYPE_PARAMETERS_MAX} type parameters");
                    return Err(self.report_error(&message, ""));
                }
                names.push(self.identifier("the name of a type parameter")?);
                if !self.eat(Punctuation::Comma) {
                    break;
                }
            }
            self.expect(Punctuation::Greater, "after the type parameters")?;
        }
        Ok(names)
    }
}
