//! Parses the attribute `#[range(1..=10)]`.

use syn::{Attribute, Error, Expr, ExprLit, ExprRange, Lit, RangeLimits, Result, UnOp};

use crate::Range;

/// Returns the range in the attribute `#[range(…)]`, if present.
///
/// # Errors
/// Returns an error if the attribute doesn't have the form `1..=10`, if the range is empty, or if
/// the attribute is repeated.
pub fn range(attributes: &[Attribute]) -> Result<Option<Range>> {
    let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident("range"));
    let Some(attribute) = found.next() else { return Ok(None) };
    if let Some(second) = found.next() {
        return Err(Error::new_spanned(second, "repeated `#[range(…)]`: combine them"));
    }
    let form = "write both bounds, which are inclusive: `#[range(1..=10)]`";
    let declared: Expr = attribute.parse_args()?;
    let Expr::Range(ExprRange {
        start: Some(from),
        end: Some(to),
        limits: RangeLimits::Closed(_),
        ..
    }) = &declared
    else {
        return Err(Error::new_spanned(declared, form));
    };
    let bound = |of: &Expr| number(of).ok_or_else(|| Error::new_spanned(of, form));
    let (from, to) = (bound(from)?, bound(to)?);
    if from > to {
        return Err(Error::new_spanned(declared, "the range is empty"));
    }
    Ok(Some(Range { from, to }))
}

/// Returns the value of an integer literal.
fn number(of: &Expr) -> Option<i128> {
    match of {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => number(&unary.expr).map(|n| -n),
        Expr::Group(group) => number(&group.expr),
        _ => None,
    }
}
