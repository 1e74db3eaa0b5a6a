//! Compares types and constants. Each type is compared once, regardless of how many methods use it.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use syn::{BinOp, Expr, ExprLit, Lit, UnOp};

use super::align::{Step, align};
use super::form::{Form, TypeResolver};
use super::values::with_receiver;
use super::{ComPart, Comparison};
use crate::directions::Directions;
use syshandle_model::{DefinitionKind, Field, Parameter, Variant, discriminants, plain_name};
use syshandle_types::describe::compatibility::Change;

/// The directions (in, out) in which values of each type are sent.
pub(super) struct TypeDirections {
    directions: HashMap<String, Directions>,
    /// The types whose members have not been visited yet.
    open: Vec<(String, Directions)>,
}

impl TypeDirections {
    pub(super) fn of(types: TypeResolver<'_>) -> Self {
        let mut uses = Self { directions: HashMap::new(), open: Vec::new() };
        for method in types.description().interfaces.iter().flat_map(|interface| &interface.methods)
        {
            for parameter in &method.parameters {
                uses.add(types, &types.value(parameter).form, Directions::IN);
            }
            uses.add(types, &types.form(&method.result, None), Directions::OUT);
            if let Some(error) = &method.error {
                uses.add(types, &types.form(error, None), Directions::OUT);
            }
        }
        while let Some((name, directions)) = uses.open.pop() {
            types.parts(&name).iter().for_each(|part| uses.add(types, &part.form, directions));
        }
        uses
    }

    /// Adds the directions of the other description.
    pub(super) fn and(mut self, other: &Self) -> Self {
        for (name, directions) in &other.directions {
            let known = self.directions.entry(name.clone()).or_default();
            *known = known.union(*directions);
        }
        self
    }

    fn of_type(&self, name: &str) -> Directions {
        self.directions.get(name).copied().unwrap_or_default()
    }

    fn add(&mut self, types: TypeResolver<'_>, form: &Form, directions: Directions) {
        if !types.spend(1) {
            return;
        }
        match form {
            Form::Defined(name, _) => {
                let known = self.directions.entry(name.clone()).or_default();
                let all = known.union(directions);
                if *known != all {
                    *known = all;
                    self.open.push((name.clone(), directions));
                }
            }
            Form::List(inner)
            | Form::Set(inner)
            | Form::Array(inner, _)
            | Form::Optional(inner)
            | Form::Stream(inner) => {
                self.add(types, inner, directions);
            }
            Form::Map(one, other) | Form::Outcome(one, other) => {
                self.add(types, one, directions);
                self.add(types, other, directions);
            }
            Form::Tuple(items) => items.iter().for_each(|item| self.add(types, item, directions)),
            Form::Plain(_) | Form::Handle(_) | Form::Object { .. } | Form::Unknown(_) => {}
        }
    }
}

impl Comparison<'_> {
    pub(super) fn definitions(&mut self) {
        let (old, new) = (self.old, self.new);
        for definition in &new.description().definitions {
            let name = definition.name.to_string();
            let Some(known) = old.definition(&name) else { continue };
            let directions = self.uses.of_type(&name);
            if directions != Directions::default() {
                self.layouts(&name, &name, &name);
            }
            if known.grows != definition.grows {
                let description = match definition.grows {
                    true => "got `#[grows]`, which changes its form on the wire",
                    false => "lost `#[grows]`, which changes its form on the wire",
                };
                self.add(&name, description, directions == Directions::default(), None);
            }
            match (&known.kind, &definition.kind) {
                (DefinitionKind::Struct(before), DefinitionKind::Struct(after))
                    if known.grows && definition.grows =>
                {
                    self.growable_fields(&name, before, after, directions);
                }
                (DefinitionKind::Struct(before), DefinitionKind::Struct(after)) => {
                    let values = |fields: &[Field]| -> Vec<Parameter> {
                        fields.iter().map(|field| field.value.clone()).collect()
                    };
                    self.list(&name, &values(before), &values(after), directions);
                }
                (DefinitionKind::Enum(before), DefinitionKind::Enum(after)) => {
                    let grows = known.grows && definition.grows;
                    self.variants(&name, before, after, grows, directions);
                }
                (DefinitionKind::Constant(_, before), DefinitionKind::Constant(_, after)) => {
                    self.constant(&name, before, after);
                }
                (before, after) if kind_name(before) != kind_name(after) => {
                    let description =
                        format!("changed from {} to {}", kind_name(before), kind_name(after));
                    let gained_authority = self.added_authority(&Form::Defined(name.clone(), None));
                    self.add(
                        name,
                        description,
                        directions == Directions::default(),
                        with_receiver(gained_authority, directions),
                    );
                }
                // An alias is not compared here. Its target type is compared at each use of the
                // alias.
                _ => {}
            }
        }
    }

    fn variants(
        &mut self,
        name: &str,
        old: &[Variant],
        new: &[Variant],
        grows: bool,
        directions: Directions,
    ) {
        let names = |list: &[Variant]| -> Vec<String> {
            list.iter().map(|variant| plain_name(&variant.name)).collect()
        };
        let is_unused = directions == Directions::default();
        let (old_numbers, new_numbers) = (discriminants(old), discriminants(new));
        for step in align(&names(old), &names(new)) {
            let path = |at: usize| format!("{name}::{}", new[at].name);
            match step {
                Step::Kept { old: before, new: at } | Step::Replaced { old: before, new: at } => {
                    if matches!(step, Step::Replaced { .. }) {
                        let description = format!("renamed from `{}`", old[before].name);
                        self.add(path(at), description, Change::Name.is_compatible(), None);
                    }
                    self.list(&path(at), &old[before].fields, &new[at].fields, directions);
                    let numbers = (old_numbers[before], new_numbers[at]);
                    // In this project's wire format, a variant is represented by its position; in
                    // COM, which has no types that grow, by its value.
                    if before == at && numbers.0 != numbers.1 && !grows {
                        let description =
                            format!("its number changed from {} to {}", numbers.0, numbers.1);
                        self.add(path(at), description, is_unused, None);
                    }
                }
                Step::Moved { old: before, new: at } => {
                    let description =
                        format!("moved from position {} to position {}", before + 1, at + 1);
                    self.add(path(at), description, is_unused, None);
                    self.list(&path(at), &old[before].fields, &new[at].fields, directions);
                }
                Step::Added { new: at } => {
                    let values = new[at].fields.iter().map(|field| self.new.value(field).form);
                    let gained_authority =
                        values.into_iter().find_map(|form| self.added_authority(&form));
                    let is_last = at >= old.len();
                    let description = if is_last { "variant added" } else { "variant inserted" };
                    // An old client can't decode a variant that it doesn't know, unless the enum
                    // can grow.
                    let change =
                        Change::Variant { is_last, grows, is_in_result: directions.is_out };
                    let is_compatible = is_unused || change.is_compatible();
                    self.add(
                        path(at),
                        description,
                        is_compatible,
                        with_receiver(gained_authority, directions),
                    );
                    self.warn_of_com(ComPart::Member);
                    if grows && is_last {
                        self.warn_of_handles(&new[at].fields, directions);
                    }
                }
                Step::Removed { old: before } => {
                    let path = format!("{name}::{}", old[before].name);
                    self.add(path, "variant removed", is_unused, None);
                }
            }
        }
    }

    fn constant(&mut self, name: &str, old: &TokenStream, new: &TokenStream) {
        let (before, after) = (old.to_string(), new.to_string());
        if before == after {
            return;
        }
        let value = |of: &TokenStream| syn::parse2(of.clone()).ok().and_then(|of| number(&of));
        let is_lower = match (value(old), value(new)) {
            (Some(before), Some(after)) if before == after => return,
            (Some(before), Some(after)) => after < before,
            _ => before.starts_with('"'),
        };
        let gained_authority = (!is_lower).then(|| "a limit may be higher".to_owned());
        self.add(name, format!("changed from {before} to {after}"), true, gained_authority);
    }
}

fn kind_name(kind: &DefinitionKind) -> &'static str {
    match kind {
        DefinitionKind::Struct(_) => "a struct",
        DefinitionKind::Enum(_) => "an enum",
        DefinitionKind::Alias(_) => "an alias",
        DefinitionKind::Constant(..) => "a constant",
    }
}

/// Evaluates a constant expression. Supports the forms of expression that constants are usually
/// written in.
fn number(of: &Expr) -> Option<f64> {
    Some(match of {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok()?,
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => number.base10_parse().ok()?,
        Expr::Paren(inner) => number(&inner.expr)?,
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => -number(&unary.expr)?,
        Expr::Binary(binary) => {
            let (one, other) = (number(&binary.left)?, number(&binary.right)?);
            match binary.op {
                BinOp::Add(_) => one + other,
                BinOp::Sub(_) => one - other,
                BinOp::Mul(_) => one * other,
                BinOp::BitOr(_) => (one as i64 | other as i64) as f64,
                BinOp::Shl(_) => one * f64::from(other as u16).exp2(),
                _ => return None,
            }
        }
        _ => return None,
    })
}
