//! Parses types: base types, structs, unions, enums and type names.

use super::{ParseResult, Parser, base_types};
use crate::front::ast::{
    Argument, Arm, Attribute, AttributeName, BaseType, EnumType, Enumerator, Field, Identifier,
    Path, StructType, Switch, TypeKind, TypeName, TypeSpecifier, UnionType,
};
use crate::front::diagnostic::Diagnostic;
use crate::front::token::{Punctuation, TokenKind};

/// Type qualifiers, which may precede or follow a type.
const QUALIFIERS: &[&str] = &["const", "volatile", "__unaligned", "__RPC_FAR", "__far", "_far"];

impl Parser<'_> {
    /// Parses the type at the start of a declaration.
    pub(super) fn type_specifier(&mut self) -> ParseResult<TypeSpecifier> {
        let start = self.span();
        let mut is_const = self.qualifiers();
        let word = self.peek().word().unwrap_or_default();
        let kind = match word {
            "struct" => TypeKind::Struct(self.struct_type()?),
            "union" => TypeKind::Union(self.union_type()?),
            "enum" => TypeKind::Enum(self.enum_type()?),
            "interface" | "dispinterface" | "coclass" => {
                self.bump();
                TypeKind::Interface(self.path("the name of an interface")?)
            }
            "SAFEARRAY" if self.peek_at(1).is(Punctuation::ParenOpen) => {
                self.bump();
                self.bump();
                let element = self.nested(Self::type_name)?;
                self.expect(Punctuation::ParenClose, "after the type of the elements")?;
                TypeKind::SafeArray(element)
            }
            "pipe" if matches!(self.peek_at(1), TokenKind::Identifier(_)) => {
                self.bump();
                TypeKind::Pipe(Box::new(self.nested(Self::type_specifier)?))
            }
            _ if base_types::is_base_word(word) => {
                let (base, with_const) = self.base_type();
                is_const |= with_const;
                TypeKind::Base(base)
            }
            _ => TypeKind::Named(self.path("a type")?),
        };
        is_const |= self.qualifiers();
        Ok(TypeSpecifier { kind, is_const, span: self.since(start) })
    }

    /// Parses a complete type without a declared name, as in a cast.
    pub(super) fn type_name(&mut self) -> ParseResult<TypeName> {
        let specifier = Box::new(self.nested(Self::type_specifier)?);
        let declarator = self.declarator()?;
        if let Some(name) = declarator.name {
            return Err(self.report(Diagnostic::error(name.span, "expected a type without a name")));
        }
        Ok(TypeName { specifier, derivations: declarator.derivations })
    }

    /// Parses a qualified name with type arguments.
    pub(super) fn path(&mut self, what: &str) -> ParseResult<Path> {
        let start = self.span();
        let mut segments = vec![self.identifier(what)?];
        while self.eat(Punctuation::Dot) {
            segments.push(self.identifier("a name after `.`")?);
        }
        let mut arguments = Vec::new();
        if self.eat(Punctuation::Less) {
            loop {
                arguments.push(self.nested(Self::type_name)?);
                if !self.eat(Punctuation::Comma) {
                    break;
                }
            }
            self.close_angle()?;
        }
        Ok(Path { segments, arguments, span: self.since(start) })
    }

    fn close_angle(&mut self) -> ParseResult<()> {
        if self.is(Punctuation::ShiftRight) && !self.half_consumed {
            self.half_consumed = true;
            return Ok(());
        }
        if self.is(Punctuation::ShiftRight) {
            self.bump();
            return Ok(());
        }
        self.expect(Punctuation::Greater, "after the type arguments")
    }

    /// Skips type qualifiers. Returns whether `const` was among them.
    pub(super) fn qualifiers(&mut self) -> bool {
        let mut is_const = false;
        while let Some(word) = self.peek().word() {
            if word == "__declspec" || word == "_declspec" {
                self.declspec();
                continue;
            }
            // `far` and `near` were keywords of 16-bit compilers, but can also be names.
            let is_old = matches!(word, "far" | "near") && self.peek_at(1).is(Punctuation::Star);
            if !is_old && !QUALIFIERS.contains(&word) {
                break;
            }
            is_const |= word == "const";
            self.bump();
        }
        is_const
    }

    /// Parses `__declspec(…)`. Keeps an alignment and ignores everything else, which only affects
    /// C++ compilers.
    fn declspec(&mut self) {
        let start = self.span();
        self.bump();
        if !self.is(Punctuation::ParenOpen) {
            self.unexpected("`(` after `__declspec`");
            return;
        }
        self.bump();
        let is_align = self.is_word("align") && self.peek_at(1).is(Punctuation::ParenOpen);
        if is_align {
            let name = Identifier { name: self.interner.intern("__declspec(align)"), span: start };
            self.bump();
            self.bump();
            if let Ok(value) = self.expression() {
                self.align = Some(Attribute {
                    name,
                    known: Some(AttributeName::Align),
                    arguments: vec![Argument::Value(value)],
                    span: self.since(start),
                });
            }
            self.eat(Punctuation::ParenClose);
        }
        self.skip_to(&[Punctuation::ParenClose]);
        self.eat(Punctuation::ParenClose);
    }

    /// Parses the words of a base type. Returns the type, and whether `const` was among the words.
    fn base_type(&mut self) -> (BaseType, bool) {
        let mut words: Vec<&str> = Vec::new();
        let mut is_const = false;
        while let Some(word) = self.peek().word() {
            if word == "const" {
                is_const = true;
            } else if base_types::can_follow(&words, word) {
                words.push(word);
            } else {
                break;
            }
            self.bump();
        }
        (base_types::base_type(&words), is_const)
    }

    fn struct_type(&mut self) -> ParseResult<StructType> {
        let before = self.bump().pack;
        let mut attributes = self.attributes();
        self.qualifiers();
        attributes.extend(self.align.take());
        let tag = self.tag()?;
        let fields = match self.is(Punctuation::BraceOpen) {
            true => Some(self.nested(|parser| parser.braced("a struct", Self::field))?),
            false => None,
        };
        self.require_tag_or(tag.is_some() || fields.is_some(), "struct")?;
        let after = self.tokens[self.at.saturating_sub(1)].pack;
        let pack = if before == 0 { after } else { before };
        Ok(StructType { attributes, tag, fields, pack })
    }

    fn union_type(&mut self) -> ParseResult<UnionType> {
        self.bump();
        let mut attributes = self.attributes();
        self.qualifiers();
        attributes.extend(self.align.take());
        let is_switch = self.is_word("switch") && self.peek_at(1).is(Punctuation::ParenOpen);
        let tag = if is_switch { None } else { self.tag()? };
        let switch = match self.eat_word("switch") {
            true => Some(self.switch()?),
            false => None,
        };
        let arms = match self.is(Punctuation::BraceOpen) {
            true => Some(self.nested(|parser| parser.braced("a union", Self::arm))?),
            false => None,
        };
        self.require_tag_or(tag.is_some() || arms.is_some(), "union")?;
        Ok(UnionType { attributes, tag, switch, arms })
    }

    /// Parses `(type name) name`, which follows the keyword `switch`.
    fn switch(&mut self) -> ParseResult<Switch> {
        self.expect(Punctuation::ParenOpen, "after `switch`")?;
        let specifier = Box::new(self.nested(Self::type_specifier)?);
        let name = self.identifier("the name of the number that chooses an arm")?;
        self.expect(Punctuation::ParenClose, "after the number that chooses an arm")?;
        let union_name = match self.is(Punctuation::BraceOpen) {
            true => None,
            false => Some(self.identifier("the name of the union, or `{`")?),
        };
        Ok(Switch { specifier, name, union_name })
    }

    fn enum_type(&mut self) -> ParseResult<EnumType> {
        self.bump();
        let attributes = self.attributes();
        let tag = self.tag()?;
        let enumerators = match self.is(Punctuation::BraceOpen) {
            true => Some(self.enumerators()?),
            false => None,
        };
        self.require_tag_or(tag.is_some() || enumerators.is_some(), "enum")?;
        Ok(EnumType { attributes, tag, enumerators })
    }

    fn enumerators(&mut self) -> ParseResult<Vec<Enumerator>> {
        let opening = self.span();
        self.bump();
        let mut enumerators = Vec::new();
        while !self.is(Punctuation::BraceClose) {
            match self.enumerator() {
                Ok(enumerator) => enumerators.push(enumerator),
                Err(_) => self.skip_to(&[Punctuation::Comma]),
            }
            if !self.eat(Punctuation::Comma) && !self.is(Punctuation::BraceClose) {
                self.unexpected("`,` or `}` after an enumerator");
                // If a name follows, only a comma is missing between two enumerators.
                if !matches!(self.peek(), TokenKind::Identifier(_)) {
                    self.skip_to(&[Punctuation::Comma]);
                    if !self.eat(Punctuation::Comma) {
                        break;
                    }
                }
            }
        }
        if !self.eat(Punctuation::BraceClose) {
            return Err(self.report(
                Diagnostic::error(self.span(), "expected `}` at the end of an enum")
                    .related(opening, "it opens here"),
            ));
        }
        Ok(enumerators)
    }

    fn enumerator(&mut self) -> ParseResult<Enumerator> {
        let attributes = self.attributes();
        let name = self.identifier("the name of an enumerator")?;
        let value = match self.eat(Punctuation::Equal) {
            true => Some(self.expression()?),
            false => None,
        };
        Ok(Enumerator { attributes, name, value })
    }

    fn field(&mut self) -> ParseResult<Field> {
        let start = self.span();
        let mut attributes = self.attributes();
        let specifier = Some(self.type_specifier()?);
        attributes.extend(self.align.take());
        let declarators = match self.is(Punctuation::Semicolon) {
            true => Vec::new(),
            false => self.declarators()?,
        };
        self.semicolon("after a field")?;
        Ok(Field { attributes, specifier, declarators, span: self.since(start) })
    }

    fn arm(&mut self) -> ParseResult<Arm> {
        let mut cases = Vec::new();
        let mut is_default = false;
        loop {
            if self.is_word("case") {
                self.bump();
                cases.push(self.expression()?);
                self.expect(Punctuation::Colon, "after a case")?;
            } else if self.is_word("default") && self.peek_at(1).is(Punctuation::Colon) {
                self.bump();
                self.bump();
                is_default = true;
            } else {
                break;
            }
        }
        let start = self.span();
        let attributes = self.attributes();
        if self.is(Punctuation::Semicolon) || self.is(Punctuation::BraceClose) {
            self.eat(Punctuation::Semicolon);
            let field = Field {
                attributes,
                specifier: None,
                declarators: Vec::new(),
                span: self.since(start),
            };
            return Ok(Arm { cases, is_default, field });
        }
        let specifier = Some(self.type_specifier()?);
        let declarators = match self.is(Punctuation::Semicolon) {
            true => Vec::new(),
            false => self.declarators()?,
        };
        self.semicolon("after an arm of a union")?;
        let field = Field { attributes, specifier, declarators, span: self.since(start) };
        Ok(Arm { cases, is_default, field })
    }

    fn tag(&mut self) -> ParseResult<Option<Identifier>> {
        match self.peek() {
            TokenKind::Identifier(_) => self.identifier("a tag").map(Some),
            _ => Ok(None),
        }
    }

    fn require_tag_or(&mut self, is_there: bool, keyword: &str) -> ParseResult<()> {
        match is_there {
            true => Ok(()),
            false => Err(self.unexpected(&format!("a tag or `{{` after `{keyword}`"))),
        }
    }
}
