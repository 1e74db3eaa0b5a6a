//! Converts constants.

use proc_macro2::Literal;
use quote::{ToTokens, quote};

use super::resolved_type::{InnermostType, resolve};
use super::types::RustType;
use super::{Lowering, ident, names};
use crate::front::ast::{Constant, Identifier};
use crate::front::constant;
use crate::front::diagnostic::{Diagnostic, quoted};
use syshandle_model::{Definition, DefinitionKind};

impl<'a> Lowering<'_, 'a> {
    /// Converts a constant. Omits a constant whose type isn't supported, because nothing depends on
    /// it.
    pub(super) fn constant(&mut self, constant: &'a Constant) {
        let Some(name) = &constant.declarator.name else { return };
        if self.constant_of(constant, name).is_none() {
            let what = format!(
                "constant {} can't be expressed in Rust: unsupported type",
                quoted(&name.name)
            );
            self.state.diagnostics.push(Diagnostic::warning(name.span, what));
        }
    }

    fn constant_of(&mut self, constant: &'a Constant, name: &Identifier) -> Option<()> {
        let value = constant::evaluate(&constant.value, &self.view).ok()?;
        let resolved =
            resolve(&self.view, &constant.attributes, &constant.specifier, &constant.declarator);
        let (ty, value) = match (value, resolved.innermost) {
            (constant::Value::String { text, .. }, _) => {
                (syn::parse_quote!(&str), Literal::string(&unescape(&text)).into_token_stream())
            }
            (constant::Value::Integer(integer), InnermostType::Base(_))
                if resolved.derivations.is_empty() =>
            {
                let RustType { ty, .. } = self.value(&resolved, 0, "", false).ok()?;
                let value = wrapping_literal(integer.value, &ty.to_token_stream().to_string())?;
                (ty, value)
            }
            (constant::Value::Float(value), InnermostType::Base(_)) if value.is_finite() => {
                (syn::parse_quote!(f64), Literal::f64_unsuffixed(value).into_token_stream())
            }
            (constant::Value::Integer(integer), InnermostType::Bool) => {
                let value = integer.value != 0;
                (syn::parse_quote!(bool), quote!(#value))
            }
            _ => return None,
        };
        let rust = names::constant(&name.name);
        if self.claim_name(&rust, name.span).is_ok_and(|is_new| is_new) {
            let kind = DefinitionKind::Constant(ty, value);
            let (name, grows) = (ident(&rust), false);
            self.define(Definition { docs: Vec::new(), name, kind, grows });
        }
        Some(())
    }
}

/// Replaces C escape sequences in a string.
fn unescape(text: &str) -> String {
    let mut letters = text.chars().peekable();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        let number = |letters: &mut std::iter::Peekable<std::str::Chars<'_>>, radix, most| {
            let mut value = 0;
            for _ in 0..most {
                let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(radix)) else {
                    break;
                };
                value = value * radix + digit;
                letters.next();
            }
            char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        plain.push(match letters.peek().copied() {
            Some('0'..='7') => number(&mut letters, 8, 3),
            Some('x') => {
                letters.next();
                number(&mut letters, 16, 4)
            }
            other => {
                letters.next();
                match other {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('a') => '\x07',
                    Some('b') => '\x08',
                    Some('f') => '\x0c',
                    Some('v') => '\x0b',
                    Some(other) => other,
                    None => '\\',
                }
            }
        });
    }
    plain
}

/// Returns an integer literal of this type. Wraps the value to the type's width, because -1 is
/// often written as `0xffffffff`.
fn wrapping_literal(value: i128, ty: &str) -> Option<proc_macro2::TokenStream> {
    Some(match ty {
        "i8" => Literal::i8_unsuffixed(value as i8).into_token_stream(),
        "u8" => Literal::u8_unsuffixed(value as u8).into_token_stream(),
        "i16" => Literal::i16_unsuffixed(value as i16).into_token_stream(),
        "u16" => Literal::u16_unsuffixed(value as u16).into_token_stream(),
        "i32" => Literal::i32_unsuffixed(value as i32).into_token_stream(),
        "u32" => Literal::u32_unsuffixed(value as u32).into_token_stream(),
        "i64" => Literal::i64_unsuffixed(value as i64).into_token_stream(),
        "u64" => Literal::u64_unsuffixed(value as u64).into_token_stream(),
        "f32" | "f64" => Literal::f64_unsuffixed(value as f64).into_token_stream(),
        _ => return None,
    })
}
